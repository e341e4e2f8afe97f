"""Convolutions. See reference.py."""

import torch.nn.functional as F
from reference import Cases, x

c = Cases()


def conv(t, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return F.conv2d(t, w, b, stride, padding, dilation, groups)


def transpose(t, w, b=None, stride=1, padding=0, outputpadding=0, dilation=1, groups=1):
    return F.conv_transpose2d(t, w, b, stride, padding, outputpadding, groups, dilation)


for t, w, args in [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 5, 4), (4, 3, 3, 3), dict(padding=1)),
    ((2, 3, 5, 6), (2, 3, 1, 1), {}),
    ((2, 3, 7, 6), (4, 3, 3, 3), dict(stride=2, padding=1)),
    ((2, 2, 7, 8), (3, 2, 3, 3), dict(dilation=2, padding=2)),
    ((2, 2, 8, 7), (2, 2, 3, 2), dict(stride=2, dilation=2, padding=1)),
    ((2, 4, 5, 5), (6, 2, 3, 3), dict(groups=2, padding=1)),
    ((2, 4, 4, 5), (4, 1, 3, 3), dict(groups=4)),
    ((1, 2, 9, 9), (2, 2, 5, 4), dict(stride=(2, 3), padding=(2, 0), dilation=(1, 2))),
    ((3, 5, 6), (2, 3, 3, 3), dict(padding=1)),
    ((0, 3, 4, 4), (2, 3, 3, 3), dict(padding=1)),
    ((5, 2, 2, 2), (3, 2, 3, 3), dict(padding=1)),
    ((1, 2, 2, 3), (2, 2, 2, 3), {}),
]:
    args = {k: v if isinstance(v, tuple) else (v, v) for k, v in args.items() if k != "groups"} | {"groups": args.get("groups", 1)}
    c.add("Conv2d", conv, [x(*t), x(*w), x(w[0])], **args)
    if len(c.cases) < 10:
        c.add("Conv2dNoBias", conv, [x(*t), x(*w)], **args)
for t, w, args in [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 4, 5), (3, 2, 3, 3), dict(padding=1)),
    ((2, 3, 3, 4), (3, 2, 2, 2), dict(stride=2)),
    ((2, 3, 3, 4), (3, 2, 3, 3), dict(stride=2, padding=1, outputpadding=1)),
    ((2, 2, 3, 3), (2, 3, 3, 3), dict(stride=(3, 2), padding=(0, 1), outputpadding=(2, 0))),
    ((2, 2, 4, 3), (2, 2, 3, 3), dict(dilation=2, padding=1)),
    ((2, 4, 3, 3), (4, 3, 3, 3), dict(groups=2, stride=2)),
    ((2, 4, 3, 3), (4, 1, 2, 2), dict(groups=4)),
    ((3, 4, 4), (3, 2, 4, 4), dict(stride=2, padding=1)),
    ((0, 3, 4, 4), (3, 2, 3, 3), dict(padding=1)),
    ((1, 2, 3, 3), (2, 1, 2, 2), dict(stride=1, dilation=3, outputpadding=2)),
]:
    args = {k: v if isinstance(v, tuple) else (v, v) for k, v in args.items() if k != "groups"} | {"groups": args.get("groups", 1)}
    c.add("ConvTranspose2d", transpose, [x(*t), x(*w), x(w[1] * args["groups"])], **args)
    if sum("Transpose" in case["op"] for case in c.cases) < 10:
        c.add("ConvTranspose2dNoBias", transpose, [x(*t), x(*w)], **args)
# Even kernels have one row or column more behind than in front.
for t, w, args in [
    ((2, 3, 5, 4), (4, 3, 3, 3), {}),
    ((2, 3, 5, 4), (4, 3, 2, 4), {}),
    ((1, 2, 4, 6), (2, 2, 1, 2), {}),
    ((2, 2, 7, 6), (3, 2, 3, 2), dict(dilation=(2, 3))),
    ((2, 4, 5, 5), (6, 2, 4, 3), dict(groups=2)),
    ((2, 4, 5, 6), (4, 1, 2, 2), dict(groups=4)),
    ((1, 1, 2, 3), (1, 1, 6, 5), {}),
    ((3, 5, 6), (2, 3, 4, 4), {}),
    ((0, 3, 4, 4), (2, 3, 2, 2), {}),
]:
    args = {"dilation": args.get("dilation", (1, 1)), "groups": args.get("groups", 1)}
    c.add("Conv2dSame", lambda t, w, b, dilation, groups: conv(t, w, b, 1, "same", dilation, groups), [x(*t), x(*w), x(w[0])], **args)

# Over one dimension, and over three.
def tuples(dims, args):
    return {k: v if isinstance(v, tuple) else (v,) * dims for k, v in args.items() if k != "groups"} | {"groups": args.get("groups", 1)}


