package backend

import "github.com/wick-ml/wick/internal/expr"

// Rule is what Map does with each element.
type Rule struct {
	Expr    expr.Expr
	Numbers []float64 // of the Expr
	Kernel  Kernel    // computes the same from the same numbers; a backend that has it may take it

	// Of a Map that is part of a Graph. Both may be nil: the numbers then stay as they were captured.
	Renew func() []float64 // gives the numbers of the launch that is made now; each call is a launch
	Fits  func() bool      // reports whether the Map would be made with the same arrays and Expr; it changes nothing
}

// Kernel names a Rule that backends may have a kernel for. Its Numbers are in the
// order given here, whether or not its Expr reads them all.
type Kernel uint8

const (
	NoKernel Kernel = iota
	// SGDKernel is a step of stochastic gradient descent with momentum: parameter, gradient and momentum; parameter and
	// momentum. Sign, decay, learning rate, momentum, 1 - dampening, and whether (not 0) it is Nesterov's.
	SGDKernel
	// AdamKernel is a step of Adam: parameter, gradient, first and second moment, with AMSGrad the largest second moment; all
	// but the gradient. Sign, decay of the gradient, what parameters shrink by, learning rate (corrected), scale of the second
	// moment's root, epsilon, β₂, 1-β₁, 1-β₂.
	AdamKernel
)
