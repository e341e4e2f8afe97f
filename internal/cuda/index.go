//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

var (
	checkIndex          = single("check_index")
	linkIndex           = single("link_index")
	gather, indexSelect = forSizes("gather_"), forSizes("index_select_")
	addLinked           = typed("add_linked_", allTypes)
)

// wantIndices returns an error for the first index that is not in [0, size). It has
// to wait for the device's answer.
func (be *Backend) wantIndices(index backend.Array, size int) error {
	if index.Len == 0 {
		return nil
	}
	first := []int64{math.MaxInt64}
	be.scratch(8, func(at pointer) {
		be.upload(at, bytesOf(first))
		var p params
		param(&p, at)
		param(&p, address(index))
		param(&p, int64(size))
		be.each(checkIndex, index.Len, &p)
		be.download(bytesOf(first), at)
	})
	if first[0] == math.MaxInt64 {
		return nil
	}
	bad := index
	bad.Offset, bad.Len = index.Offset+int(first[0]), 1
	value := []int64{0}
	be.Read(bytesOf(value), bad)
	return &backend.IndexError{Position: int(first[0]), Index: value[0], Size: size}
}

// Gather computes dst[o,m,i] = x[o,index[o,m,i],i].
func (be *Backend) Gather(dst, x, index backend.Array, g backend.IndexGeom) error {
	return be.pick(&gather, dst, x, index, g)
}

// IndexSelect computes dst[o,m,i] = x[o,index[m],i].
func (be *Backend) IndexSelect(dst, x, index backend.Array, g backend.IndexGeom) error {
	return be.pick(&indexSelect, dst, x, index, g)
}

func (be *Backend) pick(k *sized, dst, x, index backend.Array, g backend.IndexGeom) error {
	if err := be.wantIndices(index, g.N); err != nil {
		return err
	}
	var p params
	param(&p, address(dst))
	param(&p, address(x))
	param(&p, address(index))
	param(&p, int64(g.N))
	param(&p, int64(g.M))
	param(&p, int64(g.Inner))
	be.each(k[x.DType().Size()], g.Outer*g.M*g.Inner, &p)
	return nil
}

// ScatterAdd computes dst[o,index[o,m,i],i] += src[o,m,i], in the order of m.
func (be *Backend) ScatterAdd(dst, index, src backend.Array, g backend.IndexGeom) error {
	return be.add(dst, index, src, true, g)
}

// IndexAdd computes dst[o,index[m],i] += src[o,m,i], in the order of m.
func (be *Backend) IndexAdd(dst, index, src backend.Array, g backend.IndexGeom) error {
	return be.add(dst, index, src, false, g)
}

// add links equal indices and adds along the links, so that the order is always the
// same; whole says that the index has an entry for each element of src.
func (be *Backend) add(dst, index, src backend.Array, whole bool, g backend.IndexGeom) error {
	if err := be.wantIndices(index, g.N); err != nil || src.Len == 0 {
		return err
	}
	call := func() {
		be.scratch(8*index.Len, func(links pointer) {
			inner := 1
			if whole {
				inner = g.Inner
			}
			var p params
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
