package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestRandomSeeds(t *testing.T) {
	for _, c := range []struct {
		name  string
		draw  func(g *tensor.Generator) *T
		dtype tensor.DType
		shape tensor.Shape
		lo    float64
		hi    float64 // both included
	}{
		{"Rand", func(g *tensor.Generator) *T { return g.Rand(20, 50) }, tensor.Float32, tensor.Shape{20, 50}, 0, 1 - 0x1p-24},
		{"Randn", func(g *tensor.Generator) *T { return g.Randn(1000) }, tensor.Float32, tensor.Shape{1000}, -6, 6},
		{"RandInt", func(g *tensor.Generator) *T { return g.RandInt(-3, 4, 1000) }, tensor.Int64, tensor.Shape{1000}, -3, 3},
		{"Bernoulli", func(g *tensor.Generator) *T { return g.Bernoulli(0.25, 1000) }, tensor.Float32, tensor.Shape{1000}, 0, 1},
		{"RandPerm", func(g *tensor.Generator) *T { return g.RandPerm(1000) }, tensor.Int64, tensor.Shape{1000}, 0, 999},
		{"UniformInPlace", func(g *tensor.Generator) *T {
			return tensor.Zeros(999).ToDType(tensor.Float64).UniformInPlace(-2, -1, g)
		}, tensor.Float64, tensor.Shape{999}, -2, -1},
		{"NormalInPlace", func(g *tensor.Generator) *T { return tensor.Zeros(999).NormalInPlace(10, 0.5, g) }, tensor.Float32, tensor.Shape{999}, 7, 13},
		{"nothing", func(g *tensor.Generator) *T { return g.Randn(0, 3) }, tensor.Float32, tensor.Shape{0, 3}, 0, 0},
		{"a scalar", func(g *tensor.Generator) *T { return g.Rand() }, tensor.Float32, tensor.Shape{}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := tensor.NewGenerator(3)
			a, b := c.draw(g), c.draw(g)
			if a.DType() != c.dtype || !a.Shape().Equal(c.shape) {
				t.Errorf("got %s %v, want %s %v", a.DType(), a.Shape(), c.dtype, c.shape)
			}
			for i, v := range a.Float64s() {
				if v < c.lo || v > c.hi {
					t.Fatalf("element %d: got %v, want %v to %v", i, v, c.lo, c.hi)
				}
			}
			again := tensor.NewGenerator(3)
			wantTensor(t, "the first draw from the same seed", c.draw(again), a, 0)
			wantTensor(t, "the second draw from the same seed", c.draw(again), b, 0)
			if a.Len() > 1 && slices.Equal(a.Float64s(), b.Float64s()) {
				t.Errorf("the second draw is the same as the first")
			}
			if a.Len() > 1 && slices.Equal(a.Float64s(), c.draw(tensor.NewGenerator(4)).Float64s()) {
				t.Errorf("another seed gives the same numbers")
			}
		})
	}
}

// The functions without a generator draw from the default one.
func TestRandomDefaultGenerator(t *testing.T) {
	for name, pair := range map[string][2]func() *T{
		"Rand":           {func() *T { return tensor.Rand(9) }, func() *T { return tensor.NewGenerator(7).Rand(9) }},
		"Randn":          {func() *T { return tensor.Randn(9) }, func() *T { return tensor.NewGenerator(7).Randn(9) }},
		"RandInt":        {func() *T { return tensor.RandInt(0, 99, 9) }, func() *T { return tensor.NewGenerator(7).RandInt(0, 99, 9) }},
		"Bernoulli":      {func() *T { return tensor.Bernoulli(0.5, 99) }, func() *T { return tensor.NewGenerator(7).Bernoulli(0.5, 99) }},
		"RandPerm":       {func() *T { return tensor.RandPerm(9) }, func() *T { return tensor.NewGenerator(7).RandPerm(9) }},
		"RandLike":       {func() *T { return tensor.RandLike(tensor.Ones(2, 3)) }, func() *T { return tensor.NewGenerator(7).Rand(2, 3) }},
		"RandnLike":      {func() *T { return tensor.RandnLike(tensor.Ones(2, 3)) }, func() *T { return tensor.NewGenerator(7).Randn(2, 3) }},
		"UniformInPlace": {func() *T { return tensor.Ones(9).UniformInPlace(0, 1) }, func() *T { return tensor.NewGenerator(7).Rand(9) }},
		"NormalInPlace":  {func() *T { return tensor.Ones(9).NormalInPlace(0, 1) }, func() *T { return tensor.NewGenerator(7).Randn(9) }},
		"Dropout": {func() *T { return tensor.Ones(99).Dropout(0.5, true) },
			func() *T { return tensor.Ones(99).Dropout(0.5, true, tensor.NewGenerator(7)) }},
	} {
		tensor.ManualSeed(7)
		got := pair[0]()
		wantTensor(t, name, got, pair[1](), 0)
	}
}

func TestRandPerm(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100} {
		p := tensor.NewGenerator(1).RandPerm(n).Ints()
		slices.Sort(p)
		for i, v := range p {
			if v != int64(i) {
				t.Fatalf("RandPerm(%d), sorted: got %d at %d", n, v, i)
			}
		}
		if len(p) != n {
			t.Errorf("RandPerm(%d): got %d numbers", n, len(p))
		}
	}
	// Each of the six orders of three comes up about as often.
	counts := map[[3]int64]int{}
	g := tensor.NewGenerator(2)
	const draws = 1200
	for range draws {
		counts[[3]int64(g.RandPerm(3).Ints())]++
	}
	for order, n := range counts {
		if math.Abs(float64(n)-draws/6) > 5*math.Sqrt(draws/6) {
			t.Errorf("order %v: got %d of %d draws, want about %d", order, n, draws, draws/6)
		}
	}
	if len(counts) != 6 {
		t.Errorf("got %d different orders of three, want 6", len(counts))
	}
}

func TestDropout(t *testing.T) {
	x := tensor.Ones(100, 100).SetRequiresGrad(true)
	y := x.Dropout(0.2, true, tensor.NewGenerator(5))
	kept := 0
	for i, v := range y.Floats() {
		switch v {
		case 1.25:
			kept++
		case 0:
		default:
			t.Fatalf("element %d: got %v, want 0 or 1.25", i, v)
		}
	}
	if kept < 7800 || kept > 8200 {
		t.Errorf("got %d of 10000 elements kept, want about 8000", kept)
	}
	y.Backward(tensor.BackwardOpts{Gradient: tensor.Full(2, 100, 100)})
	wantTensor(t, "gradient", x.Grad(), y.Detach().MulScalar(2), 0)

	if got := x.Dropout(0.2, false); got != x {
		t.Errorf("outside of training: got another tensor, want x itself")
	}
	if got := x.Dropout(0, true); got != x {
		t.Errorf("with probability 0: got another tensor, want x itself")
	}
	wantTensor(t, "with probability 1", x.Dropout(1, true), tensor.Zeros(100, 100), 0)
}

// A generator of one's own gives the same numbers in every run, whatever else
// draws.
func ExampleGenerator() {
	g := tensor.NewGenerator(1)
	weights := g.Randn(2, 3)
	order := g.RandPerm(4)
	fmt.Println(weights.Shape(), order.Len())
	// Output: [2 3] 4
}
