package cuda

// Report is what a program that was built with the tag cuda finds of CUDA on its
// machine. Versions are numbered as in the headers: CUDA 12.4 is 12040, cuDNN 8.9.7
// is 8907 and 9.1.0 is 90100. 0 is a version that nobody tells.
type Report struct {
	HeaderCUDA, HeaderDNN int // of the headers that the program was built with
	Driver, DNN, BLAS     Library
	Fault                 error // why the driver finds no GPU, and its number
	Code                  int
	GPUs                  []GPU
}

// Library is one of NVIDIA's libraries.
type Library struct {
	Path    string // the file
	Missing string // why there is none
	Version int    // the driver's is that of the CUDA which it is for; cuBLAS 12.9.1 is 120901
	CUDA    int    // which CUDA it was built for
}

// GPU is one of the driver's devices.
type GPU struct {
	Name        string
	Capability  [2]int
	Free, Total int64 // bytes
	Fault       error // why the bytes are unknown
}
