"""Elementwise functions where they bend: zeros of both signs, kinks, halves,
infinities, NaN, the largest and the smallest numbers, in every type. Each case
has its inputs (numbers of the list that is written first), its numbers besides,
the result, and the gradients for a gradient of 1.5.

PyTorch has loops for vectors and loops for what is left over, which differ where
it contradicts itself (ELU's gradient at NaN). The values are those of the first:
inputs are computed twice over, and the second half is dropped.

Run with PyTorch 2.15: python edges.py
"""

import json
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
nan, inf = float("nan"), float("inf")
FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
cases = []


def number(v, dtype):
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, float):
        if v != v or v in (inf, -inf):
            return repr(v)
        if v == int(v) and abs(v) < 2**53 and not (v == 0 and str(v)[0] == "-"):
            return int(v)
        return float("%.*g" % ({torch.float64: 17, torch.float32: 9}.get(dtype, 6), v))
    return v


def flat(t):
    return [number(v, t.dtype) for v in t.detach().reshape(-1).tolist()]


inputs = []


def known(t):
    """The number of an input."""
    stored = [str(t.dtype).removeprefix("torch."), flat(t)]
    text = json.dumps(stored)
    for i, other in enumerate(inputs):
        if json.dumps(other) == text:
            return i
    inputs.append(stored)
    return len(inputs) - 1


def add(op, f, inputs, *args, grad=True):
    n = max(t.numel() for t in inputs)
    ins = [(torch.cat([t, t]) if n > 10 else t.clone()).requires_grad_(grad and t.dtype.is_floating_point) for t in inputs]
    out = f(*ins, *args)
    case = {"op": op, "in": [known(t) for t in inputs], "type": str(out.dtype).removeprefix("torch."), "out": flat(out[:n] if out.dim() else out)}
    if args:
        case["args"] = [number(float(a), torch.float64) for a in args]
    if out.requires_grad:
        out.backward(torch.full_like(out, 1.5))
        case["dx"] = [flat(t.grad[:n] if t.dim() else t.grad) if t.grad is not None else None for t in ins]
    cases.append(case)


def values(dtype):
    info = torch.finfo(dtype)
    least = {torch.float64: 5e-324, torch.float32: 2**-149, torch.bfloat16: 2**-133, torch.float16: 2**-24}[dtype]
    v = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2, -2, 2.5, -2.5, 3, -3, 6, -6, 20, -20, 20.5, 88, 90, -104, 750, -750, 1e4, -1e4,
         info.max, -info.max, info.tiny, -info.tiny, least, -least, inf, -inf, nan, 0.999, 1.001, 3e-4, -3e-4, 0.1, -0.1]
    return torch.tensor(v, dtype=torch.float64).to(dtype)


