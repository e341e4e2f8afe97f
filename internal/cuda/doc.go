// Package cuda computes on NVIDIA GPUs, through gorgonia.org/cu (the driver),
// gorgonia.org/cu/dnn (cuDNN's descriptors) and cuBLAS. It is built with the tag
// cuda; without it Open returns an error. What cu and dnn lack or get wrong is done
// by small C functions on their handles (docs/cuda.md lists it).
//
// All work of a backend goes into one stream, in order, so that memory which one
// operation gives back may be used by the next at once. Every C function sets the
// device's primary context itself, so that goroutines need no thread of their own.
package cuda
