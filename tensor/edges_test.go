package tensor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

var dtypes = map[string]tensor.DType{
	"float64": tensor.Float64, "float32": tensor.Float32, "bfloat16": tensor.BFloat16, "float16": tensor.Float16,
	"int64": tensor.Int64, "uint8": tensor.Uint8, "bool": tensor.Bool,
}

// edgeNumber is a number of edges.json; infinities and NaN are words there.
type edgeNumber string

func (n *edgeNumber) UnmarshalJSON(b []byte) error {
	*n = edgeNumber(b)
	if s, err := strconv.Unquote(string(b)); err == nil {
		*n = edgeNumber(s)
	}
	return nil
}

func (n edgeNumber) float() float64 {
	v, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		panic(err)
	}
	return v
}

// edgeTensor is a type and the elements; a single one has no dimensions.
type edgeTensor struct {
	dtype string
	data  []edgeNumber
}

func (e *edgeTensor) UnmarshalJSON(b []byte) error {
	var parts [2]json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[0], &e.dtype); err != nil {
		return err
	}
	return json.Unmarshal(parts[1], &e.data)
}

func (e edgeTensor) tensor() *T {
	var x *T
	if e.dtype == "int64" { // float64 does not hold all of them
		whole := make([]int64, len(e.data))
		for i, n := range e.data {
			v, err := strconv.ParseInt(string(n), 10, 64)
			if err != nil {
				panic(err)
			}
			whole[i] = v
		}
		x = tensor.From(whole)
	} else {
		floats := make([]float64, len(e.data))
		for i, n := range e.data {
			floats[i] = n.float()
		}
		x = tensor.From(floats).ToDType(dtypes[e.dtype])
	}
	if len(e.data) == 1 {
		x = x.Reshape()
	}
	return x
}

type edgeCase struct {
	Op   string
	In   []int // numbers of inputs
	Args []edgeNumber
	Type string
	Out  []edgeNumber
	DX   [][]edgeNumber
}

// edgeOps computes the operations of edges.json from tensors and numbers.
var edgeOps = func() map[string]func(in []*T, a []float64) *T {
	ops := map[string]func(in []*T, a []float64) *T{
		"Clamp":          func(in []*T, a []float64) *T { return in[0].Clamp(a[0], a[1]) },
		"Softplus":       func(in []*T, a []float64) *T { return in[0].Softplus(a[0], a[1]) },
		"Where":          func(in []*T, _ []float64) *T { return tensor.Where(in[0], in[1], in[2]) },
		"DivTrunc":       func(in []*T, _ []float64) *T { return in[0].DivRounded(in[1], tensor.RoundTrunc) },
		"DivFloor":       func(in []*T, _ []float64) *T { return in[0].DivRounded(in[1], tensor.RoundFloor) },
		"DivTruncScalar": func(in []*T, a []float64) *T { return in[0].DivScalarRounded(a[0], tensor.RoundTrunc) },
		"DivFloorScalar": func(in []*T, a []float64) *T { return in[0].DivScalarRounded(a[0], tensor.RoundFloor) },
	}
	for name, f := range map[string]func(*T) *T{
		"Neg": (*T).Neg, "Abs": (*T).Abs, "Sign": (*T).Sign, "Square": (*T).Square, "Sqrt": (*T).Sqrt, "Rsqrt": (*T).Rsqrt, "Reciprocal": (*T).Reciprocal,
		"Exp": (*T).Exp, "Expm1": (*T).Expm1, "Log": (*T).Log, "Log1p": (*T).Log1p, "Log2": (*T).Log2, "Log10": (*T).Log10,
		"Sin": (*T).Sin, "Cos": (*T).Cos, "Tan": (*T).Tan, "Asin": (*T).Asin, "Acos": (*T).Acos, "Atan": (*T).Atan,
		"Sinh": (*T).Sinh, "Cosh": (*T).Cosh, "Tanh": (*T).Tanh, "Erf": (*T).Erf, "Sigmoid": (*T).Sigmoid, "LogSigmoid": (*T).LogSigmoid,
		"Floor": (*T).Floor, "Ceil": (*T).Ceil, "Round": (*T).Round, "Trunc": (*T).Trunc, "ReLU": (*T).ReLU, "GELU": (*T).GELU, "GELUTanh": (*T).GELUTanh,
		"SiLU": (*T).SiLU, "Hardswish": (*T).Hardswish, "Hardsigmoid": (*T).Hardsigmoid,
		"IsNaN": (*T).IsNaN, "IsInf": (*T).IsInf, "IsFinite": (*T).IsFinite, "Not": (*T).Not,
	} {
		ops[name] = func(in []*T, _ []float64) *T { return f(in[0]) }
	}
	for name, f := range map[string]func(x, y *T) *T{
		"Add": (*T).Add, "Sub": (*T).Sub, "Mul": (*T).Mul, "Div": (*T).Div, "Pow": (*T).Pow, "Maximum": (*T).Maximum, "Minimum": (*T).Minimum,
		"Remainder": (*T).Remainder, "Fmod": (*T).Fmod, "Atan2": (*T).Atan2, "Eq": (*T).Eq, "Ne": (*T).Ne, "Lt": (*T).Lt, "Le": (*T).Le, "Gt": (*T).Gt, "Ge": (*T).Ge,
		"And": (*T).And, "Or": (*T).Or, "Xor": (*T).Xor,
	} {
		ops[name] = func(in []*T, _ []float64) *T { return f(in[0], in[1]) }
	}
	for name, f := range map[string]func(x *T, s float64) *T{
		"ClampMin": (*T).ClampMin, "ClampMax": (*T).ClampMax, "LeakyReLU": (*T).LeakyReLU, "ELU": (*T).ELU,
		"AddScalar": (*T).AddScalar, "SubScalar": (*T).SubScalar, "RSubScalar": (*T).RSubScalar, "MulScalar": (*T).MulScalar, "DivScalar": (*T).DivScalar,
		"RDivScalar": (*T).RDivScalar, "PowScalar": (*T).PowScalar, "RemainderScalar": (*T).RemainderScalar, "FmodScalar": (*T).FmodScalar,
		"EqScalar": (*T).EqScalar, "NeScalar": (*T).NeScalar, "LtScalar": (*T).LtScalar, "LeScalar": (*T).LeScalar, "GtScalar": (*T).GtScalar, "GeScalar": (*T).GeScalar,
	} {
		ops[name] = func(in []*T, a []float64) *T { return f(in[0], a[0]) }
	}
	return ops
}()