unary = {
    "Neg": torch.neg, "Abs": torch.abs, "Sign": torch.sign, "Square": torch.square, "Sqrt": torch.sqrt, "Rsqrt": torch.rsqrt, "Reciprocal": torch.reciprocal,
    "Exp": torch.exp, "Expm1": torch.expm1, "Log": torch.log, "Log1p": torch.log1p, "Log2": torch.log2, "Log10": torch.log10, "Sin": torch.sin, "Cos": torch.cos,
    "Tan": torch.tan, "Asin": torch.asin, "Acos": torch.acos, "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh, "Erf": torch.erf,
    "Sigmoid": torch.sigmoid, "LogSigmoid": F.logsigmoid, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Trunc": torch.trunc,
    "ReLU": torch.relu, "GELU": F.gelu, "GELUTanh": lambda t: F.gelu(t, approximate="tanh"), "SiLU": F.silu, "Hardswish": F.hardswish, "Hardsigmoid": F.hardsigmoid,
    "IsNaN": torch.isnan, "IsInf": torch.isinf, "IsFinite": torch.isfinite, "Not": torch.logical_not,
}
for dtype in FLOATS:
    for op, f in unary.items():
        v = values(dtype)
        if op == "Hardsigmoid" and dtype == torch.float64:
            f = lambda t: (t + 3).clamp(0, 6) / 6  # the gradient of PyTorch's own multiplies by a sixth in float32
        if op in ("GELU", "GELUTanh") and dtype != torch.float64:
            v = v[v.abs() < 1000]  # NaN for an infinity in vectors only, and for what is infinite when cubed; 3 digits at -3
            v = v[v != -3]
        if op == "Log10" or op == "Atan" and dtype == torch.float16:
            v = v[v.abs() < 700]  # the gradient overflows on its way
        add(op, f, [v])
    for args in [(-1, 1), (0, 6), (0.1, 2.5), (2, -2), (nan, 1), (0, nan)]:
        add("Clamp", torch.clamp, [values(dtype)], *args)
    for b in [0, 0.1, -1, nan]:
        add("ClampMin", torch.clamp_min, [values(dtype)], b)
        add("ClampMax", torch.clamp_max, [values(dtype)], -b)
    for s in [0, 0.01, 0.1, -0.5, 1, 2]:
        add("LeakyReLU", F.leaky_relu, [values(dtype)], s)
    for a in [0, 1, 0.1, 1.5, -1]:
        add("ELU", F.elu, [values(dtype)], a)
    for args in [(1, 20), (2, 20), (0.5, 0), (-1, 20), (1, 2.5)]:
        v = values(dtype)
        add("Softplus", F.softplus, [v[v.abs() > 1e-30] if args[1] == 0 else v], *args)

i64 = torch.tensor([0, 1, -1, 2, -3, 7, 16777217, 2**53 + 1, 2**63 - 1, -(2**63)])
u8 = torch.tensor([0, 1, 2, 3, 127, 128, 254, 255], dtype=torch.uint8)
b8 = torch.tensor([False, True])
for t in [i64, u8, b8]:
    for op, f in unary.items():
        try:
            add(op, f, [t])
        except (RuntimeError, NotImplementedError):
            pass  # PyTorch does not take it
    for args in [(-1, 3), (0.5, 2.5), (nan, 2), (2, 0.5), (-1, 300)]:
        add("Clamp", torch.clamp, [t], *[int(a) if a == int(a if a == a else 0) and all(x == x and x == int(x) for x in args) else a for a in args])
    for b in [2, 2.5]:
        add("ClampMin", torch.clamp_min, [t], b)
        add("ClampMax", torch.clamp_max, [t], b)

points = [0.0, -0.0, 1, -1, 2, -2, 0.5, -2.5, 3, inf, -inf, nan]


def pairs(dtype, op):
    v = points
    if op not in ("Remainder", "Fmod", "DivTrunc", "DivFloor", "Atan2"):  # in vectors their remainders of large quotients are NaN, and squares overflow
        v = points + [torch.finfo(dtype).max, torch.finfo(dtype).tiny / 4]
    v = torch.tensor(v, dtype=torch.float64).to(dtype)
    n = len(v)
    return v.repeat_interleave(n), v.repeat(n)


def div(mode):
    return lambda x, y: torch.div(x, y, rounding_mode=mode)


binary = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "DivTrunc": div("trunc"), "DivFloor": div("floor"), "Pow": torch.pow,
          "Maximum": torch.maximum, "Minimum": torch.minimum, "Remainder": torch.remainder, "Fmod": torch.fmod, "Atan2": torch.atan2,
          "Eq": torch.eq, "Ne": torch.ne, "Lt": torch.lt, "Le": torch.le, "Gt": torch.gt, "Ge": torch.ge,
          "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor}
for dtype in FLOATS:
    for op, f in binary.items():
        add(op, f, list(pairs(dtype, op)))

