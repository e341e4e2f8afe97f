//go:build cuda && linux && !cgo

package dl

// Without cgo nothing of CUDA can be built. A program that then had none after all
// would surprise on the machine with the GPU, so the compiler says it.
const _ int = "the tag cuda needs cgo, which is off: set CGO_ENABLED=1, and install gcc or let CC name a C compiler (docs/cuda.md)"
