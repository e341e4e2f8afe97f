package backendtest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Gather", "takes dst[o,m,i] = x[o,index[o,m,i],i]", testGather},
		Row{"IndexSelect", "takes dst[o,m,i] = x[o,index[m],i]", testIndexSelect},
		Row{"ScatterAdd", "adds src[o,m,i] to dst[o,index[o,m,i],i]", testScatterAdd},
		Row{"IndexAdd", "adds src[o,m,i] to dst[o,index[m],i]", testIndexAdd},
		Row{"Gather", "an index out of range is an error, at once and nothing is written, or when the result is read", testGatherRange},
		Row{"IndexSelect", "an index out of range is an error, at once and nothing is written, or when the result is read", testIndexSelectRange},
		Row{"ScatterAdd", "an index out of range is an error, at once and nothing is written, or when the result is read", testScatterAddRange},
		Row{"IndexAdd", "an index out of range is an error, at once and nothing is written, or when the result is read", testIndexAddRange},
	)
}

var indexGeoms = []backend.IndexGeom{
	{Outer: 1, N: 1, M: 1, Inner: 1}, {Outer: 1, N: 9, M: 20, Inner: 1}, {Outer: 4, N: 10, M: 3, Inner: 1},
	{Outer: 1, N: 7, M: 5, Inner: 3}, {Outer: 3, N: 4, M: 6, Inner: 5}, {Outer: 2, N: 3, M: 4, Inner: 601},
	{Outer: 2, N: 3, M: 0, Inner: 2}, {Outer: 0, N: 3, M: 2, Inner: 2}, {Outer: 2, N: 3, M: 2, Inner: 0},
	{Outer: 1, N: 5, M: 40000, Inner: 1}, {Outer: 1, N: 50, M: 700, Inner: 65}, {Outer: 1, N: 0, M: 0, Inner: 2},
}

// indexInto returns n indices from 0 to size-1.
func indexInto(size, n int) []int64 {
	s := make([]int64, n)
	for i, v := range random(6, n) {
		s[i] = min(int64((v+1)/2*float64(size)), int64(size-1))
	}
	return s
}

func testGather(t *testing.T, be backend.Backend) {
	testGatherOf[float32](t, be)
	testGatherOf[float64](t, be)
	testGatherOf[int64](t, be)
	testGatherOf[uint8](t, be)
	testGatherOf[bool](t, be)
}

func testGatherOf[T elem](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range indexGeoms {
		x := small[T](1, g.Outer*g.N*g.Inner)
		index := indexInto(g.N, g.Outer*g.M*g.Inner)
		want := make([]T, len(index))
		for at, n := range index {
			o, i := at/(g.M*g.Inner), at%g.Inner
			want[at] = x[(o*g.N+int(n))*g.Inner+i]
		}
		dst := empty[T](be, len(want))
		if err := be.Gather(dst, put(be, x), put(be, index), g, user{}); err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dst, want)
	}
}

func testIndexSelect(t *testing.T, be backend.Backend) {
	testIndexSelectOf[float32](t, be)
	testIndexSelectOf[float64](t, be)
	testIndexSelectOf[int64](t, be)
	testIndexSelectOf[uint8](t, be)
	testIndexSelectOf[bool](t, be)
}

func testIndexSelectOf[T elem](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range indexGeoms {
		x := small[T](2, g.Outer*g.N*g.Inner)
		index := indexInto(g.N, g.M)
		want := make([]T, g.Outer*g.M*g.Inner)
		for at := range want {
			o, m, i := at/(g.M*g.Inner), at/g.Inner%g.M, at%g.Inner
			want[at] = x[(o*g.N+int(index[m]))*g.Inner+i]
		}
		dst := empty[T](be, len(want))
		if err := be.IndexSelect(dst, put(be, x), put(be, index), g, user{}); err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dst, want)
	}
}

func testScatterAdd(t *testing.T, be backend.Backend) {
	testScatterAddOf[float32](t, be)
	testScatterAddOf[float64](t, be)
	testScatterAddOf[int64](t, be)
	testScatterAddOf[uint8](t, be)
}

func testScatterAddOf[T float32 | float64 | int64 | uint8](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range indexGeoms {
		before := small[T](3, g.Outer*g.N*g.Inner)
		index := indexInto(g.N, g.Outer*g.M*g.Inner)
		src := small[T](4, len(index))
		dst := put(be, before)
		if err := be.ScatterAdd(dst, put(be, index), put(be, src), g, user{}); err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		for at, n := range index {
			o, i := at/(g.M*g.Inner), at%g.Inner
			before[(o*g.N+int(n))*g.Inner+i] += src[at]
		}
		wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dst, before)
	}
}

func testIndexAdd(t *testing.T, be backend.Backend) {
	testIndexAddOf[float32](t, be)
	testIndexAddOf[float64](t, be)
	testIndexAddOf[int64](t, be)
	testIndexAddOf[uint8](t, be)
}

