"""Makes layers.json: layers and losses of torch.nn with their parameters, inputs,
outputs and gradients, in float64.

    python layers.py > layers.json
"""
import json
import sys

import torch
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
cases = []


def t(x):
    x = x.detach()
    kind = "int64" if x.dtype == torch.int64 else "float64"
    return {"dtype": kind, "shape": list(x.shape),
            "data": [v if kind == "int64" else float("%.15g" % v) for v in x.flatten().tolist()]}


def case(name, module, *shapes, make=None):
    """Passes forward and backward; several where a module has modes or a state."""
    if make is None:
        def make():
            return torch.randn(*shapes[0])
    for p in module.parameters():  # away from 0 and 1
        if p.dim() == 1:
            nn.init.normal_(p, 0.5, 0.3)
    c = {"name": name, "before": {k: t(v) for k, v in module.state_dict().items()}, "steps": []}
    steps = [True]
    if list(module.buffers()):
        steps = [True, True, True, False]
    elif isinstance(module, (nn.BatchNorm2d, nn.Dropout)):
        steps = [True, False]
    for training in steps:
        module.train(training)
        module.zero_grad(set_to_none=True)
        x = make()
        if x.is_floating_point():
            x.requires_grad_(True)
        y = module(x)
        g = torch.randn_like(y)
        y.backward(g)
        step = {"training": training, "x": t(x), "y": t(y), "g": t(g),
                "grads": {k: t(p.grad) for k, p in module.named_parameters()}}
        if x.grad is not None:
            step["dx"] = t(x.grad)
        step["buffers"] = {k: t(v) for k, v in module.named_buffers()}
        c["steps"].append(step)
    cases.append(c)


def loss(name, module, x, target):
    x.requires_grad_(True)
    y = module(x, target)
    g = torch.randn_like(y)
    y.backward(g)
    cases.append({"name": name, "before": {}, "steps": [
        {"training": True, "x": t(x), "target": t(target), "y": t(y), "g": t(g), "dx": t(x.grad), "grads": {}, "buffers": {}}]})


class Hardsigmoid(nn.Module):
    """nn.Hardsigmoid, whose gradient has only the precision of float32."""

    def forward(self, x):
        return nn.functional.relu6(x + 3) / 6


case("Conv2d", nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 5))
case("Conv2d stride 2 groups 2 no bias", nn.Conv2d(4, 2, 3, stride=2, groups=2, bias=False), (1, 4, 5, 6))
case("Conv2d sizes by axis", nn.Conv2d(1, 2, (3, 1), stride=(1, 2), padding=(2, 0), dilation=(2, 1)), (2, 1, 5, 4))
case("ConvTranspose2d", nn.ConvTranspose2d(2, 3, 2, stride=2), (1, 2, 3, 2))
case("ConvTranspose2d output padding", nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1, groups=2), (1, 2, 2, 3))
case("Linear", nn.Linear(4, 3), (2, 4))
case("Linear no bias", nn.Linear(4, 3, bias=False), (2, 2, 4))
case("Embedding", nn.Embedding(5, 3), make=lambda: torch.randint(0, 5, (2, 3)))
case("BatchNorm2d", nn.BatchNorm2d(2), (3, 2, 2, 3))
case("BatchNorm2d eps momentum no affine", nn.BatchNorm2d(2, eps=1e-2, momentum=0.3, affine=False), (3, 2, 2, 1))
case("BatchNorm2d no stats", nn.BatchNorm2d(2, track_running_stats=False), (2, 2, 2, 2))
case("LayerNorm", nn.LayerNorm(5), (2, 3, 5))
case("LayerNorm two sizes no bias eps", nn.LayerNorm((2, 3), bias=False, eps=1e-3), (4, 2, 3))
case("GroupNorm", nn.GroupNorm(2, 4), (2, 4, 2, 2))
case("GroupNorm no affine", nn.GroupNorm(1, 2, affine=False), (2, 2, 3))
case("MaxPool2d", nn.MaxPool2d(2, 2), (1, 2, 4, 5))
case("MaxPool2d all options", nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=(1, 2), ceil_mode=True), (1, 1, 6, 5))
case("AvgPool2d", nn.AvgPool2d(2), (1, 2, 4, 4))
case("AvgPool2d all options", nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False), (1, 1, 6, 6))
case("AvgPool2d divisor", nn.AvgPool2d(2, 1, divisor_override=3), (1, 1, 3, 3))
case("AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 5, 4))
for name, module in [
    ("ReLU", nn.ReLU()), ("LeakyReLU", nn.LeakyReLU()), ("LeakyReLU slope", nn.LeakyReLU(0.2)),
    ("GELU", nn.GELU()), ("GELU tanh", nn.GELU("tanh")), ("SiLU", nn.SiLU()), ("Sigmoid", nn.Sigmoid()),
    ("Tanh", nn.Tanh()), ("ELU", nn.ELU()), ("ELU alpha", nn.ELU(0.5)), ("Hardswish", nn.Hardswish()),
    ("Hardsigmoid", Hardsigmoid()), ("Softplus", nn.Softplus()), ("Softplus beta", nn.Softplus(3, 2)),
    ("Softmax", nn.Softmax(1)), ("LogSoftmax", nn.LogSoftmax(-1)), ("Flatten", nn.Flatten()),
    ("Identity", nn.Identity()), ("Dropout 0", nn.Dropout(0)), ("Dropout 1", nn.Dropout(1)),
]:
    case(name, module, make=lambda: 3 * torch.randn(2, 3, 2))
case("Sequential", nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2),
                                 nn.Sequential(nn.Flatten(), nn.Linear(8, 3))), (2, 1, 4, 4))

