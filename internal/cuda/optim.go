//go:build cuda && linux

package cuda

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// atOnce is how many parameters one launch serves; more would not fit what a launch
// takes (MOST in kernels/optim.cu).
const atOnce = 16

// parameters are what a launch goes through (struct Parameters in
// kernels/optim.cu).
type parameters struct {
	lists   [5][atOnce]pointer
	lengths [atOnce]int64
}

// The numbers of a step, in the type that a kernel computes in (structs in
// kernels/optim.cu).
type (
	sgdNumbers[A float32 | float64] struct {
		sign, decay, lr, mu, keep A
		momentum, first, nesterov int64
	}
	adamNumbers[A float32 | float64]    struct{ sign, decay, shrink, size, scale, eps, beta2, new1, new2 A }
	rmspropNumbers[A float32 | float64] struct{ sign, decay, lr, alpha, fresh, eps, mu A }
	adagradNumbers[A float32 | float64] struct{ sign, decay, lr, eps A }
)

var (
	sgd, adam        = typed("sgd_", floatTypes), typed("adam_", floatTypes)
	rmsprop, adagrad = typed("rmsprop_", floatTypes), typed("adagrad_", floatTypes)
)

// SGD makes one step for all parameters.
func (be *Backend) SGD(params, grads, momentum []backend.Array, p backend.SGDParams) {
	be.step(&sgd, numbers(sgdFor[float32], p), numbers(sgdFor[float64], p), params, grads, momentum)
}

func sgdFor[A float32 | float64](p backend.SGDParams) sgdNumbers[A] {
	return sgdNumbers[A]{direction[A](p.Maximize), A(p.WeightDecay), A(p.LR), A(p.Momentum), A(1 - p.Dampening),
		flag(p.Momentum != 0), flag(p.First), flag(p.Nesterov)}
}

// Adam makes one step.
func (be *Backend) Adam(params, grads, m, v, maxV []backend.Array, p backend.AdamParams) {
	be.step(&adam, numbers(adamFor[float32], p), numbers(adamFor[float64], p), params, grads, m, v, maxV)
}

func adamFor[A float32 | float64](p backend.AdamParams) adamNumbers[A] {
	correction1 := 1 - math.Pow(p.Beta1, float64(p.Step))
	correction2 := math.Sqrt(1 - math.Pow(p.Beta2, float64(p.Step)))
	n := adamNumbers[A]{
		sign: direction[A](p.Maximize), decay: A(p.WeightDecay), shrink: 1,
		size: A(p.LR / correction1), scale: A(1 / correction2), eps: A(p.Eps),
		beta2: A(p.Beta2), new1: A(1 - p.Beta1), new2: A(1 - p.Beta2),
	}
	if p.Decoupled {
		n.shrink, n.decay = A(1-p.LR*p.WeightDecay), 0
	}
	return n
}

// RMSprop makes one step.
func (be *Backend) RMSprop(params, grads, square, mean, momentum []backend.Array, p backend.RMSpropParams) {
	if !p.Centered {
		mean = nil
	}
	if p.Momentum == 0 {
		momentum = nil
	}
	be.step(&rmsprop, numbers(rmspropFor[float32], p), numbers(rmspropFor[float64], p), params, grads, square, mean, momentum)
}

func rmspropFor[A float32 | float64](p backend.RMSpropParams) rmspropNumbers[A] {
	return rmspropNumbers[A]{direction[A](p.Maximize), A(p.WeightDecay), A(p.LR), A(p.Alpha), A(1 - p.Alpha), A(p.Eps), A(p.Momentum)}
}

// Adagrad makes one step.
func (be *Backend) Adagrad(params, grads, sum []backend.Array, p backend.AdagradParams) {
	be.step(&adagrad, numbers(adagradFor[float32], p), numbers(adagradFor[float64], p), params, grads, sum)
}

func adagradFor[A float32 | float64](p backend.AdagradParams) adagradNumbers[A] {
	return adagradNumbers[A]{direction[A](p.Maximize), A(p.WeightDecay), A(p.LR / (1 + float64(p.Step-1)*p.LRDecay)), A(p.Eps)}
}

// direction returns what gradients are multiplied by.
func direction[A float32 | float64](maximize bool) A {
	if maximize {
		return -1
	}
	return 1
}

// numbers returns what adds an optimizer's numbers to a kernel's parameters.
func numbers[P, N any](f func(P) N, p P) func(*params) {
	return func(to *params) { param(to, f(p)) }
}

// step launches an optimizer's kernel for the arrays of lists, the first of which are
// the parameters and gradients; empty lists are states that it does without.
func (be *Backend) step(k *kernels, single, double func(*params), lists ...[]backend.Array) {
	for i := 0; i < len(lists[0]); {
		// Arrays of one type go together. What has several is a launch of its own.
		t := lists[0][i].DType()
		var all parameters
		var longest, n int
		for ; n < atOnce && i < len(lists[0]) && lists[0][i].DType() == t; i++ {
			if be.stepMixed(k, single, double, lists, i) {
				continue
			}
			for j, list := range lists {
				if len(list) > 0 {
					all.lists[j][n] = address(list[i])
				}
			}
			all.lengths[n] = int64(lists[0][i].Len)
			longest = max(longest, lists[0][i].Len)
			n++
		}
		if longest == 0 {
			continue
		}
		var p params
		param(&p, all)
		if t == backend.Float64 {
			double(&p)
		} else {
			single(&p)
		}
		blocks := min((longest+threads-1)/threads, blocksPerUnit*be.units)
		be.launch(be.function(k[t]), [3]int{blocks, n, 1}, threads, 0, &p)
	}
}

// stepMixed makes the step of one parameter whose gradient or state has another
// type, and returns false if none has.
func (be *Backend) stepMixed(k *kernels, single, double func(*params), lists [][]backend.Array, i int) bool {
	one := make([][]backend.Array, len(lists))
	var args []argument
	for j, list := range lists {
		if len(list) > 0 {
			one[j] = slices.Clone(list[i : i+1])
			args = append(args, argument{&one[j][0], true, j != 1})
		}
	}
	return be.alike(func() { be.step(k, single, double, one...) }, args...)
}