func testIndexAddOf[T float32 | float64 | int64 | uint8](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range indexGeoms {
		before := small[T](5, g.Outer*g.N*g.Inner)
		index := indexInto(g.N, g.M)
		src := small[T](6, g.Outer*g.M*g.Inner)
		dst := put(be, before)
		if err := be.IndexAdd(dst, put(be, index), put(be, src), g, user{}); err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		for at, v := range src {
			o, m, i := at/(g.M*g.Inner), at/g.Inner%g.M, at%g.Inner
			before[(o*g.N+int(index[m]))*g.Inner+i] += v
		}
		wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dst, before)
	}
}

// badIndices are indices into size entries with one that is out of range.
func badIndices(size int) []badIndex {
	n := int64(size)
	return []badIndex{
		{[]int64{0, 1, 2, n}, backend.IndexError{Position: 3, Index: n, Size: size}},
		{[]int64{0, -1, 2, 9 * n}, backend.IndexError{Position: 1, Index: -1, Size: size}},
		{[]int64{math.MinInt64, 0, 0, 0}, backend.IndexError{Position: 0, Index: math.MinInt64, Size: size}},
		{[]int64{0, 0, math.MaxInt64, 0}, backend.IndexError{Position: 2, Index: math.MaxInt64, Size: size}},
	}
}

type badIndex struct {
	index []int64
	want  backend.IndexError
}

// user is an IndexUse that puts its name before the error's text.
type user struct{ name string }

func (u user) Key() string                          { return u.name }
func (u user) BadIndex(e *backend.IndexError) error { return fmt.Errorf("%s: %w", u.name, e) }

// told returns the error that f returns or, with a backend that tells of a bad index
// later, the one that reading dst panics with.
func told(be backend.Backend, dst backend.Array, f func() error) (err error, late bool) {
	if err := f(); err != nil {
		return err, false
	}
	defer func() {
		if e, ok := recover().(error); ok {
			err, late = e, true
		}
	}()
	be.Read(make([]byte, dst.Len*dst.DType().Size()), dst)
	return nil, true
}

func testIndexRange(t *testing.T, be backend.Backend, size, dstLen int, f func(dst, index backend.Array, use backend.IndexUse) error) {
	t.Helper()
	for _, c := range badIndices(size) {
		before := random(1, dstLen)
		dst := put(be, before)
		err, late := told(be, dst, func() error { return f(dst, put(be, c.index), user{"first"}) })
		var got *backend.IndexError
		if !errors.As(err, &got) {
			t.Fatalf("index %v: got error %v, want a *backend.IndexError", c.index, err)
		}
		if *got != c.want {
			t.Errorf("index %v: got %+v, want %+v", c.index, *got, c.want)
		}
		if !late {
			wantExact(t, be, fmt.Sprintf("index %v: destination", c.index), dst, before)
			continue
		}
		if want := "first: " + c.want.Error(); err.Error() != want {
			t.Errorf("index %v: reading panics with %q, want %q", c.index, err, want)
		}
		get[float64](be, dst) // it is told once
		// The first of two is told, and what comes after is computed.
		err, _ = told(be, dst, func() error {
			good := put(be, []int64{2, 1, 0, 1})
			return errors.Join(f(dst, good, user{"good"}), f(dst, put(be, c.index), user{"second"}), f(dst, put(be, []int64{-9, 0, 0, 0}), user{"third"}),
				f(dst, good, user{"good"}))
		})
		if want := "second: " + c.want.Error(); err == nil || err.Error() != want {
			t.Errorf("index %v: reading panics with %v, want %q", c.index, err, want)
		}
		get[float64](be, dst)
	}
}

func testGatherRange(t *testing.T, be backend.Backend) {
	testIndexRange(t, be, 3, 4, func(dst, index backend.Array, use backend.IndexUse) error {
		return be.Gather(dst, put(be, random(2, 3)), index, backend.IndexGeom{Outer: 1, N: 3, M: 4, Inner: 1}, use)
	})
}

func testIndexSelectRange(t *testing.T, be backend.Backend) {
	testIndexRange(t, be, 3, 8, func(dst, index backend.Array, use backend.IndexUse) error {
		return be.IndexSelect(dst, put(be, random(2, 6)), index, backend.IndexGeom{Outer: 1, N: 3, M: 4, Inner: 2}, use)
	})
}

func testScatterAddRange(t *testing.T, be backend.Backend) {
	testIndexRange(t, be, 3, 3, func(dst, index backend.Array, use backend.IndexUse) error {
		return be.ScatterAdd(dst, index, put(be, random(2, 4)), backend.IndexGeom{Outer: 1, N: 3, M: 4, Inner: 1}, use)
	})
}

func testIndexAddRange(t *testing.T, be backend.Backend) {
	testIndexRange(t, be, 3, 6, func(dst, index backend.Array, use backend.IndexUse) error {
		return be.IndexAdd(dst, index, put(be, random(2, 8)), backend.IndexGeom{Outer: 1, N: 3, M: 4, Inner: 2}, use)
	})
}
