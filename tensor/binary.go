package tensor

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// broadcast returns the shape that a and b have together by PyTorch's (and
// NumPy's) rules: aligned at the last dimension, sizes are equal or one of them
// is 1.
func broadcast(op string, a, b Shape) Shape {
	if a.Equal(b) {
		return a
	}
	out := make(Shape, max(len(a), len(b)))
	for i := range out {
		da, db := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			da = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			db = b[j]
		}
		switch {
		case da == db || db == 1:
			out[i] = da
		case da == 1:
			out[i] = db
		default:
			where := "the last dimension"
			if back := i - len(out); back < -1 {
				where = fmt.Sprintf("dimension %d", back)
			}
			fail(op, "shapes %v and %v do not broadcast: %d and %d differ in %s, want equal sizes or 1", a, b, da, db, where)
		}
	}
	return out
}

// broadcastsTo reports whether an array of shape s can be read as one of shape out.
func (s Shape) broadcastsTo(out Shape) bool {
	lead := len(out) - len(s)
	if lead < 0 {
		return false
	}
	for i, n := range s {
		if n != 1 && n != out[lead+i] {
			return false
		}
	}
	return true
}

// stridesIn returns the strides with which an array of shape s and the given strides,
// nil for row-major, is read as one of shape out, 0 where it is broadcast.
func (s Shape) stridesIn(out Shape, strides []int) []int {
	return s.appendStrides(make([]int, 0, len(out)), out, strides)
}

// appendStrides appends what stridesIn returns to st, which has room.
func (s Shape) appendStrides(st []int, out Shape, strides []int) []int {
	lead := len(out) - len(s)
	st = st[:len(out)]
	clear(st[:lead])
	next := 1 // the stride of what is row-major
	for i := len(s) - 1; i >= 0; i-- {
		stride := next
		if strides != nil {
			stride = strides[i]
		}
		if st[lead+i] = 0; s[i] != 1 || out[lead+i] == 1 {
			st[lead+i] = stride
		}
		next *= max(s[i], 1)
	}
	return st
}

// stridesOf returns stridesIn of several.
func stridesOf(out Shape, xs ...*Tensor) (strides [3][]int) {
	room := make([]int, len(xs)*len(out))
	for i, x := range xs {
		end := (i + 1) * len(out)
		strides[i] = x.shape.appendStrides(room[i*len(out):i*len(out):end], out, x.strides)
	}
	return strides
}

// stridesIn returns the strides with which x's window is read as an array of shape
// out, 0 where it is broadcast.
func (x *Tensor) stridesIn(out Shape) []int { return x.shape.stridesIn(out, x.strides) }

// binaryGeom says how the windows of a and b are read for a result of shape out.
func binaryGeom(out Shape, a, b *Tensor) backend.BinaryGeom {
	if a.shape.Equal(b.shape) && a.strides == nil && b.strides == nil {
		return backend.BinaryGeom{}
	}
	st := stridesOf(out, a, b)
	return backend.BinaryGeom{Shape: out, A: st[0], B: st[1]}
}

// binary computes op(x, y) of one type, with broadcasting, and records nothing.
// The result lives as its operands and owners do.
func binary(name string, op backend.BinaryOp, x, y *Tensor, owners ...*Tensor) *Tensor {
	t := x.DType()
	switch {
	case x.scaledBy(y):
	case y.scaledBy(x):
		t = y.DType()
	default:
		x.wantDType(name, y)
	}
	op = x.operation(name, op)
	if op.IsComparison() {
		t = Bool
	}
	shape := broadcast(name, x.shape, y.shape)
	var room [4]*Tensor
	out := result(name, t, shape, append(append(room[:0], owners...), x, y)...)
	x.be().Binary(out.array(), x.window(), y.window(), op, binaryGeom(out.shape, x, y))
	return out
}

// scaledBy reports whether x is of half precision and y a wider number without
// dimensions, which a product or quotient takes as Float32; see promoteFactors.
func (x *Tensor) scaledBy(y *Tensor) bool {
	t := y.DType()
	return x.DType().IsHalf() && len(x.shape) > 0 && (t == Float32 || t == Float64) && len(y.shape) == 0
}

