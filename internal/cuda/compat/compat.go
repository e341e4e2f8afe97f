// Package compat holds the C headers through which gorgonia.org/cu and
// gorgonia.org/cu/dnn compile with CUDA 12 and 13 and cuDNN 8.9 and 9. They are
// reached by -I in CGO_CPPFLAGS; cmd/cudaenv prints it.
package compat

import "embed"

// Headers are the wrapper headers cuda.h and cudnn.h.
//
//go:embed cuda.h cudnn.h
var Headers embed.FS
