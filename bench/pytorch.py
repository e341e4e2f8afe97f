"""PyTorch's side of bench. A command on each line of standard input, an answer on
standard output, both JSON; side.go has the other end.

    setup   a row's description and its tensors     the variants that take part
    check   a variant                               what it computes, as files
    time    a variant, a number of steps            the seconds that they took
            (or "warm": the row's short form)
    peak    the size of a product                   what a copy and products reach
"""

import json
import math
import os
import pickle
import signal
import sys
import time
import warnings

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
DEVICE = torch.device("cpu")  # serve sets it


def wait():
    """Until the GPU has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def read(files):
    tensors = []
    for f in files:
        dtype = {"float32": np.float32, "int64": np.int64}[f["dtype"]]
        tensors.append(torch.from_numpy(np.fromfile(f["file"], dtype)).reshape(f["shape"]).to(DEVICE))
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


def attention(q, k, v, mask, heads):
    """Written out, as scaled_dot_product_attention is not."""
    b, t, c = q.shape
    q, k, v = (x.view(b, t, heads, c // heads).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(c // heads)
    return (scores.masked_fill(mask, -math.inf).softmax(3) @ v).transpose(1, 2).reshape(b, t, c)


def causal(t):
    return torch.ones(t, t, device=DEVICE).triu(1).bool()


class Transformer(nn.Module):
    """A block of GPT-2."""

    def __init__(self, c, t, heads):
        super().__init__()
        self.norm1, self.qkv, self.out = nn.LayerNorm(c), nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(c), nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.heads, self.mask = heads, causal(t)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, 2)
        x = x + self.out(attention(q, k, v, self.mask, self.heads))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


def load(model, tensors, last):
    """Gives a model the state dict's tensors, in its order, and a layout."""
    state = model.state_dict()
    assert len(state) == len(tensors), f"{len(tensors)} tensors for {len(state)} of the model"
    for t, source in zip(state.values(), tensors):
        t.copy_(source)
    return model.to(memory_format=LAST) if last else model


def classifier(a, tensors, last, wrap, fused=False, graph=False):
    """A step of the tutorial. On a GPU it does not wait for the loss."""
    *state, images, labels = tensors
    model = load(VGG(a["cfg"]).to(DEVICE), state, last)
    images = laid(images, last)
    forward, criterion = wrap(model), nn.CrossEntropyLoss()
    cast = lambda: torch.autocast(DEVICE.type, torch.bfloat16, enabled=a["dtype"] == "bfloat16", cache_enabled=not graph)
    look = (lambda loss: loss.item()) if DEVICE.type == "cpu" else (lambda loss: None)
    if a["train"]:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=fused, **({"capturable": True} if graph else {}))

        def step():
            model.train()
            optimizer.zero_grad()
            with cast():
                loss = criterion(forward(images), labels)
            loss.backward()
            optimizer.step()
            look(loss)
            return [loss]
    else:
        model.eval()

        def step():
            with torch.no_grad(), cast():
                out = forward(images)
                look(criterion(out, labels))
                return [out.float()]
    return graphed(step) if graph else step


def graphed(step):
    """A step as a CUDA graph: the first is made as it is, so that it can be checked, the second after it is captured."""
    made, graph, results = 0, torch.cuda.CUDAGraph(), None

    def replay():
        nonlocal made, results
        made += 1
        if made == 1:
            return step()
        if made == 2:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    step()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                results = step()
        graph.replay()
        return results
    return replay


def block(a, tensors, last, wrap):
    return both_passes(Block(a["channels"], a["middle"]), tensors, last, wrap)


def transformer(a, tensors, last, wrap):
    return both_passes(Transformer(a["channels"], tensors[-1].size(1), a["heads"]), tensors, last, wrap)


def both_passes(module, tensors, last, wrap):
    *state, x, g = tensors
    model = load(module.to(DEVICE), state, last)
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
    "layer_norm": lambda a, x, w, b: F.layer_norm(x, x.shape[-1:], w, b),
    "attention": lambda a, q, k, v: attention(q, k, v, a["mask"], a["heads"]),
    "sum": lambda a, x: x.sum(a["dims"]) if a["dims"] else x.sum(),
}


