"""What views share: for random chains of view operations on numbered elements, the
strides and elements, which shapes view takes and where reshape copies, and what a
write through the view leaves in the base. See alias_test.go.

A case has the sizes of the base, whose elements are 0, 1, 2, …; ops, each a name and
whole numbers; shape, stride, contiguous and values of the view; tries, a list of
[sizes, whether view takes them, whether reshape shares the memory]; and write, a name
and its numbers, with what is in the base after it, null where PyTorch refuses it.

Run with PyTorch 2.15: python alias.py
"""

import json
import random
import torch

r = random.Random(12)


def size():
    return r.choice([0, 1, 1, 2, 2, 3, 3, 4, 5]) if r.random() < 0.6 else r.choice([2, 3, 4])


VIEWS = {
    "Permute": lambda t, *order: t.permute(order),
    "Transpose": lambda t, i, j: t.transpose(i, j),
    "MoveDim": lambda t, i, j: t.movedim(i, j),
    "T": lambda t: t.t(),
    "Narrow": lambda t, d, start, n: t.narrow(d, start, n),
    "Slice": lambda t, d, start, end, step: t[(slice(None),) * (d % t.dim()) + (slice(start, end, step),)],
    "Select": lambda t, d, i: t.select(d, i),
    "Unbind": lambda t, d, i: t.unbind(d)[i],
    "Split": lambda t, n, d, i: t.split(n, d)[i],
    "Chunk": lambda t, n, d, i: t.chunk(n, d)[i],
    "Expand": lambda t, *s: t.expand(s),
    "Squeeze": lambda t: t.squeeze(),
    "SqueezeDims": lambda t, *d: t.squeeze(d),
    "Unsqueeze": lambda t, d: t.unsqueeze(d),
    "Diagonal": lambda t, o, i, j: t.diagonal(o, i, j),
    "Unfold": lambda t, d, n, step: t.unfold(d, n, step),
    "Flatten": lambda t, i, j: t.flatten(i, j),
    "Unflatten": lambda t, d, *s: t.unflatten(d, s),
    "Reshape": lambda t, *s: t.reshape(s),
    "Detach": lambda t: t.detach(),
    "Contiguous": lambda t: t.contiguous(),
}


def divided(n):
    """Random sizes of as many elements."""
    if n == 0:
        return r.choice([[0], [2, 0], [0, 1, 3]])
    s = []
    while n > 1:
        d = r.choice([k for k in range(2, n + 1) if n % k == 0])
        s.append(d)
        n //= d
    for _ in range(r.randrange(3)):
        s.insert(r.randrange(len(s) + 1), 1)
    return s


def arguments(t, op):
    """Arguments that op takes for t, or None."""
    n = t.dim()
    dim = lambda: r.randrange(-n, n)
    if op in ("Squeeze", "Detach", "Contiguous"):
        return []
    if op == "T":
        return [] if n <= 2 else None
    if op == "Permute":
        return [d - r.choice([0, n]) for d in r.sample(range(n), n)]
    if op == "Unsqueeze":
        return [r.randrange(-n - 1, n + 1)]
    if op == "Expand":
        s = [r.choice([0, 1, 2, 3]) if k == 1 else r.choice([k, k, -1]) for k in t.shape]
        return [r.choice([1, 2]) for _ in range(r.choice([0, 0, 1, 2]))] + s
    if op == "Reshape":
        return divided(t.numel())
    if n == 0:
        return None
    d = dim()
    k = t.shape[d]
    if op in ("Transpose", "MoveDim"):
        return [d, dim()]
    if op == "Narrow":
        start = r.randrange(k + 1)
        return [d, start, r.randrange(k - start + 1)]
    if op == "Slice":
        return [d, r.randrange(-k - 1, k + 2), r.randrange(-k - 1, k + 4), r.choice([1, 2, 2, 3])]
    if op in ("Select", "Unbind"):
        return [d, r.randrange(k)] if k else None
    if op == "Split":
        size = r.randrange(1, k + 2)
        return [size, d, r.randrange(len(t.split(size, d)))]
    if op == "Chunk":
        parts = r.randrange(1, 4)
        return [parts, d, r.randrange(len(t.chunk(parts, d)))]
    if op == "SqueezeDims":
        return [d]
    if op == "Diagonal":
        e = dim()
        return [r.randrange(-2, 3), d, e] if n > 1 and d % n != e % n else None
    if op == "Unfold":
        return [d, r.randrange(1, k + 1), r.randrange(1, 3)] if k else None
    if op == "Flatten":
        e = r.randrange(d % n, n)
        return [d, e]
    if op == "Unflatten":
        return [d] + (divided(k) or [1]) if k else None