// operation returns what op is for tensors of x's type, and panics unless there is
// something: the sum of Bool tensors is Or, the product And.
func (x *Tensor) operation(name string, op backend.BinaryOp) backend.BinaryOp {
	if x.DType() != Bool || op.IsComparison() {
		return op
	}
	switch op {
	case backend.Add, backend.Maximum:
		return backend.Or
	case backend.Mul, backend.Minimum:
		return backend.And
	}
	x.wantNumber(name)
	return op
}

// sumTo adds g up over the dimensions in which shape was broadcast to g's shape;
// it is the gradient of broadcasting. (torch.Tensor.sum_to_size)
func sumTo(g *Tensor, shape Shape) *Tensor {
	if g.shape.Equal(shape) {
		return g
	}
	const name = "SumTo"
	reduce := make([]bool, len(g.shape))
	for i := range reduce {
		j := i - len(g.shape) + len(shape)
		reduce[i] = j < 0 || shape[j] == 1 && g.shape[i] != 1
	}
	out := result(name, g.DType(), shape, g)
	g.be().Reduce(out.array(), g.window(), backend.ReduceSum, backend.ReduceGeom{Shape: g.shape, Reduce: reduce, Strides: g.strides})
	if !tracked(name, out, g) {
		return out
	}
	from := g.shape
	return autograd.Record(ops.SumTo{Shape: shape}, out, []*Tensor{g}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.Expand(from...)}
	})
}

// partial is how the gradient of one operand is computed: grad gets the
// gradient of the result, and reads the values saved. What it returns has the
// result's shape; adding it up to the operand's is not its business. What it makes
// of several operations that round, several, it computes in Float32 where numbers
// have half precision: it gets such a g, and widens what it has saved.
type partial struct {
	of      *Tensor
	grad    func(g *Tensor) *Tensor
	saved   []*Tensor
	several bool
}

// record records an operation with broadcasting, which is tracked. It keeps what the
// operands that require a gradient need, and nothing else. A partial without grad
// stands for an operand that has none.
func record(op autograd.Op, out *Tensor, partials ...partial) *Tensor {
	inputs := make([]*Tensor, len(partials))
	backs := make([]struct {
		grad  func(g *Tensor) *Tensor
		shape Shape
		dtype DType
		wide  bool
	}, len(partials))
	var saved []*Tensor
	for i, p := range partials {
		inputs[i] = p.of
		backs[i].shape, backs[i].dtype = p.of.shape, p.of.DType()
		if p.of.RequiresGrad() {
			backs[i].grad = p.grad
			// The sum rounds, too. A number without dimensions, which may have been wider, has PyTorch's
			// gradient, whose terms are rounded.
			backs[i].wide = p.of.DType().IsHalf() && len(p.of.shape) > 0 && (p.several || len(p.saved) > 0 && !p.of.shape.Equal(out.shape))
			saved = append(saved, p.saved...)
		}
	}
	return autograd.Record(op, out, inputs, func(g *Tensor) []*Tensor {
		results := make([]*Tensor, len(backs))
		for i, b := range backs {
			if b.grad != nil {
				g := g
				if b.wide {
					g = g.ToDType(Float32)
				}
				results[i] = sumTo(b.grad(g), b.shape).ToDType(b.dtype) // a factor's may be another; see promoteFactors
			}
		}
		return results
	}, saved...)
}

func identity(g *Tensor) *Tensor { return g }

// Add returns x + y, with broadcasting; of Bool tensors x Or y. Operands of two
// types meet as in PyTorch, here and in all arithmetic and comparisons: Bool beside
// whole numbers becomes their type, whole numbers beside floating-point ones become
// theirs, and of two of a kind the wider wins (Float32 where BFloat16 and Float16
// meet). A tensor without dimensions changes the type of one that has some only from
// Bool to numbers and from whole numbers to floating-point ones. Integers wrap
// around. (torch.add, torch.result_type)
func (x *Tensor) Add(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Add", backend.Add, x, y)
	if !tracked("Add", out, x, y) {
		return out
	}
	return record(ops.Binary{Kind: backend.Add}, out, partial{of: x, grad: identity}, partial{of: y, grad: identity})
}

