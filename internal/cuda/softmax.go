//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// Softmax computes softmax along N, or its logarithm.
func (be *Backend) Softmax(dst, x backend.Array, log bool, g backend.DimGeom) {
	var p params
	param(&p, address(dst))
	param(&p, address(x))
	be.columns("softmax_", dst, log, g, &p)
}

// SoftmaxGrad computes the gradient of x from Softmax's result y.
func (be *Backend) SoftmaxGrad(dx, dy, y backend.Array, log bool, g backend.DimGeom) {
	var p params
	param(&p, address(dx))
	param(&p, address(dy))
	param(&p, address(y))
	be.columns("softmax_grad_", dx, log, g, &p)
}

// columns launches a kernel of softmax.cu: a warp for each column if its elements
// are neighbours, else a thread.
func (be *Backend) columns(name string, dst backend.Array, log bool, g backend.DimGeom, p *params) {
	if dst.Len == 0 {
		return
	}
	param(p, flag(log))
	param(p, int64(g.Outer))
	param(p, int64(g.N))
	param(p, int64(g.Inner))
	kind, lanes := "columns_", g.Outer*g.Inner
	if g.Inner == 1 {
		kind, lanes = "rows_", 32*g.Outer
	}
	blocks := min((lanes+threads-1)/threads, blocksPerUnit*be.units)
	be.launch(be.function(name+kind+suffix(dst.DType())), [3]int{blocks, 1, 1}, threads, 0, p)
}
