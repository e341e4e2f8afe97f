package ops

import "github.com/wick-ml/wick/internal/backend"

// Binary is an element-wise function of two operands, with broadcasting.
type Binary struct{ Kind backend.BinaryOp }

// Name returns the operation's name.
func (o Binary) Name() string { return binaryNames[o.Kind] }

// Scalar is an element-wise function of an operand and a number, or of a number and
// an operand if Swapped.
type Scalar struct {
	Kind    backend.BinaryOp
	S       float64
	Swapped bool
}

// Name returns the operation's name.
func (o Scalar) Name() string {
	if o.Swapped {
		return "R" + binaryNames[o.Kind] + "Scalar"
	}
	if o.Kind == backend.DivTrunc || o.Kind == backend.DivFloor {
		return "DivScalarRounded"
	}
	return binaryNames[o.Kind] + "Scalar"
}

var binaryNames = [backend.NumBinaryOps]string{
	backend.Add: "Add", backend.Sub: "Sub", backend.Mul: "Mul", backend.Div: "Div", backend.DivTrunc: "DivRounded", backend.DivFloor: "DivRounded",
	backend.Pow: "Pow", backend.Maximum: "Maximum", backend.Minimum: "Minimum", backend.Remainder: "Remainder", backend.Fmod: "Fmod",
	backend.Atan2: "Atan2", backend.Eq: "Eq", backend.Ne: "Ne", backend.Lt: "Lt", backend.Le: "Le", backend.Gt: "Gt", backend.Ge: "Ge",
	backend.And: "And", backend.Or: "Or", backend.Xor: "Xor",
}

// SumTo adds up over the dimensions that broadcasting from Shape would repeat.
type SumTo struct{ Shape []int }

// Name returns the operation's name.
func (SumTo) Name() string { return "SumTo" }
