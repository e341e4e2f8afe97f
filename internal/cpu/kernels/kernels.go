// Package kernels is the inner loops of the CPU backend: what passes over memory once, the
// micro-kernels of the matrix product, and what packs for them. Each is there as a plain Go
// loop, which is its reference, and for some processors in assembly. The package knows
// pointers, slices and the geometry of a loop; of arrays, types and threads it knows nothing.
//
// A [Level] is a table of kernels for what processors of one kind can do; [Current] is the
// one in use. By family, each in the files of its name:
//
//	vector     elementwise loops, sums, normalization, softmax, 2×2 and 3×3 pooling, Adam and SGD ([Vector])
//	half       conversions of bfloat16 and float16, and the loops of vector on bfloat16 ([Half])
//	gemm       micro-kernels of the matrix product and the packing of their panels ([Gemm])
//	parts      micro-kernels for numbers that are rounded to bfloat16 ([SplitGemm])
//	winograd   the transforms of Winograd's algorithms ([Winograd], [WinogradScheme])
//	taps       convolution and pooling over the taps of staged planes ([Taps], [Strip])
//	amx        Intel's matrix tiles ([AMX])
//	level      the table of levels, and the choice among them
//
// NAME.go has the family's types and Go loops, NAME_amd64.go and NAME_arm64.go put assembly
// behind slices, NAME_ARCH.s is the assembly and NAME_stubs_ARCH.go declares it; both are
// written by gen, a module of its own. Tests run assembly between pages that may not be
// touched, at all lengths and offsets, and under an emulator where the processor lacks it:
// asmtest has what they need.
package kernels

//go:generate go run -C gen . -part vector -out ../vector_amd64.s -stubs ../vector_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -part winograd -out ../winograd_amd64.s -stubs ../winograd_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -part taps -out ../taps_amd64.s -stubs ../taps_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -part half -out ../half_amd64.s -stubs ../half_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -part parts -out ../parts_amd64.s -stubs ../parts_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -part amx -out ../amx_amd64.s -stubs ../amx_stubs_amd64.go -pkg kernels
//go:generate go run -C gen . -neon -part vector
//go:generate go run -C gen . -neon -part gemm
//go:generate go run -C gen . -neon -part winograd
//go:generate go run -C gen . -neon -part taps