def function(op, a, tensors, last, wrap, wrt):
    if a["dtype"]:
        tensors = [t.to(getattr(torch, a["dtype"])) for t in tensors]
    tensors = [laid(t, last) for t in tensors]
    if op == "attention":
        a = {**a, "mask": causal(tensors[0].size(1))}
    f = wrap(lambda *t: FUNCTIONS[op](a, *t))
    if not wrt:

        def step():
            with torch.no_grad():
                return [f(*tensors)]
    else:
        *tensors, g = tensors
        inputs = [tensors[i].requires_grad_() for i in wrt]
        if a["both"]:
            return lambda: torch.autograd.grad(f(*tensors), inputs, g)
        y = f(*tensors)

        def step():
            return torch.autograd.grad(y, inputs, g, retain_graph=True)
    return step


def small(a, tensors):
    """Many operations in a loop that does nothing else."""
    x, y = tensors
    x.requires_grad_(a["how"] != "norecord")
    n, backward = a["calls"], a["how"] == "backward"

    def step():
        x.grad = None
        if backward:
            for _ in range(n):
                (x + y).backward()
            return [x.grad]
        for _ in range(n):
            z = x + y
        return [z]
    return step


def small_step(a, tensors, **kind):
    """Steps of training of a model that is very small."""
    params = [t.clone().requires_grad_() for t in tensors[:4]]
    x, labels = tensors[4:]
    adam = torch.optim.Adam(params, lr=0.001, **kind)

    def step():
        for _ in range(a["calls"]):
            adam.zero_grad()
            y = F.linear(F.linear(x, params[0], params[1]).relu(), params[2], params[3])
            F.cross_entropy(y, labels).backward()
            adam.step()
        return params
    return step


def optimizer(a, tensors, wrap, **kind):
    half = len(tensors) // 2
    params = [t.clone().requires_grad_() for t in tensors[:half]]
    for p, g in zip(params, tensors[half:]):
        p.grad = g.clone()
    more = {"momentum": 0.9} if a["optimizer"] == "SGD" else {}
    update = wrap(getattr(torch.optim, a["optimizer"])(params, lr=0.001, **more, **kind).step)

    def step():
        update()
        return params
    return step


