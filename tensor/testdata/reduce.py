"""Reductions. See reference.py."""

import torch
from reference import Cases, distinct, ints, x

c = Cases()
nan, inf = float("nan"), float("inf")

# No dims: all of them.
places = [((2, 3), []), ((2, 3), [0]), ((2, 3), [-1]), ((1,), [0]), ((4, 1, 3), [0, 2]), ((2, 3, 4), [1]), ((2, 3, 4), [-1, 0]), ((3, 2, 1, 5), [1, 3]), ((), [])]


def over(t, dims):
    return tuple(dims) or tuple(range(t.dim()))


def prod(t, dims, keep):
    for d in sorted((d % t.dim() for d in over(t, dims)), reverse=True):
        t = t.prod(d, keepdim=keep)
    return t if t.dim() or dims else t.prod()


def both(op, f, make=x, places=places, **kw):
    """Cases of an operation and of its KeepDim form."""
    for s, dims in places:
        c.add(op, lambda t, dims: f(t, dims, False), [make(*s)], dims=dims, **kw)
        c.add(op + "KeepDim", lambda t, dims: f(t, dims, True), [make(*s)], dims=dims, **kw)


empty = [((0, 3), [0]), ((0, 3), [1]), ((2, 0), [])]
both("Sum", lambda t, dims, keep: t.sum(over(t, dims), keepdim=keep), places=places + empty)
both("Mean", lambda t, dims, keep: t.mean(over(t, dims), keepdim=keep), places=places + empty)
both("Prod", prod)
both("Amax", lambda t, dims, keep: t.amax(over(t, dims), keepdim=keep), make=distinct)
both("Amin", lambda t, dims, keep: t.amin(over(t, dims), keepdim=keep), make=distinct)
both("LogSumExp", lambda t, dims, keep: t.logsumexp(over(t, dims), keepdim=keep))
for s, dims in empty[:2]:
    c.add("LogSumExp", lambda t, dims: t.logsumexp(dims), [x(*s)], dims=dims)
for s, dims in places:
    c.add("Norm2KeepDim", lambda t, dims: torch.linalg.vector_norm(t, 2, over(t, dims), keepdim=True), [x(*s, low=0.5)], dims=dims)
    if s not in [(), (4, 1, 3), (3, 2, 1, 5)]:
        for p in [0, 1, 2, 3, 1.5, 0.5, -1]:
            c.add("Norm", lambda t, dims, p: torch.linalg.vector_norm(t, p, over(t, dims)), [distinct(*s) + 1 / 32], dims=dims, p=p)
        for sign in [1, -1]:
            c.add("NormInf", lambda t, dims, sign: torch.linalg.vector_norm(t, sign * inf, over(t, dims)), [distinct(*s) + 1 / 64], dims=dims, sign=sign)
    for correction in [1, 0, 2]:
        n = torch.empty(s).sum(over(torch.empty(s), dims), keepdim=True).numel()
        smooth = torch.empty(s).numel() // n > correction
        if torch.empty(s).numel() // n < correction:
            continue  # PyTorch's gradients for one dimension and for all are not the same there
        for op, f in [("Var", torch.var), ("Std", torch.std)]:
            c.add(op, lambda t, dims, correction, keep: f(t, dim=over(t, dims), correction=correction, keepdim=bool(keep)), [x(*s)],
                  check=smooth and n * 2 <= torch.empty(s).numel(), dims=dims, correction=correction, keep=correction == 0)
for s, dim in [((2, 3), 0), ((2, 3), -1), ((1,), 0), ((7,), 0), ((4, 1, 3), 1), ((2, 3, 2), 1)]:
    for make, check in [(distinct, True), (lambda *s: ints(*s, high=3).double(), False), (lambda *s: ints(*s, high=3), False)]:
        t = make(*s)
        c.add("Max", lambda t, dim: t.max(dim), [t], dim=dim, check=check)
        c.add("Min", lambda t, dim: t.min(dim), [t], dim=dim, check=check)
        c.add("ArgMax", lambda t, dim: t.max(dim)[1], [t], dim=dim, grad=False)
        c.add("ArgMin", lambda t, dim: t.min(dim)[1], [t], dim=dim, grad=False)
        c.add("AmaxKeepDim", lambda t, dims: t.amax(tuple(dims), keepdim=True), [t], dims=[dim], check=check)
        c.add("Amin", lambda t, dims: t.amin(tuple(dims)), [t], dims=[dim], check=check)

