package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Triu returns the upper triangle of a matrix, or of each matrix in a batch:
// elements below the given diagonal (0 is the main one, positive ones lie above
// it) are 0. (torch.triu)
func (x *Tensor) Triu(diagonal int) *Tensor { return x.triangle("Triu", diagonal, true) }

// Tril returns the lower triangle of a matrix, or of each matrix in a batch:
// elements above the given diagonal are 0. (torch.tril)
func (x *Tensor) Tril(diagonal int) *Tensor { return x.triangle("Tril", diagonal, false) }

func (x *Tensor) triangle(op string, diagonal int, upper bool) *Tensor {
	n := len(x.Shape())
	if n < 2 {
		fail(op, "the tensor is %v, want a matrix or a batch of them", x.shape)
	}
	diagonal = min(max(diagonal, -x.shape[n-2]), x.shape[n-1]) // others have no more elements
	out := like(op, x)
	if x.Len() > 0 {
		// Column minus row decides which elements stay.
		rows, cols := x.shape[n-2], x.shape[n-1]
		diagonal := min(max(diagonal, -rows), cols)
		col := result(op, Int64, Shape{cols}, x)
		row := result(op, Int64, Shape{rows, 1}, x)
		x.be().Arange(col.array(), 0, 1)
		x.be().Arange(row.array(), float64(diagonal), 1)
		compare := backend.Ge
		if !upper {
			compare = backend.Le
		}
		keep := binary(op, compare, col, row)
		zero := result(op, x.DType(), Shape{}, x)
		x.be().Fill(zero.array(), 0)
		x.be().Where(out.array(), keep.array(), x.array(), zero.array(), backend.WhereGeom{
			Shape: x.shape, Cond: keep.stridesIn(x.shape), A: x.shape.strides(), B: zero.stridesIn(x.shape),
		})
	}
	if !tracked(op, out, x) {
		return out
	}
	return autograd.Record(ops.Triangle{Diagonal: diagonal, Upper: upper}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.triangle(op, diagonal, upper)}
	})
}
