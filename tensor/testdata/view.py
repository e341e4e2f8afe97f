"""Shape operations. See reference.py."""

import torch
from reference import Cases, ints, x

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
# Scalars, sizes of 0, dimensions from the end, and the forms with lists.
for s in [(), (1,), (3,), (2, 3), (0, 3), (1, 2, 1), (2, 1, 0)]:
    n = max(len(s), 1)
    for d in [0, -1]:
        c.add("Flatten", lambda t, d: t.flatten(int(d)), [x(*s)], d=d)
        c.add("Unsqueeze", lambda t, d: t.unsqueeze(int(d)), [x(*s)], d=d)
        c.add("SqueezeDims", lambda t, dims: t.squeeze([int(d) for d in dims]), [x(*s)], dims=[d])
        c.add("TransposeAt", lambda t, i, j: t.transpose(int(i), int(j)), [x(*s)], i=d, j=0)
        c.add("FlipAt", lambda t, dims: t.flip([int(d) for d in dims]), [x(*s)], dims=[d])
        c.add("FlattenTo", lambda t, d, to: t.flatten(int(d), int(to)), [x(*s)], d=0, to=d)
    c.add("SqueezeDims", lambda t, dims: t.squeeze([int(d) for d in dims]), [x(*s)], dims=[])
    c.add("Squeeze", lambda t: t.squeeze(), [x(*s)])
    c.add("FlipAt", lambda t, dims: t.flip([int(d) for d in dims]), [x(*s)], dims=[])
    c.add("View", lambda t: t.view(-1), [x(*s)])
    c.add("Reshape", lambda t: t.reshape(1, -1), [x(*s)])
    c.add("Expand", lambda t: t.expand(3, *t.shape), [x(*s)])
    c.add("Repeat", lambda t: t.repeat(2, *([3] * t.dim())), [x(*s)])
    c.add("Clone", lambda t: t.clone(), [x(*s)])
    c.add("Permute", lambda t, order: t.permute([int(d) for d in order]), [x(*s)], order=[d - len(s) for d in reversed(range(len(s)))])
    if len(s) <= 2:
        c.add("T", lambda t: t.t(), [x(*s)])
for s, dims in [((1, 2, 1), (0, 2)), ((1, 2, 1), (-1,)), ((1, 1), (0, -1)), ((2, 3), (0, 1)), ((1, 0), (0, 1))]:
    c.add("SqueezeDims", lambda t, dims: t.squeeze([int(d) for d in dims]), [x(*s)], dims=dims)
for s, d, to in [((2, 3, 4), 0, 1), ((2, 3, 4), 1, 2), ((2, 3, 4), 1, 1), ((2, 3, 4), -3, -2), ((2, 0, 4), 0, 1), ((2, 3, 4, 5), 1, -2), ((7,), 0, 0)]:
    c.add("FlattenTo", lambda t, d, to: t.flatten(int(d), int(to)), [x(*s)], d=d, to=to)
for s, dims in [((2, 3, 4), (0, 2)), ((2, 3, 4), (-1, 1)), ((2, 3, 4), (2, 1, 0)), ((0, 3), (0, 1))]:
    c.add("FlipAt", lambda t, dims: t.flip([int(d) for d in dims]), [x(*s)], dims=dims)
for s, dim, start, n in [((5, 3), 0, -2, 2), ((5, 3), 1, -3, 1), ((2, 3, 4), -1, -4, 4), ((4,), 0, -1, 0), ((0, 3), 0, 0, 0), ((0, 3), 1, -1, 1)]:
    c.add("NarrowAt", lambda t, dim, start, n: t.narrow(int(dim), int(start), int(n)), [x(*s)], dim=dim, start=start, n=n)
for s, sizes, dim in [((5,), (2, 3), 0), ((5,), (5,), 0), ((5,), (0, 5, 0), 0), ((0,), (), 0), ((3, 4), (1, 2, 1), -1), ((3, 4), (1, 2), 0), ((2, 3, 4), (3, 1), 2), ((0, 3), (0, 0), 0)]:
    c.add("SplitSizes", lambda t, sizes, dim: t.split([int(n) for n in sizes], int(dim)), [x(*s)], grad=len(sizes) > 0, sizes=sizes, dim=dim)