WRITES = {
    "Fill": lambda v, n: v.fill_(n),
    "CopyFrom": lambda v, n: v.copy_(n + torch.arange(v.numel(), dtype=v.dtype).reshape(v.shape)),
    "CopyRow": lambda v, n: v.copy_(n + torch.arange(v.shape[-1], dtype=v.dtype)),
    "CopyTransposed": lambda v, n: v.copy_(v.transpose(0, -1).clone()),
    "Add": lambda v, n: v.add_(n + torch.arange(v.numel(), dtype=v.dtype).reshape(v.shape)),
    "SubRow": lambda v, n: v.sub_(n + torch.arange(v.shape[-1], dtype=v.dtype)),
    "MulSelf": lambda v, n: v.mul_(v.clone()),
    "Div": lambda v, n: v.div_(torch.tensor(2.0)),
    "AddScalar": lambda v, n: v.add_(n),
    "MulScalar": lambda v, n: v.mul_(n),
    "Clamp": lambda v, n: v.clamp_(3, n),
    "ReLU": lambda v, n: v.sub_(n).relu_(),
    "Lerp": lambda v, n: v.lerp_(torch.full((), float(n), dtype=v.dtype), 0.25),
    "MaskedFill": lambda v, n: v.masked_fill_(v > n, -1),
    "IndexFill": lambda v, n: v.index_fill_(0, torch.tensor([0]), n),
    "IndexCopy": lambda v, n: v.index_copy_(0, torch.tensor([v.shape[0] - 1, 0]), n + torch.arange(2 * v[0].numel(), dtype=v.dtype).reshape(2, *v.shape[1:])),
    "IndexAdd": lambda v, n: v.index_add_(0, torch.tensor([0, v.shape[0] - 1, 0]), n + torch.arange(3 * v[0].numel(), dtype=v.dtype).reshape(3, *v.shape[1:])),
    "MaskedScatter": lambda v, n: v.masked_scatter_(v > n, 1000 + torch.arange(v.numel(), dtype=v.dtype)),
}


def fits(v, name):
    if name in ("CopyRow", "SubRow"):
        return v.dim() > 0
    if name == "CopyTransposed":
        return v.dim() > 1 and v.shape[0] == v.shape[-1]
    if name in ("IndexFill", "IndexCopy", "IndexAdd"):
        return v.dim() > 0 and v.shape[0] > (name == "IndexCopy")
    return True


def case():
    base = [size() for _ in range(r.randrange(5))]
    t = torch.arange(torch.Size(base).numel(), dtype=torch.float64).reshape(base)
    ops, v = [], t
    for _ in range(r.randrange(1, 6)):
        op = r.choice(list(VIEWS))
        if op in ("Contiguous", "Reshape") and r.random() < 0.6:
            continue
        args = arguments(v, op)
        if args is None:
            continue
        w = VIEWS[op](v, *args)
        if w.numel() > 200:
            continue
        ops.append([op, *args])
        v = w
    c = {"base": base, "ops": ops, "shape": list(v.shape), "stride": list(v.stride()), "contiguous": v.is_contiguous(),
         "shares": v.untyped_storage().data_ptr() == t.untyped_storage().data_ptr(), "values": v.flatten().tolist(), "tries": []}
    for _ in range(4):
        s = divided(v.numel())
        try:
            v.view(s)
            ok = True
        except RuntimeError:
            ok = False
        c["tries"].append([s, ok, v.numel() > 0 and v.reshape(s).untyped_storage().data_ptr() == v.untyped_storage().data_ptr()])
    repeated = any(st == 0 and n > 1 for st, n in zip(v.stride(), v.shape))
    apart = len(set(c["values"])) == v.numel()
    name = r.choice([w for w in WRITES if fits(v, w)]) if apart or repeated else "Fill"
    if repeated and name in ("IndexFill", "IndexCopy", "IndexAdd", "MaskedFill", "MaskedScatter"):
        name = "Add"
    n = r.randrange(1, 9)
    c["write"] = [name, n]
    try:
        WRITES[name](v, n)
        c["after"] = t.flatten().tolist()
    except RuntimeError as e:
        assert "single memory location" in str(e), e
        c["after"] = None
    return c


cases = [case() for _ in range(600)]
with open("alias.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")).replace(".0,", ",").replace(".0]", "]") for c in cases) + "\n]\n")
