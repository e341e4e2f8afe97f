package tensor_test

import (
	"fmt"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

func ExampleCPUCapability() {
	fmt.Println(slices.Contains([]string{"generic", "avx2", "avx512"}, tensor.CPUCapability()))
	// Output: true
}
