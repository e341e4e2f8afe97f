"""Softmax. See reference.py."""

import torch
from reference import Cases, x

c = Cases()
for s, dim in [((5,), 0), ((2, 3), 1), ((4, 3), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((2, 1, 3, 2), 1), ((0, 3), 1), ((3, 0, 2), 2)]:
    c.add("Softmax", lambda t, dim: t.softmax(int(dim)), [x(*s, low=-4, high=4)], dim=dim)
    c.add("LogSoftmax", lambda t, dim: t.log_softmax(int(dim)), [x(*s, low=-4, high=4)], dim=dim)
inf = float("inf")
for row in [[300.0, 1000.0, 999.0], [-1000.0, -1001.0, -999.0], [-inf, 0.0, 1.0], [0.0, float("nan"), 1.0]]:
    c.add("Softmax", lambda t, dim: t.softmax(int(dim)), [torch.tensor(row, dtype=torch.float64)], grad=False, dim=0)
    c.add("LogSoftmax", lambda t, dim: t.log_softmax(int(dim)), [torch.tensor(row, dtype=torch.float64)], grad=False, dim=0)
for row in [[-inf, 0.0, 1.0], [-inf, -inf, -inf], [inf, 0.0, 1.0], [0.0, float("nan"), 1.0], [3e38, 3e38, -3e38]]:
    c.add("Softmax", lambda t, dim: t.softmax(int(dim)), [torch.tensor(row, dtype=torch.float32).double()], check=False, dim=0)
    c.add("LogSoftmax", lambda t, dim: t.log_softmax(int(dim)), [torch.tensor(row, dtype=torch.float32).double()], check=False, dim=0)
for dim in [0, -1]:  # of one number
    c.add("Softmax", lambda t, dim: t.softmax(int(dim)), [x()], check=False, dim=dim)
    c.add("LogSoftmax", lambda t, dim: t.log_softmax(int(dim)), [x()], check=False, dim=dim)
c.save("softmax.json")
