"""Writes rates.json: what PyTorch's schedulers give. Run it in this folder: python make.py"""
import json, math, warnings
import torch
from torch.optim import lr_scheduler as S

warnings.filterwarnings("ignore")
BASE = [0.1, 0.003]
HEAD = [5, 6, 1, 0, 12, 3]  # epochs for step(epoch), forwards and backwards


def optimizer(kind="sgd"):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in BASE]
    return torch.optim.Adam(groups) if kind == "adam" else torch.optim.SGD(groups, momentum=0.5)


def now(o):
    out = [g["lr"] for g in o.param_groups]
    g = o.param_groups[0]
    return {"lrs": [float(x) for x in out], "momentum": float(g["betas"][0] if "betas" in g else g["momentum"])}


def case(name, make, steps, closed=True, kind="sgd"):
    o = optimizer(kind)
    s = make(o)
    rows = [now(o)]
    for _ in range(steps):
        o.step()
        s.step()
        rows.append(now(o))
    c = {"name": name, "step": rows, "head": HEAD, "to": []}
    if closed:
        o = optimizer(kind)
        s = make(o)
        for e in HEAD:
            s.step(e)
            c["to"].append(now(o))
        s.step()  # on from there
        c["to"].append(now(o))
    return c


def sequential(o):
    return S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 4), S.CosineAnnealingLR(o, 6), S.ExponentialLR(o, 0.5)], [4, 10])


def chained():
    o = optimizer()
    a, b = S.LinearLR(o, 0.25, 1.0, 5), S.MultiStepLR(o, [3, 7], 0.1)
    rows = [now(o)]
    for _ in range(10):
        o.step()
        a.step()
        b.step()
        rows.append(now(o))
    return {"name": "chained", "step": rows, "head": [], "to": []}


cases = [
    case("step", lambda o: S.StepLR(o, 3, 0.3), 14),
    case("step growing", lambda o: S.StepLR(o, 1, 1.25), 14),
    case("multistep", lambda o: S.MultiStepLR(o, [2, 5, 6, 11], 0.3), 14),
    case("multistep at 0", lambda o: S.MultiStepLR(o, [0, 3], 0.5), 14),
    case("multistep tutorial", lambda o: S.MultiStepLR(o, [75, 150], 0.5), 200),
    case("exponential", lambda o: S.ExponentialLR(o, 0.9), 40),
    case("constant", lambda o: S.ConstantLR(o, 1 / 3, 5), 14),
    case("linear", lambda o: S.LinearLR(o, 1 / 3, 1.0, 5), 14),
    case("linear down", lambda o: S.LinearLR(o, 1.0, 0.0, 7), 14),
    case("cosine", lambda o: S.CosineAnnealingLR(o, 10), 45),
    case("cosine eta", lambda o: S.CosineAnnealingLR(o, 50, 1e-4), 210),
    case("cosine 1", lambda o: S.CosineAnnealingLR(o, 1, 1e-4), 5),
    case("lambda", lambda o: S.LambdaLR(o, lambda e: 0.95**e), 14),
    case("lambda each", lambda o: S.LambdaLR(o, [lambda e: e // 3, lambda e: 1 / (1 + e)]), 14),
    case("onecycle", lambda o: S.OneCycleLR(o, 0.2, 20), 20),
    case("onecycle adam", lambda o: S.OneCycleLR(o, 0.2, 33), 33, kind="adam"),
    case("onecycle linear", lambda o: S.OneCycleLR(o, [0.2, 0.5], 21, anneal_strategy="linear", pct_start=0.4), 21),
    case("onecycle three", lambda o: S.OneCycleLR(o, 0.2, 31, three_phase=True, pct_start=0.25, div_factor=10, final_div_factor=100,
                                                  base_momentum=0.8, max_momentum=0.9), 31),
    case("onecycle three linear", lambda o: S.OneCycleLR(o, 0.2, 30, three_phase=True, anneal_strategy="linear", cycle_momentum=False), 30),
    case("sequential", sequential, 16, closed=False),
    chained(),
    # Edge settings, and long schedules.
    case("multistep twice", lambda o: S.MultiStepLR(o, [0, 0, 3, 3, 3, 7], 0.5), 14),
    case("sequential at 0", lambda o: S.SequentialLR(o, [S.ExponentialLR(o, 0.9), S.LinearLR(o, 0.1, 1.0, 4), S.StepLR(o, 2, 0.5)], [0, 5]), 14, closed=False),
    case("sequential twice", lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.5, 1.0, 3), S.ExponentialLR(o, 0.5), S.StepLR(o, 2, 0.5)], [3, 3]), 14, closed=False),
    case("step long", lambda o: S.StepLR(o, 7, 0.97), 300),
    case("multistep long", lambda o: S.MultiStepLR(o, [1, 2, 3, 100, 101, 299], 0.7), 300),
    case("exponential long", lambda o: S.ExponentialLR(o, 0.995), 300),
    case("constant 1", lambda o: S.ConstantLR(o, 1.0, 1), 14),
    case("linear 1", lambda o: S.LinearLR(o, 1e-3, 0.5, 1), 14),
    case("linear long", lambda o: S.LinearLR(o, 1e-4, 1.0, 250), 300),
    case("cosine long", lambda o: S.CosineAnnealingLR(o, 300, 1e-5), 300),
    case("cosine 2", lambda o: S.CosineAnnealingLR(o, 2), 14),
    case("onecycle long", lambda o: S.OneCycleLR(o, 0.2, 300, pct_start=0.1), 300),
    case("onecycle 1", lambda o: S.OneCycleLR(o, 0.2, 1), 1, closed=False),
    case("onecycle 2", lambda o: S.OneCycleLR(o, 0.2, 2, pct_start=0.4), 2, closed=False),
    case("onecycle 5 three", lambda o: S.OneCycleLR(o, 0.2, 5, three_phase=True, pct_start=0.3), 5, closed=False),
    case("onecycle late", lambda o: S.OneCycleLR(o, 0.2, 12, pct_start=1.0), 11, closed=False),
]


