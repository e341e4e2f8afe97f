"""Losses. See reference.py."""

import torch
import torch.nn.functional as F
from reference import Cases, ints, x

c = Cases()
nan, inf = float("nan"), float("inf")
reductions = ["mean", "sum", "none"]
shapes = [(3,), (2, 3), (1,), (), (2, 1, 3), (2, 2, 1, 2)]
for i, s in enumerate(shapes):
    for r in [i % 3, (i + 1) % 3]:
        c.add("MSELoss", lambda t, y, r: F.mse_loss(t, y, reduction=reductions[int(r)]), [x(*s), x(*s)], r=r)
        c.add("L1Loss", lambda t, y, r: F.l1_loss(t, y, reduction=reductions[int(r)]), [x(*s), x(*s)], r=r)
        c.add("BCEWithLogits", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y, reduction=reductions[int(r)]),
              [x(*s, low=-5, high=5), x(*s, low=0, high=1)], r=r)
        for beta in [[0.5, 2.0][r % 2]]:
            c.add("SmoothL1Loss", lambda t, y, beta, r: F.smooth_l1_loss(t, y, beta=beta, reduction=reductions[int(r)]), [x(*s), x(*s)], beta=beta, r=r)
            c.add("HuberLoss", lambda t, y, beta, r: F.huber_loss(t, y, delta=beta, reduction=reductions[int(r)]), [x(*s), x(*s)], beta=beta, r=r)
c.add("SmoothL1Loss", lambda t, y, beta, r: F.smooth_l1_loss(t, y, beta=beta), [x(7), x(7)], beta=0, r=0)
# Where L1Loss has a corner the slope is 0.
c.add("L1Loss", lambda t, y, r: F.l1_loss(t, y), [torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64)], check=False, r=0)
c.add("MSELoss", lambda t, y, r: F.mse_loss(t, y), [x(0, 3), x(0, 3)], r=0)
for s, w, p in [((4,), (4,), (1,)), ((2, 3), (3,), (3,)), ((2, 3), (2, 1), (2, 3)), ((1, 4), (1, 4), (4,)), ((2, 2, 3), (3,), (2, 1)), ((2, 3), (), ())]:
    for r in [len(s + w) % 3]:
        c.add("BCEWithLogitsWeighted", lambda t, y, w, p, r: F.binary_cross_entropy_with_logits(t, y, w.detach(), reduction=reductions[int(r)], pos_weight=p.detach()),
              [x(*s, low=-5, high=5), x(*s, low=0, high=1), x(*w, low=0.5), x(*p, low=0.5)], r=r)
c.add("BCEWithLogits", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y),
      [torch.tensor([900.0, -900.0, 800.0, -800.0], dtype=torch.float64), torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)], check=False, r=0)


def labels(*shape, classes, ignored=-100):
    """Random labels, one in four of them ignored."""
    t = ints(*shape, high=classes)
    return torch.where(ints(*shape, high=4) == 0, ignored, t)


def entropy(t, y, *w, smoothing, ignore, r):
    return F.cross_entropy(t, y, w[0].detach() if w else None, ignore_index=int(ignore), reduction=reductions[int(r)], label_smoothing=smoothing)


def counts(y, ignored):
    """Whether some label is not ignored: the mean of nothing is NaN."""
    return bool((y != ignored).any())


def nll(t, y, *w, ignore, r):
    return F.nll_loss(t, y, w[0].detach() if w else None, ignore_index=int(ignore), reduction=reductions[int(r)])


def probabilities(t, y, *w, smoothing, r):
    return F.cross_entropy(t, y, w[0].detach() if w else None, reduction=reductions[int(r)], label_smoothing=smoothing)


