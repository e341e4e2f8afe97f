// Package backend is the seam between tensors and the machines that compute:
// one interface, destination first, with plain structs for the geometry of each
// operation. Package tensor checks shapes and types and then calls a method
// here; internal/cpu implements all of them.
//
// What holds for every method unless its comment says otherwise:
//
//   - Arrays are row-major and contiguous; their lengths follow from the
//     geometry, which the caller has checked. Float arguments of one call have
//     one type (Float32 or Float64).
//   - The destination is overwritten, and may not overlap a source, except that
//     an elementwise method (Unary, UnaryGrad, Binary, BinaryScalar, Where)
//     takes the very same window as destination and as a source that is not
//     broadcast.
//   - The same arguments give the same bits, whatever the number of threads. Convolutions
//     may have other last bits each time where Algorithms does not ask for Deterministic.
//   - Lengths of zero are allowed.
//   - Methods may be called from several goroutines at once, as long as nobody
//     writes an array that another uses.
//   - A method that takes an index checks its values: it returns an IndexError
//     for the first that is out of range, and has written nothing. A backend that
//     computes behind the caller's back may return nil instead and have the next
//     Read, of any array, panic with the error that IndexUse.BadIndex makes. Until
//     then it leaves all memory but the destination alone, whose elements for bad
//     indices it may fill as it likes. Of several bad indices it tells the first.
package backend

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Buffer is memory of a backend, a handle: its backend gives it memory when an
// operation writes it, and decides how the elements lie there.
type Buffer interface {
	DType() DType
	Len() int // elements
}

// Array is a window on a buffer: Len elements from Offset on. The zero Array
// stands for an optional argument that is absent.
type Array struct {
	Buffer      Buffer
	Offset, Len int
}

// DType returns the type of the elements.
func (a Array) DType() DType { return a.Buffer.DType() }

// None reports whether the array stands for an absent argument.
func (a Array) None() bool { return a.Buffer == nil }

// MemoryStats says what a backend's tensors hold, in bytes.
type MemoryStats struct {
	Live   int64 // in use by tensors now
	Peak   int64 // the most that was in use at once
	Cached int64 // kept for reuse by the pool, not in use
	Taken  int64 // taken from the system so far; stays where it is when all requests are served from the pool
}

// MemoryError is what NewBuffer, and a method that needs room besides its
// arrays, panics with where a device has none.
type MemoryError struct {
	Bytes       int64       // that were asked for
	Stats       MemoryStats // of the backend
	Free, Total int64       // on the device, which other programs use too
}

func (e *MemoryError) Error() string {
	const mb = 1 << 20
	return fmt.Sprintf("the device has no room for %.1f MiB: tensors hold %.1f MiB (at most %.1f MiB at once so far), %.1f of its %.1f MiB are free",
		float64(e.Bytes)/mb, float64(e.Stats.Live)/mb, float64(e.Stats.Peak)/mb, float64(e.Free)/mb, float64(e.Total)/mb)
}

// DeviceError is what methods panic with where the device itself fails: it is
// lost, or its driver refuses a call. Work is done behind the caller's back, so
// the method that hears of it need not be the one that failed.
type DeviceError interface {
	error
	DeviceFailed()
}

// IndexError says that an index array holds a value outside its range.
type IndexError struct {
	Position int   // where in the index array, flat
	Index    int64 // the value there
	Size     int   // indices run from 0 to Size-1
}

func (e *IndexError) Error() string {
	return fmt.Sprintf("index %d at position %d is out of range, want 0 to %d", e.Index, e.Position, e.Size-1)
}

// IndexUse says who gives a method its index. A backend that finds a bad index
// only later keeps the use until then.
type IndexUse interface {
	// Key returns the same text for uses whose errors say the same, so that a backend keeps one of them.
	Key() string
	// BadIndex returns the error that the program hears; it wraps e.
	BadIndex(e *IndexError) error
}

// Precision says how exactly a backend multiplies float32 matrices and
// convolves. It may be more exact than asked.
type Precision uint8

// The precisions, by PyTorch's words. The errors are relative (L2), those of a
// 3×3 convolution with 256 channels.
const (
	Highest Precision = iota // as exact as sums of float32 products: 1e-6
	High                     // 5e-6 on the CPU, TF32 (3e-4) on a GPU
	Medium                   // factors rounded to bfloat16: 1e-2
)

