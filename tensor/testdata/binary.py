"""Elementwise functions of two tensors. See reference.py."""

import torch
from reference import Cases, ints, x

c = Cases()
pairs = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((1,), (2, 2)), ((2, 2, 1, 2), (2, 1, 1)), ((0, 3), (1, 3)), ((2, 3), ())]
nan, inf = float("nan"), float("inf")


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def add(op, f, low=-2.0, low2=-2.0):
    for a, b in pairs:
        c.add(op, f, [x(*a, low=low), x(*b, low=low2)])


add("Add", torch.add)
add("Sub", torch.sub)
add("Mul", torch.mul)
add("Div", torch.div, low2=0.25)
c.add("Div", torch.div, [f64(1, -1, 0, 2), f64(0, 0, 0, inf)], check=False)
add("Pow", torch.pow, low=0.125)
c.add("Pow", torch.pow, [f64(0, 0, 0, -2, 2, -2, 4), f64(0, 1, 2, 2, 0, 3, -0.5)], check=False, second=False)  # PyTorch's second derivatives at 0 are NaN
for op, f in [("Maximum", torch.maximum), ("Minimum", torch.minimum)]:
    for a, b in pairs:
        p, q = x(*a), x(*b)
        c.add(op, f, [(p * 4).round() / 4, (q * 4).round() / 4 + 0.125])
    c.add(op, f, [f64(1, 2, nan, inf, -1), f64(1, 3, 1, nan, -inf)], check=False)
for op, f in [("Remainder", torch.remainder), ("Fmod", torch.fmod)]:
    for a, b in pairs:
        # A quotient a quarter off a whole number.
        q = x(*b, low=0.5)
        quotient = torch.randint(-3, 4, torch.broadcast_shapes(a, b), generator=torch.Generator().manual_seed(len(a))) + 0.25
        c.add(op, f, [(quotient * q), q] if a else [(quotient * q), q])
    c.add(op, f, [f64(7, -7, 7, -7), f64(3, 3, -3, -3)])
add("Atan2", torch.atan2, low=0.25)
for op, f in [("Eq", torch.eq), ("Ne", torch.ne), ("Lt", torch.lt), ("Le", torch.le), ("Gt", torch.gt), ("Ge", torch.ge)]:
    for a, b in pairs:
        c.add(op, f, [ints(*a, high=3), ints(*b, high=3)])
    c.add(op, f, [f64(1, 2, nan, nan, inf), f64(1, 3, nan, 1, inf)], grad=False)
    c.add(op, f, [ints(4, high=2).bool(), ints(4, high=2).bool()])
    c.add(op + "Scalar", lambda t, s, f=f: f(t, s), [f64(1, 2, nan, 0.5)], grad=False, s=0.5)
    c.add(op + "Scalar", lambda t, s, f=f: f(t, s), [ints(2, 3, high=3)], s=1.0)
for op, f in [("And", torch.logical_and), ("Or", torch.logical_or), ("Xor", torch.logical_xor)]:
    for a, b in pairs:
        c.add(op, f, [ints(*a, high=2).bool(), ints(*b, high=2).bool()])
