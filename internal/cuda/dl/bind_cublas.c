//go:build cuda && linux

#define LIBRARY cublas
#define SONAMES "libcublas.so.13", "libcublas.so.12"
#define FAILURE 1 // not initialized
#define NAMES "names_cublas.h"
#include "bind.h"
