"""Cumulative sums. See reference.py."""

from reference import Cases, ints, x

c = Cases()
for s, dim in [((5,), 0), ((2, 3), 0), ((2, 3), -1), ((1,), 0), ((2, 3, 4), 1), ((4, 1, 3), 1), ((0, 3), 0), ((3, 0), 0)]:
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [x(*s)], dim=dim)
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [ints(*s)], dim=dim)
    c.add("Cumsum", lambda t, dim: t.cumsum(dim), [ints(*s, high=2).bool()], dim=dim)
c.save("cumsum.json")