// Algorithms says how a backend chooses among algorithms where a library offers it
// several for a convolution. The zero Algorithms takes the one that the library
// expects to be the fastest.
type Algorithms struct {
	Deterministic bool // only those that give the same bits each time
	Benchmark     bool // measure them when a geometry is first seen, and take the fastest
}

// UnaryOp names an elementwise function of one array. P0 and P1 are the
// parameters of UnaryParams.
type UnaryOp uint8

const (
	Neg UnaryOp = iota
	Abs
	Sign
	Square
	Sqrt
	Rsqrt
	Reciprocal
	Exp
	Expm1
	Log
	Log1p
	Log2
	Log10
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Tanh
	Erf
	Sigmoid
	LogSigmoid
	Floor
	Ceil
	Round // half to even, as PyTorch does
	Trunc
	Clamp // to [P0, P1]; no gradient at the bounds
	ReLU
	LeakyReLU // slope P0
	GELU      // x·Φ(x)
	GELUTanh  // the tanh approximation
	SiLU
	ELU // alpha P0
	Hardswish
	Hardsigmoid
	Softplus // beta P0, threshold P1
	IsNaN    // Bool result
	IsInf    // Bool result
	IsFinite // Bool result
	Not      // Bool result: x == 0
	NumUnaryOps
)

// UnaryParams are the numbers that a UnaryOp takes besides its array.
type UnaryParams struct{ P0, P1 float64 }

// BinaryOp names an elementwise function of two arrays.
type BinaryOp uint8

const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	DivTrunc // the quotient towards 0
	DivFloor // the quotient down, as Python's //
	Pow
	Maximum // NaN wins, as in PyTorch
	Minimum
	Remainder // sign of the divisor, as Python's %
	Fmod      // sign of the dividend, as C's fmod
	Atan2
	Eq // from here on the result is Bool
	Ne
	Lt
	Le
	Gt
	Ge
	And // of Bool arrays
	Or
	Xor
	NumBinaryOps
)

// IsComparison reports whether the operation's result is Bool.
func (op BinaryOp) IsComparison() bool { return op >= Eq }

// BinaryGeom says how two arrays are broadcast against each other: element
// (i0, i1, …) of the result is made from elements Σ ik·A[k] and Σ ik·B[k]. The
// zero BinaryGeom means that all three arrays have the same length and no
// broadcasting takes place.
type BinaryGeom struct {
	Shape []int // of the result
	A, B  []int // strides, 0 where an array is broadcast
}

// WhereGeom is BinaryGeom for three sources.
type WhereGeom struct {
	Shape      []int
	Cond, A, B []int
}

// StridedGeom is a view on an array: element (i0, i1, …) of the view is element
// Offset + Σ ik·Strides[k] of the array. Strides may be 0 or negative.
type StridedGeom struct {
	Shape   []int
	Strides []int
	Offset  int
}

// ReduceOp names a reduction.
type ReduceOp uint8

const (
	ReduceSum ReduceOp = iota
	ReduceSumSquares
	ReduceProd
	ReduceMax // NaN wins
	ReduceMin
	ReduceAny // Bool result: some element is not 0
	ReduceAll // Bool result
	NumReduceOps
)

// ReduceGeom says over which dimensions of an array a reduction goes. Element
// (i0, i1, …) is element Σ ik·Strides[k] of the array.
type ReduceGeom struct {
	Shape   []int  // of the source
	Reduce  []bool // one a dimension
	Strides []int  // none is negative; nil: row-major
}

