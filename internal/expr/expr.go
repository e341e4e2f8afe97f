// Package expr has formulas: short straight-line programs that a backend runs for
// each element of arrays, as one pass over memory. The steps of optimizers and
// element-wise functions without a kernel of their own are such.
//
//	var f expr.Formula
//	w, g, m := f.Load(0), f.Load(1), f.Load(2)
//	m = m.MulScalar(0.9).Add(g)
//	f.Store(0, w.Sub(m.MulScalar(lr)))
//	f.Store(1, m)
package expr

import "fmt"

// Op names what an instruction computes.
type Op uint8

const (
	Load   Op = iota // the element of source A
	Number           // number A
	Store            // destination B becomes value A; the instruction itself has no value
	Add              // A + B, rounded by itself, as all are: nothing is fused
	Sub
	Mul
	Div
	Max // NaN wins
	Min
	Gt     // 1 where A > B, else 0
	Ge     // 1 where A >= B, else 0
	Eq     // 1 where A == B, else 0
	Select // B where A is not 0, else C
	Neg
	Abs
	Sign // -1, 0 or 1, and 0 of NaN
	Sqrt
	Exp
	Expm1
	Log
	Log1p
	Tanh
	Sigmoid
	NumOps
)

var opNames = [NumOps]string{"Load", "Number", "Store", "Add", "Sub", "Mul", "Div", "Max", "Min", "Gt", "Ge", "Eq", "Select",
	"Neg", "Abs", "Sign", "Sqrt", "Exp", "Expm1", "Log", "Log1p", "Tanh", "Sigmoid"}

func (op Op) String() string { return opNames[op] }

// Values returns how many of A, B and C are values.
func (op Op) Values() int {
	switch {
	case op == Load || op == Number:
		return 0
	case op == Select:
		return 3
	case op == Store || op >= Neg:
		return 1
	}
	return 2
}

// Instr is one instruction. Its value has the instruction's index for a name.
type Instr struct {
	Op      Op
	A, B, C uint16
}

// MaxInstrs is how many instructions a formula may have.
const MaxInstrs = 1 << 12

// Expr is the instructions of a formula. Values are computed in Float64 if all arrays
// are, else in Float32; destinations round them to their type, and the value stays
// as it was. A destination is stored to once, and what is loaded is what the sources
// hold before the first store.
type Expr []Instr

// Formula is an Expr that is being written, and its numbers. The zero Formula is
// ready.
type Formula struct {
	Expr    Expr
	Numbers []float64
}

// Value is the value of an instruction of a Formula.
type Value struct {
	f *Formula
	i uint16
}

// Reset makes the formula empty; its memory is used again.
func (f *Formula) Reset() { f.Expr, f.Numbers = f.Expr[:0], f.Numbers[:0] }

func (f *Formula) emit(op Op, a, b, c uint16) Value {
	if len(f.Expr) == MaxInstrs {
		panic(fmt.Sprintf("expr: a formula has more than %d instructions", MaxInstrs))
	}
	f.Expr = append(f.Expr, Instr{op, a, b, c})
	return Value{f, uint16(len(f.Expr) - 1)}
}

// Load returns the element of source i.
func (f *Formula) Load(i int) Value { return f.emit(Load, uint16(i), 0, 0) }

// Number returns a number, which may be another one each time that the Expr runs.
func (f *Formula) Number(x float64) Value {
	f.Numbers = append(f.Numbers, x)
	return f.emit(Number, uint16(len(f.Numbers)-1), 0, 0)
}

// NumbersOf adds numbers, in this order whichever of them are read later, and returns
// what gives number i of the formula's.
func (f *Formula) NumbersOf(xs ...float64) func(i int) Value {
	f.Numbers = append(f.Numbers, xs...)
	return func(i int) Value { return f.emit(Number, uint16(i), 0, 0) }
}

// Store sets the element of destination i.
func (f *Formula) Store(i int, v Value) { f.emit(Store, v.i, uint16(i), 0) }

// Number returns a number of the formula that v is of.
func (v Value) Number(x float64) Value { return v.f.Number(x) }

func (v Value) unary(op Op) Value           { return v.f.emit(op, v.i, 0, 0) }
func (v Value) binary(op Op, w Value) Value { return v.f.emit(op, v.i, w.i, 0) }

// Add and its like are what they are in package tensor.
func (v Value) Add(w Value) Value     { return v.binary(Add, w) }
func (v Value) Sub(w Value) Value     { return v.binary(Sub, w) }
func (v Value) Mul(w Value) Value     { return v.binary(Mul, w) }
func (v Value) Div(w Value) Value     { return v.binary(Div, w) }
func (v Value) Maximum(w Value) Value { return v.binary(Max, w) }
func (v Value) Minimum(w Value) Value { return v.binary(Min, w) }

// Gt, Ge and Eq are 1 where they hold, else 0.
func (v Value) Gt(w Value) Value { return v.binary(Gt, w) }
func (v Value) Ge(w Value) Value { return v.binary(Ge, w) }
func (v Value) Eq(w Value) Value { return v.binary(Eq, w) }

// Where returns a where v is not 0, else b.
func (v Value) Where(a, b Value) Value { return v.f.emit(Select, v.i, a.i, b.i) }

func (v Value) Neg() Value     { return v.unary(Neg) }
func (v Value) Abs() Value     { return v.unary(Abs) }
func (v Value) Sign() Value    { return v.unary(Sign) }
func (v Value) Sqrt() Value    { return v.unary(Sqrt) }
func (v Value) Exp() Value     { return v.unary(Exp) }
func (v Value) Expm1() Value   { return v.unary(Expm1) }
func (v Value) Log() Value     { return v.unary(Log) }
func (v Value) Log1p() Value   { return v.unary(Log1p) }
func (v Value) Tanh() Value    { return v.unary(Tanh) }
func (v Value) Sigmoid() Value { return v.unary(Sigmoid) }
func (v Value) Square() Value  { return v.Mul(v) }

func (v Value) AddScalar(x float64) Value { return v.Add(v.f.Number(x)) }
func (v Value) SubScalar(x float64) Value { return v.Sub(v.f.Number(x)) }
func (v Value) MulScalar(x float64) Value { return v.Mul(v.f.Number(x)) }
func (v Value) DivScalar(x float64) Value { return v.Div(v.f.Number(x)) }

// Lerp goes the part t of the way from v to end, exactly to end where t is 1.
// (torch.lerp)
func (v Value) Lerp(end Value, t float64) Value {
	if t < 0.5 {
		return v.Add(end.Sub(v).MulScalar(t))
	}
	return end.Sub(end.Sub(v).MulScalar(1 - t))
}