// Sub returns x - y, with broadcasting. There is none of two Bool tensors: Xor tells
// where they differ. (torch.sub)
func (x *Tensor) Sub(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Sub", backend.Sub, x, y)
	if !tracked("Sub", out, x, y) {
		return out
	}
	return record(ops.Binary{Kind: backend.Sub}, out, partial{of: x, grad: identity}, partial{of: y, grad: (*Tensor).Neg})
}

// Mul returns x · y, element by element, with broadcasting; of Bool tensors x And y.
// (torch.mul)
func (x *Tensor) Mul(y *Tensor) *Tensor {
	promoteFactors(&x, &y, true)
	out := binary("Mul", backend.Mul, x, y)
	if !tracked("Mul", out, x, y) {
		return out
	}
	xs, ys := x.saved(), y.saved()
	return record(ops.Binary{Kind: backend.Mul}, out,
		partial{x, func(g *Tensor) *Tensor { return g.Mul(ys) }, []*Tensor{y}, false},
		partial{y, func(g *Tensor) *Tensor { return g.Mul(xs) }, []*Tensor{x}, false})
}

// Div returns x / y, element by element, with broadcasting. The quotient of whole
// numbers is Float32; [Tensor.DivRounded] has a whole one. (torch.div)
func (x *Tensor) Div(y *Tensor) *Tensor {
	promoteFactors(&x, &y, false)
	x, y = x.fractional(), y.fractional()
	out := binary("Div", backend.Div, x, y)
	if !tracked("Div", out, x, y) {
		return out
	}
	xs, ys := x.saved(), y.saved()
	return record(ops.Binary{Kind: backend.Div}, out,
		partial{x, func(g *Tensor) *Tensor { return g.Div(ys) }, []*Tensor{y}, false},
		partial{y, func(g *Tensor) *Tensor {
			ys := with(g, ys)
			return g.Mul(with(g, xs).Div(ys).Div(ys)).Neg()
		}, []*Tensor{x, y}, true})
}

// fractional returns x, and whole numbers and Bool as Float32.
func (x *Tensor) fractional() *Tensor {
	if x.DType().IsFloat() {
		return x
	}
	return x.ToDType(Float32)
}

// Rounding says how a quotient becomes a whole number.
type Rounding uint8

// RoundTrunc rounds towards 0, as Go divides integers, RoundFloor down, as Python's //
// does.
const (
	RoundTrunc Rounding = iota
	RoundFloor
)

func (r Rounding) op(name string) backend.BinaryOp {
	if r > RoundFloor {
		fail(name, "the rounding is %d, want RoundTrunc or RoundFloor", r)
	}
	return [...]backend.BinaryOp{backend.DivTrunc, backend.DivFloor}[r]
}

// DivRounded returns x / y rounded to whole numbers, element by element, with
// broadcasting, in the type that x and y have together. It is exact where Div and a
// rounding after it would not be. An integer y may not be 0. Its gradient is 0.
// (torch.div with rounding_mode "trunc" or "floor")
func (x *Tensor) DivRounded(y *Tensor, r Rounding) *Tensor {
	const name = "DivRounded"
	op := r.op(name)
	promote(&x, &y)
	y.wantDivisor(name)
	out := binary(name, op, x, y)
	if !tracked(name, out, x, y) {
		return out
	}
	return record(ops.Binary{Kind: op}, out, partial{of: x, grad: zero}, partial{of: y, grad: zero})
}

func zero(g *Tensor) *Tensor { return zeroGrad(g, g.shape) }