// Stored returns the same reduction with its dimensions in the order in which the
// elements lie, without Strides if those are row-major then. The view results on
// what it makes is what g makes; same says that this is the whole of it as it is.
func (g ReduceGeom) Stored() (s ReduceGeom, results StridedGeom, same bool) {
	far := func(d int) int { // what is broadcast comes first
		if g.Strides[d] == 0 {
			return math.MaxInt
		}
		return g.Strides[d]
	}
	order := make([]int, 0, len(g.Shape))
	for d, n := range g.Shape {
		if n != 1 {
			order = append(order, d)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(far(b), far(a)) })
	stride, kept, same, rows := make([]int, len(g.Shape)), 1, true, true
	for i, next := len(order)-1, 1; i >= 0; i-- {
		d := order[i]
		rows = rows && g.Strides[d] == next
		next *= g.Shape[d]
		if !g.Reduce[d] {
			stride[d] = kept
			kept *= g.Shape[d]
		}
	}
	for _, d := range order {
		s.Shape, s.Reduce, s.Strides = append(s.Shape, g.Shape[d]), append(s.Reduce, g.Reduce[d]), append(s.Strides, g.Strides[d])
	}
	if rows {
		s.Strides = nil
	}
	last := math.MaxInt
	for d, n := range g.Shape {
		if g.Reduce[d] {
			continue
		}
		results.Shape, results.Strides = append(results.Shape, n), append(results.Strides, stride[d])
		if n != 1 {
			same = same && stride[d] < last
			last = stride[d]
		}
	}
	return s, results, same
}

// DimGeom splits a shape at one dimension: an array of Outer × N × Inner
// elements, and the operation works along N.
type DimGeom struct{ Outer, N, Inner int }

// IndexGeom is DimGeom for operations with an index: the source has N entries
// along the dimension, the index (and the result) M.
type IndexGeom struct{ Outer, N, M, Inner int }

// MatMulGeom is a batch of Batch[0]·Batch[1] matrix products dst[p,q] =
// op(a[p,q]) · op(b[p,q]), op(a) of M×K and op(b) of K×N elements. The results, of
// M×N, follow each other. Element (i,k) of op(a[p,q]) is element
// p·StrideA[0] + q·StrideA[1] + i·LDA + k of a, or … + k·LDA + i if TransA; b's are
// found alike. The windows reach to the last element at least.
type MatMulGeom struct {
	Batch            [2]int // outer and inner
	M, N, K          int
	TransA, TransB   bool   // the matrix is stored transposed (a as K×M, b as N×K)
	LDA, LDB         int    // elements from one stored row to the next, no fewer than a row has; 0: as many
	StrideA, StrideB [2]int // elements from one matrix of the batch to the next, 0 to use one for all
	Accumulate       bool   // add to dst instead of overwriting it
}

// Normal returns the same products with LDA and LDB filled in, and of as few
// matrices as can be: those that one matrix multiplies from the right, and whose
// rows follow each other evenly, are one long matrix, and a batch whose two levels
// lie as one has one, the inner.
func (g MatMulGeom) Normal() MatMulGeom {
	if g.LDA == 0 {
		if g.LDA = g.K; g.TransA {
			g.LDA = g.M
		}
	}
	if g.LDB == 0 {
		if g.LDB = g.N; g.TransB {
			g.LDB = g.K
		}
	}
	row := g.LDA
	if g.TransA {
		row = 1
	}
	for range g.Batch {
		if g.Batch[1] != 1 && g.StrideB[1] == 0 && g.StrideA[1] == g.M*row {
			g.M, g.Batch[1] = g.M*g.Batch[1], 1
		}
		if g.Batch[1] == 1 {
			g.Batch, g.StrideA, g.StrideB = [2]int{1, g.Batch[0]}, [2]int{0, g.StrideA[0]}, [2]int{0, g.StrideB[0]}
		}
	}
	if n := g.Batch[1]; g.StrideA[0] == n*g.StrideA[1] && g.StrideB[0] == n*g.StrideB[1] {
		g.Batch, g.StrideA[0], g.StrideB[0] = [2]int{1, g.Batch[0] * n}, 0, 0
	}
	return g
}

// ConvGeom is the geometry of a convolution (cross-correlation, as in PyTorch)
// over three dimensions: input N×C×In, weight K×(C/Groups)×Kernel, output N×K×Out.
// Over one dimension it is 1×1×L, over two 1×H×W.
type ConvGeom struct {
	N, C, K, Groups                        int
	In, Out, Kernel, Stride, Pad, Dilation [3]int
	ReLU                                   bool // of Conv: the result is followed by ReLU
}

