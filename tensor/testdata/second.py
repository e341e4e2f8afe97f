"""Second and third derivatives of normalizations, softmax and losses.

Stored are for each case the inputs, weights of the result, of the gradients that
it gives, and of the second derivatives that these give; the second derivatives by
the inputs and by the result's weights; and the third ones by the inputs. What does
not depend on an input is 0. PyTorch has no third derivatives of normalizations, so
those are of the formula, whose second derivatives are held to PyTorch's.

Run with PyTorch 2.15: python second.py
"""

import json

import torch
import torch.nn.functional as F
from reference import _store, ints, x

cases = []
reductions = ["mean", "sum", "none"]


def derivatives(f, inputs, dy, w, v, args, third=True):
    ins = [t.clone().requires_grad_(t.dtype.is_floating_point) for t in inputs]
    leaves = [t for t in ins if t.requires_grad]
    dy = dy.clone().requires_grad_()
    grad = lambda out, of: [g if g is not None else torch.zeros_like(t) for g, t in
                            zip(torch.autograd.grad(out, of, create_graph=True, allow_unused=True), of)]
    first = grad((f(*ins, **args) * dy).sum(), leaves)
    second = grad(sum((a * b).sum() for a, b in zip(first, w)), leaves + [dy])
    if not third:
        return second, None
    total = sum((a * b).sum() for a, b in zip(second, v))
    return second, grad(total, leaves) if total.requires_grad else [torch.zeros_like(t) for t in leaves]


def add(op, f, inputs, formula=None, **args):
    dy = x(*f(*inputs, **args).shape)
    w = [x(*t.shape) for t in inputs if t.dtype.is_floating_point]
    v = [x(*t.shape) for t in w + [dy]]
    second, third = derivatives(f, inputs, dy, w, v, args, third=formula is None)
    if formula:
        same, third = derivatives(formula, inputs, dy, w, v, args)
        for a, b in zip(second, same):
            assert torch.allclose(a, b, rtol=1e-8, atol=1e-9), (op, args, a, b)
    cases.append({"op": op, "args": {k: [float(a)] for k, a in args.items()}, "in": [_store(t) for t in inputs], "dy": _store(dy),
                  "w": [_store(t) for t in w], "v": [_store(t) for t in v], "second": [_store(t) for t in second], "third": [_store(t) for t in third]})


def f64(*v):
    return torch.tensor(v, dtype=torch.float64)


def normal(t, dims, eps):
    mean = t.mean(dims, keepdim=True)
    return (t - mean) / (((t - mean) ** 2).mean(dims, keepdim=True) + eps).sqrt()


def affine(t, *wb):
    for i, p in enumerate(wb):
        p = p.reshape((-1,) + (1,) * (t.dim() - 2))
        t = t * p if i == 0 else t + p
    return t


def equal(*shape):
    """Numbers of which one channel's, of three, are equal, and another's are large."""
    t = x(*shape)
    t[:, 1] = 0.5
    t[:, 2] += 1024
    return t


for s in [(4, 3), (3, 3, 4), (2, 3, 2, 3)]:
    dims = [d for d in range(len(s)) if d != 1]
    for relu in [0, 1]:
        after = torch.relu if relu else lambda t: t
        for t in [x(*s), equal(*s)]:
            add("BatchNorm2d", lambda t, w, b, relu, eps: after(F.batch_norm(t, None, None, w, b, True, 0, eps)), [t, x(3), x(3)],
                lambda t, w, b, relu, eps: after(affine(normal(t, dims, eps), w, b)), relu=relu, eps=0.25)
        mean, var = f64(0.5, 0, -1), f64(0.25, 1, 4)
        add("BatchNorm2dEval", lambda t, w, b, relu, eps: after(F.batch_norm(t, mean, var, w, b, False, 0, eps)), [x(*s), x(3), x(3)],
            lambda t, w, b, relu, eps: after(affine(affine(t, 1 / (var + eps).sqrt(), -mean / (var + eps).sqrt()), w, b)), relu=relu, eps=0.25)
    add("BatchNorm2dPlain", lambda t, eps: F.batch_norm(t, None, None, None, None, True, 0, eps), [x(*s)], lambda t, eps: normal(t, dims, eps), eps=0.125)