# Zeros, where gradients are special.
zeros = torch.tensor([[1.0, 0, 2, 3], [0, 4, 0, 5], [1, 2, 3, 4], [0, 0, 0, 0]], dtype=torch.float64)
for dims in [[], [0], [1]]:
    c.add("Prod", lambda t, dims: prod(t, dims, False), [zeros], dims=dims)
    c.add("Prod", lambda t, dims: prod(t, dims, False), [zeros[:, :2]], dims=dims)
    for p in [0, 1, 2, 3, 1.5, 0.5]:
        c.add("Norm", lambda t, dims, p: torch.linalg.vector_norm(t, p, over(t, dims)), [zeros], dims=dims, p=p, check=False)
    for sign in [1, -1]:
        c.add("NormInf", lambda t, dims, sign: torch.linalg.vector_norm(t, sign * inf, over(t, dims)), [zeros - 1], dims=dims, sign=sign, check=False)
c.add("Std", lambda t, dims, correction, keep: t.std(dims), [torch.ones(3, 4, dtype=torch.float64)], check=False, dims=[1], correction=1, keep=0)

# NaN and infinities.
odd = torch.tensor([[1, nan, 2], [nan, 3, nan], [inf, 1, -inf], [-inf, -inf, -inf], [0, 0, 0]], dtype=torch.float64)
for dim in [0, 1]:
    for op, f in [("Max", torch.max), ("Min", torch.min)]:
        c.add(op, lambda t, dim: f(t, dim), [odd], dim=dim, grad=False)
    c.add("Amax", lambda t, dims: t.amax(dims), [odd], dims=[dim], grad=False)
    c.add("Amin", lambda t, dims: t.amin(dims), [odd], dims=[dim], grad=False)
    c.add("Sum", lambda t, dims: t.sum(dims), [odd], dims=[dim], grad=False)
    c.add("Any", lambda t, dims: t.any(dims[0]), [odd], dims=[dim], grad=False)
    c.add("All", lambda t, dims: t.all(dims[0]), [odd], dims=[dim], grad=False)
    c.add("LogSumExp", lambda t, dims: t.logsumexp(dims), [odd], dims=[dim], grad=False)
c.add("LogSumExp", lambda t, dims: t.logsumexp(dims), [x(2, 3) * 1000], dims=[1], check=False)

# Other types.
for t in [ints(2, 3, 4, low=-5), ints(2, 3, 4).to(torch.uint8), ints(2, 3, 4, high=2).bool()]:
    for dims in [[], [1], [0, 2]]:
        c.add("Sum", lambda t, dims: t.sum(over(t, dims)), [t], dims=dims)
        c.add("Prod", lambda t, dims: prod(t, dims, False), [t], dims=dims)
        c.add("Amax", lambda t, dims: t.amax(over(t, dims)), [t], dims=dims)
        c.add("Amin", lambda t, dims: t.amin(over(t, dims)), [t], dims=dims)
        for keep in [False, True]:
            name = "KeepDim" if keep else ""
            # PyTorch's any and all of uint8 are uint8; ours are bool for all types.
            c.add("Any" + name, lambda t, dims: t.bool().any(over(t, dims), keepdim=keep), [t], dims=dims)
            c.add("All" + name, lambda t, dims: t.bool().all(over(t, dims), keepdim=keep), [t], dims=dims)

# The edges of the gradients.
for v in [(nan, 3, 0), (inf, 0, 2), (-inf, 0), (nan, inf, 0), (0, 2, 3), (0, 0, 3), (inf, 2), (nan, 1), (2,), (0,)]:
    t = torch.tensor(v, dtype=torch.float64)
    # Where 0 meets what is not finite PyTorch's second derivatives by that are NaN, also where the others' product is not.
    second = bool(t.isfinite().all()) or 0 not in v
    c.add("Prod", lambda t, dims: t.prod(), [t], dims=[], check=False, second=second)
    c.add("ProdKeepDim", lambda t, dims: t.prod(0, keepdim=True), [t], dims=[0], check=False, second=second)
t = torch.tensor([[nan, 3, 0], [1, 2, 0], [inf, 0, 0], [2, 3, 4]], dtype=torch.float64)
c.add("Prod", lambda t, dims: t.prod(1), [t], dims=[1], check=False, second=False)
for v in [(1, 2, 5), (1, 3), (2,), (0, 0), (3, 3, 3)]:
    t = torch.tensor(v, dtype=torch.float64)
    for correction in [0, 1, len(v), len(v) + 1, len(v) + 3]:
        for op, f in [("Var", torch.var), ("Std", torch.std)]:
            c.add(op, lambda t, dims, correction, keep: f(t, correction=correction), [t], check=False, dims=[], correction=correction, keep=0)
            c.add(op, lambda t, dims, correction, keep: f(t, dim=0, correction=correction), [t], check=False, dims=[0], correction=correction, keep=0)
