//go:build cuda && linux

package cuda

import (
	"math/rand/v2"
	"testing"
)

// place is what kernels make of a view: where element i lies in array k.
func (v *view) place(k int, i uint32) (at int64) {
	for d := range v.dims {
		q := uint32((uint64(i) + uint64(i)*uint64(v.factor[d])>>32) >> v.shift[d])
		at += int64(i-q*v.shape[d]) * v.strides[k][d]
		i = q
	}
	return at
}

func TestViewDivides(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		n := uint32(r.Uint64N(1 << (1 + r.Uint64N(31))))
		n = max(n, 1)
		var v view
		v.dims = 1
		v.divide(0, n)
		for _, i := range []uint32{0, 1, n - 1, n, n + 1, 2*n - 1, 1<<31 - 1, uint32(r.Uint64N(1 << 31))} {
			if i >= 1<<31 {
				continue
			}
			if q := uint32((uint64(i) + uint64(i)*uint64(v.factor[0])>>32) >> v.shift[0]); q != i/n {
				t.Fatalf("%d/%d: got %d, want %d", i, n, q, i/n)
			}
		}
	}
}

func TestViewPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		shape := make([]int, r.IntN(6))
		strides := [2][]int{make([]int, len(shape)), make([]int, len(shape))}
		for d := range shape {
			shape[d] = 1 + r.IntN(4)
			strides[0][d] = r.IntN(5) - 2
		}
		copy(strides[1], contiguous(shape))
		v, ok := newView(shape, strides[0], strides[1])
		if !ok {
			t.Fatalf("shape %v is refused", shape)
		}
		for i := range count(shape) {
			var want int64
			for d, rest := len(shape)-1, i; d >= 0; d-- {
				want += int64(rest % shape[d] * strides[0][d])
				rest /= shape[d]
			}
			if got := v.place(0, uint32(i)); got != want {
				t.Fatalf("shape %v, strides %v: element %d lies at %d, want %d", shape, strides[0], i, got, want)
			}
			if got := v.place(1, uint32(i)); got != int64(i) {
				t.Fatalf("shape %v, row-major: element %d lies at %d", shape, i, got)
			}
		}
	}
}

func TestViewWhole(t *testing.T) {
	for _, row := range []struct {
		name           string
		shape, strides []int
		at             pointer
		want           bool
	}{
		{"contiguous", []int{3, 8}, []int{8, 1}, 64, true},
		{"per row", []int{3, 8}, []int{1, 0}, 4, true},
		{"per column", []int{3, 8}, []int{0, 1}, 64, true},
		{"part of longer rows", []int{3, 8}, []int{12, 1}, 64, true},
		{"part of odd rows", []int{3, 8}, []int{9, 1}, 64, false},
		{"odd length", []int{3, 7}, []int{8, 1}, 64, false},
		{"transposed", []int{4, 8}, []int{1, 4}, 64, false},
		{"odd start", []int{3, 8}, []int{12, 1}, 68, false},
		{"one element", []int{1}, []int{1}, 64, false},
	} {
		v, _ := newView(row.shape, row.strides)
		if got := v.whole(0, 4, row.at, 4); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}
