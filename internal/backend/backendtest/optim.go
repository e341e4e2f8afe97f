package backendtest

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"SGD", "steps as torch.optim.SGD", testSGD},
		Row{"SGD", "does not read momentum that is empty", testSGDFirst},
		Row{"Adam", "steps as torch.optim.Adam and AdamW", testAdam},
		Row{"Adam", "NaN stays NaN, and without decay an infinity stays where it is", testAdamNaN},
		Row{"Adam", "the number of threads does not matter", testAdamThreads},
		Row{"RMSprop", "steps as torch.optim.RMSprop", testRMSprop},
		Row{"Adagrad", "steps as torch.optim.Adagrad", testAdagrad},
	)
}

// optimSizes are the lengths of the parameters of a step: one element, none, odd
// ones, and several pieces of work.
var optimSizes = []int{5, 1, 0, 67, 40001, 16384, 3}

const optimSteps = 4

// states is arrays of a backend, one a parameter, and what they are to hold.
type states struct {
	arrays []backend.Array
	want   [][]float64
}

// newStates makes arrays of random numbers, or of zeros.
func newStates[T float32 | float64](be backend.Backend, seed uint64) *states {
	var s states
	for i, n := range optimSizes {
		v := make([]float64, n)
		if seed > 0 {
			v = random(seed+uint64(i), n)
		}
		s.want = append(s.want, v)
		s.arrays = append(s.arrays, floats[T](be, v))
	}
	return &s
}

func (s *states) check(t *testing.T, be backend.Backend, what string, tol float64) {
	t.Helper()
	for i, a := range s.arrays {
		wantFloats(t, be, fmt.Sprintf("%s %d", what, i), a, s.want[i], tol)
	}
}

// gradient returns an element's gradient with its weight decay.
func gradient(g, w, decay float64, maximize bool) float64 {
	if maximize {
		g = -g
	}
	return g + decay*w
}

func testSGD(t *testing.T, be backend.Backend) {
	for _, p := range []backend.SGDParams{
		{LR: 0.1},
		{LR: 0.1, WeightDecay: 0.01, Maximize: true},
		{LR: 0.1, Momentum: 0.9},
		{LR: 0.1, Momentum: 0.9, Dampening: 0.3, WeightDecay: 0.01},
		{LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		{LR: 0.1, Momentum: 0.9, Nesterov: true, Maximize: true},
	} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			stepSGD[float32](t, be, p)
			stepSGD[float64](t, be, p)
		})
	}
	be.SGD(nil, nil, nil, backend.SGDParams{LR: 1})
}

func stepSGD[T float32 | float64](t *testing.T, be backend.Backend, p backend.SGDParams) {
	w, m := newStates[T](be, 1), newStates[T](be, 0)
	momentum := m.arrays
	if p.Momentum == 0 {
		momentum = nil
	}
	for step := range optimSteps {
		p.First = step == 0
		g := newStates[T](be, 100*uint64(step+1))
		be.SGD(w.arrays, g.arrays, momentum, p)
		for i, w := range w.want {
			m := m.want[i]
			for k := range w {
				d := gradient(g.want[i][k], w[k], p.WeightDecay, p.Maximize)
				if p.Momentum != 0 {
					m[k] = p.Momentum*m[k] + (1-p.Dampening)*d
					if p.First {
						m[k] = d
					}
					if p.Nesterov {
						d += p.Momentum * m[k]
					} else {
						d = m[k]
					}
				}
				w[k] -= p.LR * d
			}
		}
		g.check(t, be, "gradient", 0)
	}
	w.check(t, be, "parameter", tolerance[T]())
	m.check(t, be, "momentum", tolerance[T]())
}

func testSGDFirst(t *testing.T, be backend.Backend) {
	w, g, m := put(be, []float32{1, 2}), put(be, []float32{4, 8}), put(be, []float32{float32(math.NaN()), 99})
	be.SGD([]backend.Array{w}, []backend.Array{g}, []backend.Array{m}, backend.SGDParams{LR: 0.25, Momentum: 0.5, Dampening: 1, First: true})
	wantExact(t, be, "parameter", w, []float32{0, 0})
	wantExact(t, be, "momentum", m, []float32{4, 8})
}

