// Package wick is deep learning in Go the way PyTorch users know it: eager
// tensors, automatic differentiation, modules, optimizers, schedulers, datasets,
// models.
//
// This package holds no code; start with these:
//
//   - tensor: tensors and all operations on them
//   - autograd: the tape that computes gradients
//   - layers: modules, losses, saving and loading
//   - optim and sched: optimizers and learning-rate schedulers
//   - datasets and datasets/transforms: CIFAR-10, folders of images, images drawn in code, the data loader
//   - models: VGG from a list of widths
//
// The program examples/cifar10 shows all of them at work.
package wick
