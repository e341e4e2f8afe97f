"""Writes steps.json: ten steps of PyTorch's optimizers. Run it in this folder: python make.py

Three parameters in two groups get the same gradients in all cases; parameter 1
has none in steps 3 and 4. Stored are all parameters, one after the other, after
steps 1, 5 and 10, and the state after step 10, in float64 and in float32."""
import json
import torch

SHAPES = [(2, 3), (5,), ()]
STEPS, WITHOUT = 10, (3, 4)
generator = torch.Generator().manual_seed(1)


def numbers(shape):
    """Numbers that float32 and a short decimal hold exactly."""
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * 256).round() / 256


PARAMS = [numbers(s) for s in SHAPES]
GRADS = [[numbers(s) for s in SHAPES] for _ in range(STEPS)]


def flat(tensors):
    return [v for t in tensors for v in t.detach().double().reshape(-1).tolist()]


def run(make, dtype, clip=None):
    torch.set_default_dtype(dtype)  # of the numbers that optimizers keep
    params = [p.to(dtype, copy=True).requires_grad_() for p in PARAMS]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.05}]
    o, extra = make(groups)
    o.param_groups[1].update(extra)
    out = {"after": {}, "norms": []}
    for step in range(1, STEPS + 1):
        for i, p in enumerate(params):
            p.grad = None if i == 1 and step in WITHOUT else GRADS[step - 1][i].to(dtype, copy=True)
        if clip == "norm":
            out["norms"].append(float(torch.nn.utils.clip_grad_norm_(params, 1.5)))
        if clip == "value":
            torch.nn.utils.clip_grad_value_(params, 0.5)
        o.step()
        if step in (1, 5, 10):
            out["after"][step] = flat(params)
    out["state"] = {f"{i}.{k}": flat([v]) for i, s in o.state_dict()["state"].items() for k, v in s.items() if v is not None}
    return out


class Lion(torch.optim.Optimizer):
    """As github.com/google/automl/lion/lion_pytorch.py, with maximize."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                grad = -p.grad if group["maximize"] else p.grad
                state = self.state[p]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p)
                exp_avg = state["exp_avg"]
                beta1, beta2 = group["betas"]
                update = exp_avg * beta1 + grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                exp_avg.mul_(beta2).add_(grad, alpha=1 - beta2)


def case(name, make, clip=None):
    return {"name": name, "float64": run(make, torch.float64, clip), "float32": run(make, torch.float32, clip)}


def of(cls, extra=None, lr=0.1, **kw):
    return lambda groups: (cls(groups, lr=lr, **kw), extra or {})


SGD, Adam, AdamW, RMSprop, Adagrad = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad
NAdam = torch.optim.NAdam
RAdam = torch.optim.RAdam
Adadelta = torch.optim.Adadelta
Adamax = torch.optim.Adamax
ASGD = torch.optim.ASGD
Rprop = torch.optim.Rprop
cases = [
    case("SGD", of(SGD)),
    case("SGD decay", of(SGD, weight_decay=0.1)),
    case("SGD maximize", of(SGD, maximize=True, weight_decay=0.1)),
    case("SGD momentum", of(SGD, momentum=0.9)),
    case("SGD dampening", of(SGD, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    case("SGD nesterov", of(SGD, momentum=0.9, nesterov=True)),
    case("SGD groups", of(SGD, {"weight_decay": 0.2, "momentum": 0.5}, momentum=0.9, weight_decay=0.1)),
    case("SGD clip norm", of(SGD), "norm"),
    case("SGD clip value", of(SGD), "value"),
    case("Adam", of(Adam)),
    case("Adam options", of(Adam, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    case("Adam beta 0", of(Adam, betas=(0.0, 0.9))),
    case("Adam amsgrad", of(Adam, betas=(0.9, 0.5), amsgrad=True)),
    case("Adam maximize", of(Adam, maximize=True, amsgrad=True, weight_decay=0.1)),
    case("Adam groups", of(Adam, {"weight_decay": 0.0, "betas": (0.8, 0.9)}, weight_decay=0.1)),
    case("AdamW", of(AdamW)),
    case("AdamW options", of(AdamW, weight_decay=0.2, amsgrad=True, betas=(0.5, 0.9))),
    case("RMSprop", of(RMSprop)),
    case("RMSprop options", of(RMSprop, alpha=0.9, eps=1e-3, weight_decay=0.1)),
    case("RMSprop momentum", of(RMSprop, momentum=0.9)),
    case("RMSprop centered", of(RMSprop, centered=True, alpha=0.9, eps=1e-2)),
    case("RMSprop all", of(RMSprop, centered=True, momentum=0.5, alpha=0.8, eps=1e-2, weight_decay=0.1, maximize=True)),
    case("Adagrad", of(Adagrad)),
    case("Adagrad options", of(Adagrad, lr_decay=0.1, weight_decay=0.1, eps=1e-3)),
    case("Adagrad initial", of(Adagrad, initial_accumulator_value=0.5, maximize=True)),
    case("Lion", of(Lion)),
    case("Lion options", of(Lion, betas=(0.5, 0.8), weight_decay=0.1)),
    case("Lion groups", of(Lion, {"weight_decay": 0.2, "betas": (0.8, 0.9)}, maximize=True)),
    case("NAdam", of(NAdam)),
    case("NAdam options", of(NAdam, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, momentum_decay=0.1)),
    case("NAdam decoupled", of(NAdam, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    case("NAdam groups", of(NAdam, {"weight_decay": 0.2, "betas": (0.8, 0.9)}, weight_decay=0.1)),
    case("RAdam", of(RAdam)),
    case("RAdam options", of(RAdam, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    case("RAdam decoupled", of(RAdam, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    case("RAdam groups", of(RAdam, {"weight_decay": 0.2, "betas": (0.8, 0.9)}, weight_decay=0.1)),
    case("Adadelta", of(Adadelta, lr=1.0)),
    case("Adadelta options", of(Adadelta, rho=0.5, eps=1e-3, weight_decay=0.1)),
    case("Adadelta groups", of(Adadelta, {"weight_decay": 0.2}, maximize=True)),
    case("Adamax", of(Adamax)),
    case("Adamax options", of(Adamax, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, maximize=True)),
    case("Adamax groups", of(Adamax, {"weight_decay": 0.2, "betas": (0.8, 0.9)}, weight_decay=0.1)),
    case("ASGD", of(ASGD)),
    case("ASGD options", of(ASGD, lambd=0.1, alpha=0.5, t0=3, weight_decay=0.1, maximize=True)),
    case("ASGD groups", of(ASGD, {"weight_decay": 0.2}, t0=5)),
    case("Rprop", of(Rprop)),
    case("Rprop options", of(Rprop, etas=(0.3, 2.0), step_sizes=(0.04, 0.3), maximize=True)),
]

with open("steps.json", "w") as f:
    json.dump({"torch": torch.__version__, "shapes": SHAPES, "params": [flat([p]) for p in PARAMS],
               "grads": [[flat([g]) for g in step] for step in GRADS], "cases": cases}, f, separators=(",", ":"))
    f.write("\n")
