//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

var rowNorm, rowNormGrad = typed("row_norm_", floatTypes), typed("row_norm_grad_", floatTypes)

// RowNorm normalizes each row of rows×n elements, and writes each row's mean and
// invstd.
func (be *Backend) RowNorm(dst, mean, invstd, x backend.Array, rows, n int, eps float64) {
	defer keep(dst, mean, invstd, x)
	if n == 0 || be.alike(func() { be.RowNorm(dst, mean, invstd, x, rows, n, eps) }, writes(&dst), writes(&mean), writes(&invstd), reads(&x)) {
		return
	}
	var p params
	param(&p, address(dst))
	param(&p, address(mean))
	param(&p, address(invstd))
	param(&p, address(x))
	param(&p, int64(n))
	param(&p, eps)
	be.rows(rowNorm[x.DType()], rows, &p)
}

// RowNormGrad computes the gradient of x from RowNorm's result y.
func (be *Backend) RowNormGrad(dx, dy, y, invstd backend.Array, rows, n int) {
	defer keep(dx, dy, y, invstd)
	if n == 0 || be.alike(func() { be.RowNormGrad(dx, dy, y, invstd, rows, n) }, writes(&dx), reads(&dy), reads(&y), reads(&invstd)) {
		return
	}
	var p params
	param(&p, address(dx))
	param(&p, address(dy))
	param(&p, address(y))
	param(&p, address(invstd))
	param(&p, int64(n))
	be.rows(rowNormGrad[dx.DType()], rows, &p)
}