for s, size, dim in [((5,), 2, 0), ((5,), 1073741824, 0), ((0,), 0, 0), ((0, 3), 2, 0), ((3, 0), 2, 0), ((2, 7), 3, -1)]:
    c.add("SplitAll", lambda t, size, dim: t.split(int(size), int(dim)), [x(*s)], size=size, dim=dim)
for s, n, dim in [((5,), 4, 0), ((5,), 1073741824, 0), ((0, 3), 3, 0), ((3, 0), 2, 0), ((2, 7), 3, -1), ((7,), 1, -1)]:
    c.add("ChunkAll", lambda t, n, dim: t.chunk(int(n), int(dim)), [x(*s)], n=n, dim=dim)
for s, dims in [((), (2, 3)), ((), (0,)), ((3,), (-1,)), ((1, 3), (0, 3)), ((1, 3), (4, -1)), ((2, 1), (5, -1, 3)), ((0, 3), (2, 0, 3)), ((3,), (0, 3))]:
    c.add("ExpandTo", lambda t, dims: t.expand([int(n) for n in dims]), [x(*s)], dims=dims)
for s, times in [((), (2, 3)), ((), (0,)), ((2, 3), (2, 0)), ((2, 3), (2, 1, 2)), ((0, 3), (2, 2)), ((3,), (4,))]:
    c.add("RepeatBy", lambda t, times: t.repeat([int(n) for n in times]), [x(*s)], times=times)
for s, dims in [((0, 3), (-1, 3)), ((0, 3), (2, -1, 5)), ((0, 3), (5, 0)), ((), (1, -1, 1)), ((2, 3), (3, -1)), ((1,), ())]:
    c.add("ViewAs", lambda t, dims: t.view([int(n) for n in dims]), [x(*s)], dims=dims)
# A vector without elements is left out.
for a, b, dim in [((0,), (2, 3), 1), ((2, 3), (0,), -2), ((0,), (0,), 1), ((0,), (3,), 0), ((0, 3), (2, 3), 0), ((2, 0), (2, 2), -1)]:
    c.add("Cat", lambda p, q, r, dim: torch.cat([p, q, r], int(dim)), [x(*a), x(*b), x(*a)], dim=dim)
for a, dim in [((), 0), ((), -1), ((0, 2), 0), ((2, 3), -3), ((0,), 1)]:
    c.add("Stack", lambda p, q, dim: torch.stack([p, q], int(dim)), [x(*a), x(*a)], dim=dim)
for a, d in [((0, 3), 0), ((2, 0, 0), 1), ((2, 3), 1073741824), ((2, 3), -1073741824), ((3, 2), 3), ((3, 2), -3)]:
    c.add("Triu", lambda t, d: t.triu(int(d)), [x(*a)], d=d)
    c.add("Tril", lambda t, d: t.tril(int(d)), [x(*a)], d=d)
# A copy broadcasts, and converts as a cast does.
for s, m in [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), (1, 3)), ((2, 3), ()), ((2, 3), (1,)), ((2, 3, 4), (3, 1)), ((1, 3), (3,)), ((1,), ()), ((), ()),
             ((0, 3), (3,)), ((0, 3), (1, 1)), ((2, 0), (2, 1)), ((2, 0), (1, 0))]:
    for t in [x(*s), ints(*s), ints(*s).byte(), ints(*s, high=2).bool()]:
        for src in [x(*m), ints(*m), ints(*m, high=2).bool()]:
            # C leaves a negative number in an unsigned type to the machine.
            src = src.abs() if t.dtype == torch.uint8 and src.dtype.is_floating_point else src
            c.add("CopyFrom", lambda t, src: t.clone().copy_(src), [t, src], grad=False)
for s, shift, dims in [((5,), 1, (0,)), ((5,), -2, (-1,)), ((5,), 12, ()), ((2, 3), 1, ()), ((2, 3), -1, (0,)), ((2, 3), 5, (1,)), ((2, 3, 4), -7, (-2,)), ((), 3, ()), ((0, 3), 1, ()),
                       ((0, 3), 2, (0,)), ((2, 0), 1, (0,)), ((2, 3), 0, (1,)), ((2, 3), 1000000, (1,))]:
    c.add("Roll", lambda t, shift, dims: t.roll(int(shift), [int(d) for d in dims]), [x(*s)], shift=shift, dims=dims)