for v in [(1e18, 2e18, 5e18), (1e19, -1e19), (1e-20, 3e-20)]:  # squares that float32 has no room for
    t = torch.tensor(v, dtype=torch.float32).double()
    for op, f in [("Var", torch.var), ("Std", torch.std)]:
        for dims in [[], [0]]:
            c.add(op, lambda t, dims, correction, keep: f(t, dim=over(t, dims), correction=correction), [t], check=False, dims=dims, correction=1, keep=0)
for v in [(nan, 1), (1, nan, nan), (nan, inf), (2, nan, 2), (inf, inf, 1), (-inf, -inf), (1, 1, 0), (3,)]:
    t = torch.tensor(v, dtype=torch.float64)
    c.add("Amax", lambda t, dims: t.amax(0), [t], dims=[0], check=False)
    c.add("Amin", lambda t, dims: t.amin(0), [t], dims=[0], check=False)
    c.add("Max", lambda t, dim: t.max(dim), [t], dim=0, check=False)
    c.add("Min", lambda t, dim: t.min(dim), [t], dim=0, check=False)
    c.add("Mean", lambda t, dims: t.mean(), [t], dims=[], check=False)
for v in [(nan, 0), (nan, inf), (inf, 1), (-inf, inf), (0, 2), (0, -0.0), (0,), (-3,), (nan,)]:
    t = torch.tensor(v, dtype=torch.float64)
    for p in [1, 2, 3, 0.5, -1]:
        c.add("Norm", lambda t, dims, p: torch.linalg.vector_norm(t, p), [t], check=False, dims=[], p=p)
    for sign in [1, -1]:
        c.add("NormInf", lambda t, dims, sign: torch.linalg.vector_norm(t, sign * inf), [t], check=False, dims=[], sign=sign)
for v in [(-inf, 1), (nan, 1), (3e38, 3e38), (-inf, 2, -inf)]:
    c.add("LogSumExp", lambda t, dims: t.logsumexp(0), [torch.tensor(v, dtype=torch.float32).double()], dims=[0], check=False)
# One number, whose only dimension may be named.
one = torch.tensor(3.0, dtype=torch.float64)
for dim in [0, -1]:
    both_forms = [("Sum", torch.sum), ("Mean", torch.mean), ("Prod", torch.prod), ("Amax", torch.amax), ("Amin", torch.amin), ("LogSumExp", torch.logsumexp)]
    for op, f in both_forms:
        c.add(op, lambda t, dims: f(t, dim), [one], dims=[dim])
    c.add("Max", lambda t, dim: t.max(dim), [one], dim=dim)
    c.add("ArgMin", lambda t, dim: t.argmin(dim), [one], dim=dim, grad=False)
    for correction in [0, 1, 3]:
        c.add("Var", lambda t, dims, correction, keep: t.var(dims, correction=correction), [one], check=False, dims=[dim], correction=correction, keep=0)
# Second derivatives where the first are special.
for v in [(0, 0, 2), (0, 3, 4), (0, 0), (1, -1)]:
    t = torch.tensor(v, dtype=torch.float64)
    for p in [0, 1, 1.5, 2, 2.5, 3, 4]:
        c.add("Norm", lambda t, dims, p: torch.linalg.vector_norm(t, p), [t], check=False, dims=[], p=p)
t = torch.tensor([[1, 1, 2], [3, 3, 3], [0, -1, 0]], dtype=torch.float64)
for op, f in [("Amax", torch.amax), ("Amin", torch.amin)]:
    c.add(op, lambda t, dims: f(t, dims), [t], dims=[1], check=False)
for op, f in [("Max", torch.max), ("Min", torch.min)]:
    c.add(op, lambda t, dim: f(t, dim), [t], dim=1, check=False)
for dims in [[], [0], [1]]:
    c.add("Prod", lambda t, dims: prod(t, dims, False), [t * 0], dims=dims, check=False)
    c.add("Std", lambda t, dims, correction, keep: t.std(over(t, dims)), [t], check=False, dims=dims, correction=1, keep=0)
c.save("reduce.json")
