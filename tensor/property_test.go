package tensor_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/wick-ml/wick/tensor"
)

// drawShape draws up to four dimensions of sizes 0 to 5.
func drawShape(t *rapid.T, name string) tensor.Shape {
	return rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, name)
}

// numbered returns a tensor of the shape with the elements 0, 1, 2, ….
func numbered(shape tensor.Shape) *T {
	v := make([]float64, shape.Len())
	for i := range v {
		v[i] = float64(i)
	}
	return tensor.From(v).Reshape(shape...)
}

// drawPart draws a shape that broadcasts to shape: some sizes are 1 instead, and
// some are left out in front.
func drawPart(t *rapid.T, shape tensor.Shape, name string) tensor.Shape {
	part := slices.Clone(shape)
	for i := range part {
		if rapid.Bool().Draw(t, name+" is 1") {
			part[i] = 1
		}
	}
	return part[rapid.IntRange(0, len(part)).Draw(t, name+" begins at"):]
}

// at returns the element of x that stands at place of a shape that x broadcasts
// to.
func at(x *T, values []float64, place []int) float64 {
	i := 0
	for d, n := range x.Shape() {
		p := place[len(place)-x.Dim()+d]
		if n == 1 {
			p = 0
		}
		i = i*n + p
	}
	return values[i]
}

// places calls f for each place of a shape, row by row.
func places(shape tensor.Shape, f func(i int, place []int)) {
	place := make([]int, len(shape))
	for i := range shape.Len() {
		rest := i
		for d := len(shape) - 1; d >= 0; d-- {
			place[d] = rest % shape[d]
			rest /= shape[d]
		}
		f(i, place)
	}
}

func wantSameTensor(t *rapid.T, what string, got, want *T) {
	t.Helper()
	if !got.Shape().Equal(want.Shape()) || !slices.Equal(got.Float64s(), want.Float64s()) {
		t.Errorf("%s: got %v %v, want %v %v", what, got.Shape(), got.Float64s(), want.Shape(), want.Float64s())
	}
}

// Broadcasting takes each pair of elements that stand at one place, in either
// order, and its gradient counts how often an element was taken.
func TestBroadcastProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawShape(t, "shape")
		x, y := numbered(drawPart(t, shape, "x")), numbered(drawPart(t, shape, "y")).AddScalar(100)
		x.SetRequiresGrad(true)
		sum := x.Sub(y)
		xs, ys, got := x.Float64s(), y.Float64s(), sum.Float64s()
		taken := make([]float64, len(xs))
		ids := numbered(x.Shape())
		idValues := ids.Float64s()
		places(sum.Shape(), func(i int, place []int) {
			if want := at(x, xs, place) - at(y, ys, place); got[i] != want {
				t.Errorf("%v - %v at %v: got %v, want %v", x.Shape(), y.Shape(), place, got[i], want)
			}
			taken[int(at(ids, idValues, place))]++
		})
		wantSameTensor(t, "the other order", y.Sub(x.Detach()).Neg(), sum.Detach())
		sum.Sum().Backward()
		wantSameTensor(t, "gradient", x.Grad(), tensor.From(taken).Reshape(x.Shape()...))
		if want := sum.Shape(); len(want) > 0 {
			wantSameTensor(t, "expanded", x.Detach().Expand(want...).Sub(y.Expand(want...)), sum.Detach())
		}
	})
}

// Two shapes that do not broadcast panic with an *Error, whatever they are.
func TestBroadcastAnyShapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawShape(t, "a"), drawShape(t, "b")
		fits := true
		for i := range min(len(a), len(b)) {
			m, n := a[len(a)-1-i], b[len(b)-1-i]
			fits = fits && (m == n || m == 1 || n == 1)
		}
		if err := try(func() { numbered(a).Mul(numbered(b)) }); (err == nil) != fits {
			t.Errorf("%v and %v: got error %v, want one: %v", a, b, err, !fits)
		}
	})
}

// Reshape and Flatten keep the elements in order, share the memory, and are
// undone by Reshape.
func TestReshapeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := numbered(drawShape(t, "shape"))
		dims := []int{x.Len()}
		for n := 2; n <= 5; n++ { // split the first size where it is whole
			if rapid.Bool().Draw(t, "split") && dims[0]%n == 0 {
				dims = append([]int{dims[0] / n, n}, dims[1:]...)
			}
		}
		if x.Len() > 0 {
			dims[rapid.IntRange(0, len(dims)-1).Draw(t, "open")] = -1
		}
		y := x.Reshape(dims...)
		if !y.SharesMemory(x) || !slices.Equal(y.Float64s(), x.Float64s()) {
			t.Errorf("%v to %v: got other elements or other memory", x.Shape(), dims)
		}
		wantSameTensor(t, "back", y.View(x.Shape()...), x)
		if x.Dim() > 0 {
			from := rapid.IntRange(0, x.Dim()-1).Draw(t, "from")
			flat := x.Flatten(from)
			if flat.Dim() != from+1 || !slices.Equal(flat.Float64s(), x.Float64s()) {
				t.Errorf("Flatten(%d) of %v: got %v", from, x.Shape(), flat.Shape())
			}
		}
		wantSameTensor(t, "squeezed", x.Unsqueeze(0).Unsqueeze(-1).Squeeze(0, -1), x)
	})
}

