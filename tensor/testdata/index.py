"""Indexing. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, ints, x

c = Cases()
for s, dim, i in [((5,), 0, (3,)), ((5,), 0, (9,)), ((4, 3), 0, (6, 3)), ((4, 3), 1, (4, 2)), ((4, 3), -1, (2, 5)), ((2, 3, 4), 1, (2, 7, 4)),
                  ((2, 3, 4), 0, (1, 2, 3)), ((2, 3, 4), 2, (1, 3, 0)), ((1, 1), 0, (1, 1))]:
    index = ints(*i, high=s[dim])
    c.add("Gather", lambda t, i, dim: t.gather(dim, i), [x(*s), index], dim=dim)
    c.add("Gather", lambda t, i, dim: t.gather(dim, i), [ints(*s), index], dim=dim)
    c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [x(*s), index, x(*i)], dim=dim)
    # PyTorch has no gradient for a source larger than the index.
    c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [x(*s), index, x(*[n + 1 for n in i])], grad=False, dim=dim)
    c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [ints(*s), index, ints(*i)], dim=dim)
for s, dim, n in [((5,), 0, 3), ((4, 3), 0, 6), ((4, 3), 1, 2), ((4, 3), -1, 0), ((2, 3, 4), 1, 5), ((2, 3, 4), 2, 1), ((1, 1), 0, 4)]:
    index = ints(n, high=s[dim])
    src = list(s)
    src[dim] = n
    c.add("IndexSelect", lambda t, i, dim: t.index_select(dim, i), [x(*s), index], dim=dim)
    c.add("IndexSelect", lambda t, i, dim: t.index_select(dim, i), [ints(*s, high=2).bool(), index], dim=dim)
    c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [x(*s), index, x(*src)], dim=dim)
    c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [ints(*s), index, ints(*src)], dim=dim)
for s, m in [((5,), (5,)), ((4, 3), (4, 3)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 1), (4, 3)), ((3,), (2, 4, 3)), ((2, 3, 4), (3, 1)), ((1,), (1,)), ((0, 3), (3,))]:
    mask = ints(*m, high=2).bool()
    c.add("MaskedSelect", lambda t, m: t.masked_select(m), [x(*s), mask])
    c.add("MaskedSelect", lambda t, m: t.masked_select(m), [ints(*s), mask])
c.add("MaskedSelect", lambda t, m: t.masked_select(m), [x(2, 3), torch.zeros(2, 3, dtype=torch.bool)])
for n, d, i in [(5, 3, (4,)), (1, 1, (3,)), (10, 4, (2, 3)), (7, 2, (2, 1, 4)), (3, 5, ()), (4, 3, (0,))]:
    c.add("Embedding", lambda w, i: F.embedding(i, w), [x(n, d), ints(*i, high=n)])
for i, n in [((4,), 5), ((2, 3), 4), ((2, 3), -1), ((), 3), ((0,), 2), ((1, 2, 2), 1)]:
    c.add("OneHot", lambda i, classes: F.one_hot(i, classes), [ints(*i, high=max(n, 1) if n > 0 else 6)], classes=n)
for s in [(5,), (4, 3), (2, 3, 4), (1,), (0, 3), (3, 0), (2, 1, 2, 3)]:
    for t in [ints(*s, high=2), ints(*s, high=2).bool(), ints(*s, high=2).double(), torch.zeros(s, dtype=torch.uint8)]:
        c.add("Nonzero", lambda t: t.nonzero(), [t], grad=False)
# Scalars, indices without elements (whose other sizes do not matter), and entries that are named more than once.
for s, i in [((), ()), ((), (1,)), ((), (2,)), ((3,), ()), ((1,), ()), ((2, 3), (0,)), ((2, 3), (0, 3)), ((2, 3), (0, 9)), ((0, 3), (0, 2)), ((), (0,))]:
    for dim in [0, -1]:
        index = ints(*i, high=s[dim] if s and s[dim] else 1)
        c.add("Gather", lambda t, i, dim: t.gather(dim, i), [x(*s), index], dim=dim)
        c.add("Gather", lambda t, i, dim: t.gather(dim, i), [ints(*s, high=2).bool(), index], dim=dim)
        c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [x(*s), index, x(*i)], dim=dim)
        c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [ints(*s), index, ints(*i)], dim=dim)
for s, dim, i in [((), 0, (1,)), ((), -1, ()), ((3,), 0, ()), ((2, 3), -1, ()), ((0, 3), 1, (4,)), ((2, 0), 0, (5,)), ((2, 3), 0, (0,))]:
    index = ints(*i, high=s[dim] if s else 1)
    src = list(s)
    if src:
        src[dim] = index.numel()
    c.add("IndexSelect", lambda t, i, dim: t.index_select(dim, i), [x(*s), index], dim=dim)
    c.add("IndexSelect", lambda t, i, dim: t.index_select(dim, i), [ints(*s, high=2).bool(), index], dim=dim)
    if len(i) == 1 or not s:  # otherwise PyTorch's gradient of the source fails
        c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [x(*s), index, x(*src)], dim=dim)
    c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [ints(*s), index, ints(*src)], dim=dim)
same = torch.tensor([1, 1, 0, 1])
c.add("IndexSelect", lambda t, i, dim: t.index_select(dim, i), [x(2, 3), same], dim=0)
c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [x(2, 3), same, x(4, 3)], dim=0)
c.add("Gather", lambda t, i, dim: t.gather(dim, i), [x(2, 3), same.reshape(2, 2)], dim=0)
c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [x(2, 3), same.reshape(2, 2), x(2, 2)], dim=1)
c.add("Embedding", lambda w, i: F.embedding(i, w), [x(2, 3), same.reshape(2, 2)])
for s, m in [((), ()), ((3,), ()), ((), (3,)), ((0,), ()), ((2, 0), (2, 1))]:
    c.add("MaskedSelect", lambda t, m: t.masked_select(m), [x(*s), ints(*m, high=2).bool()])
    c.add("MaskedSelect", lambda t, m: t.masked_select(m), [ints(*s), torch.ones(m, dtype=torch.bool)])
for t in [torch.tensor(3.0), torch.tensor(0), torch.tensor(True), torch.tensor([float("nan"), -0.0, 0.0, -1.0])]:
    c.add("Nonzero", lambda t: t.nonzero(), [t], grad=False)
for n, d, i, padding in [(3, 2, (5,), 0), (3, 2, (2, 4), 2), (3, 2, (6,), -1), (4, 3, (0,), 1), (2, 1, (3, 1), -2), (5, 0, (4,), 0)]:
    c.add("EmbeddingPadding", lambda w, i, padding: F.embedding(i, w, padding_idx=int(padding)), [x(n, d), ints(*i, high=n)], check=False, second=d > 0 and 0 not in i, padding=padding)
for s, dim, i in [((4,), 0, (6,)), ((2, 3), 1, (2, 2)), ((), 0, (1,)), ((3, 2), 0, (0, 2))]:
    index = ints(*i, high=s[dim] if s else 1)
    c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [ints(*s, high=2).bool(), index, ints(*i, high=2).bool()], dim=dim)
    c.add("ScatterAdd", lambda t, i, src, dim: t.scatter_add(dim, i, src), [ints(*s, high=256).byte(), index, ints(*i, high=256).byte()], dim=dim)
    if len(i) == 1:
        c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [ints(*s, high=2).bool(), index, ints(*(i if s else ()), high=2).bool()], dim=dim)
        c.add("IndexAdd", lambda t, i, src, dim: t.index_add(dim, i, src), [ints(*s, high=256).byte(), index, ints(*(i if s else ()), high=256).byte()], dim=dim)
c.save("index.json")
