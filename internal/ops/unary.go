package ops

import "github.com/wick-ml/wick/internal/backend"

// Unary is an element-wise function of one operand.
type Unary struct {
	Kind backend.UnaryOp
	backend.UnaryParams
}

// Name returns the operation's name.
func (o Unary) Name() string { return unaryNames[o.Kind] }

var unaryNames = [backend.NumUnaryOps]string{
	backend.Neg: "Neg", backend.Abs: "Abs", backend.Sign: "Sign", backend.Square: "Square", backend.Sqrt: "Sqrt", backend.Rsqrt: "Rsqrt",
	backend.Reciprocal: "Reciprocal", backend.Exp: "Exp", backend.Expm1: "Expm1", backend.Log: "Log", backend.Log1p: "Log1p", backend.Log2: "Log2",
	backend.Log10: "Log10", backend.Sin: "Sin", backend.Cos: "Cos", backend.Tan: "Tan", backend.Asin: "Asin", backend.Acos: "Acos", backend.Atan: "Atan",
	backend.Sinh: "Sinh", backend.Cosh: "Cosh", backend.Tanh: "Tanh", backend.Erf: "Erf", backend.Sigmoid: "Sigmoid", backend.LogSigmoid: "LogSigmoid",
	backend.Floor: "Floor", backend.Ceil: "Ceil", backend.Round: "Round", backend.Trunc: "Trunc", backend.Clamp: "Clamp", backend.ReLU: "ReLU",
	backend.LeakyReLU: "LeakyReLU", backend.GELU: "GELU", backend.GELUTanh: "GELUTanh", backend.SiLU: "SiLU", backend.ELU: "ELU",
	backend.Hardswish: "Hardswish", backend.Hardsigmoid: "Hardsigmoid", backend.Softplus: "Softplus", backend.IsNaN: "IsNaN", backend.IsInf: "IsInf",
	backend.IsFinite: "IsFinite", backend.Not: "Not",
}

// UnaryGrad is the gradient of Unary: of the result's gradient and, where
// UnaryOp.GradUses says so, the operand or the result.
type UnaryGrad struct{ Unary }

// Name returns the operation's name.
func (o UnaryGrad) Name() string { return o.Unary.Name() + "Grad" }

// ReLUInPlace overwrites its operand.
type ReLUInPlace struct{}

// Name returns the operation's name.
func (ReLUInPlace) Name() string { return "ReLUInPlace" }

// ClampTensor limits the first operand to the second and third.
type ClampTensor struct{}

// Name returns the operation's name.
func (ClampTensor) Name() string { return "ClampTensor" }
