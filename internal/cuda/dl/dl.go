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
*/
import "C"

// Missing returns why each library could not be opened, "" for those that were.
func Missing() (driver, dnn, blas string) {
	return C.GoString(C.wick_dl_error_cuda), C.GoString(C.wick_dl_error_cudnn), C.GoString(C.wick_dl_error_cublas)
}
