"""Writes reference values made by PyTorch for this package's tests.

Each family of operations has a script that lists its cases:

    from reference import Cases, x
    c = Cases()
    c.add("Sum", lambda t, dims: t.sum(dims), [x(2, 3)], dims=[1])
    c.save("reduce.json")

A case's inputs are float64 tensors whose values float32 holds exactly (or
int64, uint8, bool ones, which get no gradient); args are numbers or lists of
numbers. Stored are the inputs, the args, the result (or results), a gradient of
the first result and the gradients of the inputs that it gives.

Run with PyTorch 2.15: python binary.py
"""

import json
import torch

_generator = torch.Generator().manual_seed(1)


def x(*shape, low=-2.0, high=2.0):
    """Random numbers in [low, high) that float32 (and a short decimal) holds exactly."""
    t = torch.rand(shape, generator=_generator, dtype=torch.float64) * (high - low) + low
    return (t * 1024).round() / 1024


def distinct(*shape):
    """Numbers in random order that all differ by at least 1/16."""
    n = 1
    for s in shape:
        n *= s
    return (torch.randperm(n, generator=_generator).double().reshape(shape) - n // 2) / 16


def ints(*shape, low=0, high=10):
    return torch.randint(low, high, shape, generator=_generator)


def _weights(t, which):
    """Those of gradcheck.CheckGradGrad."""
    return torch.sin(2 * torch.arange(t.numel(), dtype=torch.float64) + 1 + which).reshape(t.shape)


def _store(t):
    t = t.detach().clone()
    name = str(t.dtype).removeprefix("torch.")
    data = [repr(v) if isinstance(v, float) and (v != v or v in (float("inf"), float("-inf"))) else v
            for v in t.contiguous().reshape(-1).tolist()]
    return {"dtype": name, "shape": list(t.shape), "data": data}


class Cases:
    def __init__(self):
        self.cases = []

    def add(self, op, f, inputs, grad=True, check=True, second=True, **args):
        """A case of f(*inputs, **args). grad=False: no gradients. check=False: not
        smooth at these inputs, so numeric gradients do not apply. Then the case has
        second derivatives: the gradients by the inputs and by dy of the sum of all dx
        with weights; second=False: it has not, because PyTorch's are of no use."""
        ins = [t.clone().requires_grad_(grad and t.dtype.is_floating_point) for t in inputs]
        out = f(*ins, **args)
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        case = {"op": op, "args": {k: [float(e) for e in v] if isinstance(v, (list, tuple)) else [float(v)] for k, v in args.items()},
                "in": [_store(t) for t in inputs], "out": [_store(t) for t in outs], "check": check}
        if grad and outs[0].requires_grad:
            dy = x(*outs[0].shape)
            case["dy"] = _store(dy)
            dy.requires_grad_()
            of = [t for t in ins if t.requires_grad]
            found = iter(torch.autograd.grad(outs[0], of, dy, create_graph=not check and second, allow_unused=True))
            dx = [next(found) if t.requires_grad else None for t in ins]
            case["dx"] = [_store(t) if t is not None else None for t in dx]
            if not check and second:
                total = sum([(t * _weights(t, i + 1)).sum() for i, t in enumerate(dx) if t is not None and t.requires_grad])
                none = [None] * (len(of) + 1)  # total is 0 where dx does not depend on anything
                found = iter(torch.autograd.grad(total, of + [dy], allow_unused=True) if torch.is_tensor(total) else none)
                ddx = [next(found) if t.requires_grad else None for t in ins + [dy]]
                case["ddx"] = [_store(t) if t is not None else None for t in ddx]
        self.cases.append(case)

    def save(self, path):
        with open(path, "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in self.cases) + "\n]\n")
