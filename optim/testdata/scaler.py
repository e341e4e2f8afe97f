"""Writes scaler.json: twenty steps of PyTorch's GradScaler, some with gradients that
are not finite. Run it in this folder: python scaler.py

The loss is the sum of the products of two parameters with given numbers, which so
are its gradients. Stored are the scale and the parameters after each update."""
import json
import torch

SHAPES = [(2, 3), (5,)]
STEPS = 20
generator = torch.Generator().manual_seed(1)


def numbers(shape):
    """Numbers that float32 and a short decimal hold exactly."""
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * 256).round() / 256


PARAMS = [numbers(s) for s in SHAPES]
GRADS = [[numbers(s) for s in SHAPES] for _ in range(STEPS)]
# The first step, two in a row, one where both parameters have some, one that is too large only with the scale.
GRADS[0][0][1, 2] = float("inf")
GRADS[6][1][4] = float("nan")
GRADS[7][1][0] = float("-inf")
GRADS[13][0][0, 0] = GRADS[13][1][1] = float("inf")
GRADS[16][0][1, 1] = 2.0**114


def run(make, clip, **options):
    params = [p.float().requires_grad_() for p in PARAMS]
    o = make(params)
    scaler = torch.amp.GradScaler("cpu", **options)
    scales, after = [], []
    for grads in GRADS:
        o.zero_grad()
        loss = sum((p * g.float()).sum() for p, g in zip(params, grads))
        scaler.scale(loss).backward()
        if clip:
            scaler.unscale_(o)
            torch.nn.utils.clip_grad_norm_(params, 1.5)
        scaler.step(o)
        scaler.update()
        scales.append(scaler.get_scale())
        after.append([v for p in params for v in p.detach().double().reshape(-1).tolist()])
    return {"options": options, "clip": clip, "scales": scales, "after": after, "state": scaler.state_dict()}


def text(v):
    """JSON has no infinities."""
    return str(v) if v != v or abs(v) == float("inf") else v


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def adam(params):
    return torch.optim.Adam(params, lr=0.1)


cases = {
    "defaults, SGD": run(sgd, False),
    "growing, SGD": run(sgd, False, growth_interval=3),
    "growing, Adam, clipping": run(adam, True, growth_interval=2, init_scale=1024.0),
    "odd factors, Adam": run(adam, False, growth_interval=2, growth_factor=1.7, backoff_factor=0.3, init_scale=1000.0),
    "at the end of the range, SGD": run(sgd, False, growth_interval=1, growth_factor=2.0**40, init_scale=2.0**90),
}
with open("scaler.json", "w") as f:
    json.dump({
        "shapes": SHAPES,
        "params": [p.reshape(-1).tolist() for p in PARAMS],
        "grads": [[[text(v) for v in g.reshape(-1).tolist()] for g in grads] for grads in GRADS],
        "cases": cases,
    }, f, indent=1)