// unsigned are the operations that choose between zeros of two signs as they like.
var unsigned = map[string]bool{"ReLU": true, "LeakyReLU": true, "ELU": true, "GELU": true, "GELUTanh": true, "SiLU": true, "Clamp": true, "ClampMin": true, "ClampMax": true,
	"Maximum": true, "Minimum": true}

// TestEdges holds elementwise operations against what PyTorch does where they bend
// (testdata/edges.py): results of float64 and float32 within a few units of the last
// place, each element for itself, of half types within one.
func TestEdges(t *testing.T) {
	b, err := os.ReadFile("testdata/edges.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Inputs []edgeTensor
		Cases  []edgeCase
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		what := c.Op
		in := make([]*T, len(c.In))
		for i, number := range c.In {
			e := file.Inputs[number]
			in[i] = e.tensor()
			what += fmt.Sprintf(" %s%v", e.dtype, in[i].Shape())
			if c.DX != nil && in[i].DType().IsFloat() {
				in[i].SetRequiresGrad(true)
			}
		}
		a := make([]float64, len(c.Args))
		for i, n := range c.Args {
			a[i] = n.float()
		}
		what += fmt.Sprintf(" %v", a)
		var out *T
		if err := tensor.Try(func() { out = edgeOps[c.Op](in, a) }); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if out.DType() != dtypes[c.Type] {
			t.Errorf("%s: got %s, want %s", what, out.DType(), c.Type)
			continue
		}
		wantEdges(t, what, in, c.Op, out, c.Out, false)
		if c.DX == nil {
			continue
		}
		if err := tensor.Try(func() { out.Backward(tensor.BackwardOpts{Gradient: tensor.FullLike(out, 1.5)}) }); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for i, want := range c.DX {
			if want != nil {
				wantEdges(t, fmt.Sprintf("%s, gradient of %d", what, i), in, c.Op, in[i].Grad(), want, true)
			}
		}
	}
}

func wantEdges(t *testing.T, what string, in []*T, op string, got *T, want []edgeNumber, gradient bool) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: got none", what)
		return
	}
	tol, least := 0.0, 0.0
	switch got.DType() {
	case tensor.Float64:
		tol, least = 1e-12, 1e-15
	case tensor.Float32:
		tol, least = 4e-6, 1e-8
	case tensor.BFloat16:
		tol, least = 0x1p-7, 1e-8
	case tensor.Float16:
		tol, least = 0x1p-10, 0x1p-23
	}
	if gradient { // made of several operations
		tol *= 25
	}
	floats := got.Float64s()
	var whole []int64
	if got.DType() == tensor.Int64 {
		whole = got.Ints()
	}
	for i, n := range want {
		if whole != nil {
			if s := strconv.FormatInt(whole[i], 10); s != string(n) {
				t.Errorf("%s: element %d: got %s, want %s", what, i, s, n)
			}
			continue
		}
		g, w := floats[i], n.float()
		same := math.IsNaN(g) && math.IsNaN(w) || g == w || math.Abs(g-w) <= tol*math.Abs(w)+least
		if g == 0 && w == 0 && !gradient && !unsigned[op] {
			same = math.Signbit(g) == math.Signbit(w)
		}
		if !same {
			at := ""
			for _, x := range in {
				at += fmt.Sprintf(" %v", x.Float64s()[min(i, x.Len()-1)])
			}
			t.Errorf("%s: element %d, at%s: got %v, want %v", what, i, at, g, w)
		}
	}
}