// Pow returns x to the power y, element by element, with broadcasting. A negative
// power of an integer is 0, except of 1 and -1. (torch.pow)
func (x *Tensor) Pow(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Pow", backend.Pow, x, y)
	if !tracked("Pow", out, x, y) {
		return out
	}
	xs, ys := x.saved(), y.saved()
	return record(ops.Binary{Kind: backend.Pow}, out,
		partial{x, func(g *Tensor) *Tensor {
			// The power y-1 may be infinite where y is 0, and the slope is still 0. As in PyTorch, powers of half
			// width are rounded before they are multiplied by g.
			xs, ys := beside(g, xs), beside(g, ys)
			return g.Mul(ys.Mul(xs.Pow(ys.SubScalar(1)))).MaskedFill(ys.EqScalar(0), 0)
		}, []*Tensor{x, y}, false},
		partial{y, func(g *Tensor) *Tensor {
			xs, ys := beside(g, xs), beside(g, ys)
			flat := xs.EqScalar(0).And(ys.GeScalar(0))
			return g.Mul(xs.Pow(ys).Mul(xs.Log())).MaskedFill(flat, 0)
		}, []*Tensor{x, y}, false})
}

// Maximum returns the greater of x and y, element by element, with broadcasting;
// NaN wins. Where both are equal each gets half of the gradient. (torch.maximum)
func (x *Tensor) Maximum(y *Tensor) *Tensor {
	return x.choice("Maximum", backend.Maximum, y, (*Tensor).Lt)
}

// Minimum returns the smaller of x and y, element by element, with broadcasting;
// NaN wins. Where both are equal each gets half of the gradient. (torch.minimum)
func (x *Tensor) Minimum(y *Tensor) *Tensor {
	return x.choice("Minimum", backend.Minimum, y, (*Tensor).Gt)
}

func (x *Tensor) choice(name string, op backend.BinaryOp, y *Tensor, loses func(x, y *Tensor) *Tensor) *Tensor {
	promote(&x, &y)
	out := binary(name, op, x, y)
	if !tracked(name, out, x, y) {
		return out
	}
	return record(ops.Binary{Kind: op}, out, share(x, y, loses), share(y, x, loses))
}

// share is the partial of x in a choice between x and y that x loses where
// loses(x, y).
func share(x, y *Tensor, loses func(x, y *Tensor) *Tensor) partial {
	xs, ys := x.saved(), y.saved()
	return partial{x, func(g *Tensor) *Tensor {
		xs, ys := with(g, xs), with(g, ys)
		return Where(xs.Eq(ys), g.MulScalar(0.5), g).MaskedFill(loses(xs, ys), 0)
	}, []*Tensor{x, y}, false}
}

// Remainder returns what is left of x divided by y, with the sign of y, element
// by element, with broadcasting. An integer y may not be 0. (torch.remainder)
func (x *Tensor) Remainder(y *Tensor) *Tensor {
	return x.remainder("Remainder", backend.Remainder, RoundFloor, y)
}

// Fmod returns what is left of x divided by y, with the sign of x, element by
// element, with broadcasting. An integer y may not be 0. (torch.fmod)
func (x *Tensor) Fmod(y *Tensor) *Tensor {
	return x.remainder("Fmod", backend.Fmod, RoundTrunc, y)
}

func (x *Tensor) remainder(name string, op backend.BinaryOp, r Rounding, y *Tensor) *Tensor {
	promote(&x, &y)
	y.wantDivisor(name)
	out := binary(name, op, x, y)
	if !tracked(name, out, x, y) {
		return out
	}
	xs, ys := x.saved(), y.saved()
	return record(ops.Binary{Kind: op}, out,
		partial{of: x, grad: identity},
		partial{y, func(g *Tensor) *Tensor { return g.Mul(with(g, xs).DivRounded(with(g, ys), r)).Neg() }, []*Tensor{x, y}, true})
}

// wantDivisor panics if y, a divisor of integers, has an element that is 0.
func (y *Tensor) wantDivisor(name string) {
	if t := y.DType(); t != Int64 && t != Uint8 {
		return
	}
	zeros := scalar(name, backend.Eq, y, 0, false)
	defer zeros.release()
	at := zeros.nonzero(name)
	defer at.release()
	if at.Len() > 0 {
		fail(name, "the divisor %s %v is 0 at position %v, want no 0", y.DType(), y.shape, y.shape.place(int(at.Ints()[0])))
	}
}

