//go:build cuda && linux

#define LIBRARY cuda
#define SONAMES "libcuda.so.1"
#define FAILURE 3 // not initialized
#define NAMES "names_cuda.h"
#include "bind.h"
