//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

var (
	crossEntropy     = typed("cross_entropy_", floatTypes)
	crossEntropyRows = typed("cross_entropy_rows_", floatTypes)
	crossEntropyGrad = typed("cross_entropy_grad_", floatTypes)
)

// fromRow is how long rows are that a warp reduces, not a thread.
const fromRow = 32

// rows launches a kernel with a warp for each of n rows. Its last parameter is n.
func (be *Backend) rows(name string, n int, p *params) {
	if n == 0 {
		return
	}
	param(p, int64(n))
	const perBlock = threads / 32
	be.launch(be.function(name), [3]int{min((n+perBlock-1)/perBlock, blocksPerUnit*be.units), 1, 1}, threads, 0, p)
}

// CrossEntropy computes the cross-entropy of class indices with softmax(x) along N:
// log Σ exp(x-largest) - (x-largest) at the label.
func (be *Backend) CrossEntropy(loss, largest, sum, x, labels backend.Array, g backend.DimGeom, use backend.IndexUse) error {
	defer keep(loss, largest, sum, x, labels)
	if g.N == 0 {
		be.wantIndices(labels, g.N, use)
		return nil
	}
	call := func() {
		p := be.indexed(use, g.N)
		param(&p, address(loss))
		param(&p, address(largest))
		param(&p, address(sum))
		param(&p, address(x))
		param(&p, address(labels))
		if g.Inner == 1 && g.N >= fromRow {
			be.rows(crossEntropyRows[x.DType()], g.Outer, &p)
			return
		}
		param(&p, int64(g.Inner))
		be.each(crossEntropy[x.DType()], g.Outer*g.Inner, &p)
	}
	if !be.alike(call, writes(&loss), writes(&largest), writes(&sum), reads(&x)) {
		call()
	}
	return nil
}

// CrossEntropyGrad computes the gradient of x, share·(softmax(x) - 1 at the label),
// from what CrossEntropy left.
func (be *Backend) CrossEntropyGrad(dx, share, x, labels, largest, sum backend.Array, g backend.DimGeom) {
	defer keep(dx, share, x, labels, largest, sum)
	if be.alike(func() { be.CrossEntropyGrad(dx, share, x, labels, largest, sum, g) }, writes(&dx), reads(&share), reads(&x), reads(&largest), reads(&sum)) {
		return
	}
	var p params
	param(&p, address(dx))
	param(&p, address(share))
	param(&p, address(x))
	param(&p, address(labels))
	param(&p, address(largest))
	param(&p, address(sum))
	param(&p, int64(g.N))
	param(&p, int64(g.Inner))
	be.each(crossEntropyGrad[dx.DType()], dx.Len, &p)
}
