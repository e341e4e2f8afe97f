"""Gradients of gradients in the ways that programs use them, for gradients_test.go.

Data is sin(first + 0.7·i) for element i, so that the test makes the same.

Run with PyTorch 2.15: python gradients.py
"""

import json
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
cases = {}


def data(first, *shape, grad=True):
    n = 1
    for s in shape:
        n *= s
    return torch.sin(first + 0.7 * torch.arange(n)).reshape(shape).requires_grad_(grad)


def save(name, *results):
    cases[name] = [[v for v in t.detach().reshape(-1).tolist()] if t is not None else None for t in results]


def grad(y, xs, create=True):
    return torch.autograd.grad(y, xs, create_graph=create, allow_unused=True)


def net(x, p):
    return F.linear(torch.tanh(F.linear(x, p[0], p[1])), p[2], p[3])


def params():
    return [data(1, 5, 3), data(2, 5), data(3, 1, 5), data(4, 1)]


# Gradient penalty of WGAN-GP.
p, x = params(), data(5, 4, 3)
(g,) = grad(net(x, p).sum(), [x])
penalty = ((g.norm(2, dim=1) - 1) ** 2).mean()
save("penalty", penalty, *grad(penalty, p, False))

# Hessian-vector product.
p, x = params(), data(5, 4, 3, grad=False)
loss = F.mse_loss(net(x, p), data(6, 4, 1, grad=False))
g = grad(loss, p)
save("hvp", *grad(sum((a * torch.cos(a.detach())).sum() for a in g), p, False))

# MAML: the outer loss goes back through two inner steps.
p, x, y = params(), data(5, 4, 3, grad=False), data(6, 4, 1, grad=False)
q = p
for _ in range(2):
    q = [a - 0.1 * b for a, b in zip(q, grad(F.mse_loss(net(x, q), y), q))]
outer = F.l1_loss(net(data(7, 2, 3, grad=False), q), data(8, 2, 1, grad=False))
save("maml", outer, *grad(outer, p, False))

# A residual of a differential equation: u_xx in a loss.
p = [data(1, 5, 1), data(2, 5), data(3, 1, 5), data(4, 1)]
x = data(5, 6, 1)
u = net(x, p)
(ux,) = grad(u.sum(), [x])
(uxx,) = grad(ux.sum(), [x])
loss = ((uxx + u * u) ** 2).mean()
save("equation", uxx, *grad(loss, p, False))

# Third derivatives, and those by values made on the way, one of them twice.
x = data(1, 5)
y = x * x
z = (y.exp() * x.sin()).sum()
gy, gx, gz = grad(z, [y, x, y])
(hy,) = grad((gy * gz).sum(), [y])
(third,) = grad(hy.sum(), [x])
save("inner", gy, gx, gz, hy, third)

# Created gradients that add up in leaves, are penalized, and followed by a plain step.
w, x = data(1, 3, 2), data(2, 4, 2, grad=False)
for _ in range(2):
    F.linear(x, w).tanh().sum().backward(create_graph=True)
save("accumulated", w.grad)
g, w.grad = w.grad, None
(g**2).sum().backward()
save("accumulated then penalized", w.grad)
w.grad = None
F.linear(x, w).tanh().sum().backward()
save("accumulated then plain", w.grad)

# A network with a convolution, normalization in training, ReLU and pooling.
w, b, x = data(1, 4, 2, 3, 3), data(2, 4), data(3, 3, 2, 6, 6)
gamma, beta, v = data(4, 4), data(5, 4), data(6, 2, 16)
h = F.relu(F.batch_norm(F.conv2d(x, w, b, padding=1), None, None, gamma, beta, training=True))
h = F.max_pool2d(h, 3, 3).flatten(1)
loss = F.cross_entropy(F.linear(h, v), torch.tensor([0, 1, 1]))
(g,) = grad(loss, [x])
penalty = (g * g).sum()
save("convolution", penalty, *grad(penalty, [x, w, gamma, beta, v], False))

# A block of a transformer.
d, n = 4, 3
x, wq, wk, wv, gamma, beta = data(1, 2, n, d), data(2, d, d), data(3, d, d), data(4, d, d), data(5, d), data(6, d)
h = F.layer_norm(x, [d], gamma, beta)


def heads(t):
    return t.view(2, n, 2, d // 2).transpose(1, 2)


q, k, v = heads(F.linear(h, wq)), heads(F.linear(h, wk)), heads(F.linear(h, wv))
a = torch.softmax(q @ k.transpose(-1, -2) / 2**0.5, -1) @ v
y = F.gelu(x + a.transpose(1, 2).reshape(2, n, d))
(g,) = grad((y * y).sum(), [x])
penalty = (g * g).sum()
save("attention", penalty, *grad(penalty, [x, wq, wk, wv, gamma, beta], False))

with open("gradients.json", "w") as f:
    f.write("{\n" + ",\n".join(json.dumps(k) + ":" + json.dumps(v, separators=(",", ":")) for k, v in cases.items()) + "\n}\n")
