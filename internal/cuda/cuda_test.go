//go:build cuda && linux

package cuda

import (
	"testing"

	"github.com/wick-ml/wick/internal/backend/backendtest"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

func TestMain(m *testing.M) { sim.Main(m) }

func TestConformance(t *testing.T) {
	be := open(t)
	defer emptied(be)
	be.Lock()
	be.blasSpace() // which the pools do not know
	be.Unlock()
	before := used(be)
	backendtest.Run(t, be, 1e-3)
	// All of the device's memory that the driver gave is on the pools' books. A real one gives whole pages, and others have some.
	if s, got := be.MemoryStats(), used(be)-before; sim.Simulated() && got != s.Live+s.Cached {
		t.Errorf("afterwards the driver has given %d bytes more, and the pools know of %+v", got, s)
	}
}
