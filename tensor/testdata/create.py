"""Making tensors. See reference.py."""

import torch
from reference import Cases, x

c = Cases()
one = x(1)  # its type is the one that the test compares in
for start, end, step in [(0, 5, 1), (5, 0, -2), (3, 3, 1), (3, 3, -1), (-7, 8, 4), (0, 1, 0.25), (0, 1, 0.1), (0, 0.3, 0.1), (1, 0, -0.25), (1, 0, -0.1), (0.5, 3, 1), (0, 3.5, 1),
                         (0, 3, 1.5), (-1, 1, 0.3), (2.5, 2.5, 0.5), (0, 10, 0.7), (1e19, 3e19, 1e19)]:
    c.add("Arange", lambda t, start, end, step: torch.arange(start, end, step), [one], grad=False, start=start, end=end, step=step)
for start, end, n in [(0, 1, 0), (0, 1, 1), (3, 9, 1), (0, 1, 2), (3, 1, 5), (-1, 1, 5), (0, 1, 11), (5, 5, 3)]:
    c.add("Linspace", lambda t, start, end, n: torch.linspace(start, end, n), [one], grad=False, start=start, end=end, n=n)
for n, m in [(0, 0), (1, 1), (3, 3), (2, 5), (4, 2), (2, 0), (0, 3)]:
    c.add("Eye", lambda t, n, m: torch.eye(n, m), [one], grad=False, n=n, m=m)
for v in [0, 1, -1, 2.5, -1.5, 0.5, 255, 1e15]:
    for t in [x(2), x(0, 3), x(), torch.tensor([5, 6]), torch.tensor(3), torch.tensor([True, False]), torch.tensor([1, 2], dtype=torch.uint8)]:
        if t.dtype == torch.uint8 and v not in (0, 1, -1, 2.5, 0.5, 255):
            continue
        c.add("FullLike", lambda t, v: torch.full_like(t, v), [t], grad=False, v=v)
        c.add("Fill", lambda t, v: t.clone().fill_(v), [t], grad=False, v=v)
c.save("create.json")
