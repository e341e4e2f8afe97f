"""Writes autocast.json: a small net trained by PyTorch under
torch.autocast("cpu", torch.bfloat16), and in which type each operation gives its
result there. Run it in this folder with torch 2.x."""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)
shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "g": (8,), "h": (8,), "w2": (8, 8, 3, 3), "w3": (4, 32), "b3": (4,)}
p = {k: torch.randn(s) / max(1, torch.Size(s[1:]).numel()) ** 0.5 for k, s in shapes.items()}
p["g"] = torch.ones(8)
x, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 1, 2])
out = {"x": x.flatten().tolist(), "labels": labels.tolist(), "params": {k: v.flatten().tolist() for k, v in p.items()},
       "dtypes": [], "losses": [], "grads": {}}
for v in p.values():
    v.requires_grad_(True)
mean, var = torch.zeros(8), torch.ones(8)
for step in range(4):
    types = []
    def seen(y):
        types.append(str(y.dtype).removeprefix("torch."))
        return y
    with torch.autocast("cpu", torch.bfloat16):
        y = seen(F.conv2d(x, p["w1"], p["b1"], padding=1))
        y = seen(F.batch_norm(y, mean, var, p["g"], p["h"], training=True))
        y = seen(F.relu(y))
        y = seen(F.max_pool2d(y, 2))
        y = seen(F.conv2d(y, p["w2"], padding=1))
        y = seen(F.max_pool2d(F.relu(y), 2))
        y = seen(F.linear(y.flatten(1), p["w3"], p["b3"]))
        loss = seen(F.cross_entropy(y, labels))
    for v in p.values():
        v.grad = None
    loss.backward()
    out["losses"].append(loss.item())
    if step == 0:
        out["dtypes"] = types
        out["grads"] = {k: v.grad.flatten().tolist() for k, v in p.items()}
        assert all(v.grad.dtype == torch.float32 for v in p.values())
    with torch.no_grad():
        for v in p.values():
            v -= 0.02 * v.grad
out["mean"] = mean.tolist()

# The type of each operation's result: of float32 operands, of bfloat16 ones, and of one of each.
a, b = torch.rand(4, 4) + 0.5, torch.rand(4, 4) + 0.5
ops = {
    "MatMul": lambda a, b: a @ b, "Linear": lambda a, b: F.linear(a, b),
    "Conv2d": lambda a, b: F.conv2d(a.view(1, 1, 4, 4), b.view(1, 1, 4, 4)),
    "ConvTranspose2d": lambda a, b: F.conv_transpose2d(a.view(1, 1, 4, 4), b.view(1, 1, 4, 4)),
    "Add": lambda a, b: a + b, "Mul": lambda a, b: a * b, "Div": lambda a, b: a / b, "Maximum": torch.maximum, "Pow": torch.pow,
    "Cat": lambda a, b: torch.cat([a, b]), "Where": lambda a, b: torch.where(a > 1, a, b),
    "ReLU": lambda a, b: F.relu(a), "Exp": lambda a, b: a.exp(), "Log": lambda a, b: a.log(), "Sum": lambda a, b: a.sum(),
    "Mean": lambda a, b: a.mean(), "Softmax": lambda a, b: a.softmax(1), "LogSoftmax": lambda a, b: a.log_softmax(1),
    "Prod": lambda a, b: a.prod(1), "Sqrt": lambda a, b: a.sqrt(), "MulScalar": lambda a, b: a * 2.5,
    "LayerNorm": lambda a, b: F.layer_norm(a, (4,)), "Var": lambda a, b: a.var(),
    "MSELoss": lambda a, b: F.mse_loss(a, b), "L1Loss": lambda a, b: F.l1_loss(a, b), "SmoothL1Loss": lambda a, b: F.smooth_l1_loss(a, b),
    "HuberLoss": lambda a, b: F.huber_loss(a, b), "BCEWithLogits": lambda a, b: F.binary_cross_entropy_with_logits(a, b.clamp(0, 1)),
    "NLLLoss": lambda a, b: F.nll_loss(a, torch.tensor([0, 1, 2, 3])), "CrossEntropy": lambda a, b: F.cross_entropy(a, torch.tensor([0, 1, 2, 3])),
    "MaxPool2d": lambda a, b: F.max_pool2d(a.view(1, 4, 4), 2), "AvgPool2d": lambda a, b: F.avg_pool2d(a.view(1, 4, 4), 2),
}
def types(f):
    got = []
    for u, v in ((a, b), (a.bfloat16(), b.bfloat16()), (a.bfloat16(), b)):
        with torch.autocast("cpu", torch.bfloat16):
            try:
                got.append(str(f(u, v).dtype).removeprefix("torch."))
            except RuntimeError:
                got.append("")  # PyTorch takes no mixed types here
    return got
out["types"] = {k: types(f) for k, f in ops.items()}
json.dump(out, open("autocast.json", "w"))
