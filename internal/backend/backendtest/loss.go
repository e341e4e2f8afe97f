package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"CrossEntropy", "computes -log softmax(x) at the label, the largest x along N and the sum of exp(x-largest)", testCrossEntropy},
		Row{"CrossEntropy", "large numbers do not overflow nor lose what is between them, NaN spreads", testCrossEntropyExtremes},
		Row{"CrossEntropy", "a label out of range is an error, at once and nothing is written, or when the result is read", testCrossEntropyRange},
		Row{"CrossEntropyGrad", "computes share·(softmax(x) - 1 at the label)", testCrossEntropyGrad},
	)
}

// scored returns scores and labels, and what CrossEntropy makes of them.
func scored(g backend.DimGeom) (x []float64, labels []int64, loss, largest, sum []float64) {
	x = random(1, g.Outer*g.N*g.Inner)
	labels = indexInto(g.N, g.Outer*g.Inner)
	_, logy := softmaxSlowly(x, g)
	loss, largest, sum = make([]float64, len(labels)), make([]float64, len(labels)), make([]float64, len(labels))
	alongColumns(g, func(c int, at []int) {
		loss[c] = -logy[at[labels[c]]]
		largest[c] = math.Inf(-1)
		for _, i := range at {
			largest[c] = max(largest[c], x[i])
		}
		for _, i := range at {
			sum[c] += math.Exp(x[i] - largest[c])
		}
	})
	return x, labels, loss, largest, sum
}

func testCrossEntropy(t *testing.T, be backend.Backend) {
	testCrossEntropyOf[float32](t, be)
	testCrossEntropyOf[float64](t, be)
}

func testCrossEntropyOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		if g.N == 0 {
			continue // there is no label
		}
		x, labels, loss, largest, sum := scored(g)
		gotLoss, gotLargest, gotSum := empty[T](be, len(labels)), empty[T](be, len(labels)), empty[T](be, len(labels))
		if err := be.CrossEntropy(gotLoss, gotLargest, gotSum, floats[T](be, x), put(be, labels), g, user{}); err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%v %+v", dtypeOf[T](), g)
		wantFloats(t, be, what, gotLoss, loss, tolerance[T]())
		wantFloats(t, be, what+" largest", gotLargest, largest, tolerance[T]())
		wantFloats(t, be, what+" sum", gotSum, sum, tolerance[T]())
	}
}

func testCrossEntropyExtremes(t *testing.T, be backend.Backend) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		x    []float64
		loss float64
	}{
		{[]float64{3e4, 3e4}, math.Ln2},
		{[]float64{3e4, 3e4 - 0.5}, math.Log1p(math.Exp(-0.5))},
		{[]float64{-3e4, 3e4}, 6e4},
		{[]float64{2, -inf}, 0},
		{[]float64{-inf, 2}, inf},
		{[]float64{-inf, -inf}, nan},
		{[]float64{1, nan}, nan},
	} {
		for _, g := range []backend.DimGeom{{Outer: 1, N: 2, Inner: 1}, {Outer: 1, N: 2, Inner: 2}} {
			x := make([]float64, 2*g.Inner)
			want := make([]float64, g.Inner)
			for i := range want {
				x[i], x[g.Inner+i], want[i] = c.x[0], c.x[1], c.loss
			}
			loss := empty[float32](be, g.Inner)
			if err := be.CrossEntropy(loss, empty[float32](be, g.Inner), empty[float32](be, g.Inner), floats[float32](be, x), put(be, make([]int64, g.Inner)), g, user{}); err != nil {
				t.Fatal(err)
			}
			wantFloats(t, be, fmt.Sprintf("%v %+v", c.x, g), loss, want, 1e-6)
		}
	}
}

func testCrossEntropyRange(t *testing.T, be backend.Backend) {
	testIndexRange(t, be, 3, 4, func(dst, index backend.Array, use backend.IndexUse) error {
		return be.CrossEntropy(dst, empty[float64](be, 4), empty[float64](be, 4), put(be, random(2, 12)), index, backend.DimGeom{Outer: 4, N: 3, Inner: 1}, use)
	})
	testIndexRange(t, be, 100, 4, func(dst, index backend.Array, use backend.IndexUse) error { // rows of many classes
		return be.CrossEntropy(dst, empty[float64](be, 4), empty[float64](be, 4), put(be, random(2, 400)), index, backend.DimGeom{Outer: 4, N: 100, Inner: 1}, use)
	})
}

func testCrossEntropyGrad(t *testing.T, be backend.Backend) {
	testCrossEntropyGradOf[float32](t, be)
	testCrossEntropyGradOf[float64](t, be)
}

func testCrossEntropyGradOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		if g.N == 0 {
			continue
		}
		x, labels, _, largest, sum := scored(g)
		share := random(3, len(labels))
		want, _ := softmaxSlowly(x, g)
		alongColumns(g, func(c int, at []int) {
			want[at[labels[c]]]--
			for _, i := range at {
				want[i] *= share[c]
			}
		})
		dx := empty[T](be, len(x))
		be.CrossEntropyGrad(dx, floats[T](be, share), floats[T](be, x), put(be, labels), floats[T](be, largest), floats[T](be, sum), g)
		wantFloats(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dx, want, tolerance[T]())
	}
}
