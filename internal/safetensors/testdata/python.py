"""Writes python.safetensors with the safetensors package (0.8.0) and PyTorch.

Also reads a file back and prints what is in it: python.py FILE.
"""

import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

if len(sys.argv) > 1:
    with safe_open(sys.argv[1], framework="pt") as f:
        print(f.metadata())
        for name in f.keys():
            t = f.get_tensor(name)
            print(repr(name), t.dtype, list(t.shape), t.flatten().tolist())
    sys.exit()

save_file(
    {
        "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4,
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": torch.tensor([1.0, -0.5, 65504.0, 6e-8, float("inf")], dtype=torch.float16),
        "brain": torch.tensor([[1.0], [-3.140625]], dtype=torch.bfloat16),
        "count": torch.tensor(-7, dtype=torch.int64),
        "short": torch.tensor([-300, 300], dtype=torch.int16),
        "int": torch.tensor([-70000], dtype=torch.int32),
        "signed": torch.tensor([-128, 127], dtype=torch.int8),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "mask": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 3),
        "naïve \"key\"/<&>": torch.ones(1),
    },
    pathlib.Path(__file__).parent / "python.safetensors",
    metadata={"format": "pt", "note": "ä \" \\ \n"},
)
