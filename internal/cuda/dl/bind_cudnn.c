//go:build cuda && linux

#define LIBRARY cudnn
#define SONAMES "libcudnn.so.9", "libcudnn.so.8"
#define FAILURE 1001 // not initialized
#define NAMES "names_cudnn.h"
#include "bind.h"
