"""PyTorch's side of bench. A command on each line of standard input, an answer on
standard output, both JSON; pytorch.go has the other end.

    setup   a row's description and its tensors     the variants that take part
    check   a variant                               what it computes, as files
    time    a variant, a number of steps            the seconds that they took
"""

import json
import os
import pickle
import signal
import sys
import time

del sys.path[0]  # this folder, where libraries that ask for a module "pytorch" would find this file

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

try:
    import torchvision
except ImportError:
    torchvision = None

LAST = torch.channels_last
COMPILE_SECONDS = 120


def read(files):
    tensors = []
    for f in files:
        dtype = {"float32": np.float32, "int64": np.int64}[f["dtype"]]
        tensors.append(torch.from_numpy(np.fromfile(f["file"], dtype)).reshape(f["shape"]))
    return tensors


def laid(t, layout):
    """A copy of t in a layout."""
    return t.clone(memory_format=LAST if layout and t.dim() == 4 else torch.contiguous_format)


class VGG(nn.Module):
    """The tutorial's model."""

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


class Block(nn.Module):
    """A block of a ResNet: convolutions, and the input added to what they make."""

    def __init__(self, channels, middle):
        super().__init__()
        conv = lambda i, o, k: [nn.Conv2d(i, o, k, padding=k // 2, bias=False), nn.BatchNorm2d(o)]
        if middle == 0:
            layers = conv(channels, channels, 3) + [nn.ReLU(inplace=True)] + conv(channels, channels, 3)
        else:
            layers = conv(channels, middle, 1) + [nn.ReLU(inplace=True)] + conv(middle, middle, 3) + [nn.ReLU(inplace=True)] + conv(middle, channels, 1)
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return F.relu(self.main(x) + x, inplace=True)


def load(model, tensors, last):
    """Gives a model the state dict's tensors, in its order, and a layout."""
    state = model.state_dict()
    assert len(state) == len(tensors), f"{len(tensors)} tensors for {len(state)} of the model"
    for t, source in zip(state.values(), tensors):
        t.copy_(source)
    return model.to(memory_format=LAST) if last else model


def classifier(a, tensors, last, wrap, fused=False):
    *state, images, labels = tensors
    model = load(VGG(a["cfg"]), state, last)
    images = laid(images, last)
    forward, criterion = wrap(model), nn.CrossEntropyLoss()
    if a["train"]:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=fused)

        def step():
            model.train()
            optimizer.zero_grad()
            loss = criterion(forward(images), labels)
            loss.backward()
            optimizer.step()
            loss.item()
            return [loss]
    else:
        model.eval()

        def step():
            with torch.no_grad():
                out = forward(images)
                criterion(out, labels).item()
                return [out]
    return step


def block(a, tensors, last, wrap):
    *state, x, g = tensors
    model = load(Block(a["channels"], a["middle"]), state, last)
    x, g = laid(x, last).requires_grad_(), laid(g, last)
    forward = wrap(model)

    def step():
        model.zero_grad()
        x.grad = None
        y = forward(x)
        y.backward(g)
        return [y, x.grad] + [p.grad for p in model.parameters()]
    return step


FUNCTIONS = {
    "conv2d": lambda a, x, w: F.conv2d(x, w, None, a["stride"], a["padding"], 1, a["groups"]),
    "matmul": lambda a, x, y: x @ y,
    "linear": lambda a, x, w, b: F.linear(x, w, b),
    "batch_norm": lambda a, x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, True),
    "relu": lambda a, x: F.relu(x),
    "max_pool2d": lambda a, x: F.max_pool2d(x, a["kernel"], a["stride"], a["padding"]),
    "softmax": lambda a, x: F.softmax(x, 1),
    "cross_entropy": lambda a, x, labels: F.cross_entropy(x, labels),
    "add": lambda a, x, y: x + y,
    "sum": lambda a, x: x.sum(a["dims"]) if a["dims"] else x.sum(),
}


def function(op, a, tensors, last, wrap, wrt):
    tensors = [laid(t, last) for t in tensors]
    f = wrap(lambda *t: FUNCTIONS[op](a, *t))
    if not wrt:

        def step():
            with torch.no_grad():
                return [f(*tensors)]
    else:
        *tensors, g = tensors
        inputs = [tensors[i].requires_grad_() for i in wrt]
        y = f(*tensors)

        def step():
            return torch.autograd.grad(y, inputs, g, retain_graph=True)
    return step


def adam(a, tensors, **kind):
    half = len(tensors) // 2
    params = [t.clone().requires_grad_() for t in tensors[:half]]
    for p, g in zip(params, tensors[half:]):
        p.grad = g.clone()
    optimizer = torch.optim.Adam(params, lr=0.001, **kind)

    def step():
        optimizer.step()
        return params
    return step


def cifar10(a, transform):
    """torchvision's CIFAR-10 of the files that the other side made."""
    if torchvision is None:
        raise RuntimeError("torchvision is not there")
    base = os.path.join(a["dir"], "torchvision")
    folder = os.path.join(base, "cifar-10-batches-py")
    names = [f"data_batch_{i + 1}" for i in range(5)]
    if not os.path.exists(folder):
        os.makedirs(folder)
        for name in names:
            records = np.fromfile(os.path.join(a["dir"], "cifar-10-batches-bin", name + ".bin"), np.uint8).reshape(-1, 3073)
            with open(os.path.join(folder, name), "wb") as f:
                pickle.dump({"data": records[:, 1:], "labels": records[:, 0].tolist()}, f)
        with open(os.path.join(folder, "batches.meta"), "wb") as f:
            pickle.dump({"label_names": [str(i) for i in range(10)]}, f)

    class Made(torchvision.datasets.CIFAR10):
        train_list = [[name, None] for name in names]
        test_list = []
        meta = {**torchvision.datasets.CIFAR10.meta, "md5": None}

    return Made(base, train=True, transform=transform)


