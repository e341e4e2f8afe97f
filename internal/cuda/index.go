//go:build cuda && linux

package cuda

import (
	"github.com/wick-ml/wick/internal/backend"
)

var (
	checkIndex          = single("check_index")
	linkIndex           = single("link_index")
	gather, indexSelect = forSizes("gather_"), forSizes("index_select_")
	addLinked           = typed("add_linked_", allTypes)
)

// wantIndices enters the first index that is not in [0, size) into the record of
// faults. Kernels that compute do so themselves.
func (be *Backend) wantIndices(index backend.Array, size int, use backend.IndexUse) {
	p := be.indexed(use, size)
	param(&p, reading(index))
	be.each(checkIndex, index.Len, &p)
}

// Gather computes dst[o,m,i] = x[o,index[o,m,i],i].
func (be *Backend) Gather(dst, x, index backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	defer keep(dst, x, index)
	return be.pick(&gather, dst, x, index, g, use)
}

// IndexSelect computes dst[o,m,i] = x[o,index[m],i].
func (be *Backend) IndexSelect(dst, x, index backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	defer keep(dst, x, index)
	return be.pick(&indexSelect, dst, x, index, g, use)
}

func (be *Backend) pick(k *sized, dst, x, index backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	if dst.Len == 0 {
		be.wantIndices(index, g.N, use)
		return nil
	}
	p := be.indexed(use, g.N)
	param(&p, address(dst))
	param(&p, address(x))
	param(&p, address(index))
	param(&p, int64(g.M))
	param(&p, int64(g.Inner))
	be.each(k[x.DType().Size()], g.Outer*g.M*g.Inner, &p)
	return nil
}

// ScatterAdd computes dst[o,index[o,m,i],i] += src[o,m,i], in the order of m.
func (be *Backend) ScatterAdd(dst, index, src backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	defer keep(dst, index, src)
	return be.add(dst, index, src, true, g, use)
}

// IndexAdd computes dst[o,index[m],i] += src[o,m,i], in the order of m.
func (be *Backend) IndexAdd(dst, index, src backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	defer keep(dst, index, src)
	return be.add(dst, index, src, false, g, use)
}

// add links equal indices and adds along the links, so that the order is always the
// same; whole says that the index has an entry for each element of src.
func (be *Backend) add(dst, index, src backend.Array, whole bool, g backend.IndexGeom, use backend.IndexUse) error {
	if src.Len == 0 {
		be.wantIndices(index, g.N, use)
		return nil
	}
	call := func() {
		be.scratch(8*index.Len, func(links pointer) {
			inner := 1
			if whole {
				inner = g.Inner
			}
			p := be.indexed(use, g.N)
			param(&p, links)
			param(&p, address(index))
			param(&p, int64(g.M))
			param(&p, int64(inner))
			be.each(linkIndex, index.Len, &p)
			p = params{}
			param(&p, address(dst))
			param(&p, address(src))
			param(&p, address(index))
			param(&p, links)
			param(&p, flag(whole))
			param(&p, int64(g.N))
			param(&p, int64(g.M))
			param(&p, int64(g.Inner))
			be.each(addLinked[dst.DType()], src.Len, &p)
		})
	}
	if !be.alike(call, updates(&dst), reads(&src)) {
		call()
	}
	return nil
}
