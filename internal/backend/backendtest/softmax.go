package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Softmax", "computes softmax along N, or its logarithm", testSoftmax},
		Row{"Softmax", "large numbers do not overflow, minus infinity has no share, NaN spreads", testSoftmaxExtremes},
		Row{"SoftmaxGrad", "computes the gradient from the result", testSoftmaxGrad},
	)
}

// softmaxSlowly returns softmax along N and its logarithm.
func softmaxSlowly(x []float64, g backend.DimGeom) (y, logy []float64) {
	y, logy = make([]float64, len(x)), make([]float64, len(x))
	alongColumns(g, func(_ int, at []int) {
		largest, sum := math.Inf(-1), 0.0
		for _, i := range at {
			largest = max(largest, x[i])
		}
		for _, i := range at {
			sum += math.Exp(x[i] - largest)
		}
		for _, i := range at {
			y[i], logy[i] = math.Exp(x[i]-largest)/sum, x[i]-largest-math.Log(sum)
		}
	})
	return y, logy
}

func testSoftmax(t *testing.T, be backend.Backend) {
	testSoftmaxOf[float32](t, be)
	testSoftmaxOf[float64](t, be)
}

func testSoftmaxOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		x := random(1, g.Outer*g.N*g.Inner)
		for i := range x {
			x[i] *= 4
		}
		y, logy := softmaxSlowly(x, g)
		dst := empty[T](be, len(x))
		be.Softmax(dst, floats[T](be, x), false, g)
		wantFloats(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dst, y, tolerance[T]())
		dst = empty[T](be, len(x))
		be.Softmax(dst, floats[T](be, x), true, g)
		wantFloats(t, be, fmt.Sprintf("%v %+v logarithm", dtypeOf[T](), g), dst, logy, tolerance[T]())
	}
}

func testSoftmaxExtremes(t *testing.T, be backend.Backend) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct{ x, y, logy []float64 }{
		{[]float64{3e4, 3e4}, []float64{0.5, 0.5}, []float64{-math.Ln2, -math.Ln2}},
		{[]float64{-3e4, -3e4}, []float64{0.5, 0.5}, []float64{-math.Ln2, -math.Ln2}},
		{[]float64{0, 3e4}, []float64{0, 1}, []float64{-3e4, 0}},
		{[]float64{-inf, 2}, []float64{0, 1}, []float64{-inf, 0}},
		{[]float64{-inf, -inf}, []float64{nan, nan}, []float64{nan, nan}},
		{[]float64{1, nan}, []float64{nan, nan}, []float64{nan, nan}},
	} {
		g := backend.DimGeom{Outer: 1, N: 2, Inner: 1}
		dst := empty[float32](be, 2)
		be.Softmax(dst, floats[float32](be, c.x), false, g)
		wantFloats(t, be, fmt.Sprint(c.x), dst, c.y, 1e-6)
		be.Softmax(dst, floats[float32](be, c.x), true, g)
		wantFloats(t, be, fmt.Sprintf("%v logarithm", c.x), dst, c.logy, 1e-6)
	}
}

func testSoftmaxGrad(t *testing.T, be backend.Backend) {
	testSoftmaxGradOf[float32](t, be)
	testSoftmaxGradOf[float64](t, be)
}

func testSoftmaxGradOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		n := g.Outer * g.N * g.Inner
		dy := random(2, n)
		y, logy := softmaxSlowly(random(1, n), g)
		want, wantLog := make([]float64, n), make([]float64, n)
		alongColumns(g, func(_ int, at []int) {
			var sum, dot float64
			for _, i := range at {
				sum += dy[i]
				dot += dy[i] * y[i]
			}
			for _, i := range at {
				want[i], wantLog[i] = y[i]*(dy[i]-dot), dy[i]-y[i]*sum
			}
		})
		dx := empty[T](be, n)
		be.SoftmaxGrad(dx, floats[T](be, dy), floats[T](be, y), false, g)
		wantFloats(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dx, want, tolerance[T]())
		dx = empty[T](be, n)
		be.SoftmaxGrad(dx, floats[T](be, dy), floats[T](be, logy), true, g)
		wantFloats(t, be, fmt.Sprintf("%v %+v logarithm", dtypeOf[T](), g), dx, wantLog, tolerance[T]())
	}
}