// Atan2 returns the angle of the points (y, x) in radians, -π to π, where x is
// the receiver's operand: y.Atan2(x) is the arctangent of y/x in the right
// quadrant. It broadcasts; of whole numbers it is Float32. The gradient at (0, 0) is
// 0. (torch.atan2)
func (y *Tensor) Atan2(x *Tensor) *Tensor {
	promote(&x, &y)
	x, y = x.fractional(), y.fractional()
	out := binary("Atan2", backend.Atan2, y, x)
	if !tracked("Atan2", out, y, x) {
		return out
	}
	ys, xs := y.saved(), x.saved()
	perSquare := func(xs, ys *Tensor) *Tensor { // 1/(x²+y²), and 0 at the origin
		square := xs.Square().Add(ys.Square())
		return square.Reciprocal().MaskedFill(square.EqScalar(0), 0)
	}
	return record(ops.Binary{Kind: backend.Atan2}, out,
		partial{y, func(g *Tensor) *Tensor {
			xs, ys := with(g, xs), with(g, ys)
			return g.Mul(xs.Mul(perSquare(xs, ys)))
		}, []*Tensor{x, y}, true},
		partial{x, func(g *Tensor) *Tensor {
			xs, ys := with(g, xs), with(g, ys)
			return g.Mul(ys.Neg().Mul(perSquare(xs, ys)))
		}, []*Tensor{x, y}, true})
}

// compare computes a comparison or a logical operation, which have no gradient.
func compare(name string, op backend.BinaryOp, x, y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary(name, op, x, y)
	if !tracked(name, out, x, y) {
		return out
	}
	return autograd.RecordNothing(ops.Binary{Kind: op}, out, x, y)
}

// Eq reports for each pair of elements whether they are equal, with
// broadcasting. (torch.eq)
func (x *Tensor) Eq(y *Tensor) *Tensor { return compare("Eq", backend.Eq, x, y) }

// Ne reports for each pair of elements whether they differ, with broadcasting.
// (torch.ne)
func (x *Tensor) Ne(y *Tensor) *Tensor { return compare("Ne", backend.Ne, x, y) }

// Lt reports for each pair of elements whether x < y, with broadcasting.
// (torch.lt)
func (x *Tensor) Lt(y *Tensor) *Tensor { return compare("Lt", backend.Lt, x, y) }

// Le reports for each pair of elements whether x ≤ y, with broadcasting.
// (torch.le)
func (x *Tensor) Le(y *Tensor) *Tensor { return compare("Le", backend.Le, x, y) }

// Gt reports for each pair of elements whether x > y, with broadcasting.
// (torch.gt)
func (x *Tensor) Gt(y *Tensor) *Tensor { return compare("Gt", backend.Gt, x, y) }

// Ge reports for each pair of elements whether x ≥ y, with broadcasting.
// (torch.ge)
func (x *Tensor) Ge(y *Tensor) *Tensor { return compare("Ge", backend.Ge, x, y) }

// And reports for each pair of elements whether both are true, or not 0, with
// broadcasting. (torch.logical_and)
func (x *Tensor) And(y *Tensor) *Tensor {
	return compare("And", backend.And, x.ToDType(Bool), y.ToDType(Bool))
}

// Or reports for each pair of elements whether one is true, or not 0, with
// broadcasting. (torch.logical_or)
func (x *Tensor) Or(y *Tensor) *Tensor {
	return compare("Or", backend.Or, x.ToDType(Bool), y.ToDType(Bool))
}

// Xor reports for each pair of elements whether exactly one is true, or not 0, with
// broadcasting. (torch.logical_xor)
func (x *Tensor) Xor(y *Tensor) *Tensor {
	return compare("Xor", backend.Xor, x.ToDType(Bool), y.ToDType(Bool))
}

