"""Sorting. See reference.py."""

import torch
from reference import Cases, distinct, ints

c = Cases()
nan, inf = float("nan"), float("inf")
for s, dim in [((5,), 0), ((2, 3), 0), ((2, 3), -1), ((1,), 0), ((2, 6, 4), 1), ((4, 1, 3), 1), ((0, 3), 1)]:
    for descending in [False, True]:
        for t in [distinct(*s), ints(*s, high=3).double(), ints(*s, high=3), ints(*s, high=2).bool()]:
            ties = t.unique().numel() < t.numel()
            c.add("Sort", lambda t, dim, descending: torch.sort(t, dim=dim, descending=descending, stable=True), [t], check=not ties, dim=dim, descending=descending)
            c.add("ArgSort", lambda t, dim, descending: torch.argsort(t, dim=dim, descending=descending, stable=True), [t], grad=False, dim=dim, descending=descending)
for s, dim, k in [((5,), 0, 2), ((2, 3), 0, 1), ((2, 3), -1, 3), ((1,), 0, 1), ((2, 6, 4), 1, 4), ((4, 7), 1, 0), ((3, 8), 1, 5)]:
    for largest in [False, True]:
        c.add("TopK", lambda t, dim, k, largest: torch.topk(t, k, dim, largest), [distinct(*s)], dim=dim, k=k, largest=largest)
odd = torch.tensor([nan, 1, inf, -inf, 2, -1], dtype=torch.float64)
for flag in [False, True]:
    c.add("Sort", lambda t, dim, descending: torch.sort(t, dim=dim, descending=descending, stable=True), [odd], grad=False, dim=0, descending=flag)
    c.add("TopK", lambda t, dim, k, largest: torch.topk(t, k, dim, largest), [odd], grad=False, dim=0, k=3, largest=flag)
# Scalars and sizes of 0. PyTorch's topk of a scalar with k = 0 is the scalar.
for s, dim in [((), 0), ((), -1), ((0,), 0), ((0, 3), 0), ((3, 0), 0), ((3, 0), 1)]:
    for t in [distinct(*s), ints(*s), ints(*s, high=2).bool()]:
        c.add("Sort", lambda t, dim, descending: torch.sort(t, dim=dim, descending=descending, stable=True), [t], dim=dim, descending=False)
        c.add("ArgSort", lambda t, dim, descending: torch.argsort(t, dim=dim, descending=descending, stable=True), [t], grad=False, dim=dim, descending=True)
for s, dim, k in [((), 0, 1), ((), -1, 1), ((), 0, 0), ((0, 3), 0, 0), ((0, 3), 1, 2), ((3, 0), -2, 2), ((2, 3), 0, 0)]:
    for t in [distinct(*s), ints(*s)]:
        c.add("TopK", lambda t, dim, k, largest: torch.topk(t, k, dim, largest), [t], dim=dim, k=k, largest=True)
odd = torch.tensor([nan, 1, nan, 2, -0.0, 0.0, nan, -inf], dtype=torch.float64)
for flag in [False, True]:
    c.add("Sort", lambda t, dim, descending: torch.sort(t, dim=dim, descending=descending, stable=True), [odd], check=False, dim=0, descending=flag)
    c.add("ArgSort", lambda t, dim, descending: torch.argsort(t, dim=dim, descending=descending, stable=True), [odd], grad=False, dim=0, descending=flag)
c.save("sort.json")
