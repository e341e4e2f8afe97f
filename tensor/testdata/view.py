"""Shape operations. See reference.py."""

import torch
from reference import Cases, x

c = Cases()
shapes = [(2, 3), (1,), (4, 1, 3), (2, 3, 4), (1, 1), (5, 2, 1, 2)]
for s in shapes:
    c.add("Flatten", lambda t, d: t.flatten(int(d)), [x(*s)], d=0)
    c.add("Unsqueeze", lambda t, d: t.unsqueeze(int(d)), [x(*s)], d=-1)
    c.add("Squeeze", lambda t: t.squeeze(), [x(*s)])
    c.add("View", lambda t: t.view(-1), [x(*s)])
    c.add("Reshape", lambda t: t.reshape(1, -1), [x(*s)])
    c.add("Transpose", lambda t: t.transpose(0, -1), [x(*s)])
    c.add("Repeat", lambda t: t.repeat(2, *([3] * t.dim())), [x(*s)])
    c.add("Expand", lambda t: t.expand(3, *t.shape), [x(*s)])
    c.add("Flip", lambda t: t.flip([0, -1] if t.dim() > 1 else [0]), [x(*s)])
    c.add("Select", lambda t: t.select(-1, 0), [x(*s)])
    c.add("Narrow", lambda t: t.narrow(0, 0, 1), [x(*s)])
    c.add("Clone", lambda t: t.clone(), [x(*s)])
for s, order in [((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((2, 3, 4), (1, 0, 2)), ((2, 1, 3, 2), (3, 1, 0, 2)), ((3, 4, 5, 2), (0, 2, 3, 1)), ((7,), (0,))]:
    c.add("Permute", lambda t, order: t.permute([int(d) for d in order]), [x(*s)], order=order)
for s, dim, start, n in [((5, 3), 0, 1, 3), ((5, 3), 1, 1, 2), ((2, 3, 4), -1, 0, 2), ((2, 3, 4), 1, 2, 1), ((4,), 0, 4, 0)]:
    c.add("NarrowAt", lambda t, dim, start, n: t.narrow(int(dim), int(start), int(n)), [x(*s)], dim=dim, start=start, n=n)
for a, b, dim in [((2, 3), (2, 3), 0), ((2, 3), (2, 1), 1), ((1,), (4,), 0), ((2, 3, 4), (2, 2, 4), -2), ((2, 1, 2, 2), (2, 3, 2, 2), 1)]:
    c.add("Cat", lambda p, q, r, dim: torch.cat([p, q, r], int(dim)), [x(*a), x(*b), x(*a)], dim=dim)
for a, dim in [((2, 3), 0), ((2, 3), 1), ((2, 3), -1), ((1,), 0), ((2, 3, 4), 2)]:
    c.add("Stack", lambda p, q, dim: torch.stack([p, q], int(dim)), [x(*a), x(*a)], dim=dim)
for a, size, dim in [((5, 3), 2, 0), ((2, 7), 3, 1), ((6,), 6, 0), ((2, 3, 4), 1, -1), ((4, 4), 3, 0)]:
    c.add("Split", lambda t, size, dim: torch.split(t, int(size), int(dim))[-1], [x(*a)], size=size, dim=dim)
    c.add("Chunk", lambda t, size, dim: torch.chunk(t, int(size), int(dim))[0], [x(*a)], size=size, dim=dim)
for a, d in [((3, 3), 0), ((2, 4), 1), ((4, 2), -1), ((2, 3, 3), 0), ((1, 5), 2), ((2, 2, 4, 3), -2)]:
    c.add("Triu", lambda t, d: t.triu(int(d)), [x(*a)], d=d)
    c.add("Tril", lambda t, d: t.tril(int(d)), [x(*a)], d=d)
c.save("view.json")