# Numbers beside a tensor. Python's numbers are of the kind that a tensor of integers needs.
scalar = {"AddScalar": torch.add, "SubScalar": torch.sub, "RSubScalar": torch.rsub, "MulScalar": torch.mul, "DivScalar": torch.div, "RDivScalar": lambda x, s: s / x,
          "DivTruncScalar": div("trunc"), "DivFloorScalar": div("floor"),
          "PowScalar": torch.pow, "RemainderScalar": torch.remainder, "FmodScalar": torch.fmod, "EqScalar": torch.eq, "NeScalar": torch.ne, "LtScalar": torch.lt,
          "LeScalar": torch.le, "GtScalar": torch.gt, "GeScalar": torch.ge}
for dtype in FLOATS:
    v = torch.tensor([0.0, -0.0, 0.1, -0.1, 1 / 3, 1, -1, 1.7, -2.9, 3, 0.01, inf, -inf, nan], dtype=torch.float64).to(dtype)
    for op, f in scalar.items():
        for s in [0, 0.1, 1 / 3, -1, 2, 3, 0.5, -0.5, -2.9, 1000.1, inf, nan]:
            if op == "PowScalar" and dtype == torch.float16 and abs(s) == 0.5:
                continue  # the other types take the root, this one does not
            add(op, f, [v], s)
for t in [i64, u8, b8]:
    for op, f in scalar.items():
        for s in [0, 1, 2, -3, 300, 2.5, -0.5, inf, nan]:
            least, most = (-(2**63), 2**63 - 1) if t is i64 else (0, 255) if t is u8 else (0, 1)
            if op[:2] in ("Eq", "Ne", "Lt", "Le", "Gt", "Ge") and s == s and abs(s) < inf and s == int(s) and not least <= s <= most:
                continue  # PyTorch compares with what is left of the number in the tensor's type; this library refuses
            try:
                add(op, f, [t], s)
            except (RuntimeError, ZeroDivisionError):
                pass

# Mixed types, with and without dimensions.
some = [torch.tensor([0.1, -2, 3], dtype=d) for d in FLOATS] + [torch.tensor([7, -2, 3]), torch.tensor([200, 2, 3], dtype=torch.uint8), torch.tensor([True, True, False])]
small = [torch.tensor(v, dtype=d) for v, d in [(1.5, torch.float64), (1.5, torch.float32), (1.5, torch.bfloat16), (1.5, torch.float16), (3, torch.int64), (3, torch.uint8), (True, torch.bool)]]
for op in ["Add", "Sub", "Mul", "Div", "DivTrunc", "DivFloor", "Pow", "Maximum", "Remainder", "Fmod", "Atan2", "Eq", "Lt", "And"]:
    for x in some + small:
        for y in some + small:
            if x.dim() == 0 and y.dim() == 0 and x.dtype == y.dtype:
                continue
            if op == "DivTrunc" and torch.bfloat16 in (x.dtype, y.dtype):
                continue  # of two tensors it rounds the quotient first
            try:
                add(op, binary[op], [x.flip(0) if x.dim() and op not in ("Remainder", "Fmod", "DivTrunc", "DivFloor") else x, y], grad=op in ("Add", "Mul", "Div") and torch.float64 not in (x.dtype, y.dtype))
            except (RuntimeError, ZeroDivisionError):
                pass
for dtype in [torch.bfloat16, torch.float16]: # a number without dimensions beside a half type
    for op in ["Add", "Sub", "Mul", "Div", "Maximum", "Pow", "Remainder", "Eq", "Lt"]:
        x, s = torch.tensor([0.1, -2.3, 3, 100.5], dtype=dtype), torch.tensor(0.1)
        for y in [s, s.double(), torch.tensor(3.3333)]:
            add(op, binary[op], [x, y], grad=y.dtype == torch.float32 and op != "Remainder")
            add(op, binary[op], [y, x], grad=y.dtype == torch.float32 and op != "Remainder")
cond = torch.tensor([True, False, True])
for x in some + small:
    for y in some + small:
        add("Where", torch.where, [cond, x, y])

with open("edges.json", "w") as f:
    lines = lambda rows: "[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]"
    f.write('{"inputs":' + lines(inputs) + ',\n"cases":' + lines(cases) + "}\n")
