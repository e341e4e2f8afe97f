"""Makes repr.json: what PyTorch prints of layers and models.

    python repr.py > repr.json
"""
import json
import sys

from torch import nn


class VGG(nn.Module):
    """The tutorial's network."""

    def __init__(self, cfg, classes):
        super().__init__()
        features, width = [], 3
        for c in cfg:
            if c == "M":
                features.append(nn.MaxPool2d(kernel_size=2, stride=2))
            else:
                features += [nn.Conv2d(width, c, kernel_size=3, padding=1), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]
                width = c
        self.features = nn.Sequential(*features, nn.AvgPool2d(kernel_size=1, stride=1))
        self.dropout = nn.Dropout(0.0)
        self.classifier = nn.Linear(width, classes)


class Block(nn.Module):
    def __init__(self, n, shortcut=None):
        super().__init__()
        self.conv = nn.Conv2d(n, n, 1)
        self.act = nn.SiLU()
        if shortcut is not None:
            self.shortcut = shortcut


class Scale(nn.Module):
    """A module with a parameter and no children."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.blocks = nn.ModuleList([Block(4), Block(4), Block(4, nn.Sequential(nn.Identity())), nn.Sequential()])
        self.scale = Scale()
        self.empty = nn.ModuleList()


modules = {
    "Conv2d": nn.Conv2d(3, 64, 3, padding=1),
    "Conv2d all": nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, bias=False),
    "Conv2d padding on one side": nn.Conv2d(1, 1, 2, padding=(0, 1)),
    "ConvTranspose2d": nn.ConvTranspose2d(64, 3, 2, stride=2),
    "ConvTranspose2d all": nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, padding=1, dilation=2, groups=2, bias=False),
    "Linear": nn.Linear(5, 6),
    "Linear no bias": nn.Linear(5, 6, bias=False),
    "Embedding": nn.Embedding(10, 3),
    "Embedding with padding": nn.Embedding(10, 3, padding_idx=-1),
    "BatchNorm2d": nn.BatchNorm2d(8),
    "BatchNorm2d all": nn.BatchNorm2d(8, eps=1e-3, momentum=0.25, affine=False, track_running_stats=False),
    "BatchNorm2d cumulative": nn.BatchNorm2d(8, momentum=None),
    "LayerNorm": nn.LayerNorm(8),
    "LayerNorm all": nn.LayerNorm((4, 8), eps=1e-6, elementwise_affine=False),
    "LayerNorm no bias": nn.LayerNorm(8, bias=False),
    "GroupNorm": nn.GroupNorm(2, 8),
    "GroupNorm all": nn.GroupNorm(2, 8, affine=False, eps=0.001),
    "MaxPool2d": nn.MaxPool2d(2),
    "MaxPool2d all": nn.MaxPool2d((3, 2), stride=(1, 2), padding=1, dilation=2, ceil_mode=True),
    "AvgPool2d": nn.AvgPool2d(1),
    "AvgPool2d all": nn.AvgPool2d(3, stride=(1, 2), padding=1, ceil_mode=True, count_include_pad=False, divisor_override=2),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d((7, 5)),
    "AdaptiveAvgPool2d of one axis": nn.AdaptiveAvgPool2d((None, 5)),
    "Dropout": nn.Dropout(),
    "Dropout 0.125": nn.Dropout(0.125),
    "Flatten": nn.Flatten(),
    "Flatten all": nn.Flatten(0, 1),
    "Identity": nn.Identity(),
    "ReLU": nn.ReLU(),
    "ReLU in place": nn.ReLU(inplace=True),
    "LeakyReLU": nn.LeakyReLU(),
    "LeakyReLU 1e-07": nn.LeakyReLU(1e-07),
    "GELU": nn.GELU(),
    "GELU tanh": nn.GELU(approximate="tanh"),
    "SiLU": nn.SiLU(),
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
    "ELU": nn.ELU(),
    "ELU 1e17": nn.ELU(1e17),
    "Hardswish": nn.Hardswish(),
    "Hardsigmoid": nn.Hardsigmoid(),
    "Softsign": nn.Softsign(),
    "Tanhshrink": nn.Tanhshrink(),
    "Mish": nn.Mish(),
    "SELU": nn.SELU(),
    "ReLU6": nn.ReLU6(),
    "LogSigmoid": nn.LogSigmoid(),
    "CELU": nn.CELU(),
    "CELU alpha": nn.CELU(0.25),
    "Hardtanh": nn.Hardtanh(),
    "Hardtanh bounds": nn.Hardtanh(0.0, 2.0),
    "Softshrink": nn.Softshrink(),
    "Softshrink 0": nn.Softshrink(0.0),
    "Hardshrink": nn.Hardshrink(),
    "Hardshrink 1": nn.Hardshrink(1.0),
    "Threshold": nn.Threshold(0.5, -3.0),
    "Softplus": nn.Softplus(),
    "Softplus all": nn.Softplus(2.0, 0.0001),
    "Softmax": nn.Softmax(dim=1),
    "LogSoftmax": nn.LogSoftmax(dim=-1),
    "CrossEntropyLoss": nn.CrossEntropyLoss(label_smoothing=0.1),
    "NLLLoss": nn.NLLLoss(),
    "BCEWithLogitsLoss": nn.BCEWithLogitsLoss(),
    "Sequential empty": nn.Sequential(),
    "Sequential": nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.ReLU()), nn.ReLU(), nn.ReLU()),
    "ModuleList empty": nn.ModuleList(),
    "ModuleList": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Tanh(), nn.Tanh(), nn.Tanh()]),
    "Net": Net(),
    "VGG": VGG([8, "M", 16, 16, "M"], 10),
}
json.dump({k: repr(m) for k, m in modules.items()}, sys.stdout, indent=0)
print()