// Permute moves the element at (i, j, …) to the permuted place, and the inverse
// order undoes it, as does its gradient.
func TestPermuteProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := drawShape(t, "shape")
		x := numbered(shape).SetRequiresGrad(true)
		identity := make([]int, len(shape))
		for i := range identity {
			identity[i] = i
		}
		order := rapid.Permutation(identity).Draw(t, "order")
		inverse := make([]int, len(order))
		for i, d := range order {
			inverse[d] = i
		}
		y := x.Permute(order...)
		xs, ys := x.Float64s(), y.Float64s()
		places(y.Shape(), func(i int, place []int) {
			from := make([]int, len(place))
			for k, d := range order {
				from[d] = place[k]
			}
			if want := at(x, xs, from); ys[i] != want {
				t.Errorf("%v permuted by %v at %v: got %v, want %v", shape, order, place, ys[i], want)
			}
		})
		back := y.Permute(inverse...)
		wantSameTensor(t, "back", back.Detach(), x.Detach())
		if x.Len() > 0 {
			y.Mul(numbered(y.Shape())).Sum().Backward()
			wantSameTensor(t, "gradient", x.Grad(), numbered(y.Shape()).Permute(inverse...))
		}
	})
}

// Cutting and joining undo each other, on any dimension; so does reversing twice.
func TestCatProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := append(drawShape(t, "shape"), rapid.IntRange(1, 6).Draw(t, "last"))
		x := numbered(shape)
		dim := rapid.IntRange(0, len(shape)-1).Draw(t, "dim")
		size := rapid.IntRange(1, 4).Draw(t, "size")
		wantSameTensor(t, "split", tensor.Cat(dim, x.Split(size, dim)...), x)
		cut := rapid.IntRange(0, shape[dim]).Draw(t, "cut")
		wantSameTensor(t, "narrowed", tensor.Cat(dim-len(shape), x.Narrow(dim, 0, cut), x.Narrow(dim, cut, shape[dim]-cut)), x)
		wantSameTensor(t, "flipped", x.Flip(dim).Flip(dim), x)
		if shape[dim] > 0 {
			rows := make([]*T, shape[dim])
			for i := range rows {
				rows[i] = x.Select(dim, i)
			}
			wantSameTensor(t, "stacked", tensor.Stack(dim, rows...), x)
		}
		other := rapid.IntRange(0, len(shape)-1).Draw(t, "other")
		wantSameTensor(t, "transposed", x.Transpose(dim, other).Transpose(other, dim), x)
	})
}

// A matrix product, of any type and with any axis empty, is its sums; its gradients
// are the products that they should be.
func TestMatMulProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 5), rapid.SampledFrom([]int{0, 1, 17, 40}))
		m, k, n := size.Draw(t, "m"), size.Draw(t, "k"), size.Draw(t, "n")
		batch := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 2).Draw(t, "batch")
		dtype := rapid.SampledFrom([]tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16, tensor.Int64, tensor.Uint8}).Draw(t, "type")
		fresh := func(name string, rows, cols int) *T {
			shape := tensor.Shape(slices.Concat(drawPart(t, batch, name), []int{rows, cols}))
			return numbered(shape).RemainderScalar(3).ToDType(dtype)
		}
		x, y := fresh("x", m, k), fresh("y", k, n)
		float := dtype.IsFloat()
		if float {
			x, y = x.Clone().SetRequiresGrad(true), y.Clone().SetRequiresGrad(true)
		}
		z := x.MatMul(y)
		// The products of all triples, added up along k.
		a, b := x.Detach().ToDType(tensor.Float64).Unsqueeze(-1), y.Detach().ToDType(tensor.Float64).Unsqueeze(-3)
		wantSameTensor(t, "product", z.Detach().ToDType(tensor.Float64), a.Mul(b).Sum(-2))
		if !float {
			return
		}
		z.Sum().Backward()
		ones := tensor.Ones(z.Shape()...).ToDType(tensor.Float64).Unsqueeze(-2)
		sumTo := func(g *T, shape tensor.Shape) *T {
			for g.Dim() > len(shape) {
				g = g.Sum(0)
			}
			for d, s := range shape {
				if s == 1 && g.Size(d) != 1 {
					g = g.SumKeepDim(d)
				}
			}
			return g
		}
		wantSameTensor(t, "gradient of x", x.Grad().ToDType(tensor.Float64), sumTo(ones.Mul(b).Sum(-1), x.Shape()))
		wantSameTensor(t, "gradient of y", y.Grad().ToDType(tensor.Float64), sumTo(ones.Mul(a).Sum(-3), y.Shape()))
	})
}
