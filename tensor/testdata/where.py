"""Choices by a condition. See reference.py."""

import torch
from reference import Cases, ints, x

c = Cases()
for m, a, b in [((), (), ()), ((3,), (3,), (3,)), ((2, 3), (2, 3), ()), ((2, 1), (1, 3), (3,)), ((1,), (2, 2), (2, 1)), ((0, 2), (1, 2), (2,)), ((4,), (2, 1), (3, 1, 1))]:
    mask = ints(*m, high=2).bool()
    c.add("Where", torch.where, [mask, x(*a), x(*b)])
    c.add("MaskedFill", lambda t, mask, value: t.masked_fill(mask, value), [x(*a), mask], value=-1.5)
mask = ints(2, 3, high=2).bool()
c.add("Where", torch.where, [mask, ints(2, 3), ints(3)])
c.add("Where", torch.where, [mask, ints(2, 3, high=2).bool(), ints(3, high=2).bool()])
c.add("MaskedFill", lambda t, mask, value: t.masked_fill(mask, int(value)), [ints(2, 3), mask], value=7.0)
c.add("MaskedFill", lambda t, mask, value: t.masked_fill(mask, int(value)), [ints(2, 3).to(torch.uint8), mask], value=7.0)
c.add("MaskedFill", lambda t, mask, value: t.masked_fill(mask, value), [ints(2, 3, high=2).bool(), mask], value=10.0)
c.add("Where", torch.where, [mask, ints(2, 3), ints(3, high=2).bool()])
c.save("where.json")
