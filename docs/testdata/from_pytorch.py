"""Writes from_pytorch.json: what the left column of the table in ../from-pytorch.md
gives in PyTorch. The test computes the right column and holds it against that.

Each row is a small program of its own. It begins with the variables below, then with
its line of from_pytorch.txt, if there is one there, which is written so that Go reads
it too; then come the row's pieces of code in their order.

Run with PyTorch 2.15: python from_pytorch.py
"""

import json
import os
import re

import torch
import torch.nn.functional as F
from torch import nn

here = os.path.dirname(os.path.abspath(__file__))


def ar(*sizes):
    """Numbers that differ, some of them negative."""
    n = 1
    for s in sizes:
        n *= s
    return (torch.arange(n) * 7 % 11 - 4).float().reshape(sizes) / 4


def positive(*sizes):
    return ar(*sizes).abs() + 0.25


def ints(*numbers):
    return torch.tensor(numbers)


def grid(rows, *numbers):
    return torch.tensor(numbers).reshape(rows, -1)


def above(x, number):
    return x > number


def both(a, b):
    return [a, b]


def leaf(*sizes):
    return ar(*sizes).requires_grad_()


def twice(x):
    return x * 2


def product(a, b):
    return (a * b).sum()


def value(v):
    """The value as JSON, in the words that the test's program prints."""
    if v is None:
        return "nothing"
    if isinstance(v, torch.Tensor):
        return {"dtype": str(v.dtype).removeprefix("torch."), "shape": list(v.shape), "data": [float(e) for e in v.detach().flatten().tolist()]}
    if isinstance(v, (bool, int, float)):
        return float(v)
    if isinstance(v, (torch.dtype, torch.device)):
        return str(v).removeprefix("torch.")
    if v and isinstance(v[0], list):
        v = [e for row in v for e in row]
    return [value(e) for e in v]


def rows(page):
    """The pieces of code in the left column, row by row."""
    for line in page.partition("## Names")[2].partition("\n## ")[0].splitlines():
        if line.startswith("| `") or line.startswith("| a "):
            yield re.findall(r"`([^`]+)`", line.split(" | ")[0])


setups = {}
for line in open(os.path.join(here, "from_pytorch.txt"), encoding="utf-8"):
    key, _, setup = line.rstrip("\n").partition(" | ")
    setups[key] = setup
results = {}
for codes in rows(open(os.path.join(here, "..", "from-pytorch.md"), encoding="utf-8").read()):
    if setups.get(codes[0]) == "-":  # the test has a program for it
        continue
    x = positive(2, 3)
    variables = dict(globals(), data=[1.0, 2.5, -3.0], x=x, y=2.5 - x, z=ar(3, 2), u=ar(3), v=positive(3), a=above(ar(2, 3), 0), b=above(x, 1))
    exec(setups.get(codes[0], ""), variables)
    found = []
    for code in codes:
        try:
            result = eval(code, variables)
        except SyntaxError:
            exec(code, variables)
            result = None
        if result is None:  # a statement: what it leaves
            result = [variables["x"], variables["x"].grad if variables["x"].is_leaf else None]
            found.append({"statement": True, "value": value(result)})
        else:
            found.append({"value": value(result)})
    results[", ".join(codes)] = found
with open(os.path.join(here, "from_pytorch.json"), "w", encoding="utf-8") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in results.items()) + "\n}\n")
