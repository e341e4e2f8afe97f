"""How PyTorch prints tensors. See reference.py."""

import json
import torch
from reference import _store

g = torch.Generator().manual_seed(3)
r = lambda *s: torch.randn(s, generator=g)
tensors = [
    r(3), r(2, 3), r(2, 2, 2), r(20), r(40, 50), r(3, 3) * 1000, r(3) * 1e-5, r(3) * 1e9,
    torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, float("nan"), float("inf"), -2.5]),
    torch.tensor([1e-3, 1.0]), torch.tensor([1e-3, 10.0]), torch.arange(10), torch.arange(2000), torch.tensor([-1, 100]),
    torch.tensor([True, False]), torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8), torch.tensor(3.5), torch.tensor(7),
    torch.tensor([]), torch.zeros(0, 3), r(2, 3).double(), torch.tensor(True), torch.tensor([1e10, 1.0]), torch.tensor([123456.0, 1.0]),
    r(2, 1100), r(1, 30), torch.tensor(-0.5), torch.tensor(1e-7), torch.tensor([10000.5, 2.25]), r(4, 2, 3), torch.zeros(2, 2, dtype=torch.float64),
    torch.tensor([float("nan")]), torch.tensor([float("inf"), 1.0]), r(8, 300),
]
with open("print.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps({"in": _store(t.double() if t.is_floating_point() else t), "dtype": str(t.dtype)[6:],
            "text": str(t).replace("torch.", "")}, separators=(",", ":")) for t in tensors) + "\n]\n")
