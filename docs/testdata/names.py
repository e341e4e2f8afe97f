"""Writes names.json: the classes of PyTorch and torchvision that a user looks for, by their modules.
Python 3, torch 2.15, torchvision 0.29."""

import json

import torch
import torchvision.transforms

modules = {
    "torch.nn": (torch.nn, torch.nn.Module),
    "torch.optim": (torch.optim, torch.optim.Optimizer),
    "torch.optim.lr_scheduler": (torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
    "torchvision.transforms": (torchvision.transforms, object),
}
# Base classes, old names of others, and constants.
left_out = {
    "Module", "Container", "RNNBase", "RNNCellBase", "NLLLoss2d", "CrossMapLRN2d", "Optimizer", "LRScheduler",
    "InterpolationMode", "AutoAugmentPolicy",
}
names = {}
for name, (module, base) in modules.items():
    found = (n for n in dir(module) if isinstance(getattr(module, n), type) and issubclass(getattr(module, n), base))
    names[name] = sorted(n for n in found if n not in left_out and not n.startswith("_"))
names["torch.optim"] += ["GradScaler"]  # torch.amp
with open("names.json", "w") as f:
    json.dump(names, f, indent=1)
    f.write("\n")
