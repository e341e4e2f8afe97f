"""Pooling. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, distinct, ints, x

c = Cases()


def pair(v):
    return [int(e) for e in v]


def maximum(t, kernel, stride, padding, dilation, ceil):
    return F.max_pool2d(t, pair(kernel), pair(stride), pair(padding), pair(dilation), bool(ceil))


def mean(t, kernel, stride, padding, ceil, exclude, divisor):
    return F.avg_pool2d(t, pair(kernel), pair(stride), pair(padding), bool(ceil), not exclude, int(divisor) or None)


for shape, kernel, stride, padding, dilation, ceil in [
    ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), (1, 1), 0),
    ((1, 2, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), 0),
    ((1, 2, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), 1),
    ((2, 5, 5), (3, 3), (2, 2), (1, 1), (1, 1), 0),
    ((1, 1, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((1, 2, 8, 9), (3, 2), (1, 3), (1, 0), (2, 1), 0),
    ((1, 1, 9, 8), (3, 2), (3, 2), (1, 1), (2, 3), 1),
    ((1, 2, 3, 3), (1, 1), (1, 1), (0, 0), (1, 1), 0),
    ((2, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), 0),
    ((1, 1, 1, 2), (2, 2), (2, 2), (0, 0), (1, 1), 1),
]:
    c.add("MaxPool2d", maximum, [distinct(*shape)], kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
    # Equal elements: the first gets the gradient.
    c.add("MaxPool2d", maximum, [(x(*shape)).round()], check=False, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)

for shape, kernel, stride, padding, ceil in [
    ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), 0),
    ((1, 2, 7, 5), (2, 2), (2, 2), (0, 0), 1),
    ((2, 5, 5), (3, 3), (2, 2), (1, 1), 0),
    ((1, 1, 6, 7), (3, 3), (2, 2), (1, 1), 1),
    ((1, 2, 8, 9), (3, 2), (1, 3), (1, 0), 0),
    ((1, 1, 7, 8), (4, 3), (3, 2), (2, 1), 1),
    ((1, 2, 3, 3), (1, 1), (1, 1), (0, 0), 0),
]:
    for exclude, divisor in [(0, 0), (1, 0), (0, 3)]:
        c.add("AvgPool2d", mean, [x(*shape)], kernel=kernel, stride=stride, padding=padding, ceil=ceil, exclude=exclude, divisor=divisor)

for shape, size in [((2, 3, 4, 6), (1, 1)), ((1, 2, 7, 5), (3, 2)), ((2, 3, 5), (7, 7)), ((1, 1, 8, 8), (4, 2)), ((1, 2, 3, 3), (3, 3)), ((2, 1, 1, 1), (1, 1))]:
    c.add("AdaptiveAvgPool2d", lambda t, size: F.adaptive_avg_pool2d(t, pair(size)), [x(*shape)], size=size)
# Axes that stay as they are, sizes of 0, and more windows than elements.
for shape, size in [((2, 3, 4, 6), (None, 2)), ((1, 2, 7, 5), (3, None)), ((2, 3, 5), (None, None)), ((1, 1, 5, 3), (11, 1)), ((2, 0, 4, 4), (1, 1)), ((0, 2, 4, 4), (3, 2)),
                    ((0, 4, 4), (2, 2)), ((2, 1, 4, 4), (0, 2)), ((1, 1, 13, 17), (5, 7))]:
    c.add("AdaptiveAvgPool2d", lambda t, size: F.adaptive_avg_pool2d(t, [None if n < 0 else int(n) for n in size]), [x(*shape)],
          grad=0 not in size + shape[-3:],  # PyTorch's gradient of nothing fails
          size=[-1 if n is None else n for n in size])

inf, nan = float("inf"), float("nan")


def where(t, kernel, stride, padding, dilation, ceil):
    return F.max_pool2d(t, pair(kernel), pair(stride), pair(padding), pair(dilation), bool(ceil), return_indices=True)


for shape, kernel, stride, padding, dilation, ceil in [
    ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), (1, 1), 0),
    ((1, 2, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), 1),
    ((2, 5, 5), (3, 3), (2, 2), (1, 1), (1, 1), 0),
    ((1, 1, 6, 7), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 2, 8, 9), (3, 2), (1, 3), (1, 0), (2, 1), 0),
    ((1, 1, 9, 8), (3, 2), (3, 2), (1, 1), (2, 3), 1),
    ((1, 2, 3, 3), (1, 1), (1, 1), (0, 0), (1, 1), 0),
    ((1, 1, 4, 4), (5, 5), (5, 5), (0, 0), (1, 1), 1),
    ((1, 1, 4, 4), (9, 8), (1, 1), (4, 4), (1, 1), 0),
    ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1), 0),
]:
    args = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
    numbers = distinct(*shape)
    whole = ints(*shape, low=-9)
    c.add("MaxPool2dWithIndices", where, [numbers], **args)
    c.add("MaxPool2dWithIndices", where, [whole.double()], check=False, **args)
    for t in [whole, whole - 100, whole.abs().byte()]:
        c.add("MaxPool2dWithIndices", where, [t], **args)
        c.add("MaxPool2d", maximum, [t], **args)
    if dilation == (1, 1):
        for t in [whole, whole * 1000003, -whole.abs()]:
            c.add("AvgPool2d", mean, [t], kernel=kernel, stride=stride, padding=padding, ceil=ceil, exclude=int(shape[0] == 1), divisor=3 * (shape[1] == 2))
    # Of what is not finite NaN wins, and the last of them; where all is -Inf, the first in the window.
    for t in [torch.full(shape, -inf).double(), torch.where(whole > 3, nan, torch.where(whole < 0, -inf, numbers))]:
        c.add("MaxPool2dWithIndices", where, [t], check=False, **args)

# Over one dimension, and over three.
def integers(*args):
    return [[int(e) for e in v] for v in args]


for shape, kernel, stride, padding, dilation, ceil in [
    ((2, 3, 8), (2,), (2,), (0,), (1,), 0),
    ((1, 2, 9), (3,), (2,), (1,), (1,), 1),
    ((2, 11), (3,), (1,), (1,), (2,), 0),
    ((1, 1, 10), (4,), (3,), (2,), (1,), 1),
    ((1, 2, 5), (1,), (1,), (0,), (1,), 0),
    ((2, 3, 4, 6, 4), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), 0),
    ((1, 2, 5, 4, 7), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), 1),
    ((2, 5, 5, 4), (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), 0),
    ((1, 1, 7, 5, 6), (3, 2, 2), (1, 3, 2), (1, 0, 1), (2, 1, 3), 1),
    ((1, 2, 4, 4, 4), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1), 0),
    ((1, 2, 6, 2, 3), (3, 1, 1), (2, 1, 1), (1, 0, 0), (1, 1, 1), 0),
]:
    dims = len(kernel)
    f = F.max_pool1d if dims == 1 else F.max_pool3d
    args = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
    pooled = lambda t, kernel, stride, padding, dilation, ceil: f(t, *integers(kernel, stride, padding, dilation), bool(ceil), return_indices=True)
    c.add(f"MaxPool{dims}d", pooled, [distinct(*shape)], **args)
    c.add(f"MaxPool{dims}d", pooled, [x(*shape).round()], check=False, **args)
    c.add(f"MaxPool{dims}d", pooled, [torch.where(x(*shape) > 1, nan, torch.where(x(*shape) < 0, -inf, distinct(*shape)))], check=False, **args)
    if dims == 3:
        c.add(f"MaxPool{dims}d", pooled, [ints(*shape, low=-9)], **args)
    if max(dilation) > 1:
        continue
    for exclude, divisor in [(0, 0), (1, 0), (0, 3)][:2 if dims == 1 else 3]:  # avg_pool1d has no divisor
        if dims == 1:
            mean = lambda t, kernel, stride, padding, ceil, exclude, divisor: F.avg_pool1d(t, *integers(kernel, stride, padding), bool(ceil), not exclude)
        else:
            mean = lambda t, kernel, stride, padding, ceil, exclude, divisor: F.avg_pool3d(t, *integers(kernel, stride, padding), bool(ceil), not exclude, int(divisor) or None)
        c.add(f"AvgPool{dims}d", mean, [x(*shape)], kernel=kernel, stride=stride, padding=padding, ceil=ceil, exclude=exclude, divisor=divisor)

for shape, size in [((2, 3, 7), (3,)), ((2, 5), (1,)), ((1, 2, 4), (4,)), ((1, 1, 3), (7,)), ((0, 2, 4), (3,)),
                    ((2, 3, 4, 6, 5), (1, 1, 1)), ((1, 2, 7, 5, 4), (3, 2, 4)), ((2, 3, 5, 2), (7, 5, 3)), ((1, 2, 4, 3, 5), (None, 2, None)), ((1, 2, 3, 3, 3), (3, 3, 3)), ((1, 2, 3, 4, 5), (3, 2, 2))]:
    dims = len(size)
    f = F.adaptive_avg_pool1d if dims == 1 else F.adaptive_avg_pool3d
    c.add(f"AdaptiveAvgPool{dims}d", lambda t, size: f(t, [None if n < 0 else int(n) for n in size]), [x(*shape)], size=[-1 if n is None else n for n in size])
c.save("pool.json")
