//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

var (
	softmaxRows, softmaxColumns         = typed("softmax_rows_", floatTypes), typed("softmax_columns_", floatTypes)
	softmaxGradRows, softmaxGradColumns = typed("softmax_grad_rows_", floatTypes), typed("softmax_grad_columns_", floatTypes)
)

// Softmax computes softmax along N, or its logarithm.
func (be *Backend) Softmax(dst, x backend.Array, log bool, g backend.DimGeom) {
	defer keep(dst, x)
	var p params
	param(&p, address(dst))
	param(&p, address(x))
	be.columns(&softmaxRows, &softmaxColumns, dst, log, g, &p)
}

// SoftmaxGrad computes the gradient of x from Softmax's result y.
func (be *Backend) SoftmaxGrad(dx, dy, y backend.Array, log bool, g backend.DimGeom) {
	defer keep(dx, dy, y)
	var p params
	param(&p, address(dx))
	param(&p, address(dy))
	param(&p, address(y))
	be.columns(&softmaxGradRows, &softmaxGradColumns, dx, log, g, &p)
}

// columns launches a kernel of softmax.cu: a warp for each column if its elements
// are neighbours, else a thread.
func (be *Backend) columns(rows, columns *kernels, dst backend.Array, log bool, g backend.DimGeom, p *params) {
	if dst.Len == 0 {
		return
	}
	param(p, flag(log))
	param(p, int64(g.Outer))
	param(p, int64(g.N))
	param(p, int64(g.Inner))
	k, lanes := columns, g.Outer*g.Inner
	if g.Inner == 1 {
		k, lanes = rows, 32*g.Outer
	}
	blocks := min((lanes+threads-1)/threads, blocksPerUnit*be.units)
	be.launch(be.function(k[dst.DType()]), [3]int{blocks, 1, 1}, threads, 0, p)
}
