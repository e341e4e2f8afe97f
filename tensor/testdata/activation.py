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
c.save("activation.json")
