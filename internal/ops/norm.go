package ops

import "github.com/wick-ml/wick/internal/backend"

// BatchNorm2d normalizes each channel of the first operand; the others are the running
// mean and variance, the weight and the bias, each of which may be absent. Momentum and
// Eps are the numbers themselves.
type BatchNorm2d struct {
	Training      bool // normalize with the batch's statistics, and move the running ones
	Momentum, Eps float64
	ReLU          bool
}

// Name returns the operation's name.
func (BatchNorm2d) Name() string { return "BatchNorm2d" }

// BatchNormGrad is one of the gradients of BatchNorm2d. Its operands are the result's
// gradient, the input, with ReLU the result, the weight, and the mean and 1/√(variance+Eps)
// of each channel.
type BatchNormGrad struct {
	Of    Operand
	DType backend.DType // of the gradient
	Batch bool          // the statistics are the batch's
	Eps   float64
	ReLU  bool
}

// Operand is what a gradient is of.
type Operand uint8

// The operands of a normalization.
const (
	Input Operand = iota
	Weight
	Bias
)

// String returns the operand's name.
func (o Operand) String() string { return [...]string{"input", "weight", "bias"}[o] }

// Name returns the operation's name.
func (BatchNormGrad) Name() string { return "BatchNormGrad" }

// LayerNorm normalizes the last dimensions, of the sizes Shape, of the first operand; the
// others are the weight and the bias, each of which may be absent.
type LayerNorm struct {
	Shape []int
	Eps   float64
}

// Name returns the operation's name.
func (LayerNorm) Name() string { return "LayerNorm" }

// GroupNorm normalizes groups of channels of the first operand; the others are the weight
// and the bias, each of which may be absent.
type GroupNorm struct {
	Groups int
	Eps    float64
}

// Name returns the operation's name.
func (GroupNorm) Name() string { return "GroupNorm" }

// RowNorm takes its operand for so many rows: it normalizes them, or with InvStd gives
// 1/√(variance+Eps) of each.
type RowNorm struct {
	Rows   int
	Eps    float64
	InvStd bool
}

// Name returns the operation's name.
func (RowNorm) Name() string { return "RowNorm" }

// RowNormGrad is the gradient of the rows that RowNorm normalizes: of the result's
// gradient, the result, and what RowNorm gives with InvStd.
type RowNormGrad struct{}

// Name returns the operation's name.
func (RowNormGrad) Name() string { return "RowNormGrad" }
