"""Writes vgg.json: what PyTorch makes of the tutorial's VGG16 with weights and
pictures that a formula gives (so that they need not be stored).

Run with PyTorch 2.15: python vgg.py
"""

import json
import numpy as np
import torch
import torch.nn as nn

cfg = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width in cfg:
            if width == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers, nn.AvgPool2d(kernel_size=1, stride=1))
        self.classifier = nn.Linear(512, 10)

    def forward(self, x):
        out = self.features(x)
        return self.classifier(out.view(out.size(0), -1))


def noise(stream, n):
    """n numbers in [-1, 1): the upper 24 bits of splitmix64 at stream·2³² + i."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(32)) + np.arange(n, dtype=np.uint64)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def fill(model):
    for stream, (name, p) in enumerate(model.named_parameters()):
        v = noise(stream + 1, p.numel())
        if p.dim() > 1:
            v = v * np.float32(np.sqrt(6 / (p.numel() / p.shape[0])))
        elif name.endswith("weight"):
            v = 1 + v / 8
        else:
            v = v / 8
        p.data.copy_(torch.from_numpy(v.astype(np.float32)).reshape(p.shape))


def batch(n):
    x = torch.from_numpy(((noise(1000, n * 3 * 32 * 32) + 1) / 2).astype(np.float32)).reshape(n, 3, 32, 32)
    y = torch.from_numpy(((noise(1001, n) + 1) * 5).astype(np.int64))
    return x, y


def main():
    out = {}
    criterion = nn.CrossEntropyLoss()
    x, y = batch(8)
    for dtype in torch.float64, torch.float32:
        model = VGG()
        fill(model)
        model.to(dtype)
        loss = criterion(model(x.to(dtype)), y)
        loss.backward()
        grads = {}
        for name, p in model.named_parameters():
            g = p.grad.reshape(-1).double()
            at = torch.linspace(0, len(g) - 1, 8).long()
            grads[name] = {"norm": g.norm().item(), "at": at.tolist(), "values": g[at].tolist()}
        out[str(dtype)[6:]] = {"loss": loss.item(), "grads": grads}

    model = VGG()
    fill(model)
    x, y = batch(32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        losses_eval = criterion(model(x), y).item()
    out["sgd"] = {"losses": losses, "eval": losses_eval, "keys": list(model.state_dict())}
    with open("vgg.json", "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