def appended(name, make):
    """A third group comes after two steps."""
    o = optimizer()
    s = make(o)
    rows = [now(o)]
    for i in range(1, 13):
        if i == 3:
            o.add_param_group({"params": [torch.zeros(1, requires_grad=True)], "lr": 0.05})
        o.step()
        s.step()
        rows.append(now(o))
    return {"name": name, "step": rows}


grown = [
    appended("step", lambda o: S.StepLR(o, 2, 0.5)),
    appended("multistep", lambda o: S.MultiStepLR(o, [2, 4, 4], 0.5)),
    appended("exponential", lambda o: S.ExponentialLR(o, 0.5)),
    appended("constant", lambda o: S.ConstantLR(o, 0.5, 5)),
    appended("linear", lambda o: S.LinearLR(o, 0.25, 1.0, 6)),
    appended("cosine", lambda o: S.CosineAnnealingLR(o, 20, 1e-3)),
]

METRICS = [3.0, 2.0, 2.0, 1.9999, 2.5, 1.9, 1.9, 1.95, float("nan"), 1.89999, 1.0, 1.1, 1.2, 1.3, float("-inf"), 0.5, 0.4, 0.3, 0.2, 0.1,
           float("inf"), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def plateau(name, **kw):
    o = optimizer()
    s = S.ReduceLROnPlateau(o, **kw)
    rows = []
    for m in METRICS:
        s.step(m)
        rows.append(now(o) | {"best": str(s.best), "bad": s.num_bad_epochs, "cooldown": s.cooldown_counter})
    return {"name": name, "step": rows}


plateaus = [
    plateau("defaults"),
    plateau("min rel", mode="min", factor=0.5, patience=2),
    plateau("min abs", mode="min", factor=0.5, patience=1, threshold=0.05, threshold_mode="abs", cooldown=2),
    plateau("max rel", mode="max", factor=0.3, patience=2, threshold=0.01, min_lr=1e-3),
    plateau("max abs", mode="max", factor=0.3, patience=0, threshold=0.2, threshold_mode="abs", cooldown=1, min_lr=[0.01, 0.001], eps=1e-3),
]

with open("rates.json", "w") as f:
    json.dump({"torch": torch.__version__, "base": BASE, "cases": cases, "appended": grown, "metrics": [str(m) for m in METRICS], "plateaus": plateaus}, f, separators=(",", ":"))
    f.write("\n")