for s in [(4, 5), (2, 3, 4)]:
    t = x(*s)
    t[0] = 1.5
    add("LayerNorm", lambda t, w, b, eps: F.layer_norm(t, t.shape[1:], w, b, eps), [t, x(*s[1:]), x(*s[1:])],
        lambda t, w, b, eps: normal(t, list(range(1, t.dim())), eps) * w + b, eps=0.25)
    add("LayerNormPlain", lambda t, eps: F.layer_norm(t, t.shape[1:], None, None, eps), [x(*s)], lambda t, eps: normal(t, list(range(1, t.dim())), eps), eps=0.125)
for s, groups in [((2, 4, 3), 2), ((3, 6), 3), ((1, 4, 2, 2), 1)]:
    grouped = lambda t, groups, eps: normal(t.reshape(t.shape[0], int(groups), -1), [2], eps).reshape(t.shape)
    add("GroupNorm", lambda t, w, b, groups, eps: F.group_norm(t, int(groups), w, b, eps), [x(*s), x(s[1]), x(s[1])],
        lambda t, w, b, groups, eps: affine(grouped(t, groups, eps), w, b), groups=groups, eps=0.25)
inf = float("inf")
for t, dim in [(x(5), 0), (x(2, 3), 1), (x(3, 2, 2), 0), (f64(1, 2, 2, -600), 0), (f64(-inf, 1, 2), 0), (f64(700, -700), 0), (x(), 0)]:
    add("Softmax", lambda t, dim: t.softmax(int(dim)), [t], dim=dim)
    add("LogSoftmax", lambda t, dim: t.log_softmax(int(dim)), [t], dim=dim)

for r in range(3):
    for a, b in [(x(6), x(6)), (f64(1, -1, 0.5, 0, 3, -4), f64(0, 0, 0, 0, 0, 0))]:
        add("MSELoss", lambda t, y, r: F.mse_loss(t, y, reduction=reductions[int(r)]), [a, b], r=r)
        add("SmoothL1Loss", lambda t, y, r: F.smooth_l1_loss(t, y, beta=0.5, reduction=reductions[int(r)]), [a, b], r=r)
        add("HuberLoss", lambda t, y, r: F.huber_loss(t, y, delta=1, reduction=reductions[int(r)]), [a, b], r=r)
        add("L1Loss", lambda t, y, r: F.l1_loss(t, y, reduction=reductions[int(r)]), [a, b], r=r)
    add("BCEWithLogits", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y, reduction=reductions[int(r)]), [x(2, 3, low=-5, high=5), x(2, 3, low=0, high=1)], r=r)
    add("BCEWithLogits", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y, reduction=reductions[int(r)]), [f64(0, 40, -40, 700, -700), f64(0, 0, 1, 1, 0)], r=r)
    add("BCEWithLogitsWeighted", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y, f64(0, 1, 2), reduction=reductions[int(r)], pos_weight=f64(3, 0, 0.5)),
        [x(2, 3, low=-5, high=5), x(2, 3, low=0, high=1)], r=r)
    weight = f64(0, 0.5, 2)  # a class that does not count
    for y in [torch.tensor([0, 1, 2, -100]), torch.tensor([2, 2, 1, 0])]:
        for smoothing in [0, 0.25]:
            for ws in [0, 1]:
                entropy = lambda t, y, smoothing, ws, r: F.cross_entropy(t, y, weight if ws else None, reduction=reductions[int(r)], label_smoothing=smoothing)
                add("CrossEntropy", entropy, [x(4, 3), y], smoothing=smoothing, ws=ws, r=r)
        add("NLLLoss", lambda t, y, r: F.nll_loss(t, y, weight, reduction=reductions[int(r)]), [x(4, 3), y], r=r)
    add("CrossEntropy", entropy, [x(2, 3, 2), torch.tensor([[0, -100], [2, 1]])], smoothing=0, ws=1, r=r)
    for smoothing in [0, 0.25]:
        for s in [(4, 3), (2, 3, 2), (3,)]:
            add("CrossEntropyProbabilities", lambda t, y, w, smoothing, r: F.cross_entropy(t, y, w, reduction=reductions[int(r)], label_smoothing=smoothing),
                [x(*s), x(*s, low=0, high=1), f64(0, 0.5, 2)], smoothing=smoothing, r=r)

with open("second.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
