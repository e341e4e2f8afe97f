//go:build cuda && linux

// Package dl binds the CUDA driver, cuDNN and cuBLAS with dlopen when the program
// starts. So a program that was built with -tags cuda links without any of them
// and starts on a machine that has none; their functions then report that they are
// not initialized.
package dl

//go:generate go run gen.go

/*
#cgo LDFLAGS: -L${SRCDIR} -ldl
extern const char *wick_dl_error_cuda, *wick_dl_error_cudnn, *wick_dl_error_cublas;
extern const char *wick_dl_path_cuda, *wick_dl_path_cudnn, *wick_dl_path_cublas;
// This package is built before gorgonia.org/cu fails on what is missing, so it can say what to do.
#if !__has_include(<cuda.h>) || !__has_include(<cudnn.h>)
#error the headers of CUDA and cuDNN are not found: run eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)" and build again
#else
#include <cuda.h>
#ifndef WICK_COMPAT_CUDA_H
#error the headers of internal/cuda/compat have to come first: run eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)" and build again
#endif
#endif
*/
import "C"

// Missing returns why each library could not be opened, "" for those that were.
func Missing() (driver, dnn, blas string) {
	return C.GoString(C.wick_dl_error_cuda), C.GoString(C.wick_dl_error_cudnn), C.GoString(C.wick_dl_error_cublas)
}

// Paths returns the file of each library, "" for those that could not be opened.
func Paths() (driver, dnn, blas string) {
	return C.GoString(C.wick_dl_path_cuda), C.GoString(C.wick_dl_path_cudnn), C.GoString(C.wick_dl_path_cublas)
}