func testAdam(t *testing.T, be backend.Backend) {
	for _, p := range []backend.AdamParams{
		{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8},
		{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Maximize: true},
		{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Decoupled: true},
		{LR: 0.01, Beta1: 0.3, Beta2: 0.5, Eps: 1e-2},
		{LR: 0.01, Beta1: 0, Beta2: 0, Eps: 1e-2, Maximize: true},
	} {
		for _, amsgrad := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v,amsgrad=%t", p, amsgrad), func(t *testing.T) {
				stepAdam[float32](t, be, p, amsgrad)
				stepAdam[float64](t, be, p, amsgrad)
			})
		}
	}
	be.Adam(nil, nil, nil, nil, nil, backend.AdamParams{Step: 1})
}

func stepAdam[T float32 | float64](t *testing.T, be backend.Backend, p backend.AdamParams, amsgrad bool) {
	w, m, v, top := newStates[T](be, 1), newStates[T](be, 0), newStates[T](be, 0), newStates[T](be, 0)
	maxV := top.arrays
	if !amsgrad {
		maxV = nil
	}
	for step := range optimSteps {
		p.Step = step + 1
		g := newStates[T](be, 100*uint64(step+1))
		be.Adam(w.arrays, g.arrays, m.arrays, v.arrays, maxV, p)
		correction1 := 1 - math.Pow(p.Beta1, float64(p.Step))
		correction2 := 1 - math.Pow(p.Beta2, float64(p.Step))
		for i, w := range w.want {
			m, v, top := m.want[i], v.want[i], top.want[i]
			for k := range w {
				decay := p.WeightDecay
				if p.Decoupled {
					w[k] -= p.LR * p.WeightDecay * w[k]
					decay = 0
				}
				d := gradient(g.want[i][k], w[k], decay, p.Maximize)
				m[k] = p.Beta1*m[k] + (1-p.Beta1)*d
				v[k] = p.Beta2*v[k] + (1-p.Beta2)*d*d
				second := v[k]
				if amsgrad {
					top[k] = max(top[k], v[k])
					second = top[k]
				}
				w[k] -= p.LR * (m[k] / correction1) / (math.Sqrt(second/correction2) + p.Eps)
			}
		}
		g.check(t, be, "gradient", 0)
	}
	w.check(t, be, "parameter", tolerance[T]())
	m.check(t, be, "first moment", tolerance[T]())
	v.check(t, be, "second moment", tolerance[T]())
	top.check(t, be, "largest second moment", tolerance[T]())
}

func testAdamNaN(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	p := backend.AdamParams{LR: 0.5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: 1}
	w, g := put(be, []float64{1, inf, 1}), put(be, []float64{nan, 0, 0})
	m, v, top := put(be, make([]float64, 3)), put(be, make([]float64, 3)), put(be, []float64{0, 0, nan})
	one := func(a backend.Array) []backend.Array { return []backend.Array{a} }
	be.Adam(one(w), one(g), one(m), one(v), one(top), p)
	wantFloats(t, be, "parameter", w, []float64{nan, inf, nan}, 0)
	wantFloats(t, be, "first moment", m, []float64{nan, 0, 0}, 0)
	wantFloats(t, be, "largest second moment", top, []float64{nan, 0, nan}, 0)
}

func testAdamThreads(t *testing.T, be backend.Backend) {
	p := backend.AdamParams{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}
	var want [][]float32
	for _, threads := range []int{1, 2, 3, 8} {
		old := runtime.GOMAXPROCS(threads)
		w, m, v := newStates[float32](be, 1), newStates[float32](be, 0), newStates[float32](be, 0)
		for step := range optimSteps {
			p.Step = step + 1
			be.Adam(w.arrays, newStates[float32](be, 100*uint64(p.Step)).arrays, m.arrays, v.arrays, nil, p)
		}
		runtime.GOMAXPROCS(old)
		var got [][]float32
		for _, a := range w.arrays {
			got = append(got, get[float32](be, a))
		}
		if want == nil {
			want = got
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]float32]) {
			t.Errorf("parameters of %d threads are not those of 1", threads)
		}
	}
}

