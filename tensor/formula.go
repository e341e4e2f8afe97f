package tensor

import (
	"sync"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
	"github.com/wick-ml/wick/internal/ops"
)

// Element-wise functions that have no kernel of their own: each is a formula, which a
// backend runs as one pass over memory, and so are its gradients of every order, which
// are derived from it.

// formulas are the functions, by the names of their methods.
var formulas = map[string]*formula{}

// formula is a function of one operand and two parameters.
type formula struct {
	method, torch string
	write         func(x expr.Value, p, q float64) expr.Value

	mu    sync.Mutex
	rules map[ops.Formula]*expr.Formula // what was asked for; see mostRules
}

// mostRules is how many rules of a function are kept. There are a few for each pair of
// parameters.
const mostRules = 100

// newFormula makes a function. Where it takes one value or another (expr.Value.Where),
// both have to be finite, and their slopes: see expr.Formula.Grad.
func newFormula(method, torch string, write func(x expr.Value, p, q float64) expr.Value) *formula {
	f := &formula{method: method, torch: torch, write: write, rules: map[ops.Formula]*expr.Formula{}}
	formulas[method] = f
	return f
}

// rows returns the function's rows of the table of operations.
func (f *formula) rows() map[string]info {
	apply := func(op autograd.Op, in []*Tensor) *Tensor { return f.apply(op.(ops.Formula), in...) }
	return map[string]info{
		f.method:          {Torch: f.torch, Apply: apply},
		f.method + "Grad": {Torch: f.torch + "_backward", Apply: apply},
	}
}

// of computes the function.
func (f *formula) of(x *Tensor, p, q float64) *Tensor {
	x.wantFloat(f.method)
	return f.apply(ops.Formula{Method: f.method, P: p, Q: q}, x)
}

// apply computes the function or a gradient of it.
func (f *formula) apply(o ops.Formula, in ...*Tensor) *Tensor {
	name := o.Name()
	out := like(name, in[len(in)-1], in...)
	if r := f.rule(o); len(r.Expr) == 0 {
		out.be().Fill(out.array(), 0)
	} else {
		src, rows := make([][]backend.Array, len(in)), make([]*Tensor, len(in))
		for i, x := range in {
			rows[i] = x.dense()
			src[i] = []backend.Array{rows[i].array()}
		}
		out.be().Map([][]backend.Array{{out.array()}}, src, backend.Rule{Expr: r.Expr, Numbers: r.Numbers})
		for i, x := range in {
			x.releaseCopy(rows[i])
		}
	}
	if !tracked(name, out, in...) {
		return out
	}
	saved := make([]*Tensor, len(in))
	for i, x := range in {
		saved[i] = x.saved()
	}
	return autograd.Record(o, out, in, func(g *Tensor) []*Tensor {
		operands := make([]*Tensor, len(in), len(in)+1)
		for i, x := range saved {
			operands[i] = with(g, x)
		}
		operands = append(operands, g)
		grads := make([]*Tensor, len(in))
		for i, x := range saved {
			if x.RequiresGrad() {
				grads[i] = f.apply(o.Gradient(i), operands...)
			}
		}
		return grads
	}, saved...)
}

// rule returns the formula of an operation.
func (f *formula) rule(o ops.Formula) *expr.Formula {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.locked(o)
}

func (f *formula) locked(o ops.Formula) *expr.Formula {
	if r, ok := f.rules[o]; ok {
		return r
	}
	var r *expr.Formula
	if n := len(o.Path); n > 0 {
		of := o
		of.Path = o.Path[:n-1]
		r = f.locked(of).Grad(n, int(o.Path[n-1]-'0'))
	} else {
		r = new(expr.Formula)
		r.Store(0, f.write(r.Load(0), o.P, o.Q))
	}
	if len(f.rules) >= mostRules {
		clear(f.rules)
	}
	f.rules[o] = r
	return r
}