for op, f in [("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul), ("Maximum", torch.maximum), ("Minimum", torch.minimum),
              ("Remainder", torch.remainder), ("Fmod", torch.fmod), ("Pow", torch.pow)]:
    c.add(op, f, [ints(2, 4, low=-5 if op != "Pow" else 0), ints(4, low=1, high=4)])
    c.add(op, f, [ints(2, 4, high=7).to(torch.uint8), ints(4, low=1, high=4).to(torch.uint8)])
c.add("Pow", torch.pow, [torch.tensor([1, -1, -1, 5]), torch.tensor([-3, -3, -2, -1])])

one = [(), (3,), (2, 3), (0, 2), (2, 1, 2)]
for s in one:
    c.add("AddScalar", lambda t, s: t + s, [x(*s)], s=1.5)
    c.add("SubScalar", lambda t, s: t - s, [x(*s)], s=1.5)
    c.add("RSubScalar", lambda t, s: s - t, [x(*s)], s=1.5)
    c.add("MulScalar", lambda t, s: t * s, [x(*s)], s=-1.5)
    c.add("DivScalar", lambda t, s: t / s, [x(*s)], s=1.25)
    c.add("RDivScalar", lambda t, s: s / t, [x(*s, low=0.25)], s=1.5)
    for power in [0.0, 1.0, 2.0, 3.0, 0.5, -1.0, 2.5]:
        c.add("PowScalar", lambda t, s: t**s, [x(*s, low=0.125)], s=power)
    c.add("RemainderScalar", lambda t, s: t % s, [x(*s, low=0.1, high=0.6)], s=-0.75)
    c.add("FmodScalar", lambda t, s: torch.fmod(t, s), [x(*s, low=-0.6, high=-0.1)], s=0.75)
c.add("PowScalar", lambda t, s: t**s, [f64(0, -2, 2)], check=False, s=2.0)
c.add("PowScalar", lambda t, s: t**s, [f64(0, -2, 2)], check=False, s=1.5)
for op, f in [("AddScalar", lambda t, s: t + int(s)), ("SubScalar", lambda t, s: t - int(s)), ("RSubScalar", lambda t, s: int(s) - t),
              ("MulScalar", lambda t, s: t * int(s)), ("PowScalar", lambda t, s: t ** int(s)), ("RemainderScalar", lambda t, s: t % int(s)),
              ("FmodScalar", lambda t, s: torch.fmod(t, int(s)))]:
    c.add(op, f, [ints(5, low=-6, high=7)], s=3.0)
    c.add(op, f, [ints(5).to(torch.uint8)], s=3.0)

for a, b in pairs:
    if torch.broadcast_shapes(a, b) == torch.Size(a):
        for op, f in [("AddInPlace", lambda p, q: p.clone().add_(q)), ("SubInPlace", lambda p, q: p.clone().sub_(q)),
                      ("MulInPlace", lambda p, q: p.clone().mul_(q)), ("DivInPlace", lambda p, q: p.clone().div_(q))]:
            c.add(op, f, [x(*a), x(*b, low=0.25)], grad=False)
        for w in [0.0, 0.25, 0.75, 1.0, 2.0]:
            c.add("LerpInPlace", lambda p, q, weight: p.clone().lerp_(q.expand_as(p), weight), [x(*a), x(*b)], grad=False, weight=w)
c.add("AddScalarInPlace", lambda p, s: p.clone().add_(s), [x(3)], grad=False, s=1.5)
c.add("MulScalarInPlace", lambda p, s: p.clone().mul_(s), [x(3)], grad=False, s=1.5)
c.add("MulScalarInPlace", lambda p, s: p.clone().mul_(int(s)), [ints(3)], s=2.0)
c.add("ClampInPlace", lambda p, lo, hi: p.clone().clamp_(lo, hi), [x(6)], grad=False, lo=-0.5, hi=1.0)
c.add("ClampInPlace", lambda p, lo, hi: p.clone().clamp_(int(lo), int(hi)), [ints(6)], lo=2.0, hi=5.0)

for mode, op in [("trunc", "DivTrunc"), ("floor", "DivFloor")]:
    for a, b in pairs:
        q = x(*b, low=0.5)
        quotient = torch.randint(-3, 4, torch.broadcast_shapes(a, b), generator=torch.Generator().manual_seed(len(a))) + 0.25
        c.add(op, lambda p, q, mode=mode: torch.div(p, q, rounding_mode=mode), [quotient * q, q])
    c.add(op, lambda p, q, mode=mode: torch.div(p, q, rounding_mode=mode), [ints(2, 4, low=-9), ints(4, low=1, high=4)])
    c.add(op + "Scalar", lambda t, s, mode=mode: torch.div(t, s, rounding_mode=mode), [x(6)], check=False, s=0.75)
    for s in one:
        c.add(op + "Scalar", lambda t, s, mode=mode: torch.div(t, s, rounding_mode=mode), [x(*s, low=-0.6, high=-0.1)], s=-0.75)
for a, b in pairs:
    p, q = x(*a), x(*b)
    for w in [0.0, 0.25, 0.5, 1.0, -1.5, 3.0]:
        c.add("Lerp", torch.lerp, [p, q], weight=w)
    # Weights that are not at 0.5, where the formula changes and rounding with it.
    c.add("LerpTensor", torch.lerp, [p, q, x(*b, low=-0.4, high=0.4)])
    c.add("LerpTensor", torch.lerp, [q, p, x(*a, low=0.6, high=2)])
    c.add("ClampTensor", torch.clamp, [(p * 4).round() / 4, (q * 4).round() / 4 + 0.125, (x(*b) * 4).round() / 4 + 1.0625])
    c.add("ClampMinTensor", lambda t, lo: torch.clamp(t, min=lo), [(p * 4).round() / 4, (q * 4).round() / 4 + 0.125])
    c.add("ClampMaxTensor", lambda t, hi: torch.clamp(t, max=hi), [(p * 4).round() / 4, (q * 4).round() / 4 + 0.125])
c.add("LerpTensor", torch.lerp, [f64(1, 2, 3, 4, 5, nan, 1), f64(2, 0, 1, inf, 5, 6, 7), f64(0, 1, 0.5, 0.25, nan, 0, -2)], check=False)
# All orders of x and its bounds.
around = [t.reshape(-1) for t in torch.meshgrid(*[f64(0, 1, 2, nan)] * 3, indexing="ij")]
c.add("ClampTensor", torch.clamp, around, check=False)
c.add("ClampMinTensor", lambda t, lo: torch.clamp(t, min=lo), around[1:], check=False)
c.add("ClampMaxTensor", lambda t, hi: torch.clamp(t, max=hi), around[1:], check=False)
c.add("ClampTensor", torch.clamp, [ints(2, 4), ints(4, high=4), ints(4, low=4)])
c.save("binary.json")
