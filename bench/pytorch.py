"""PyTorch's side of bench: the tutorial's VGG with the weights and pictures that
main.go wrote; a turn for each line on standard input."""

import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn

config = json.loads(sys.argv[1])
torch.set_num_threads(config["threads"])


class VGG(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        layers, channels = [], 3
        for width in cfg:
            if width == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers, nn.AvgPool2d(kernel_size=1, stride=1))
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x):
        out = self.features(x)
        return self.classifier(out.view(out.size(0), -1))


model = VGG(config["cfg"])
raw = open(os.path.join(config["dir"], "weights"), "rb").read()
at = 0
for t in model.state_dict().values():
    dtype = np.int64 if t.dtype == torch.int64 else np.float32
    a = np.frombuffer(raw, dtype, t.numel(), at)
    t.copy_(torch.from_numpy(a.copy()).reshape(t.shape))
    at += a.nbytes
assert at == len(raw), "the weights do not fit"
images = torch.from_numpy(np.fromfile(os.path.join(config["dir"], "images"), np.float32).reshape(-1, 3, 32, 32))
labels = torch.from_numpy(np.fromfile(os.path.join(config["dir"], "labels"), np.int64))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)


def train():
    model.train()
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def evaluate():
    model.eval()
    with torch.no_grad():
        return criterion(model(images), labels).item()


print(torch.__version__, flush=True)
for line in sys.stdin:
    turn = {"train": train, "evaluate": evaluate}[line.strip()]
    start = time.perf_counter()
    loss = turn()
    print(time.perf_counter() - start, loss, flush=True)
