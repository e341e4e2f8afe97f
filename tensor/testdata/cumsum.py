"""Cumulative sums. See reference.py."""

import torch
from reference import Cases, ints, x

c = Cases()
for s, dim in [((5,), 0), ((2, 3), 0), ((2, 3), -1), ((1,), 0), ((2, 3, 4), 1), ((4, 1, 3), 1), ((0, 3), 0), ((3, 0), 0)]:
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [x(*s)], dim=dim)
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [ints(*s)], dim=dim)
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [ints(*s, high=2).bool()], dim=dim)
for dim in [0, -1]:  # of one number
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [x()], dim=dim)
for v in [(1, float("nan"), 2), (float("inf"), 1, -float("inf"))]:
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [torch.tensor(v, dtype=torch.float64)], check=False, dim=0)
c.save("cumsum.json")
