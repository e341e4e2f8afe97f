package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// Rand returns a Float32 tensor of numbers drawn uniformly from [0, 1) by the
// default generator. Without sizes it is a scalar. (torch.rand)
func Rand(dims ...int) *Tensor { return defaultGenerator.Rand(dims...) }

// Rand returns a Float32 tensor of numbers drawn uniformly from [0, 1).
func (g *Generator) Rand(dims ...int) *Tensor {
	return g.fresh("Rand", Float32, wantShape("Rand", dims), backend.Uniform, 0, 1)
}

// Randn returns a Float32 tensor of numbers drawn from the normal distribution
// with mean 0 and standard deviation 1 by the default generator. Without sizes it
// is a scalar. (torch.randn)
func Randn(dims ...int) *Tensor { return defaultGenerator.Randn(dims...) }

// Randn returns a Float32 tensor of numbers drawn from the normal distribution
// with mean 0 and standard deviation 1.
func (g *Generator) Randn(dims ...int) *Tensor {
	return g.fresh("Randn", Float32, wantShape("Randn", dims), backend.Normal, 0, 1)
}

// RandInt returns an Int64 tensor of whole numbers drawn uniformly from low up to
// but not including high by the default generator. (torch.randint)
func RandInt(low, high int64, dims ...int) *Tensor {
	return defaultGenerator.RandInt(low, high, dims...)
}

// RandInt returns an Int64 tensor of whole numbers drawn uniformly from low up to
// but not including high.
func (g *Generator) RandInt(low, high int64, dims ...int) *Tensor {
	const most = 1 << 53 // bounds travel as float64
	if low >= high || low < -most || high > most {
		fail("RandInt", "the range from %d up to %d is empty or too far out, want low < high, both within ±2⁵³", low, high)
	}
	return g.fresh("RandInt", Int64, wantShape("RandInt", dims), backend.Integers, float64(low), float64(high))
}

// Bernoulli returns a Float32 tensor whose elements are 1 with probability p and
// 0 otherwise, drawn by the default generator. (torch.bernoulli)
func Bernoulli(p float64, dims ...int) *Tensor { return defaultGenerator.Bernoulli(p, dims...) }

// Bernoulli returns a Float32 tensor whose elements are 1 with probability p and
// 0 otherwise.
func (g *Generator) Bernoulli(p float64, dims ...int) *Tensor {
	wantProbability("Bernoulli", p)
	return g.fresh("Bernoulli", Float32, wantShape("Bernoulli", dims), backend.Bernoulli, p, 1)
}

// RandPerm returns the numbers 0 … n-1 in an order drawn by the default
// generator, Int64. (torch.randperm)
func RandPerm(n int) *Tensor { return defaultGenerator.RandPerm(n) }

// RandPerm returns the numbers 0 … n-1 in random order, Int64.
func (g *Generator) RandPerm(n int) *Tensor {
	const name = "RandPerm"
	shape := wantShape(name, []int{n})
	// The order of random numbers is a random order.
	keys := g.fresh(name, Float64, shape, backend.Uniform, 0, 1)
	sorted := like(name, keys)
	out := result(name, Int64, shape, keys)
	out.be().Sort(sorted.array(), out.array(), keys.array(), false, backend.DimGeom{Outer: 1, N: n, Inner: 1})
	keys.release()
	sorted.release()
	return out
}

// RandLike returns numbers drawn uniformly from [0, 1) by the default generator,
// of x's shape and floating-point type, on its device and in its scopes.
// (torch.rand_like)
func RandLike(x *Tensor) *Tensor {
	x.wantFloat("RandLike")
	return like("RandLike", x).UniformInPlace(0, 1)
}

// RandnLike returns numbers drawn from the standard normal distribution by the
// default generator, of x's shape and floating-point type, on its device and in
// its scopes. (torch.randn_like)
func RandnLike(x *Tensor) *Tensor {
	x.wantFloat("RandnLike")
	return like("RandnLike", x).NormalInPlace(0, 1)
}

// UniformInPlace overwrites x with numbers drawn uniformly from [low, high), by
// the default generator or the one that is given. It is not recorded. It returns
// x. (torch.Tensor.uniform_)
func (x *Tensor) UniformInPlace(low, high float64, generator ...*Generator) *Tensor {
	const name = "UniformInPlace"
	x.wantFloat(name)
	if !(low <= high) || !(high-low <= largest(x.DType())) {
		fail(name, "the range is [%v, %v), want low ≤ high and a width that %s holds", low, high, x.DType())
	}
	return x.drawInPlace(name, backend.Uniform, low, high, generator)
}

// NormalInPlace overwrites x with numbers drawn from a normal distribution, by
// the default generator or the one that is given. It is not recorded. It returns
// x. (torch.Tensor.normal_)
func (x *Tensor) NormalInPlace(mean, std float64, generator ...*Generator) *Tensor {
	const name = "NormalInPlace"
	if !(std >= 0) {
		fail(name, "the standard deviation is %v, want 0 or more", std)
	}
	return x.drawInPlace(name, backend.Normal, mean, std, generator)
}

// largest returns the largest number of a floating-point type.
func largest(t DType) float64 {
	switch t {
	case Float16:
		return 65504
	case BFloat16:
		return 0x1.fep127
	case Float32:
		return math.MaxFloat32
	}
	return math.MaxFloat64
}

// drawInPlace overwrites x with random numbers.
func (x *Tensor) drawInPlace(name string, kind backend.RandomKind, a, b float64, generator []*Generator) *Tensor {
	x.wantWritable(name)
	x.wantFloat(name)
	x.overwrite(func(x *Tensor) { x.be().Random(x.array(), chosen(name, generator).draw(kind, a, b, x.Len())) })
	x.changedBy(name, a, b, nil)
	return x
}

// fresh makes a tensor of random numbers on the CPU.
func (g *Generator) fresh(name string, t DType, shape Shape, kind backend.RandomKind, a, b float64) *Tensor {
	x := alloc(name, CPU, t, slices.Clone(shape))
	x.be().Random(x.array(), g.draw(kind, a, b, x.Len()))
	return x
}

// chosen returns the optional generator of an operation, or nil for the default
// one.
func chosen(name string, generator []*Generator) *Generator {
	switch len(generator) {
	case 0:
		return nil
	case 1:
		return generator[0]
	}
	fail(name, "got %d generators, want one at most", len(generator))
	return nil
}

func wantProbability(name string, p float64) {
	if !(p >= 0 && p <= 1) {
		fail(name, "the probability is %v, want 0 to 1", p)
	}
}
