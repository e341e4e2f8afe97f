//go:build cuda && linux

package cuda

import (
	"testing"

	"github.com/wick-ml/wick/internal/backend/backendtest"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

func TestMain(m *testing.M) { sim.Main(m) }

func TestConformance(t *testing.T) {
	be, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	backendtest.Run(t, be, 1e-3)
}
