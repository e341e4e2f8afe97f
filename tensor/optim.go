package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// SGDParams are the numbers of [SGDStep], as torch.optim.SGD takes them: LR,
// Momentum, Dampening, WeightDecay float64; Nesterov, Maximize, First bool. First
// says that momentum has no values yet.
type SGDParams = backend.SGDParams

// AdamParams are the numbers of [AdamStep], as torch.optim.Adam takes them: LR,
// Beta1, Beta2, Eps, WeightDecay float64; Step int, counted from 1; Decoupled
// (AdamW's weight decay), Maximize bool.
type AdamParams = backend.AdamParams

// RMSpropParams are the numbers of [RMSpropStep], as torch.optim.RMSprop takes
// them: LR, Alpha, Eps, WeightDecay, Momentum float64; Centered, Maximize bool.
type RMSpropParams = backend.RMSpropParams

// AdagradParams are the numbers of [AdagradStep], as torch.optim.Adagrad takes
// them: LR, LRDecay, WeightDecay, Eps float64; Step int, counted from 1; Maximize
// bool.
type AdagradParams = backend.AdagradParams

// SGDStep changes parameters by one step of stochastic gradient descent, all in
// one call. momentum holds a tensor for each parameter, or none where
// p.Momentum is 0. It is what package optim's SGD does its work with.
//
// Of all steps in this file: the lists are as long as params; what belongs to a
// parameter has its shape, type and device; no tensor stands twice. Parameters of
// several types or devices take a call of the backend for each. Nothing is
// recorded. (torch.optim.SGD)
//
// In a step that [Capture] makes a graph of, p is what the Run that captures uses.
// Later ones call p.Renew for theirs, once each, after p.Fits has said that the step
// would be made with the same tensors. Both may be nil; the numbers then stay.
func SGDStep(params, grads, momentum []*Tensor, p SGDParams) {
	const op = "SGDStep"
	wantState(op, "momentum", p.Momentum != 0, momentum)
	first, later := shared(p.Renewal)
	p.Renewal = first
	fused(op, [][]*Tensor{params, grads, momentum}, func(be backend.Backend, a [][]backend.Array) {
		be.SGD(a[0], a[1], a[2], p)
		p.Renewal = later
	})
}

// AdamStep changes parameters by one step of Adam, or AdamW if p.Decoupled, all
// in one call. m and v hold the moments of each parameter's gradient, zeros at
// first; maxV the largest v for AMSGrad, or no tensor. See [SGDStep].
// (torch.optim.Adam, AdamW; Kingma and Ba, 2015; Loshchilov and Hutter, 2019;
// Reddi, Kale and Kumar, 2018)
func AdamStep(params, grads, m, v, maxV []*Tensor, p AdamParams) {
	const op = "AdamStep"
	if p.Step < 1 {
		fail(op, "the step is %d, want 1 or more", p.Step)
	}
	wantState(op, "first moments", len(params) > 0, m)
	wantState(op, "second moments", len(params) > 0, v)
	first, later := shared(p.Renewal)
	p.Renewal = first
	fused(op, [][]*Tensor{params, grads, m, v, maxV}, func(be backend.Backend, a [][]backend.Array) {
		be.Adam(a[0], a[1], a[2], a[3], a[4], p)
		p.Renewal = later
	})
}

// RMSpropStep changes parameters by one step of RMSprop, all in one call. square
// holds the mean square of each parameter's gradient, zeros at first; mean its
// mean if p.Centered, otherwise no tensor; momentum no tensor where p.Momentum is
// 0. See [SGDStep]. (torch.optim.RMSprop; Tieleman and Hinton, 2012)
func RMSpropStep(params, grads, square, mean, momentum []*Tensor, p RMSpropParams) {
	const op = "RMSpropStep"
	wantState(op, "mean squares", len(params) > 0, square)
	wantState(op, "means", p.Centered, mean)
	wantState(op, "momentum", p.Momentum != 0, momentum)
	first, later := shared(p.Renewal)
	p.Renewal = first
	fused(op, [][]*Tensor{params, grads, square, mean, momentum}, func(be backend.Backend, a [][]backend.Array) {
		be.RMSprop(a[0], a[1], a[2], a[3], a[4], p)
		p.Renewal = later
	})
}

// AdagradStep changes parameters by one step of Adagrad, all in one call. sum
// holds the sum of squares of each parameter's gradient. See [SGDStep].
// (torch.optim.Adagrad; Duchi, Hazan and Singer, 2011)
func AdagradStep(params, grads, sum []*Tensor, p AdagradParams) {
	const op = "AdagradStep"
	if p.Step < 1 {
		fail(op, "the step is %d, want 1 or more", p.Step)
	}
	wantState(op, "sums of squares", len(params) > 0, sum)
	first, later := shared(p.Renewal)
	p.Renewal = first
	fused(op, [][]*Tensor{params, grads, sum}, func(be backend.Backend, a [][]backend.Array) {
		be.Adagrad(a[0], a[1], a[2], p)
		p.Renewal = later
	})
}

// shared returns the renewals of the calls of the backend that one step takes: the
// first call renews the numbers, the others take what it got.
func shared[P any](r backend.Renewal[P]) (first, later backend.Renewal[P]) {
	if r.Renew == nil {
		return r, later
	}
	var now P
	first = backend.Renewal[P]{Fits: r.Fits, Renew: func() P {
		now = r.Renew()
		return now
	}}
	later.Renew = func() P { return now }
	return first, later
}