// inPlace overwrites x with op(x, y), y broadcast to x. It records nothing. The
// operands meet as in the operation that makes a new tensor, and the result becomes
// x's type, which must be of its kind or a wider one.
func (x *Tensor) inPlace(name string, op backend.BinaryOp, y *Tensor) *Tensor {
	x.wantWritable(name)
	y.check(name)
	if !broadcast(name, x.shape, y.shape).Equal(x.shape) {
		fail(name, "the operand %v does not broadcast to the destination %v", y.shape, x.shape)
	}
	if y.storage.device != x.storage.device {
		fail(name, "the operand is on %s, the destination on %s; To moves a tensor", y.storage.device, x.storage.device)
	}
	t := resultType(x, y)
	if op == backend.Div && !t.IsFloat() {
		t = Float32
	}
	x.wantHolds(name, t)
	if t != x.DType() && t.IsFloat() {
		x.rewrite(func(x *Tensor) {
			x.be().Copy(x.array(), binary(name, op, x.bare().ToDType(t), y.bare().ToDType(t)).array())
		})
		x.changed(name, y)
		return x
	}
	operand := y
	if t := x.DType(); y.DType() != t {
		if (op == backend.Mul || op == backend.Div) && x.scaledBy(y) {
			t = Float32
		}
		operand = y.bare().ToDType(t)
	}
	op = x.operation(name, op)
	from := operand.apart(x)
	x.rewrite(func(x *Tensor) {
		x.be().Binary(x.array(), x.array(), from.window(), op, binaryGeom(x.shape, x, from))
	})
	if from != operand {
		from.release()
	}
	x.changed(name, y)
	return x
}

// wantHolds panics unless x, a destination, holds numbers of the kind of type t.
func (x *Tensor) wantHolds(name string, t DType) {
	if rank(t) > rank(x.DType()) {
		fail(name, "the result is %s, which the destination, %s, does not hold; the operation that is not in place makes a new tensor", t, x.DType())
	}
}

// AddInPlace adds y (broadcast to x) to x. It is not recorded. It returns x.
func (x *Tensor) AddInPlace(y *Tensor) *Tensor { return x.inPlace("AddInPlace", backend.Add, y) }

// SubInPlace subtracts y (broadcast to x) from x. It is not recorded. It returns x.
func (x *Tensor) SubInPlace(y *Tensor) *Tensor { return x.inPlace("SubInPlace", backend.Sub, y) }

// MulInPlace multiplies x by y (broadcast to x). It is not recorded. It returns x.
func (x *Tensor) MulInPlace(y *Tensor) *Tensor { return x.inPlace("MulInPlace", backend.Mul, y) }

// DivInPlace divides x by y (broadcast to x). It is not recorded. It returns x.
func (x *Tensor) DivInPlace(y *Tensor) *Tensor { return x.inPlace("DivInPlace", backend.Div, y) }

// scalar computes op(x, s), or op(s, x) if swapped, and records nothing.
func scalar(name string, op backend.BinaryOp, x *Tensor, s float64, swapped bool, owners ...*Tensor) *Tensor {
	if y, number := x.beside(name, op, s, swapped); y != x {
		owners, x, s = append(owners, x), y, number
	} else {
		s = number
	}
	t := x.DType()
	if op.IsComparison() {
		t = Bool
	}
	var room [4]*Tensor
	out := result(name, t, x.shape, append(append(room[:0], owners...), x)...)
	rows := x
	if x.strides != nil {
		if rows = out; t != x.DType() {
			rows = x.dense()
			defer rows.release()
		} else {
			x.copyTo(out)
		}
	}
	out.be().BinaryScalar(out.array(), rows.array(), s, swapped, op)
	return out
}

