//go:build cuda && linux

package cuda

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/internal/expr"
)

// noted collects what cannot be captured.
type noted []string

func (n *noted) add(why string) { *n = append(*n, why) }

// refuse is what Capture is given where nothing may be refused.
func refuse(t *testing.T) func(string) {
	return func(why string) { t.Errorf("it cannot be captured: the step %s", why) }
}

// numbersIn makes an array of float32 numbers.
func numbersIn(be *Backend, v ...float32) backend.Array {
	a := backend.Array{Buffer: be.NewBuffer(backend.Float32, len(v)), Len: len(v)}
	be.Write(a, bytesOf(v))
	return a
}

// wantNumbers reads an array.
func wantNumbers(t *testing.T, what string, be *Backend, a backend.Array, want ...float32) {
	t.Helper()
	got := make([]float32, a.Len)
	be.Read(bytesOf(got), a)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestGraph(t *testing.T) {
	be := open(t)
	x, y, acc := numbersIn(be, 1, 2), numbersIn(be, 0, 0), numbersIn(be, 0, 0)
	before := be.MemoryStats()
	steps := 0
	g := be.Capture(func() {
		steps++
		tmp := backend.Array{Buffer: be.NewBuffer(backend.Float32, 2), Len: 2}
		be.Unary(tmp, x, backend.Square, backend.UnaryParams{})
		be.Binary(acc, acc, tmp, backend.Add, backend.BinaryGeom{})
		be.Free(tmp.Buffer)
		tmp = backend.Array{Buffer: be.NewBuffer(backend.Float32, 2), Len: 2} // the same memory
		be.Unary(tmp, x, backend.Neg, backend.UnaryParams{})
		be.Copy(y, tmp)
		be.Free(tmp.Buffer)
	}, refuse(t), nil)
	wantNumbers(t, "captured", be, acc, 1, 4)
	be.Write(x, bytesOf([]float32{2, 3}))
	eager := numbersIn(be, 7, 7) // of the size of the graph's memory
	g.Launch()
	g.Launch()
	wantNumbers(t, "launched", be, acc, 9, 22)
	wantNumbers(t, "launched", be, y, -2, -3)
	wantNumbers(t, "eager", be, eager, 7, 7)
	if !g.Fits() || steps != 1 {
		t.Errorf("it fits: %v, and the step was called %d times; want true and 1", g.Fits(), steps)
	}
	// Another graph of the same step shares the memory.
	live := be.MemoryStats().Live
	second := be.Capture(func() {
		tmp := backend.Array{Buffer: be.NewBuffer(backend.Float32, 2), Len: 2}
		be.Unary(tmp, x, backend.Exp, backend.UnaryParams{})
		be.Free(tmp.Buffer)
	}, refuse(t), g)
	if got := be.MemoryStats().Live; got != live {
		t.Errorf("a second graph took %d bytes, want none", got-live)
	}
	g.Close()
	g.Close()
	if got := be.MemoryStats().Live; got != live {
		t.Errorf("closing one of two graphs gave back %d bytes, want none", live-got)
	}
	second.Close()
	be.Free(eager.Buffer)
	if got := be.MemoryStats(); got.Live != before.Live {
		t.Errorf("after Close %d bytes are live, want the %d of before", got.Live, before.Live)
	}
}

// TestGraphFits frees and abandons what graphs use.
func TestGraphFits(t *testing.T) {
	be := open(t)
	x, y := numbersIn(be, 1), numbersIn(be, 0)
	fits := true
	capture := func() backend.Graph {
		return be.Capture(func() {
			be.Copy(y, x)
			var f expr.Formula
			f.Store(0, f.Load(0))
			be.Map([][]backend.Array{{y}}, [][]backend.Array{{x}}, backend.Rule{Expr: f.Expr, Fits: func() bool { return fits }})
		}, refuse(t), nil)
	}
	g, abandoned, closed := capture(), capture(), capture()
	closed.Close()
	fits = false
	if g.Fits() {
		t.Error("it fits though an optimizer's step does not")
	}
	if fits = true; !g.Fits() || !abandoned.Fits() {
		t.Error("it does not fit, want that it does")
	}
	be.Abandon(y.Buffer)
	if g.Fits() || abandoned.Fits() {
		t.Error("it fits though a buffer was abandoned")
	}
	g.Close()
	abandoned.Close()
	g = capture()
	be.Free(x.Buffer)
	if g.Fits() {
		t.Error("it fits though a buffer was freed")
	}
	g.Close()
}

// TestGraphRefuses has steps do what no graph can.
func TestGraphRefuses(t *testing.T) {
	be := open(t)
	x := numbersIn(be, 3, 1, 2)
	index := backend.Array{Buffer: be.NewBuffer(backend.Int64, 3), Len: 3}
	for _, row := range []struct {
		name, why string
		step      func()
	}{
		{"Read", "waits for the device", func() { be.Read(make([]byte, 12), x) }},
		{"Write", "takes numbers from the host's memory", func() { be.Write(x, make([]byte, 12)) }},
		{"Nonzero", "waits for the device", func() { be.Nonzero(index, x) }},
	} {
		var n noted
		be.Rehearse(row.step, n.add)
		if len(n) == 0 || n[0] != row.why {
			t.Errorf("%s: a rehearsal notes %q, want %q", row.name, n, row.why)
		}
		wanted := errors.New("wanted")
		err := panicOf(func() {
			be.Capture(func() {
				be.Fill(x, 1)
				row.step()
				t.Errorf("%s: Capture goes on", row.name)
			}, func(why string) {
				if why != row.why {
					t.Errorf("%s: Capture notes %q, want %q", row.name, why, row.why)
				}
				panic(wanted)
			}, nil)
		})
		if err != wanted {
			t.Errorf("%s: got %v, want the panic of unfit", row.name, err)
		}
	}
	var n noted
	be.Rehearse(func() { be.Fill(x, 2) }, n.add)
	if len(n) > 0 {
		t.Errorf("a rehearsal notes %q of Fill", n)
	}
	wantNumbers(t, "afterwards", be, x, 2, 2, 2)
}

// TestGraphWithoutRoom captures where the device is full.
func TestGraphWithoutRoom(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_MEMORY=1000000") {
		return
	}
	be := open(t)
	x := backend.Array{Buffer: be.NewBuffer(backend.Uint8, 600_000), Len: 600_000}
	err := panicOf(func() {
		be.Capture(func() {
			be.Fill(x, 1)
			be.NewBuffer(backend.Uint8, 500_000)
		}, refuse(t), nil)
	})
	var full *backend.MemoryError
	if !errors.As(err, &full) || full.Bytes != 500_000 {
		t.Errorf("got %v, want a *backend.MemoryError for 500000 bytes", err)
	}
	be.Fill(x, 2)
	got := make([]byte, 1)
	be.Read(got, backend.Array{Buffer: x.Buffer, Len: 1})
	if got[0] != 2 {
		t.Errorf("afterwards Fill(2) leaves %d", got[0])
	}
	be.Free(x.Buffer)
}

// TestSimulatedCapture looks whether the simulated driver refuses what a real one
// does: to wait for a stream that is captured.
func TestSimulatedCapture(t *testing.T) {
	be := open(t)
	x := numbersIn(be, 1)
	err := panicOf(func() {
		be.Capture(func() {
			be.Fill(x, 1)
			be.wait()
		}, refuse(t), nil)
	})
	if err == nil || !strings.HasPrefix(err.Error(), "cuStreamSynchronize: ") {
		t.Errorf("waiting in a capture: got %v, want an error of cuStreamSynchronize", err)
	}
	err = panicOf(func() {
		be.Capture(func() {
			be.Fill(x, 1)
			_ = panicOf(be.wait)
		}, refuse(t), nil)
	})
	if err == nil || !strings.HasPrefix(err.Error(), "cuStreamEndCapture: ") {
		t.Errorf("the end of a capture that waited: got %v, want an error of cuStreamEndCapture", err)
	}
	be.Fill(x, 4)
	wantNumbers(t, "afterwards", be, x, 4)
}