// wantState panics if a list that a step reads is missing.
func wantState(op, what string, needed bool, list []*Tensor) {
	if needed && len(list) == 0 {
		fail(op, "got no %s, want a tensor for each parameter", what)
	}
}

// fused calls run with the arrays of all lists, the first of which is the
// parameters and the second their gradients; an optional list may be empty. What
// lies on several devices or has several types is handed over in several calls.
// All tensors but the gradients count as written.
func fused(op string, lists [][]*Tensor, run func(be backend.Backend, arrays [][]backend.Array)) {
	params := lists[0]
	for i, list := range lists {
		if len(list) != len(params) && (i < 2 || len(list) > 0) {
			fail(op, "got %d parameters and a list of %d tensors, want as many", len(params), len(list))
		}
		for j, x := range list {
			p := params[j]
			if x == nil {
				fail(op, "tensor %d is nil", j)
			}
			if i != 1 {
				x.wantWritable(op)
			} else {
				x.check(op)
			}
			x.wantFloat(op)
			if !x.shape.Equal(p.shape) || x.DType() != p.DType() || x.storage.device != p.storage.device {
				fail(op, "got %s on %s for %s on %s, want one shape, type and device",
					x.describe(), x.storage.device, p.describe(), p.storage.device)
			}
		}
	}
	wantApart(op, lists)
	for _, same := range kinds(params) {
		arrays := make([][]backend.Array, len(lists))
		for i, list := range lists {
			if len(list) == 0 {
				continue
			}
			arrays[i] = make([]backend.Array, len(same))
			for k, j := range same {
				arrays[i][k] = list[j].array()
			}
		}
		run(params[same[0]].be(), arrays)
	}
	for i, list := range lists {
		for _, x := range list {
			if i != 1 {
				x.wrote()
			}
		}
	}
}

// wantApart panics if a tensor that a step writes shares memory with another one,
// since all are changed side by side. Gradients are read only, and one that overlaps
// what is written is replaced by a copy, unless it is its own parameter.
func wantApart(op string, lists [][]*Tensor) {
	type place struct{ list, i int }
	count := make(map[*storage]int, len(lists)*len(lists[0]))
	for _, list := range lists {
		for _, x := range list {
			count[x.storage]++
		}
	}
	var some []place // that share a storage
	for l, list := range lists {
		for i, x := range list {
			if count[x.storage] > 1 {
				some = append(some, place{l, i})
			}
		}
	}
	for n, a := range some {
		for _, b := range some[:n] {
			a, b := a, b
			if b.list == 1 {
				a, b = b, a
			}
			x, y := lists[a.list][a.i], lists[b.list][b.i]
			switch {
			case b.list == 1 || !x.overlaps(y):
			case a.list != 1:
				fail(op, "%s and %s, which it changes, share memory, want each its own", x.describe(), y.describe())
			case b.list != 0 || b.i != a.i || x.offset != y.offset:
				lists[1] = slices.Clone(lists[1])
				lists[1][a.i] = x.bare().Clone()
			}
		}
	}
}

// kinds returns the positions of the tensors of each device and type.
func kinds(xs []*Tensor) (positions [][]int) {
next:
	for i, x := range xs {
		for k, same := range positions {
			y := xs[same[0]]
			if x.storage.device == y.storage.device && x.DType() == y.DType() {
				positions[k] = append(same, i)
				continue next
			}
		}
		positions = append(positions, []int{i})
	}
	return positions
}

// ClipNorm scales tensors, in place, so that the norm of all their elements
// together is at most maxNorm, and returns what the norm was. It waits until that
// is computed. If the norm is an infinity or NaN, so are elements of the result.
// (torch.nn.utils.clip_grad_norm_)
func ClipNorm(xs []*Tensor, maxNorm float64) float64 {
	const op = "ClipNorm"
	wantClip(op, xs, maxNorm)
	squares := 0.0
	for _, same := range kinds(xs) {
		// All sums come into one tensor, so that they are waited for once.
		first := xs[same[0]]
		sums := alloc(op, first.storage.device, wideType(first.DType()), Shape{len(same)})
		for k, i := range same {
			x, dst := xs[i], sums.array()
			dst.Offset, dst.Len = k, 1
			x.be().Reduce(dst, x.array(), backend.ReduceSumSquares, backend.ReduceGeom{Shape: []int{x.Len()}, Reduce: []bool{true}})
		}
		for _, s := range sums.Float64s() {
			squares += s
		}
		sums.Release()
	}
	norm := math.Sqrt(squares)
	if scale := maxNorm / (norm + 1e-6); !(scale >= 1) {
		for _, x := range xs {
			x.be().BinaryScalar(x.array(), x.array(), scale, false, backend.Mul)
			x.wrote()
		}
	}
	return norm
}

// ClipValue clamps the elements of tensors, in place, to [-limit, limit].
// (torch.nn.utils.clip_grad_value_)
func ClipValue(xs []*Tensor, limit float64) {
	const op = "ClipValue"
	wantClip(op, xs, limit)
	for _, x := range xs {
		x.be().Unary(x.array(), x.array(), backend.Clamp, backend.UnaryParams{P0: -limit, P1: limit})
		x.wrote()
	}
}

func wantClip(op string, xs []*Tensor, limit float64) {
	if !(limit >= 0) {
		fail(op, "the limit is %v, want 0 or more", limit)
	}
	for i, x := range xs {
		if x == nil {
			fail(op, "tensor %d is nil", i)
		}
		x.wantWritable(op)
		x.wantFloat(op)
	}
}
