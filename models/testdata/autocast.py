"""Writes autocast.json: the losses that PyTorch's mixed precision (bfloat16 on the
CPU) comes to with the tutorial's VGG16, from vgg.py's weights and pictures.

Run with PyTorch 2.15: python autocast.py
"""

import json
import torch
from vgg import VGG, batch, fill

model = VGG()
fill(model)
x, y = batch(32)
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
losses, norms = [], {}
for step in range(6):
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = criterion(model(x), y)
    loss.backward()
    if step == 0:
        norms = {name: p.grad.double().norm().item() for name, p in model.named_parameters() if p.dim() > 1}
    optimizer.step()
    losses.append(loss.item())
model.eval()
with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
    evaluated = criterion(model(x), y).item()
with open("autocast.json", "w") as f:
    json.dump({"losses": losses, "eval": evaluated, "norms": norms}, f, indent=1)
    f.write("\n")
