// Package ops has the operations of package tensor as values: a small struct for
// each, or for a few that differ in a kind, whose fields are the attributes that
// an operation has besides its operands. They are autograd.Op. Package tensor makes
// one where an operation is recorded or watched, and has the table of all of them;
// whoever reads a record (a summary, a trace, an exporter) takes it by its type.
//
// A gradient that is computed by an operation of its own, such as UnaryGrad, has a
// value here as well.
package ops

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// InPlace is an operation that changes its first operand and is not recorded:
// "AddInPlace", "Fill". Values are its numbers, if it takes some, and 0 behind them.
type InPlace struct {
	Method string
	Values [2]float64
}

// Name returns the operation's name.
func (o InPlace) Name() string { return o.Method }

// Assign changes some elements of its first operand and is not recorded:
// "MaskedFillInPlace", "IndexCopyInPlace". The others are the mask or the index, and
// what is assigned, if that is not Value.
type Assign struct {
	Method string
	Dim    int
	Value  float64
}

// Name returns the operation's name.
func (o Assign) Name() string { return o.Method }

// Clone copies.
type Clone struct{}

// Name returns the operation's name.
func (Clone) Name() string { return "Clone" }

// Contiguous copies what does not lie row by row.
type Contiguous struct{}

// Name returns the operation's name.
func (Contiguous) Name() string { return "Contiguous" }

// ToDType converts to a type.
type ToDType struct{ DType backend.DType }

// Name returns the operation's name.
func (ToDType) Name() string { return "ToDType" }

// To copies to a device.
type To struct{ Device string }

// Name returns the operation's name.
func (To) Name() string { return "To" }

// Autocast marks for mixed precision.
type Autocast struct{ DType backend.DType }

// Name returns the operation's name.
func (Autocast) Name() string { return "Autocast" }

// ZeroGrad is zeros of Shape, whatever the operand: the gradient of what has no slope.
type ZeroGrad struct{ Shape []int }

// Name returns the operation's name.
func (ZeroGrad) Name() string { return "ZeroGrad" }

// Class is what Tensor.Autocast does with an operation's operands.
type Class uint8

// The classes.
const (
	Widest Class = iota // computes in the type that arrives, the wider one if two meet
	Lower               // computes in the half type that an operand is marked for
	Raise               // computes in Float32
)

// Info is what the table says of an operation on values of type T.
type Info[T any] struct {
	Torch    string // PyTorch's name of it
	Autocast Class
	// MultiplyAdds counts those of a result; nil means none. A bias that is added
	// counts one for each element.
	MultiplyAdds func(op autograd.Op, in []T, out T) int
	// Apply computes the operation again. Of an operation with several results it
	// returns the one that op says.
	Apply func(op autograd.Op, in []T) T
}
