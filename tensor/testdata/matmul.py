"""Matrix products. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, ints, x

c = Cases()
for a, b in [
    ((2, 3), (3, 4)), ((1, 1), (1, 1)), ((7, 5), (5, 9)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((1,), (1,)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 5, 2, 3), (5, 3, 2)), ((2, 1, 2, 3), (1, 3, 3, 2)),
    ((2, 3, 2, 3), (3,)), ((3,), (2, 2, 3, 2)), ((3,), (4, 3, 1)), ((1, 2, 3), (4, 3, 2)), ((4, 2, 3), (1, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)),
    ((1, 3), (3, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((0, 2, 3), (3, 2)), ((9, 20), (20, 17)),
]:
    c.add("MatMul", torch.matmul, [x(*a), x(*b)], check=a[-1] < 20)
for n in [1, 2, 3, 10, 33]:
    c.add("Dot", torch.dot, [x(n), x(n)])
for a, w in [((4, 3), (2, 3)), ((3,), (2, 3)), ((2, 4, 3), (5, 3)), ((1, 1), (1, 1)), ((0, 3), (2, 3)), ((2, 1, 3, 4), (1, 4)), ((7, 33), (10, 33))]:
    c.add("Linear", lambda t, w, b: F.linear(t, w, b), [x(*a), x(*w), x(w[0])])
    c.add("LinearNoBias", lambda t, w: F.linear(t, w), [x(*a), x(*w)])
for a in [(4, 3), (3,), (2, 4, 3), (0, 3)]:
    c.add("LinearNoBias", lambda t, w: F.linear(t, w), [x(*a), x(3)])
# Whole numbers, whose sums wrap.
for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((2, 0), (0, 2)), ((3, 40), (40, 2))]:
    c.add("MatMul", torch.matmul, [ints(*a, low=-9), ints(*b, low=-9)])
    c.add("MatMul", torch.matmul, [ints(*a, high=256).to(torch.uint8), ints(*b, high=256).to(torch.uint8)])
c.add("MatMul", torch.matmul, [torch.tensor([[2**62, 3]]), torch.tensor([[4], [5]])])
c.add("Dot", torch.dot, [torch.tensor([2**50 + 1, -7, 3]), torch.tensor([1, 2**40, 5])])
c.add("Dot", torch.dot, [torch.ones(300, dtype=torch.uint8), torch.ones(300, dtype=torch.uint8)])
c.add("Linear", lambda t, w, b: F.linear(t, w, b), [ints(4, 3, low=-9), ints(2, 3, low=-9), ints(2)])
c.add("LinearNoBias", lambda t, w: F.linear(t, w), [ints(4, 3, high=256).to(torch.uint8), ints(2, 3, high=256).to(torch.uint8)])
c.save("matmul.json")
