"""Elementwise functions of one tensor. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, ints, x

c = Cases()
shapes = [(), (3,), (2, 3), (3, 1, 2), (1, 1), (0, 2)]


def away(*shape, low, high, kinks):
    """Numbers in [low, high) that stay 1/64 away from kinks."""
    t = x(*shape, low=low, high=high)
    for k in kinks:
        t = torch.where((t - k).abs() < 1 / 64, torch.tensor(k + 1 / 32, dtype=torch.float64), t)
    return t


def add(op, f, low=-2.0, high=2.0, kinks=(), **args):
    for s in shapes:
        c.add(op, f, [away(*s, low=low, high=high, kinks=kinks)], **args)


def edges(op, f, values, **args):
    """Kinks, infinities and NaN, with gradients."""
    c.add(op, f, [torch.tensor(values, dtype=torch.float64)], check=False, **args)


nan, inf = float("nan"), float("inf")
add("Neg", lambda t: -t)
add("Abs", torch.abs, kinks=[0])
edges("Abs", torch.abs, [0, nan, -inf])
add("Sign", torch.sign, kinks=[0])
edges("Sign", torch.sign, [0, -inf])
add("Square", torch.square)
add("Sqrt", torch.sqrt, low=0.1)
add("Rsqrt", torch.rsqrt, low=0.1)
add("Reciprocal", torch.reciprocal, low=0.25)
add("Exp", torch.exp)
add("Expm1", torch.expm1)
add("Log", torch.log, low=0.1)
add("Log1p", torch.log1p, low=-0.75)
add("Log2", torch.log2, low=0.1)
add("Log10", torch.log10, low=0.1)
add("Sin", torch.sin)
add("Cos", torch.cos)
add("Tan", torch.tan, low=-1.2, high=1.2)
add("Asin", torch.asin, low=-0.9, high=0.9)
add("Acos", torch.acos, low=-0.9, high=0.9)
add("Atan", torch.atan)
add("Sinh", torch.sinh)
add("Cosh", torch.cosh)
add("Tanh", torch.tanh)
add("Erf", torch.erf)
add("Sigmoid", torch.sigmoid)
add("LogSigmoid", F.logsigmoid)
edges("LogSigmoid", F.logsigmoid, [-100, 100])
for op, f in [("Floor", torch.floor), ("Ceil", torch.ceil), ("Round", torch.round), ("Trunc", torch.trunc)]:
    add(op, f, kinks=[-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5])
    edges(op, f, [-1.5, -0.5, 0.5, 1.5, 2.5, inf])
    c.add(op, f, [ints(3)])
add("Clamp", lambda t, lo, hi: t.clamp(lo, hi), kinks=[-0.5, 1], lo=-0.5, hi=1.0)
add("Clamp", lambda t, lo, hi: t.clamp(lo, hi), kinks=[], lo=1.0, hi=-0.5)
edges("Clamp", lambda t, lo, hi: t.clamp(lo, hi), [-0.5, 1, nan, inf, -inf], lo=-0.5, hi=1.0)
add("ClampMin", lambda t, lo: t.clamp_min(lo), kinks=[0.25], lo=0.25)
edges("ClampMin", lambda t, lo: t.clamp_min(lo), [0.25, inf, nan], lo=0.25)
add("ClampMax", lambda t, hi: t.clamp_max(hi), kinks=[0.25], hi=0.25)
edges("ClampMax", lambda t, hi: t.clamp_max(hi), [0.25, -inf, nan], hi=0.25)
add("ReLU", torch.relu, kinks=[0])
edges("ReLU", torch.relu, [0, nan, inf, -inf])
add("LeakyReLU", lambda t, slope: F.leaky_relu(t, slope), kinks=[0], slope=0.125)
add("LeakyReLU", lambda t, slope: F.leaky_relu(t, slope), kinks=[0], slope=-0.5)
edges("LeakyReLU", lambda t, slope: F.leaky_relu(t, slope), [0, nan, -inf], slope=0.125)
add("GELU", F.gelu)
add("GELUTanh", lambda t: F.gelu(t, approximate="tanh"))
add("SiLU", F.silu)
add("ELU", lambda t, alpha: F.elu(t, alpha), kinks=[0], alpha=1.0)
edges("ELU", lambda t, alpha: F.elu(t, alpha), [0, 1, -inf], alpha=1.5)
add("Hardswish", F.hardswish, low=-5, high=5, kinks=[-3, 3])
edges("Hardswish", F.hardswish, [-3, 3, 0, 4])
# F.hardsigmoid's gradient multiplies by a sixth in float32, whatever the type.
add("Hardsigmoid", lambda t: (t + 3).clamp(0, 6) / 6, low=-5, high=5, kinks=[-3, 3])
edges("Hardsigmoid", lambda t: (t + 3).clamp(0, 6) / 6, [-3, 3, nan, inf])
add("Softplus", lambda t, beta, threshold: F.softplus(t, beta, threshold), beta=1.0, threshold=20.0)
add("Softplus", lambda t, beta, threshold: F.softplus(t, beta, threshold), kinks=[0.5], beta=2.0, threshold=1.0)
special = torch.tensor([0, 1.5, nan, inf, -inf], dtype=torch.float64)
for op, f in [("IsNaN", torch.isnan), ("IsInf", torch.isinf), ("IsFinite", torch.isfinite), ("Not", torch.logical_not)]:
    for t in [special, ints(3, high=2), ints(3, high=2).bool(), ints(2, high=2).to(torch.uint8), special[:0]]:
        c.add(op, f, [t], grad=False)
for op, f in [("Neg", lambda t: -t), ("Abs", torch.abs), ("Sign", torch.sign), ("Square", torch.square), ("ReLU", torch.relu)]:
    c.add(op, f, [ints(4, low=-5)])
    c.add(op, f, [ints(4).to(torch.uint8)])
c.add("Clamp", lambda t, lo, hi: t.clamp(int(lo), int(hi)), [ints(4, low=-5)], lo=-1.0, hi=3.0)
c.add("ClampMin", lambda t, lo: t.clamp_min(int(lo)), [ints(4).to(torch.uint8)], lo=3.0)
c.save("unary.json")