for t, w, args in [
    ((2, 3, 7), (4, 3, 3), dict(padding=1)),
    ((2, 3, 9), (2, 3, 1), {}),
    ((1, 2, 11), (3, 2, 4), dict(stride=2, padding=3)),
    ((2, 4, 12), (6, 2, 3), dict(groups=2, stride=3, dilation=2)),
    ((2, 4, 8), (4, 1, 3), dict(groups=4, padding=2)),
    ((3, 6), (2, 3, 2), {}),
]:
    c.add("Conv1d", lambda t, w, b, stride=1, padding=0, dilation=1, groups=1: F.conv1d(t, w, b, stride, padding, dilation, groups), [x(*t), x(*w), x(w[0])], **tuples(1, args))
for t, w, args in [
    ((2, 3, 4, 5, 3), (4, 3, 3, 3, 3), dict(padding=1)),
    ((2, 3, 2, 3, 4), (2, 3, 1, 1, 1), {}),
    ((1, 2, 5, 6, 7), (3, 2, 3, 2, 3), dict(stride=2, padding=1)),
    ((1, 2, 7, 5, 6), (2, 2, 3, 2, 2), dict(stride=(2, 1, 3), padding=(2, 0, 1), dilation=(2, 3, 1))),
    ((1, 4, 4, 3, 4), (6, 2, 2, 3, 2), dict(groups=2, padding=(1, 1, 0))),
    ((1, 4, 4, 4, 3), (4, 1, 3, 3, 3), dict(groups=4, padding=1)),
    ((3, 3, 4, 4), (2, 3, 2, 2, 2), {}),
    ((1, 2, 4, 3, 3), (2, 2, 3, 1, 1), dict(padding=(1, 0, 0))),
    ((1, 2, 3, 4, 4), (2, 2, 1, 3, 3), dict(padding=(0, 1, 1), stride=(2, 1, 1))),
]:
    c.add("Conv3d", lambda t, w, b, stride=1, padding=0, dilation=1, groups=1: F.conv3d(t, w, b, stride, padding, dilation, groups), [x(*t), x(*w), x(w[0])], **tuples(3, args))
for t, w, args in [
    ((2, 3, 5), (3, 2, 3), dict(padding=1)),
    ((2, 3, 4), (3, 2, 2), dict(stride=2)),
    ((2, 3, 4), (3, 2, 3), dict(stride=3, padding=1, outputpadding=2)),
    ((2, 4, 5), (4, 3, 3), dict(groups=2, dilation=2, outputpadding=1)),
    ((3, 4), (3, 2, 4), dict(stride=2, padding=1)),
]:
    c.add("ConvTranspose1d", lambda t, w, b, stride=1, padding=0, outputpadding=0, dilation=1, groups=1: F.conv_transpose1d(t, w, b, stride, padding, outputpadding, groups, dilation),
          [x(*t), x(*w), x(w[1] * args.get("groups", 1))], **tuples(1, args))
for t, w, args in [
    ((2, 3, 3, 2, 4), (3, 2, 3, 3, 3), dict(padding=1)),
    ((1, 3, 2, 3, 2), (3, 2, 2, 2, 2), dict(stride=2)),
    ((1, 2, 3, 2, 2), (2, 2, 3, 3, 3), dict(stride=(2, 3, 1), padding=(1, 0, 1), outputpadding=(1, 2, 0))),
    ((1, 4, 2, 3, 2), (4, 1, 2, 2, 3), dict(groups=2, dilation=2, stride=(3, 1, 1), outputpadding=1)),
    ((3, 2, 3, 2), (3, 2, 2, 2, 2), dict(stride=2)),
]:
    c.add("ConvTranspose3d", lambda t, w, b, stride=1, padding=0, outputpadding=0, dilation=1, groups=1: F.conv_transpose3d(t, w, b, stride, padding, outputpadding, groups, dilation),
          [x(*t), x(*w), x(w[1] * args.get("groups", 1))], **tuples(3, args))
for t, w, args in [
    ((2, 3, 5), (4, 3, 4), {}),
    ((1, 2, 6), (2, 2, 2), dict(dilation=3)),
    ((1, 2, 6), (2, 1, 3), dict(groups=2)),
    ((2, 6), (1, 2, 5), {}),
    ((0, 2, 6), (1, 2, 2), {}),
]:
    args = {"dilation": (args.get("dilation", 1),), "groups": args.get("groups", 1)}
    c.add("Conv1dSame", lambda t, w, b, dilation, groups: F.conv1d(t, w, b, 1, "same", dilation, groups), [x(*t), x(*w), x(w[0])], **args)
for t, w, args in [
    ((2, 3, 4, 5, 3), (2, 3, 2, 3, 4), {}),
    ((1, 2, 3, 2, 4), (2, 2, 3, 2, 1), dict(dilation=(1, 3, 2))),
    ((1, 2, 3, 3, 2), (4, 1, 2, 2, 2), dict(groups=2)),
    ((2, 3, 2, 3), (1, 2, 4, 1, 2), {}),
    ((1, 1, 2, 2, 2), (1, 1, 3, 3, 3), {}),
]:
    args = {"dilation": args.get("dilation", (1, 1, 1)), "groups": args.get("groups", 1)}
    c.add("Conv3dSame", lambda t, w, b, dilation, groups: F.conv3d(t, w, b, 1, "same", dilation, groups), [x(*t), x(*w), x(w[0])], **args)
c.save("conv.json")