labels = torch.tensor([1, 0, 3, 1])
loss("CrossEntropyLoss", nn.CrossEntropyLoss(), torch.randn(4, 5), labels)
loss("CrossEntropyLoss all options", nn.CrossEntropyLoss(torch.tensor([1, 0.5, 2, 1, 3]), ignore_index=0, reduction="sum", label_smoothing=0.1),
     torch.randn(4, 5), labels)
loss("CrossEntropyLoss probabilities none", nn.CrossEntropyLoss(reduction="none"), torch.randn(3, 4), torch.softmax(torch.randn(3, 4), 1))
loss("NLLLoss", nn.NLLLoss(), torch.log_softmax(torch.randn(4, 5), 1), labels)
loss("NLLLoss weight", nn.NLLLoss(torch.tensor([1, 0.5, 2, 1, 3])), torch.log_softmax(torch.randn(4, 5), 1), labels)
pair = lambda: (torch.randn(2, 3), torch.randn(2, 3))
loss("MSELoss", nn.MSELoss(), *pair())
loss("MSELoss sum", nn.MSELoss(reduction="sum"), *pair())
loss("L1Loss", nn.L1Loss(), *pair())
loss("SmoothL1Loss", nn.SmoothL1Loss(), *pair())
loss("SmoothL1Loss beta none", nn.SmoothL1Loss(beta=0.5, reduction="none"), *pair())
loss("HuberLoss", nn.HuberLoss(), *pair())
loss("HuberLoss delta", nn.HuberLoss(delta=0.5), *pair())
loss("BCEWithLogitsLoss", nn.BCEWithLogitsLoss(), torch.randn(2, 3), torch.rand(2, 3))
loss("BCEWithLogitsLoss weights", nn.BCEWithLogitsLoss(weight=torch.tensor([1, 2, 0.5]), pos_weight=torch.tensor([2, 1, 3.0])),
     torch.randn(2, 3), torch.rand(2, 3))

for name, module in [("LeakyReLU slope 0", nn.LeakyReLU(0)), ("ELU alpha 0", nn.ELU(0)), ("Softplus threshold 0", nn.Softplus(threshold=0))]:
    case(name, module, make=lambda: 3 * torch.randn(2, 3, 2))
case("BatchNorm2d momentum 0", nn.BatchNorm2d(2, momentum=0.0), (3, 2, 2, 2))
case("BatchNorm2d cumulative", nn.BatchNorm2d(2, momentum=None), (3, 2, 2, 2))
case("LayerNorm eps 0", nn.LayerNorm(4, eps=0.0), (2, 4))
case("GroupNorm eps 0", nn.GroupNorm(2, 4, eps=0.0), (2, 4, 2))
loss("SmoothL1Loss beta 0", nn.SmoothL1Loss(beta=0.0), *pair())

for name, module in [("Softsign", nn.Softsign()), ("Tanhshrink", nn.Tanhshrink()), ("Mish", nn.Mish()), ("SELU", nn.SELU()), ("ReLU6", nn.ReLU6()), ("LogSigmoid", nn.LogSigmoid()), ("CELU", nn.CELU()), ("CELU alpha", nn.CELU(0.25)), ("Hardtanh", nn.Hardtanh()), ("Hardtanh bounds", nn.Hardtanh(0.0, 2.0)), ("Softshrink", nn.Softshrink()), ("Softshrink 0", nn.Softshrink(0.0)), ("Hardshrink", nn.Hardshrink()), ("Hardshrink 1", nn.Hardshrink(1.0)), ("Threshold", nn.Threshold(0.5, -3.0))]:
    case(name, module, make=lambda: 3 * torch.randn(2, 3, 2))

json.dump(cases, sys.stdout, separators=(",", ":"))
print()