def read_pictures(a, make, batch):
    """A step is an epoch; what is checked is the pictures in order, without chance."""
    step_loader = torch.utils.data.DataLoader(make(0.5), batch, shuffle=True)
    check_loader = torch.utils.data.DataLoader(make(1.0), batch)

    def epoch(loader):
        for images, labels in loader:
            pass

    def check():
        batches = list(check_loader)
        return [torch.cat([b[i] for b in batches]) for i in (0, 1)]
    return lambda: epoch(step_loader), check


def flip(p):
    t = torchvision.transforms
    return t.Compose([t.RandomHorizontalFlip(p), t.ToTensor()])


def center(a):
    t = torchvision.transforms
    return t.Compose([t.Resize(a["resize"]), t.CenterCrop(a["crop"]), t.ToTensor()])


def epoch(a, tensors, last, wrap, fused=False):
    model = load(VGG(a["cfg"]), tensors, last)
    forward, criterion = wrap(model), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=fused)

    def run(loader, most):
        model.train()
        total, correct, losses = 0.0, 0, []
        for i, (images, labels) in enumerate(loader):
            if i == most:
                break
            if last:
                images = images.contiguous(memory_format=LAST)
            optimizer.zero_grad()
            out = forward(images)
            loss = criterion(out, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            total += losses[-1]
            correct += (out.argmax(1) == labels).sum().item()
        return [torch.tensor(losses)]
    loader = lambda p, shuffle: torch.utils.data.DataLoader(cifar10(a, flip(p)), a["batch"], shuffle=shuffle)
    whole, ordered = loader(0.5, True), loader(1.0, False)
    return lambda: run(whole, -1), lambda: run(ordered, 2)


def variants(row):
    """The ways in which PyTorch takes part in a row: name, and a function that makes step and check."""
    op, a, wrt = row["op"], row["args"], row.get("wrt") or []
    tensors = read(row["tensors"])
    make = {"classifier": classifier, "block": block, "epoch": epoch}.get(op)
    if op == "adam":
        return {name: lambda name=name: adam(a, tensors, **{name: True} if name else {}) for name in ("", "foreach", "fused")}
    if op == "cifar10":
        return {"": lambda: read_pictures(a, lambda p: cifar10(a, flip(p)), a["batch"])}
    if op == "folder":
        return {"": lambda: read_pictures(a, lambda p: torchvision.datasets.ImageFolder(a["dir"], center(a)), a["batch"])}
    if make is None and op not in FUNCTIONS:
        raise RuntimeError(f"no row is called {op}")
    found = {}
    for compiled in (False, True) if row["compile"] else (False,):
        wrap = torch.compile if compiled else (lambda f: f)
        for last in (False, True) if row["layouts"] else (False,):
            for fused in (False, True) if a.get("train") else (False,):
                names = [n for n, on in (("channels_last", last), ("contiguous", row["layouts"] and not last), ("fused Adam", fused), ("compiled", compiled)) if on]
                more = {"fused": True} if fused else {}
                if make:
                    build = lambda last=last, wrap=wrap, more=more: make(a, tensors, last, wrap, **more)
                else:
                    build = lambda last=last, wrap=wrap: function(op, a, tensors, last, wrap, wrt)
                found[", ".join(names)] = build
    return found


class Variant:
    def __init__(self, build, compiled):
        self.build, self.compiled, self.step, self.look = build, compiled, None, None

    def results(self, checks):
        """Makes the variant and steps: for one that is compiled, within COMPILE_SECONDS."""
        def late(signum, frame):
            raise TimeoutError(f"not compiled after {COMPILE_SECONDS} s")
        if self.compiled and hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, late)
            signal.alarm(COMPILE_SECONDS)
        try:
            made = self.build()
            self.step, self.look = made if isinstance(made, tuple) else (made, None)
            if self.look:
                return self.look()
            found = []
            for _ in range(checks):
                found += [t.detach().clone() for t in self.step()]
            return found
        finally:
            if self.compiled and hasattr(signal, "SIGALRM"):
                signal.alarm(0)


def serve(config):
    current = []

    def answer(c):
        nonlocal current
        if c["do"] == "setup":
            current = []
            torch.set_num_threads(c["row"]["threads"])
            torch.manual_seed(1)
            if c["row"]["compile"]:
                torch._dynamo.reset()
            made = variants(c["row"])
            current = [Variant(build, "compiled" in name) for name, build in made.items()]
            return {"variants": list(made)}
        variant = current[c["variant"]]
        if c["do"] == "check":
            try:
                found = variant.results(c["checks"])
            except Exception as e:
                if not variant.compiled:
                    raise
                return {"dropped": (str(e).splitlines() or [type(e).__name__])[0]}
            files = []
            for i, t in enumerate(found):
                name = os.path.join(config["dir"], f"result{i}")
                t.detach().contiguous().numpy().tofile(name)
                files.append({"file": name, "shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")})
            return {"tensors": files}
        if c["do"] == "time":
            step = variant.step
            start = time.perf_counter()
            for _ in range(c["steps"]):
                step()
            return {"seconds": time.perf_counter() - start}
        raise RuntimeError(f"no command is called {c['do']}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), file=out, flush=True)


# What libraries print must not come between the answers.
out, sys.stdout = sys.stdout, sys.stderr
versions = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0], "abilities": torch.backends.cpu.get_cpu_capability()}
if torchvision:
    versions["torchvision"] = torchvision.__version__
print(json.dumps({"versions": versions}), file=out, flush=True)
serve(json.loads(sys.argv[1]))