def cifar10(a, transform, train=True):
    """torchvision's CIFAR-10 of the real files where the folder has them, otherwise of those that the other side made."""
    if torchvision is None:
        raise RuntimeError("torchvision is not there")
    base, names = a["dir"], [f"data_batch_{i + 1}" for i in range(5)] + ["test_batch"]
    if not os.path.exists(os.path.join(base, "cifar-10-batches-py")):
        base = os.path.join(base, "torchvision")
    folder = os.path.join(base, "cifar-10-batches-py")
    if not os.path.exists(folder):
        os.makedirs(folder)
        for name in names:
            records = np.fromfile(os.path.join(a["dir"], "cifar-10-batches-bin", name + ".bin"), np.uint8).reshape(-1, 3073)
            with open(os.path.join(folder, name), "wb") as f:
                pickle.dump({"data": records[:, 1:], "labels": records[:, 0].tolist()}, f)
        with open(os.path.join(folder, "batches.meta"), "wb") as f:
            pickle.dump({"label_names": [str(i) for i in range(10)]}, f)

    class Unsigned(torchvision.datasets.CIFAR10):
        """Without the published sums, which made files do not have."""
        train_list = [[name, None] for name in names[:5]]
        test_list = [[names[5], None]]
        meta = {**torchvision.datasets.CIFAR10.meta, "md5": None}

    return Unsigned(base, train=train, transform=transform)


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
    """An epoch of the tutorial's script; warm is ten of its steps, what is checked the losses of two."""
    model = load(VGG(a["cfg"]).to(DEVICE), tensors, last)
    forward, criterion = wrap(model), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=fused)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[75, 150], gamma=0.5)

    def moved(loader):
        for images, labels in loader:
            images, labels = images.to(DEVICE, non_blocking=True), labels.to(DEVICE, non_blocking=True)
            yield images.contiguous(memory_format=LAST) if last else images, labels

    def train(loader, most):
        model.train()
        correct, losses = 0, []
        for images, labels in moved(loader):
            optimizer.zero_grad()
            out = forward(images)
            loss = criterion(out, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            correct += (out.argmax(1) == labels).sum().item()
            if len(losses) == most:
                break
        return [torch.tensor(losses)]

    def test(loader):
        model.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for images, labels in moved(loader):
                out = forward(images)
                total += criterion(out, labels).item()
                correct += (out.argmax(1) == labels).sum().item()

    def loader(train, transform, shuffle=False):
        data = cifar10(a, transform, train)
        few = torch.utils.data.Subset(data, range(a["pictures"] if train else a["pictures"] // 5))
        more = {} if DEVICE.type == "cpu" else {"num_workers": min(8, os.cpu_count()), "pin_memory": True, "persistent_workers": True}
        return torch.utils.data.DataLoader(few, a["batch"], shuffle=shuffle, **more)
    whole, ordered = loader(True, flip(0.5), shuffle=True), loader(True, flip(0.0))
    tested = loader(False, torchvision.transforms.ToTensor())
    epochs = 0

    def step():
        nonlocal epochs
        epochs += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tutorial's call is deprecated
            scheduler.step(epochs)
        train(whole, -1)
        torch.save(model, os.path.join(a["scratch"], "model.pth"))
        test(tested)
    return step, lambda: train(ordered, 2), lambda: train(whole, 10)


def variants(row):
    """The ways in which PyTorch takes part in a row: name, and a function that makes step and check."""
    op, a, wrt = row["op"], row["args"], row.get("wrt") or []
    tensors = read(row["tensors"])
    make = {"classifier": classifier, "block": block, "transformer": transformer, "epoch": epoch}.get(op)
    if op == "optimizer":
        # Only some have a fused form, and Adagrad has it on the CPU.
        names = ["", "foreach"] + (["fused"] if a["optimizer"] in ("Adam", "SGD") or a["optimizer"] == "Adagrad" and DEVICE.type == "cpu" else [])
        kinds = {name: lambda name=name: optimizer(a, tensors, lambda f: f, **{name: True} if name else {}) for name in names}
        return {**kinds, "compiled": lambda: optimizer(a, tensors, torch.compile)} if row["compile"] else kinds
    if op == "small" and a["how"] == "step":
        return {"": lambda: small_step(a, tensors), "fused": lambda: small_step(a, tensors, fused=True)}
    if op == "small":
        return {"": lambda: small(a, tensors)}
    if op == "cifar10":
        return {"": lambda: read_pictures(a, lambda p: cifar10(a, flip(p)), a["batch"])}
    if op == "folder":
        return {"": lambda: read_pictures(a, lambda p: torchvision.datasets.ImageFolder(a["dir"], center(a)), a["batch"])}
    if make is None and op not in FUNCTIONS:
        raise RuntimeError(f"no row is called {op}")
    found = {}
    if a["captured"] and DEVICE.type == "cuda":
        for last in (False, True):
            names = (["channels_last"] if last else ["contiguous"]) + ["CUDA graph"]
            more = {"fused": True} if a.get("train") else {}
            found[", ".join(names)] = lambda last=last, more=more: classifier(a, tensors, last, lambda f: f, graph=True, **more)
        if row["compile"]:
            wrap = lambda f: torch.compile(f, mode="reduce-overhead")
            found["channels_last, compiled"] = lambda: classifier(a, tensors, True, wrap, **more)
        return found
    # An epoch's last batch is smaller, and torch.compile would compile for it while it is timed.
    for compiled in (False, True) if row["compile"] and op != "epoch" else (False,):
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
    def __init__(self, build, name):
        self.build, self.compiled = build, "compiled" in name
        self.optional = self.compiled or "CUDA graph" in name
        self.step = self.look = self.warm = None

    def results(self, checks):
        """Makes the variant and steps: for one that is compiled, within COMPILE_SECONDS."""
        def late(signum, frame):
            raise TimeoutError(f"not compiled after {COMPILE_SECONDS} s")
        if self.compiled and hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, late)
            signal.alarm(COMPILE_SECONDS)
        try:
            made = self.build()
            self.step, self.look, self.warm = (*made, None, None)[:3] if isinstance(made, tuple) else (made, None, None)
            if self.look:
                return self.look()
            found = []
            for _ in range(checks):
                found += [t.detach().clone() for t in self.step()]
            if self.optional and DEVICE.type == "cuda":
                for _ in range(3):  # a graph is captured behind the first steps
                    self.step()
                wait()
            return found
        finally:
            if self.compiled and hasattr(signal, "SIGALRM"):
                signal.alarm(0)


def peak(n):
    """What a copy of n·n·16 bytes and products of n×n matrices reach, in GB/s and GFLOP/s: the best of 20."""
    def best(f):
        times = []
        for _ in range(20):
            wait()
            start = time.perf_counter()
            f()
            wait()
            times.append(time.perf_counter() - start)
        return min(times) * 1e9
    x, y = torch.randn(4 * n * n, device=DEVICE), torch.empty(4 * n * n, device=DEVICE)
    a, b = x[: n * n].view(n, n), x[n * n : 2 * n * n].view(n, n)
    ah, bh = a.bfloat16(), b.bfloat16()
    return {"gbytes": 32 * n * n / best(lambda: y.copy_(x)), "gflops": 2 * n**3 / best(lambda: a @ b), "gflops_bf16": 2 * n**3 / best(lambda: ah @ bh)}


def serve(config):
    current, host = [], False

    def answer(c):
        nonlocal current, host
        if c["do"] == "setup":
            current, host = [], c["row"]["host"]
            torch.set_num_threads(c["row"]["threads"])
            torch.manual_seed(1)
            torch.backends.cudnn.benchmark = DEVICE.type == "cuda" and not c["row"]["args"]["heuristic"]
            if c["row"]["compile"]:
                torch._dynamo.reset()
            made = variants({**c["row"], "args": {**c["row"]["args"], "scratch": config["dir"]}})
            current = [Variant(build, name) for name, build in made.items()]
            return {"variants": list(made)}
        if c["do"] == "peak":
            return {"peak": peak(c["steps"])}
        variant = current[c["variant"]]
        if c["do"] == "check":
            try:
                found = variant.results(c["checks"])
            except Exception as e:
                if not variant.optional:
                    raise
                return {"dropped": (str(e).splitlines() or [type(e).__name__])[0]}
            files = []
            for i, t in enumerate(found):
                name = os.path.join(config["dir"], f"result{i}")
                if t.is_floating_point():
                    t = t.float()
                t.detach().cpu().contiguous().numpy().tofile(name)
                files.append({"file": name, "shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")})
            return {"tensors": files}
        if c["do"] == "time":
            step = variant.warm if c["warm"] else variant.step
            wait()
            start = time.perf_counter()
            for _ in range(c["steps"]):
                step()
            queued = time.perf_counter() - start
            wait()
            return {"seconds": queued if host else time.perf_counter() - start}
        raise RuntimeError(f"no command is called {c['do']}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), file=out, flush=True)


# What libraries print must not come between the answers.
out, sys.stdout = sys.stdout, sys.stderr
versions = {"torch": f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})", "numpy": np.__version__, "python": sys.version.split()[0]}
if torchvision:
    versions["torchvision"] = torchvision.__version__
config = json.loads(sys.argv[1])
DEVICE = torch.device(config["device"] or "cpu")
if DEVICE.type == "cuda":
    # Wick's side takes TF32 too.
    torch.set_float32_matmul_precision("high")
    major, minor = torch.cuda.get_device_capability(DEVICE)
    versions |= {"GPU": f"{torch.cuda.get_device_name(DEVICE)} (capability {major}.{minor})", "CUDA": torch.version.cuda, "cuDNN": str(torch.backends.cudnn.version())}
print(json.dumps({"versions": versions}), file=out, flush=True)
serve(config)