func testRMSprop(t *testing.T, be backend.Backend) {
	for _, p := range []backend.RMSpropParams{
		{LR: 0.01, Alpha: 0.99, Eps: 1e-8},
		{LR: 0.01, Alpha: 0.99, Eps: 1e-8, WeightDecay: 0.1, Maximize: true},
		{LR: 0.01, Alpha: 0.9, Eps: 1e-2, Centered: true},
		{LR: 0.01, Alpha: 0.3, Eps: 1e-2, Centered: true, Momentum: 0.9, WeightDecay: 0.1},
		{LR: 0.01, Alpha: 0.99, Eps: 1e-8, Momentum: 0.5},
	} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			stepRMSprop[float32](t, be, p)
			stepRMSprop[float64](t, be, p)
		})
	}
	be.RMSprop(nil, nil, nil, nil, nil, backend.RMSpropParams{})
}

func stepRMSprop[T float32 | float64](t *testing.T, be backend.Backend, p backend.RMSpropParams) {
	w, s, c, m := newStates[T](be, 1), newStates[T](be, 0), newStates[T](be, 0), newStates[T](be, 0)
	mean, momentum := c.arrays, m.arrays
	if !p.Centered {
		mean = nil
	}
	if p.Momentum == 0 {
		momentum = nil
	}
	for step := range optimSteps {
		g := newStates[T](be, 100*uint64(step+1))
		be.RMSprop(w.arrays, g.arrays, s.arrays, mean, momentum, p)
		for i, w := range w.want {
			s, c, m := s.want[i], c.want[i], m.want[i]
			for k := range w {
				d := gradient(g.want[i][k], w[k], p.WeightDecay, p.Maximize)
				s[k] = p.Alpha*s[k] + (1-p.Alpha)*d*d
				size := s[k]
				if p.Centered {
					c[k] = p.Alpha*c[k] + (1-p.Alpha)*d
					size -= c[k] * c[k]
				}
				d /= math.Sqrt(size) + p.Eps
				if p.Momentum != 0 {
					m[k] = p.Momentum*m[k] + d
					d = m[k]
				}
				w[k] -= p.LR * d
			}
		}
		g.check(t, be, "gradient", 0)
	}
	w.check(t, be, "parameter", tolerance[T]())
	s.check(t, be, "mean square", tolerance[T]())
	c.check(t, be, "mean", tolerance[T]())
	m.check(t, be, "momentum", tolerance[T]())
}

func testAdagrad(t *testing.T, be backend.Backend) {
	for _, p := range []backend.AdagradParams{
		{LR: 0.1, Eps: 1e-10},
		{LR: 0.1, Eps: 1e-3, LRDecay: 0.1, WeightDecay: 0.01},
		{LR: 0.1, Eps: 1e-10, Maximize: true},
	} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			stepAdagrad[float32](t, be, p)
			stepAdagrad[float64](t, be, p)
		})
	}
	be.Adagrad(nil, nil, nil, backend.AdagradParams{Step: 1})
}

func stepAdagrad[T float32 | float64](t *testing.T, be backend.Backend, p backend.AdagradParams) {
	w, s := newStates[T](be, 1), newStates[T](be, 0)
	for step := range optimSteps {
		p.Step = step + 1
		g := newStates[T](be, 100*uint64(step+1))
		be.Adagrad(w.arrays, g.arrays, s.arrays, p)
		for i, w := range w.want {
			s := s.want[i]
			for k := range w {
				d := gradient(g.want[i][k], w[k], p.WeightDecay, p.Maximize)
				s[k] += d * d
				w[k] -= p.LR / (1 + float64(step)*p.LRDecay) * d / (math.Sqrt(s[k]) + p.Eps)
			}
		}
		g.check(t, be, "gradient", 0)
	}
	w.check(t, be, "parameter", tolerance[T]())
	s.check(t, be, "sum of squares", tolerance[T]())
}
