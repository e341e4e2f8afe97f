"""Writes muon.json: ten steps of torch.optim.Muon on matrices, as make.py does. Run it in this folder: python muon.py"""
import json
import torch
import make

make.SHAPES = [(4, 3), (3, 5), (6, 6)]
make.PARAMS = [make.numbers(s) for s in make.SHAPES]
make.GRADS = [[make.numbers(s) for s in make.SHAPES] for _ in range(make.STEPS)]
Muon = torch.optim.Muon
cases = [
    make.case("Muon", make.of(Muon)),
    make.case("Muon options", make.of(Muon, weight_decay=0.0, momentum=0.5, nesterov=False, adjust_lr_fn="match_rms_adamw")),
    make.case("Muon coefficients", make.of(Muon, ns_coefficients=(2.0, -1.5, 0.5), ns_steps=8, eps=1e-3, adjust_lr_fn="spectral_unclamped")),
    make.case("Muon groups", make.of(Muon, {"weight_decay": 0.2, "momentum": 0.8})),
]
with open("muon.json", "w") as f:
    json.dump({"torch": torch.__version__, "shapes": make.SHAPES, "params": [make.flat([p]) for p in make.PARAMS],
               "grads": [[make.flat([g]) for g in step] for step in make.GRADS], "cases": cases}, f, separators=(",", ":"))
    f.write("\n")