// beside returns x and s as they meet in an operation, as in PyTorch. Half types
// take s rounded to them, but for products and quotients. Whole numbers beside a
// fraction become Float32; so they do in a quotient. Bool becomes Int64. Uint8 takes s
// modulo 256, but for comparisons, where PyTorch would say that 255 equals -1.
func (x *Tensor) beside(name string, op backend.BinaryOp, s float64, swapped bool) (*Tensor, float64) {
	t := x.DType()
	switch {
	case t.IsHalf() && op != backend.Mul && (op < backend.Div || op > backend.DivFloor || swapped):
		return x, t.Round(s)
	case t.IsFloat():
		return x, s
	case op == backend.Sub:
		x.wantNumber(name)
	}
	if op == backend.Div || !isInt(s) {
		return x.ToDType(Float32), s
	}
	switch {
	case swapped:
	case (op == backend.Remainder || op == backend.Fmod || op == backend.DivTrunc || op == backend.DivFloor) && (s == 0 || t == Uint8 && int64(s)%256 == 0):
		fail(name, "the divisor of a tensor of %s is %v, want one that is not 0 in it", t, s)
	case op == backend.Pow && s < 0:
		fail(name, "the power %v of a tensor of %s is negative, want 0 or more; ToDType converts the tensor", s, t)
	}
	switch {
	case t == Bool && (!op.IsComparison() || s != 0 && s != 1):
		return x.ToDType(Int64), s
	case t == Uint8 && op.IsComparison():
		x.wantRepresentable(name, s)
	case t == Uint8:
		return x, float64(uint8(int64(s)))
	}
	return x, s
}

// isInt reports whether s is a whole number that an int64 holds.
func isInt(s float64) bool {
	return s == math.Trunc(s) && s >= math.MinInt64 && s < -math.MinInt64
}