// Flat returns the same convolution, of the same arrays, as one over two
// dimensions (1×H×W), and whether there is one: where all windows are one element
// deep, and neighbouring dimensions can be taken for one.
func (g ConvGeom) Flat() (ConvGeom, bool) {
	alone := func(d int) bool { return g.In[d] == 1 && g.Kernel[d] == 1 && g.Pad[d] == 0 }
	still := func(d int) bool { return g.Kernel[d] == 1 && g.Stride[d] == 1 && g.Pad[d] == 0 }
	for d := range 3 {
		kept, gone := d, d-1
		switch {
		case d == 0 && alone(0):
			return g, true
		case d == 0:
			continue
		case alone(d):
			kept, gone = gone, kept
		case !alone(d-1) && !(still(d-1) && still(d)):
			continue
		}
		g.In[kept] *= g.In[gone]
		g.Out[kept] *= g.Out[gone]
		for _, of := range []*[3]int{&g.In, &g.Out, &g.Kernel, &g.Stride, &g.Pad, &g.Dilation} {
			copy(of[1:gone+1], of[:gone])
		}
		g.In[0], g.Out[0], g.Kernel[0], g.Stride[0], g.Pad[0], g.Dilation[0] = 1, 1, 1, 1, 0, 1
		return g, true
	}
	return g, false
}

// PoolGeom is the geometry of pooling over three dimensions: of Planes volumes of
// In elements into Out. Over one dimension it is 1×1×L, over two 1×H×W. A window
// may reach past the padded input (ceil mode).
type PoolGeom struct {
	Planes                                 int
	In, Out, Kernel, Stride, Pad, Dilation [3]int // Dilation is for max pooling only
	ExcludePad                             bool   // average pooling: divide by the elements inside the input (count_include_pad=False)
	Divisor                                int    // average pooling: divide by this when it is not 0
}

// BatchNormGeom is the geometry of batch normalization of N×C×Inner elements,
// one mean and variance a channel.
type BatchNormGeom struct {
	N, C, Inner   int
	Eps, Momentum float64 // Momentum is the share of the batch in the running statistics
	Training      bool    // use the batch's statistics (else the running ones)
	ReLU          bool    // the result is followed by ReLU
}

// CropGeom is the geometry of CropMirrorNormalize: from N×C×H×W bytes to
// N×C×P×Q numbers.
type CropGeom struct{ N, C, H, W, P, Q int }

// RandomKind names a distribution.
type RandomKind uint8

const (
	Uniform   RandomKind = iota // [A, B)
	Normal                      // mean A, standard deviation B
	Bernoulli                   // B with probability A, else 0
	Integers                    // whole numbers in [A, B)
)

// Random is a draw from a counter-based generator (Philox 4x32-10): element i
// depends on Seed (the key), Offset and i only. A draw of n elements takes the
// counters Offset … Offset + (n+3)/4 - 1 at most: element i is made from word
// i%4 of the block with counter Offset + i/4, and where 32 bits are too few also
// from the same word of the block that has 1 in the counter's upper half.
//
// Renew, which may be nil, gives Seed and Offset again when the draw is part of a
// Graph that is launched again.
type Random struct {
	Kind         RandomKind
	A, B         float64
	Seed, Offset uint64
	Renew        func() (seed, offset uint64)
}

