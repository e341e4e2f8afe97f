package tensor_test

import (
	"fmt"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

func ExampleCPUCapability() {
	fmt.Println(slices.Contains([]string{"generic", "avx2", "avx512", "amx", "neon"}, tensor.CPUCapability()))
	// Output: true
}

func ExampleDevice_SetFloat32Precision() {
	tensor.CPU.SetFloat32Precision(tensor.High)
	fmt.Println(tensor.CPU.Float32Precision() == tensor.High)
	tensor.CPU.SetFloat32Precision(tensor.Highest)
	// Output: true
}