// AddScalar returns x + s. Whole numbers beside a fraction become Float32, as in all
// operations on a number; Bool beside a whole number becomes Int64, and Uint8 wraps
// around.
func (x *Tensor) AddScalar(s float64) *Tensor {
	out := scalar("AddScalar", backend.Add, x, s, false)
	if !tracked("AddScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Add, S: s}, out, partial{of: x, grad: identity})
}

// SubScalar returns x - s.
func (x *Tensor) SubScalar(s float64) *Tensor {
	out := scalar("SubScalar", backend.Sub, x, s, false)
	if !tracked("SubScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Sub, S: s}, out, partial{of: x, grad: identity})
}

// RSubScalar returns s - x. (torch.rsub)
func (x *Tensor) RSubScalar(s float64) *Tensor {
	out := scalar("RSubScalar", backend.Sub, x, s, true)
	if !tracked("RSubScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Sub, S: s, Swapped: true}, out, partial{of: x, grad: (*Tensor).Neg})
}

// MulScalar returns x · s.
func (x *Tensor) MulScalar(s float64) *Tensor {
	out := scalar("MulScalar", backend.Mul, x, s, false)
	if !tracked("MulScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Mul, S: s}, out, partial{of: x, grad: func(g *Tensor) *Tensor { return g.MulScalar(s) }})
}

// DivScalar returns x / s; the quotient of whole numbers is Float32.
func (x *Tensor) DivScalar(s float64) *Tensor {
	out := scalar("DivScalar", backend.Div, x, s, false)
	if !tracked("DivScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Div, S: s}, out, partial{of: x, grad: func(g *Tensor) *Tensor { return g.DivScalar(s) }})
}

// DivScalarRounded returns x / s rounded to whole numbers. Integers take no s of 0.
// Its gradient is 0. (torch.div with rounding_mode "trunc" or "floor")
func (x *Tensor) DivScalarRounded(s float64, r Rounding) *Tensor {
	const name = "DivScalarRounded"
	op := r.op(name)
	out := scalar(name, op, x, s, false)
	if !tracked(name, out, x) {
		return out
	}
	return record(ops.Scalar{Kind: op, S: s}, out, partial{of: x, grad: zero})
}

// RDivScalar returns s / x; the quotient of whole numbers is Float32.
func (x *Tensor) RDivScalar(s float64) *Tensor {
	const name = "RDivScalar"
	var out *Tensor
	if x.DType().IsHalf() { // PyTorch rounds 1/x, and multiplies that by a number that is not rounded
		inverse := like(name, x)
		defer inverse.release()
		x.be().Unary(inverse.array(), x.array(), backend.Reciprocal, backend.UnaryParams{})
		out = scalar(name, backend.Mul, inverse, s, false, x)
	} else {
		out = scalar(name, backend.Div, x, s, true)
	}
	if !tracked(name, out, x) {
		return out
	}
	xs := x.saved()
	return record(ops.Scalar{Kind: backend.Div, S: s, Swapped: true}, out, partial{x, func(g *Tensor) *Tensor {
		xs := with(g, xs)
		return g.Mul(xs.RDivScalar(-s).Div(xs))
	}, []*Tensor{x}, true})
}

// PowScalar returns x to the power s. An integer tensor takes no negative whole
// power.
func (x *Tensor) PowScalar(s float64) *Tensor {
	out := scalar("PowScalar", backend.Pow, x, s, false)
	if !tracked("PowScalar", out, x) {
		return out
	}
	xs := x.saved()
	return record(ops.Scalar{Kind: backend.Pow, S: s}, out, partial{x, func(g *Tensor) *Tensor {
		if s == 0 {
			return zeroGrad(g, g.shape)
		}
		xs := with(g, xs)
		return g.Mul(xs.PowScalar(s - 1).MulScalar(s))
	}, []*Tensor{x}, false})
}

// RemainderScalar returns what is left of x divided by s, with the sign of s.
func (x *Tensor) RemainderScalar(s float64) *Tensor {
	out := scalar("RemainderScalar", backend.Remainder, x, s, false)
	if !tracked("RemainderScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Remainder, S: s}, out, partial{of: x, grad: identity})
}

// FmodScalar returns what is left of x divided by s, with the sign of x.
func (x *Tensor) FmodScalar(s float64) *Tensor {
	out := scalar("FmodScalar", backend.Fmod, x, s, false)
	if !tracked("FmodScalar", out, x) {
		return out
	}
	return record(ops.Scalar{Kind: backend.Fmod, S: s}, out, partial{of: x, grad: identity})
}

// compareScalar computes a comparison with a number.
func compareScalar(name string, op backend.BinaryOp, x *Tensor, s float64) *Tensor {
	out := scalar(name, op, x, s, false)
	if !tracked(name, out, x) {
		return out
	}
	return autograd.RecordNothing(ops.Scalar{Kind: op, S: s}, out, x)
}

// EqScalar reports for each element whether it equals s.
func (x *Tensor) EqScalar(s float64) *Tensor { return compareScalar("EqScalar", backend.Eq, x, s) }

// NeScalar reports for each element whether it differs from s.
func (x *Tensor) NeScalar(s float64) *Tensor { return compareScalar("NeScalar", backend.Ne, x, s) }

// LtScalar reports for each element whether it is less than s.
func (x *Tensor) LtScalar(s float64) *Tensor { return compareScalar("LtScalar", backend.Lt, x, s) }

// LeScalar reports for each element whether it is at most s.
func (x *Tensor) LeScalar(s float64) *Tensor { return compareScalar("LeScalar", backend.Le, x, s) }

// GtScalar reports for each element whether it is greater than s.
func (x *Tensor) GtScalar(s float64) *Tensor { return compareScalar("GtScalar", backend.Gt, x, s) }

// GeScalar reports for each element whether it is at least s.
func (x *Tensor) GeScalar(s float64) *Tensor { return compareScalar("GeScalar", backend.Ge, x, s) }

// scalarInPlace overwrites x with op(x, s). It records nothing.
func (x *Tensor) scalarInPlace(name string, op backend.BinaryOp, s float64) *Tensor {
	x.wantWritable(name)
	operand, s := x.bare().beside(name, op, s, false)
	x.wantHolds(name, operand.DType())
	x.rewrite(func(x *Tensor) { x.be().BinaryScalar(x.array(), x.array(), s, false, op) })
	x.changedBy(name, s, 0, nil)
	return x
}

// AddScalarInPlace adds s to x. It is not recorded. It returns x.
func (x *Tensor) AddScalarInPlace(s float64) *Tensor {
	return x.scalarInPlace("AddScalarInPlace", backend.Add, s)
}

// MulScalarInPlace multiplies x by s. It is not recorded. It returns x.
func (x *Tensor) MulScalarInPlace(s float64) *Tensor {
	return x.scalarInPlace("MulScalarInPlace", backend.Mul, s)
}