for s in [(4, 3), (1, 5), (2, 3, 4), (2, 3, 2, 2), (5,)]:
    classes = s[0] if len(s) == 1 else s[1]
    rest = () if len(s) == 1 else (s[0],) + s[2:]
    for r in range(3):
        for w in [[], [x(classes, low=0.25)]]:
            for smoothing in [0.0, 0.2]:
                for ignored in [-100, 1] if r < 2 else [-100]:
                    y = labels(*rest, classes=classes, ignored=ignored)
                    c.add("CrossEntropy", entropy, [x(*s), y] + w, check=counts(y, ignored), smoothing=smoothing, ignore=ignored, r=r)
                c.add("CrossEntropyProbabilities", probabilities, [x(*s), x(*s, low=0, high=1)] + w, smoothing=smoothing, r=r)
            y = labels(*rest, classes=classes, ignored=2)
            c.add("NLLLoss", nll, [x(*s).log_softmax(1 if len(s) > 1 else 0), y] + w, check=counts(y, 2), ignore=2, r=r)
# Nothing counts, and nothing is there.
c.add("CrossEntropy", entropy, [x(2, 3), torch.tensor([-100, -100])], check=False, smoothing=0.0, ignore=-100, r=0)
c.add("CrossEntropy", entropy, [x(2, 3), torch.tensor([-100, -100])], check=False, smoothing=0.0, ignore=-100, r=1)
c.add("CrossEntropy", entropy, [x(0, 3), ints(0)], check=False, smoothing=0.0, ignore=-100, r=0)
# A class that cannot be.
c.add("CrossEntropy", entropy, [torch.tensor([[1.0, -float("inf"), 2.0], [0.5, 1.0, -float("inf")]], dtype=torch.float64), torch.tensor([0, -100])],
      check=False, smoothing=0.0, ignore=-100, r=2)
# The weight of probabilities has a gradient.
f64 = lambda *v: torch.tensor(v, dtype=torch.float64)
c.add("CrossEntropyOfWeight", lambda t, y, w, smoothing, r: F.cross_entropy(t, y, w, reduction=reductions[int(r)], label_smoothing=smoothing),
      [f64(1, 2), f64(0.3, 0.7), f64(1, 2)], smoothing=0.0, r=0)
for s in [(4, 3), (2, 3, 4), (5,)]:
    for r in range(3):
        for smoothing in [0.0, 0.2]:
            c.add("CrossEntropyOfWeight", lambda t, y, w, smoothing, r: F.cross_entropy(t, y, w, reduction=reductions[int(r)], label_smoothing=smoothing),
                  [x(*s), x(*s, low=0, high=1), x(s[0] if len(s) == 1 else s[1], low=0.25)], smoothing=smoothing, r=r)
# Infinities and NaN.
for a, b in [((inf, 1), (0, 1)), ((-inf, 1), (1, 0)), ((nan, 1), (0, 0)), ((inf, -inf), (inf, 0)), ((800, -800), (1, 0))]:
    for r in range(3):
        c.add("MSELoss", lambda t, y, r: F.mse_loss(t, y, reduction=reductions[int(r)]), [f64(*a), f64(*b)], check=False, second=max(a) < inf and min(a) > -inf, r=r)
        c.add("L1Loss", lambda t, y, r: F.l1_loss(t, y, reduction=reductions[int(r)]), [f64(*a), f64(*b)], check=False, r=r)
        for op, f in [("SmoothL1Loss", lambda t, y, beta, r: F.smooth_l1_loss(t, y, beta=beta, reduction=reductions[int(r)])),
                      ("HuberLoss", lambda t, y, beta, r: F.huber_loss(t, y, delta=beta, reduction=reductions[int(r)]))]:
            c.add(op, f, [f64(*a), f64(*b)], check=False, beta=1, r=r)
        if b[0] != inf:
            c.add("BCEWithLogits", lambda t, y, r: F.binary_cross_entropy_with_logits(t, y, reduction=reductions[int(r)]), [f64(*a), f64(*b)], check=False, r=r)
for a in [(inf, 1, 2), (-inf, 1, 2), (nan, 1, 2), (-inf, -inf, -inf)]:
    for smoothing in [0.0, 0.1]:
        c.add("CrossEntropy", entropy, [f64(*a), torch.tensor(1)], check=False, smoothing=smoothing, ignore=-100, r=0)
        c.add("CrossEntropyProbabilities", probabilities, [f64(*a), f64(0.25, 0.5, 0.25)], check=False, smoothing=smoothing, r=0)
c.save("loss.json")