def at(t, dim, start, end, step):
    return t[(slice(None),) * (int(dim) % t.dim()) + (slice(int(start), int(end), int(step)),)]


for s, dim, start, end, step in [((5,), 0, 0, 5, 2), ((5,), 0, 1, 1 << 30, 3), ((7, 3), 0, -5, -1, 2), ((2, 7), -1, 1, 6, 1), ((2, 5, 3), 1, -100, 100, 4), ((2, 3), 0, 2, 1, 1), ((0, 3), 0, 0, 3, 2), ((3, 4), 1, 3, 4, 5)]:
    c.add("Slice", at, [x(*s)], dim=dim, start=start, end=end, step=step)
for s, i, j in [((2, 3, 4), 0, 2), ((2, 3, 4), -1, 0), ((2, 3, 4), 1, 1), ((2, 3, 4, 5), 1, -1), ((3,), 0, 0), ((), 0, -1), ((0, 3), 0, 1)]:
    c.add("MoveDim", lambda t, i, j: t.movedim(int(i), int(j)), [x(*s)], i=i, j=j)
for s, dim, sizes in [((6,), 0, (2, 3)), ((2, 12), 1, (3, -1, 2)), ((2, 12, 3), -2, (12,)), ((4, 3), 0, (-1, 4)), ((0, 3), 0, (0, 2)), ((1,), 0, (1, 1, 1))]:
    c.add("Unflatten", lambda t, dim, sizes: t.unflatten(int(dim), [int(n) for n in sizes]), [x(*s)], dim=dim, sizes=sizes)
for s, shape, strides, offset in [((6,), (2, 2), (1, 2), 1), ((3, 4), (4, 3), (1, 4), 0), ((3, 4), (3, 2), (4, 1), 1), ((10,), (8, 3), (1, 1), 0), ((2, 3), (2, 4), (0, 0), 5), ((5,), (), (), 3), ((2, 3), (0, 3), (3, 1), 0), ((4, 4), (2, 3, 2), (4, 1, 2), 3)]:
    c.add("AsStrided", lambda t, shape, strides, offset: torch.as_strided(t, [int(n) for n in shape], [int(n) for n in strides], int(offset)), [x(*s)], shape=shape, strides=strides, offset=offset)
# Assignments in place, of other types than alias.py has.
for s in [(4, 3), (5,), (2, 3, 2)]:
    for t, src in [(x(*s), x(*s)), (ints(*s), ints(*s)), (ints(*s).byte(), ints(*s).byte()), (ints(*s, high=2).bool(), ints(*s, high=2).bool())]:
        c.add("MaskedFillInPlace", lambda t, m, v: t.clone().masked_fill_(m, v), [t, ints(s[-1], high=2).bool()], grad=False, v=1)
        c.add("MaskedScatterInPlace", lambda t, m, src: t.clone().masked_scatter_(m, src), [t, ints(*s, high=2).bool(), src], grad=False)
        c.add("IndexFillInPlace", lambda t, i, dim, v: t.clone().index_fill_(int(dim), i, v), [t, torch.tensor([1, 0])], grad=False, dim=-1, v=1)
        c.add("IndexCopyInPlace", lambda t, i, src, dim: t.clone().index_copy_(int(dim), i, src), [t, torch.randperm(s[-1], generator=torch.Generator().manual_seed(1)), src], grad=False, dim=-1)
        if t.dtype != torch.bool:
            c.add("IndexAddInPlace", lambda t, i, src, dim: t.clone().index_add_(int(dim), i, src), [t, torch.zeros(s[0], dtype=torch.int64), src], grad=False, dim=0)
for t in [x(), ints()]:
    c.add("MaskedFillInPlace", lambda t, m, v: t.clone().masked_fill_(m, v), [t, torch.tensor(True)], grad=False, v=2)
    c.add("MaskedScatterInPlace", lambda t, m, src: t.clone().masked_scatter_(m, src), [t, torch.tensor(True), ints(3).to(t.dtype)], grad=False)
    c.add("IndexFillInPlace", lambda t, i, dim, v: t.clone().index_fill_(int(dim), i, v), [t, torch.tensor([0])], grad=False, dim=0, v=1)
    c.add("IndexCopyInPlace", lambda t, i, src, dim: t.clone().index_copy_(int(dim), i, src), [t, torch.tensor(0), x().to(t.dtype)], grad=False, dim=0)
c.save("view.json")
