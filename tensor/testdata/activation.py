"""Activations that are formulas. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, x

c = Cases()
nan, inf = float("nan"), float("inf")


def away(*shape, low, high, kinks):
    """Numbers in [low, high) that stay 1/64 away from kinks."""
    t = x(*shape, low=low, high=high)
    for k in kinks:
        t = torch.where((t - k).abs() < 1 / 64, torch.tensor(k + 1 / 32, dtype=torch.float64), t)
    return t


def add(op, f, low=-4.0, high=4.0, kinks=(), edges=(), **args):
    """Cases of several shapes, and one of numbers at and beside which a function is not
    smooth, of infinities and NaN."""
    for s in [(), (3,), (2, 3), (3, 1, 2), (0, 2)]:
        c.add(op, f, [away(*s, low=low, high=high, kinks=kinks)], **args)
    if edges:
        c.add(op, f, [torch.tensor(edges, dtype=torch.float64)], check=False, **args)


add("Tanhshrink", F.tanhshrink, edges=[0, 100, -100, nan])
add("Softsign", F.softsign, kinks=[0], edges=[0, 1000, -1000, nan])
add("Mish", F.mish, edges=[0, 0.5, 50, -50, nan])  # at 1000 PyTorch has NaN for a second derivative
add("SELU", F.selu, kinks=[0], edges=[-100, 100, 1000, nan, -inf, inf])
zero = torch.zeros(1, dtype=torch.float64)  # PyTorch's second derivative there is of neither side
c.add("SELU", F.selu, [zero], check=False, second=False)
for alpha in [1.0, 0.25]:  # PyTorch divides by others in float32
    add("CELU", lambda t, alpha: F.celu(t, alpha), kinks=[0], edges=[-100, 1000, nan, -inf, inf], alpha=alpha)
    c.add("CELU", lambda t, alpha: F.celu(t, alpha), [zero], check=False, second=False, alpha=alpha)
add("Hardtanh", lambda t, lo, hi: F.hardtanh(t, lo, hi), kinks=[-1, 1], edges=[-1, 1, 0, nan, inf, -inf], lo=-1.0, hi=1.0)
add("Hardtanh", lambda t, lo, hi: F.hardtanh(t, lo, hi), kinks=[-0.5, 2], edges=[-0.5, 2], lo=-0.5, hi=2.0)
add("ReLU6", F.relu6, low=-8.0, high=8.0, kinks=[0, 6], edges=[0, 6, 3, nan, inf, -inf])
for l in [0.5, 0.0]:
    add("Softshrink", lambda t, l: F.softshrink(t, l), kinks=[-l, l], edges=[-0.5, 0.5, 0, nan, inf, -inf], l=l)
    add("Hardshrink", lambda t, l: F.hardshrink(t, l), kinks=[-l, l], edges=[-0.5, 0.5, 0, nan, inf, -inf], l=l)
add("Threshold", lambda t, threshold, value: F.threshold(t, threshold, value), kinks=[0.5], edges=[0.5, nan, inf, -inf], threshold=0.5, value=-3.0)
c.save("activation.json")
