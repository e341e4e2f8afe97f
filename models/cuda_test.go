//go:build cuda && linux

package models_test

import (
	"os"
	"testing"

	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/tensor"
)

func TestMain(m *testing.M) { sim.Main(m) }

// testDevices are the devices that are held to PyTorch's numbers.
func testDevices(t *testing.T) []*tensor.Device {
	t.Helper()
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	return []*tensor.Device{tensor.CPU, d}
}

// largeModel skips a test that takes too long on a device.
func largeModel(t *testing.T, d *tensor.Device) {
	t.Helper()
	if d != tensor.CPU && sim.Simulated() && os.Getenv("WICK_SIM_LARGE") == "" {
		t.Skip("the simulated driver takes minutes for VGG16; WICK_SIM_LARGE=1 lets it")
	}
}