// Backend computes. See the package comment for what holds for every method.
type Backend interface {
	// NewBuffer returns a handle for n elements. Its contents are undefined.
	NewBuffer(t DType, n int) Buffer
	// Upload returns a new buffer with these elements (in the machine's byte order). The copy may run beside other work; src is the
	// caller's again when it returns.
	Upload(t DType, src []byte) Buffer
	// Free gives the buffer's memory back to the pool. It is called once, when no operation uses it any more.
	Free(b Buffer)
	// MemoryStats tells what all buffers hold together.
	MemoryStats() MemoryStats
	// EndStep says that a step is over: memory of sizes that nobody asked for in the last hundred steps is dropped.
	EndStep()
	// ResetPeak sets the peak of MemoryStats to what is live now.
	ResetPeak()
	// SetPrecision says how exactly MatMul and the convolutions compute in float32 from now on. The default is Highest. No other
	// method may run meanwhile.
	SetPrecision(p Precision)
	// SetAlgorithms says how algorithms are chosen from now on. No other method may run meanwhile.
	SetAlgorithms(a Algorithms)

	// Write copies raw elements (in the machine's byte order) into dst.
	Write(dst Array, src []byte)
	// Read copies elements out of src. It waits until they are computed, and panics with the error of a bad index that was not
	// told before.
	Read(dst []byte, src Array)
	// Copy copies src to dst, converting the type as a C cast does (to Bool: x != 0).
	Copy(dst, src Array)
	// Strided copies the view g of src into the contiguous dst, of the same type.
	Strided(dst, src Array, g StridedGeom)
	// StridedWrite copies the contiguous src into the view g of dst; the rest of dst stays.
	StridedWrite(dst, src Array, g StridedGeom)
	// Fill sets all elements to v.
	Fill(dst Array, v float64)
	// Arange sets element i to start + i·step.
	Arange(dst Array, start, step float64)
	// Random draws all elements.
	Random(dst Array, r Random)
	// CropMirrorNormalize cuts a P×Q window out of each image (Uint8), mirrors it, and looks each byte up: dst (Float32) is
	// values[c, byte], values of C×256 elements. Row n of moves (Int64, N×4) has the window's top and left edge, which may lie
	// anywhere, and whether (not 0) it is mirrored top to bottom and left to right. Beside the image the byte is 0.
	CropMirrorNormalize(dst, pictures, moves, values Array, g CropGeom)

	// Unary computes dst = op(x). For Bool results dst is Bool.
	Unary(dst, x Array, op UnaryOp, p UnaryParams)
	// UnaryGrad computes dx = dy · op'(x), given the input x and the result y. Either may be absent
	// where UnaryOp.GradUses says that it is not needed.
	UnaryGrad(dx, dy, x, y Array, op UnaryOp, p UnaryParams)
	// Binary computes dst = op(a, b); dst is Bool for comparisons.
	Binary(dst, a, b Array, op BinaryOp, g BinaryGeom)
	// BinaryScalar computes dst = op(a, s), or op(s, a) if swapped.
	BinaryScalar(dst, a Array, s float64, swapped bool, op BinaryOp)
	// Where computes dst = cond ? a : b.
	Where(dst, cond, a, b Array, g WhereGeom)

	// Reduce reduces x over the dimensions that g names. Sums of Int64, Uint8 and Bool are Int64. dst may be Float32 where x has
	// half precision, and sums, sums of squares and products of all floating-point types may be Float64: what is gathered is wider
	// than x in any case, and is rounded to dst's type only.
	Reduce(dst, x Array, op ReduceOp, g ReduceGeom)
	// ReduceIndex finds the maximum (or minimum) along N and its first position (Int64). values may be absent.
	ReduceIndex(values, indices, x Array, min bool, g DimGeom)
	// Cumsum adds up along N, from the end if reverse.
	Cumsum(dst, x Array, reverse bool, g DimGeom)
	// Sort sorts along N, stably, NaN as the largest; indices are Int64.
	Sort(values, indices, x Array, descending bool, g DimGeom)
	// Nonzero writes the flat positions of the elements that are not 0 to dst (Int64, as long as x) and returns their number.
	Nonzero(dst, x Array) int

	// Gather computes dst[o,m,i] = x[o,index[o,m,i],i].
	Gather(dst, x, index Array, g IndexGeom, use IndexUse) error
	// ScatterAdd computes dst[o,index[o,m,i],i] += src[o,m,i].
	ScatterAdd(dst, index, src Array, g IndexGeom, use IndexUse) error
	// IndexSelect computes dst[o,m,i] = x[o,index[m],i].
	IndexSelect(dst, x, index Array, g IndexGeom, use IndexUse) error
	// IndexAdd computes dst[o,index[m],i] += src[o,m,i].
	IndexAdd(dst, index, src Array, g IndexGeom, use IndexUse) error

	// MatMul multiplies matrices, also of Int64 or Uint8, whose sums wrap.
	MatMul(dst, a, b Array, g MatMulGeom)
	// Conv convolves, multiplies each channel of the output by its element of scale, adds that of bias, and takes the maximum
	// with 0 if g.ReLU. Scale and bias may be absent.
	Conv(dst, x, w, scale, bias Array, g ConvGeom)
	// ConvInputGrad computes the gradient of the input, which is also the transposed convolution of dy.
	ConvInputGrad(dx, dy, w Array, g ConvGeom)
	// ConvWeightGrad computes the gradient of the weight.
	ConvWeightGrad(dw, dy, x Array, g ConvGeom)

	// MaxPool takes the maximum of each window; NaN wins. It takes Int64 and Uint8, too.
	MaxPool(dst, x Array, g PoolGeom)
	// MaxPoolIndices writes where in its volume (Int64, (depth·H + row)·W + column) the first maximum of each window is, the last
	// NaN where one has won, or -1 in a window without elements, given the input x and the result y of MaxPool.
	MaxPoolIndices(indices, x, y Array, g PoolGeom)
	// MaxPoolGrad gives dy to the first maximum of each window, given the input x and the result y.
	MaxPoolGrad(dx, dy, x, y Array, g PoolGeom)
	// AvgPool takes the mean of each window.
	AvgPool(dst, x Array, g PoolGeom)
	// AvgPoolGrad is AvgPool's gradient.
	AvgPoolGrad(dx, dy Array, g PoolGeom)
	// AdaptiveAvgPool takes means of windows from floor(p·H/P) to ceil((p+1)·H/P); it uses Planes, In and Out of g.
	AdaptiveAvgPool(dst, x Array, g PoolGeom)
	// AdaptiveAvgPoolGrad is AdaptiveAvgPool's gradient.
	AdaptiveAvgPoolGrad(dx, dy Array, g PoolGeom)

	// BatchNorm computes dst = (x-mean)·invstd·w + b, and its maximum with 0 if g.ReLU. In training it writes the batch's mean and invstd (1/√(var+eps), biased
	// variance) and moves the running statistics (unbiased variance) where they are present; otherwise it writes mean and invstd
	// from the running statistics. w and b may be absent.
	BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b Array, g BatchNormGeom)
	// BatchNormGrad computes the gradients of x, w and b, those of the three that are present, from what BatchNorm wrote. With
	// g.ReLU it needs BatchNorm's result y, which is absent otherwise.
	BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd Array, g BatchNormGeom)
	// RowNorm normalizes each row of rows×n elements: dst = (x-mean)·invstd, and writes each row's mean and invstd.
	RowNorm(dst, mean, invstd, x Array, rows, n int, eps float64)
	// RowNormGrad computes the gradient of x from RowNorm's result y.
	RowNormGrad(dx, dy, y, invstd Array, rows, n int)
	// Softmax computes softmax along N, or its logarithm.
	Softmax(dst, x Array, log bool, g DimGeom)
	// SoftmaxGrad computes the gradient of x from Softmax's result y.
	SoftmaxGrad(dx, dy, y Array, log bool, g DimGeom)
	// CrossEntropy computes loss = -log softmax(x) at the label (Int64) of each place along Outer and Inner, and writes the
	// largest x along N and Σ exp(x-largest), which the gradient needs.
	CrossEntropy(loss, largest, sum, x, labels Array, g DimGeom, use IndexUse) error
	// CrossEntropyGrad computes dx = share·(softmax(x) - 1 at the label); share is of loss's shape.
	CrossEntropyGrad(dx, share, x, labels, largest, sum Array, g DimGeom)

	// Map runs a rule for each element of lists of arrays, all of them together: dst[k][i] and src[k][i] are destination and
	// source k of turn i, of one length. All lists are as long as each other, the arrays of a list have one floating-point type,
	// and those of Float64 are not mixed with others. A destination may be the very same window as a source of its turn.
	Map(dst, src [][]Array, r Rule)
	// Unscale multiplies all elements of xs, in place, by factor, and sets found (one Bool) if one of them was an infinity or
	// NaN; otherwise found stays. It does not wait.
	Unscale(xs []Array, found Array, factor float64)
}

// GradUses says whether UnaryGrad reads the input x and the result y; it never
// reads both. The result is preferred where it tells the gradient exactly, since
// the next operation often keeps it anyway.
func (op UnaryOp) GradUses() (x, y bool) {
	switch op {
	case Neg, Sign, Floor, Ceil, Round, Trunc, IsNaN, IsInf, IsFinite, Not:
		return false, false
	case Sqrt, Rsqrt, Reciprocal, Exp, Expm1, Tan, Tanh, Sigmoid, LogSigmoid, Clamp, ReLU:
		return false, true
	}
	return true, false
}
