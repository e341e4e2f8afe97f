"""Normalization. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, x

c = Cases()
shapes = [(2, 3), (5, 1), (2, 3, 4), (3, 2, 3, 3), (2, 1, 2, 2, 2), (1, 2, 2, 3), (4, 2, 1, 1)]


def batch_norm(t, mean, var, w, b, momentum, eps, training):
    """The running statistics that it leaves are results too."""
    mean, var = mean.detach().clone(), var.detach().clone()
    y = F.batch_norm(t, mean, var, w, b, bool(training), momentum, eps)
    return y, mean, var


for s in shapes:
    n = s[1]
    for training in [0, 1]:
        c.add("BatchNorm2d", batch_norm, [x(*s), x(n), x(n, low=0.5), x(n), x(n)], momentum=0.3, eps=0.01, training=training)
    if s[0] * torch.Size(s[2:]).numel() > 2:  # the gradient of two values is 0 but for eps
        c.add("BatchNorm2dDefaults", lambda t: F.batch_norm(t, None, None, training=True), [x(*s)])
    c.add("BatchNorm2dPlain", lambda t, m, v: F.batch_norm(t, m.detach(), v.detach()), [x(*s), x(n), x(n, low=0.5)])

for s, last in [((2, 3), 1), ((4, 5), 1), ((5,), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((1, 2, 2, 3), 3), ((2, 3, 4), 3)]:
    normalized = s[len(s) - last:]
    c.add("LayerNorm", lambda t, w, b, last, eps: F.layer_norm(t, t.shape[t.dim() - int(last):], w, b, eps), [x(*s), x(*normalized), x(*normalized)], last=last, eps=0.01)
    c.add("LayerNormPlain", lambda t, last: F.layer_norm(t, t.shape[t.dim() - int(last):]), [x(*s)], last=last)
    c.add("LayerNormBias", lambda t, b, last: F.layer_norm(t, t.shape[t.dim() - int(last):], None, b), [x(*s), x(*normalized)], last=last)

for s, groups in [((2, 6), 2), ((3, 6, 2), 3), ((2, 4, 3, 2), 1), ((2, 4, 3, 2), 4), ((1, 6, 2, 2), 2), ((2, 2, 2, 1, 3), 2)]:
    c.add("GroupNorm", lambda t, w, b, groups, eps: F.group_norm(t, int(groups), w, b, eps), [x(*s), x(s[1]), x(s[1])], groups=groups, eps=0.01)
    c.add("GroupNormPlain", lambda t, groups: F.group_norm(t, int(groups)), [x(*s)], groups=groups)

# Far from 0, next to each other, and large.
for v in [(16384, 16384.0625, 16384, 16384.125), (1e18, 2e18, 5e18, -1e18), (1e30, -1e30, 3e30, 0), (1e-20, 3e-20, 0, 2e-20)]:
    t = torch.tensor(v, dtype=torch.float32).double()
    c.add("LayerNormPlain", lambda t, last: F.layer_norm(t, t.shape), [t], grad=False, last=1)
    c.add("GroupNormPlain", lambda t, groups: F.group_norm(t, int(groups)), [t.reshape(1, 2, 2)], grad=False, groups=1)
    if abs(v[0]) < 1e19:  # a GPU squares in float32, PyTorch's kernels too
        c.add("BatchNorm2dDefaults", lambda t: F.batch_norm(t, None, None, training=True), [t.reshape(4, 1)], grad=False)
c.save("norm.json")
