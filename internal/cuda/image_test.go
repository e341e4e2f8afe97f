//go:build cuda && linux

package cuda

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/cuda/sim"
)

// TestImage compares the kernels that methods may ask for with those that are there.
func TestImage(t *testing.T) {
	modules, err := image()
	if err != nil {
		t.Fatal(err)
	}
	asked := slices.Sorted(slices.Values(names))
	for i, name := range asked {
		if i > 0 && name == asked[i-1] {
			t.Errorf("kernel %s is on the list twice", name)
		}
		if _, ok := modules[name]; !ok {
			t.Errorf("kernel %s is asked for and not there", name)
		}
	}
	for name, text := range modules {
		if !slices.Contains(asked, name) {
			t.Errorf("kernel %s is there and nobody asks for it", name)
		}
		if strings.HasPrefix(name, "map_") { // a function
			if n := strings.Count(text, ".func"); n != 1 || strings.Contains(text, ".entry") || !strings.HasPrefix(text, ".func") {
				t.Errorf("%s has %d functions and begins with %.20q, want one", name, n, text)
			}
			continue
		}
		if n := strings.Count(text, ".entry"); n != 1 || !strings.HasPrefix(text, ".version 8.0\n") {
			t.Errorf("module %s has %d kernels and begins with %.20q, want one and PTX of CUDA 12.0", name, n, text)
		}
	}
}

// TestLazyLoading sees that a program pays only for the kernels that it uses.
func TestLazyLoading(t *testing.T) {
	be := open(t)
	be.function("relu_f32")
	be.function("relu_f32")
	if got, want := slices.Sorted(maps.Keys(*be.functions.Load())), []string{"fill_u8", "relu_f32"}; !slices.Equal(got, want) {
		t.Errorf("got %v loaded, want %v", got, want)
	}
	if err := panicOf(func() { be.function("none") }); err == nil || err.Error() != "there is no kernel none in this program" {
		t.Errorf("got %v, want an error that says that there is no such kernel", err)
	}
}

func TestRefusedKernels(t *testing.T) {
	if sim.Again(t, "WICK_SIM_REFUSE=1") {
		refused(t, 0, "the driver of CUDA 13.0 refuses the kernel fill_u8, which is PTX of CUDA 12.0 (cuModuleLoadData: CUDA_ERROR_222); install a newer driver, or use a GPU of compute capability 7.0 or later")
	}
}
