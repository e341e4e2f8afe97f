"""Prints what the examples of gradients of gradients (../example_test.go) print.

Run with PyTorch 2.15: python examples.py
"""

import torch

torch.set_printoptions(precision=4)


def weights(*shape):
    n = 1
    for s in shape:
        n *= s
    return torch.arange(n, dtype=torch.float32).mul(2).add(1).sin().reshape(shape).requires_grad_()


# Gradient penalty
w1, w2 = weights(3, 2), weights(1, 3)
real, fake = torch.tensor([[1.0, 2], [-1, 0.5]]), torch.tensor([[0.0, -1], [2, 1]])
x = torch.lerp(real, fake, torch.tensor([[0.25], [0.75]])).requires_grad_()
score = torch.tanh(x @ w1.T) @ w2.T
g, = torch.autograd.grad(score.sum(), x, create_graph=True)
penalty = ((g.norm(dim=1) - 1) ** 2).mean()
penalty.backward()
print("%.4f" % penalty.item())
print(w1.grad)
print(w2.grad)

# Hessian-vector product
x = torch.tensor([1.2, 1.0, 0.8], dtype=torch.float64, requires_grad=True)
v = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
a, b = x[:2], x[1:]
f = (100 * (b - a ** 2) ** 2 + (1 - a) ** 2).sum()
g, = torch.autograd.grad(f, x, create_graph=True)
hv, = torch.autograd.grad((g * v).sum(), x)
print(g.detach(), hv)

# A step of MAML
w = torch.tensor([0.5, -0.5], requires_grad=True)
loss = lambda w, x, y: ((x @ w - y) ** 2).mean()
support, query = torch.tensor([[1.0, 2], [3, 1]]), torch.tensor([[2.0, 0], [1, 1]])
ys, yq = torch.tensor([1.0, 2]), torch.tensor([1.0, 1])
g, = torch.autograd.grad(loss(w, support, ys), w, create_graph=True)
outer = loss(w - 0.1 * g, query, yq)
outer.backward()
print("%.4f" % outer.item(), w.grad)

# u_xx
w1, w2 = weights(8, 1), weights(1, 8)
x = torch.tensor([[-1.0], [0], [0.5]], requires_grad=True)
u = torch.tanh(x @ w1.T) @ w2.T
ux, = torch.autograd.grad(u.sum(), x, create_graph=True)
uxx, = torch.autograd.grad(ux.sum(), x, create_graph=True)
residual = ((uxx + u) ** 2).mean()
residual.backward()
print(uxx.detach().flatten())
print("%.4f" % residual.item())
print(w1.grad.flatten())

# An operation of one's own, with its gradient's gradient
a = torch.tensor([3.0, 5, 8], dtype=torch.float64, requires_grad=True)
b = torch.tensor([4.0, 12, 15], dtype=torch.float64, requires_grad=True)
length = torch.hypot(a, b)
ga, gb = torch.autograd.grad(length.sum(), (a, b), create_graph=True)
print(length.detach(), ga.detach(), gb.detach())
ga.sum().backward()
print(a.grad, b.grad)
