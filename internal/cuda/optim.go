//go:build cuda && linux

package cuda

import (
	"math"
	"slices"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// atOnce is how many parameters one launch serves; more would not fit what a launch
// takes (MOST in kernels/optim.cu). perShare is how many elements of one of them a
// block has (SHARE).
const (
	atOnce   = 72
	perShare = 4096
)

// parameters are what a launch goes through (struct Parameters in
// kernels/optim.cu).
type parameters struct {
	lists   [5][atOnce]pointer
	lengths [atOnce]int64
	first   [atOnce]uint32
	count   uint32
	blocks  uint32 // of all
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
	be.step(&sgd, numbersOf(be, sgdFor[float32], sgdFor[float64], p, p.Renewal), params, grads, momentum)
}

func sgdFor[A float32 | float64](p backend.SGDParams) sgdNumbers[A] {
	return sgdNumbers[A]{direction[A](p.Maximize), A(p.WeightDecay), A(p.LR), A(p.Momentum), A(1 - p.Dampening),
		flag(p.Momentum != 0), flag(p.First), flag(p.Nesterov)}
}

// Adam makes one step.
func (be *Backend) Adam(params, grads, m, v, maxV []backend.Array, p backend.AdamParams) {
	be.step(&adam, numbersOf(be, adamFor[float32], adamFor[float64], p, p.Renewal), params, grads, m, v, maxV)
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
	be.step(&rmsprop, numbersOf(be, rmspropFor[float32], rmspropFor[float64], p, p.Renewal), params, grads, square, mean, momentum)
}

func rmspropFor[A float32 | float64](p backend.RMSpropParams) rmspropNumbers[A] {
	return rmspropNumbers[A]{direction[A](p.Maximize), A(p.WeightDecay), A(p.LR), A(p.Alpha), A(1 - p.Alpha), A(p.Eps), A(p.Momentum)}
}

// Adagrad makes one step.
func (be *Backend) Adagrad(params, grads, sum []backend.Array, p backend.AdagradParams) {
	be.step(&adagrad, numbersOf(be, adagradFor[float32], adagradFor[float64], p, p.Renewal), params, grads, sum)
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

// numbers returns what adds an optimizer's numbers to a kernel's parameters, for
// arithmetic of either type. The numbers of a step that is captured lie in the graph,
// which the kernel prefers.
type numbers struct{ single, double func(*params) }

func numbersOf[P, S, D any](be *Backend, single func(P) S, double func(P) D, p P, r backend.Renewal[P]) numbers {
	s, d := single(p), double(p)
	var atS, atD pointer
	if g := be.capturing(); g != nil {
		if r.Fits != nil {
			g.fits = append(g.fits, r.Fits)
		}
		if r.Renew != nil {
			var inS *S
			var inD *D
			inS, atS = reserve[S](g)
			inD, atD = reserve[D](g)
			*inS, *inD = s, d
			g.renew = append(g.renew, func() {
				p := r.Renew()
				*inS, *inD = single(p), double(p)
			})
		}
	}
	return numbers{
		func(to *params) { param(to, s); param(to, atS) },
		func(to *params) { param(to, d); param(to, atD) },
	}
}

// add deals n elements of arrays to blocks. There has to be room.
func (all *parameters) add(n int, arrays ...pointer) {
	if n == 0 {
		return
	}
	for k, a := range arrays {
		all.lists[k][all.count] = a
	}
	all.lengths[all.count], all.first[all.count] = int64(n), all.blocks
	all.count++
	all.blocks += uint32((n + perShare - 1) / perShare)
}

// deal launches a kernel of optim.cu, for whose other parameters more is asked.
func (be *Backend) deal(k *kernels, t backend.DType, all *parameters, more func(*params)) {
	if all.blocks == 0 {
		return
	}
	var p params
	p.first, p.n = unsafe.Pointer(all), 1
	more(&p)
	be.launch(be.function(k[t]), [3]int{int(all.blocks), 1, 1}, threads, 0, &p)
}

// step launches an optimizer's kernel for the arrays of lists, the first of which are
// the parameters and gradients; empty lists are states that it does without.
func (be *Backend) step(k *kernels, with numbers, lists ...[]backend.Array) {
	for i := 0; i < len(lists[0]); {
		// Arrays of one type go together. What has several is a launch of its own.
		t := lists[0][i].DType()
		var all parameters
		for ; all.count < atOnce && i < len(lists[0]) && lists[0][i].DType() == t; i++ {
			if be.stepMixed(k, with, lists, i) {
				continue
			}
			var arrays [5]pointer
			for j, list := range lists {
				if len(list) > 0 {
					arrays[j] = address(list[i])
				}
			}
			all.add(lists[0][i].Len, arrays[:]...)
		}
		more := with.single
		if t == backend.Float64 {
			more = with.double
		}
		be.deal(k, t, &all, more)
	}
}

// stepMixed makes the step of one parameter whose gradient or state has another
// type, and returns false if none has.
func (be *Backend) stepMixed(k *kernels, with numbers, lists [][]backend.Array, i int) bool {
	var arrays [5]backend.Array
	for j, list := range lists {
		if len(list) > 0 {
			arrays[j] = list[i]
		}
	}
	if !differ(arrays[:]...) {
		return false
	}
	one := make([][]backend.Array, len(lists))
	var args []argument
	for j, list := range lists {
		if len(list) > 0 {
			one[j] = slices.Clone(list[i : i+1])
			args = append(args, argument{&one[j][0], true, j != 1})
		}
	}
	return be.alike(func() { be.step(k, with, one...) }, args...)
}
