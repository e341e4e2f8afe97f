//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// checkIndex returns an error for the first index that is not in [0, size). It has
// to wait for the device's answer.
func (be *Backend) checkIndex(index backend.Array, size int) error {
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
		be.each("check_index", index.Len, &p)
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
