package backendtest

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Upload", "makes a buffer with the elements in src, which is the caller's again afterwards", testUpload},
		Row{"Upload", "brings the elements to work that is asked for next, and leaves those of freed buffers to work asked for before", testUploadOrder},
		Row{"NewBuffer", "a handle has the type and length asked for", testNewBuffer},
		Row{"Free", "a freed buffer's memory serves the next of its size", testFree},
		Row{"MemoryStats", "a buffer that was written counts as live", testMemoryStats},
		Row{"ResetPeak", "the peak falls to what is live", testResetPeak},
		Row{"EndStep", "sizes that nobody asks for are dropped in the end", testEndStep},
		Row{"Write", "elements arrive in the window and nowhere else", testWrite},
		Row{"Read", "a window gives its own elements", testRead},
		Row{"Copy", "types are converted as a C cast does", testCopy},
		Row{"Strided", "views of all kinds become contiguous", testStrided},
		Row{"StridedWrite", "a view is written and the rest stays", testStridedWrite},
		Row{"Fill", "all elements of each type are set, and only those", testFill},
		Row{"Arange", "element i is start + i·step", testArange},
	)
}

// large is a number of bytes beside which everything else that the suite holds
// is small: other rows' garbage may be collected at any time.
const large = 64 << 20

func testNewBuffer(t *testing.T, be backend.Backend) {
	for _, dtype := range []backend.DType{backend.Float32, backend.Float64, backend.Int64, backend.Uint8, backend.Bool} {
		for _, n := range []int{0, 1, 7} {
			b := be.NewBuffer(dtype, n)
			if b.DType() != dtype || b.Len() != n {
				t.Errorf("got a buffer of %d %v, want %d %v", b.Len(), b.DType(), n, dtype)
			}
			be.Free(b)
		}
	}
}

func testFree(t *testing.T, be backend.Backend) {
	fill := func() backend.Buffer {
		b := be.NewBuffer(backend.Uint8, large)
		be.Fill(backend.Array{Buffer: b, Len: large}, 1)
		return b
	}
	defer quiet(be)()
	be.Free(fill())
	before := be.MemoryStats()
	if before.Cached < large {
		t.Errorf("after Free: got %d bytes cached, want %d at least", before.Cached, large)
	}
	b := fill()
	after := be.MemoryStats()
	if after.Taken != before.Taken {
		t.Errorf("a second buffer of the same size: got %d bytes taken from the system, want %d as before", after.Taken, before.Taken)
	}
	if got := before.Cached - after.Cached; got < large {
		t.Errorf("a second buffer of the same size: got %d bytes out of the cache, want %d at least", got, large)
	}
	be.Free(b)
}

// quiet keeps the garbage collector from taking other rows' buffers while a row counts
// memory, until restore is called.
func quiet(be backend.Backend) (restore func()) {
	percent := debug.SetGCPercent(-1)
	runtime.GC()
	for live, same := int64(-1), 0; same < 5; same++ { // until the backend knows of all that was taken
		time.Sleep(10 * time.Millisecond)
		if now := be.MemoryStats().Live; now != live {
			live, same = now, 0
		}
	}
	return func() { debug.SetGCPercent(percent) }
}

func testMemoryStats(t *testing.T, be backend.Backend) {
	defer quiet(be)()
	before := be.MemoryStats()
	b := be.NewBuffer(backend.Uint8, large)
	be.Fill(backend.Array{Buffer: b, Len: large}, 1)
	with := be.MemoryStats()
	if got := with.Live - before.Live; got < large*3/4 {
		t.Errorf("a buffer of %d bytes: got %d more live", large, got)
	}
	if with.Peak < with.Live || with.Taken < with.Live {
		t.Errorf("got peak %d and taken %d, want both at least what is live, %d", with.Peak, with.Taken, with.Live)
	}
	be.Free(b)
	if got := with.Live - be.MemoryStats().Live; got < large {
		t.Errorf("after Free: got %d bytes less live, want %d at least", got, large)
	}
}

func testResetPeak(t *testing.T, be backend.Backend) {
	b := be.NewBuffer(backend.Uint8, large)
	be.Fill(backend.Array{Buffer: b, Len: large}, 1)
	be.Free(b)
	before := be.MemoryStats()
	be.ResetPeak()
	if got := before.Peak - be.MemoryStats().Peak; got < large*3/4 {
		t.Errorf("got a peak lower by %d bytes, want about %d", got, large)
	}
}

func testEndStep(t *testing.T, be backend.Backend) {
	b := be.NewBuffer(backend.Uint8, large+1)
	be.Fill(backend.Array{Buffer: b, Len: large + 1}, 1)
	be.Free(b)
	before := be.MemoryStats().Cached
	be.EndStep()
	if got := be.MemoryStats().Cached; got != before {
		t.Errorf("after one step: got %d bytes cached, want %d as before", got, before)
	}
	for range 300 {
		be.EndStep()
	}
	if got := before - be.MemoryStats().Cached; got < large {
		t.Errorf("after 300 steps: got %d bytes fewer cached, want %d at least", got, large)
	}
}

func testWrite(t *testing.T, be backend.Backend) {
	whole := empty[int64](be, 7)
	be.Write(backend.Array{Buffer: whole.Buffer, Offset: whole.Offset + 2, Len: 3}, bytesOf([]int64{1, -2, 3}))
	wantExact(t, be, "middle of an array", whole, []int64{77, 77, 1, -2, 3, 77, 77})
	be.Write(backend.Array{Buffer: whole.Buffer, Offset: whole.Offset + 2}, nil)
	wantExact(t, be, "after writing nothing", whole, []int64{77, 77, 1, -2, 3, 77, 77})
	const n = 3<<20 + 5 // more than a piece of a parallel copy
	big := make([]uint8, n)
	for i := range big {
		big[i] = uint8(i * 31)
	}
	got := get[uint8](be, put(be, big))
	for i := range big {
		if got[i] != big[i] {
			t.Fatalf("%d bytes: element %d: got %d, want %d", n, i, got[i], big[i])
		}
	}
}

func testRead(t *testing.T, be backend.Backend) {
	a := put(be, []float32{0, 1, 2, 3, 4})
	wantExact(t, be, "a window", backend.Array{Buffer: a.Buffer, Offset: a.Offset + 1, Len: 3}, []float32{1, 2, 3})
	wantExact(t, be, "an empty window", backend.Array{Buffer: a.Buffer, Offset: a.Offset + 1}, []float32{})
	wantExact(t, be, "bools", put(be, []bool{true, false, true}), []bool{true, false, true})
}

func testCopy(t *testing.T, be backend.Backend) {
	x := []float64{0, 1, -1, 1.75, -1.75, 200, 100.5}
	asInt := []int64{0, 1, -1, 1, -1, 200, 100}
	asByte := []uint8{0, 1, 255, 1, 255, 200, 100}
	asBool := []bool{false, true, true, true, true, true, true}
	asFloat := make([]float32, len(x))
	for i, v := range x {
		asFloat[i] = float32(v)
	}
	copyTo(t, be, x, x, asFloat, asInt, asByte, asBool)
	copyTo(t, be, asFloat, x, asFloat, asInt, asByte, asBool)
	copyTo(t, be, []int64{0, 1, -1, 300}, []float64{0, 1, -1, 300}, []float32{0, 1, -1, 300},
		[]int64{0, 1, -1, 300}, []uint8{0, 1, 255, 44}, []bool{false, true, true, true})
	copyTo(t, be, []uint8{0, 1, 255}, []float64{0, 1, 255}, []float32{0, 1, 255}, []int64{0, 1, 255}, []uint8{0, 1, 255}, []bool{false, true, true})
	copyTo(t, be, []bool{false, true}, []float64{0, 1}, []float32{0, 1}, []int64{0, 1}, []uint8{0, 1}, []bool{false, true})
	copyTo(t, be, []bool{}, []float64{}, []float32{}, []int64{}, []uint8{}, []bool{})
	dst := empty[bool](be, 1)
	be.Copy(dst, put(be, []float32{float32(math.NaN())}))
	wantExact(t, be, "NaN to bool", dst, []bool{true})
	long := random(1, 40001)
	a := empty[float32](be, len(long))
	be.Copy(a, put(be, long))
	wantFloats(t, be, "many elements", a, long, 0)
}

func copyTo[S elem](t *testing.T, be backend.Backend, src []S, f64 []float64, f32 []float32, i64 []int64, u8 []uint8, b []bool) {
	t.Helper()
	copyOne(t, be, src, f64)
	copyOne(t, be, src, f32)
	copyOne(t, be, src, i64)
	copyOne(t, be, src, u8)
	copyOne(t, be, src, b)
}

func copyOne[S, D elem](t *testing.T, be backend.Backend, src []S, want []D) {
	t.Helper()
	dst := empty[D](be, len(want))
	be.Copy(dst, put(be, src))
	wantExact(t, be, fmt.Sprintf("%v to %v", dtypeOf[S](), dtypeOf[D]()), dst, want)
}

// stridedGeoms are views on an array of n elements.
var stridedGeoms = []struct {
	name string
	n    int
	g    backend.StridedGeom
}{
	{"scalar", 1, backend.StridedGeom{}},
	{"one element of many", 6, backend.StridedGeom{Shape: []int{1, 1}, Strides: []int{5, 9}, Offset: 4}},
	{"everything", 24, backend.StridedGeom{Shape: []int{2, 3, 4}, Strides: []int{12, 4, 1}}},
	{"empty", 24, backend.StridedGeom{Shape: []int{2, 0, 4}, Strides: []int{12, 4, 1}}},
	{"narrow the last", 24, backend.StridedGeom{Shape: []int{2, 3, 2}, Strides: []int{12, 4, 1}, Offset: 1}},
	{"narrow the middle", 24, backend.StridedGeom{Shape: []int{2, 2, 4}, Strides: []int{12, 4, 1}, Offset: 4}},
	{"every second", 25, backend.StridedGeom{Shape: []int{13}, Strides: []int{2}}},
	{"backwards", 13, backend.StridedGeom{Shape: []int{13}, Strides: []int{-1}, Offset: 12}},
	{"flipped rows", 12, backend.StridedGeom{Shape: []int{3, 4}, Strides: []int{-4, 1}, Offset: 8}},
	{"transposed 3×5", 15, backend.StridedGeom{Shape: []int{5, 3}, Strides: []int{1, 5}}},
	{"transposed 1×5", 5, backend.StridedGeom{Shape: []int{5, 1}, Strides: []int{1, 5}}},
	{"transposed 70×33", 2310, backend.StridedGeom{Shape: []int{33, 70}, Strides: []int{1, 33}}},
	{"transposed 300×170", 51000, backend.StridedGeom{Shape: []int{170, 300}, Strides: []int{1, 170}}},
	{"batch of transposed", 4 * 65 * 34, backend.StridedGeom{Shape: []int{4, 34, 65}, Strides: []int{65 * 34, 1, 34}}},
	{"NCHW to NHWC", 3 * 5 * 6 * 7, backend.StridedGeom{Shape: []int{3, 6, 7, 5}, Strides: []int{210, 7, 1, 42}}},
	{"NHWC to NCHW", 3 * 6 * 7 * 40, backend.StridedGeom{Shape: []int{3, 40, 6, 7}, Strides: []int{1680, 1, 280, 40}}},
	{"all reversed", 2 * 3 * 4 * 5, backend.StridedGeom{Shape: []int{5, 4, 3, 2}, Strides: []int{1, 5, 20, 60}}},
	{"heads", 2 * 7 * 3 * 4, backend.StridedGeom{Shape: []int{2, 3, 7, 4}, Strides: []int{84, 4, 12, 1}}},
	{"windows", 10, backend.StridedGeom{Shape: []int{4, 3}, Strides: []int{2, 1}, Offset: 1}},
	{"expanded first", 4, backend.StridedGeom{Shape: []int{3, 4}, Strides: []int{0, 1}}},
	{"expanded last", 3, backend.StridedGeom{Shape: []int{3, 4}, Strides: []int{1, 0}}},
	{"expanded around", 3, backend.StridedGeom{Shape: []int{2, 3, 4}, Strides: []int{0, 1, 0}}},
	{"part of a transposed", 100 * 90, backend.StridedGeom{Shape: []int{75, 83}, Strides: []int{1, 90}, Offset: 95}},
	{"batch of parts of transposed", 3 * 40 * 50, backend.StridedGeom{Shape: []int{3, 41, 27}, Strides: []int{2000, 1, 50}, Offset: 58}},
	{"transposed 130×3", 390, backend.StridedGeom{Shape: []int{3, 130}, Strides: []int{1, 3}}},
	{"transposed 3×130", 390, backend.StridedGeom{Shape: []int{130, 3}, Strides: []int{1, 130}}},
	{"transposed 129×67", 129 * 67, backend.StridedGeom{Shape: []int{67, 129}, Strides: []int{1, 67}}},
	{"transposed 8192×5", 5 * 8192, backend.StridedGeom{Shape: []int{5, 8192}, Strides: []int{1, 5}}},
	{"transposed 6×8192", 6 * 8192, backend.StridedGeom{Shape: []int{8192, 6}, Strides: []int{1, 8192}}},
	{"RGB to planes", 2 * 40 * 41 * 3, backend.StridedGeom{Shape: []int{2, 3, 40, 41}, Strides: []int{4920, 1, 123, 3}}},
	{"planes to RGB", 2 * 40 * 41 * 3, backend.StridedGeom{Shape: []int{2, 40, 41, 3}, Strides: []int{4920, 41, 1, 1640}}},
	{"two of three channels", 2 * 9 * 10 * 3, backend.StridedGeom{Shape: []int{2, 2, 9, 10}, Strides: []int{270, 1, 30, 3}, Offset: 1}},
	{"transposed, every second", 41 * 50, backend.StridedGeom{Shape: []int{25, 20}, Strides: []int{2, 100}, Offset: 1}},
	{"transposed and flipped", 40 * 50, backend.StridedGeom{Shape: []int{50, 40}, Strides: []int{-1, 50}, Offset: 49}},
	{"keys of heads", 2 * 20 * 3 * 16, backend.StridedGeom{Shape: []int{2, 3, 16, 20}, Strides: []int{960, 16, 1, 48}}},
	{"short runs", 4000, backend.StridedGeom{Shape: []int{1000, 3}, Strides: []int{4, 1}}},
	{"runs", 300 * 40, backend.StridedGeom{Shape: []int{300, 24}, Strides: []int{40, 1}, Offset: 7}},
	{"runs that repeat", 40, backend.StridedGeom{Shape: []int{300, 24}, Strides: []int{0, 1}, Offset: 7}},
	{"a transposed that repeats", 24, backend.StridedGeom{Shape: []int{6, 5, 4}, Strides: []int{1, 0, 6}}},
	{"diagonal", 100, backend.StridedGeom{Shape: []int{10}, Strides: []int{11}}},
	{"long rows", 3 * 20000, backend.StridedGeom{Shape: []int{3, 19999}, Strides: []int{20000, 1}, Offset: 1}},
}

// positions returns the elements that the view shows, in its order.
func positions(shape, strides []int, offset int) []int {
	at := []int{offset}
	for d, n := range shape {
		next := make([]int, 0, len(at)*n)
		for _, a := range at {
			for i := range n {
				next = append(next, a+i*strides[d])
			}
		}
		at = next
	}
	return at
}

func testStrided(t *testing.T, be backend.Backend) {
	for _, c := range stridedGeoms {
		strided[float32](t, be, c.name, c.n, c.g)
		strided[float64](t, be, c.name, c.n, c.g)
		strided[int64](t, be, c.name, c.n, c.g)
		strided[uint8](t, be, c.name, c.n, c.g)
		stridedHalf(t, be, c.name, c.n, c.g)
	}
	dst := empty[bool](be, 4)
	be.Strided(dst, put(be, []bool{true, false, true, true}), backend.StridedGeom{Shape: []int{2, 2}, Strides: []int{1, 2}})
	wantExact(t, be, "bools transposed", dst, []bool{true, true, false, true})
}

func strided[T float32 | float64 | int64 | uint8](t *testing.T, be backend.Backend, name string, n int, g backend.StridedGeom) {
	t.Helper()
	src := make([]T, n)
	for i := range src {
		src[i] = T(i % 251)
	}
	at := positions(g.Shape, g.Strides, g.Offset)
	want := make([]T, len(at))
	for i, a := range at {
		want[i] = src[a]
	}
	dst := empty[T](be, len(want))
	be.Strided(dst, put(be, src), g)
	wantExact(t, be, fmt.Sprintf("%s, %v", name, dtypeOf[T]()), dst, want)
}

// stridedHalf copies there and back. All bits stay as they are, also those of a NaN.
func stridedHalf(t *testing.T, be backend.Backend, name string, n int, g backend.StridedGeom) {
	t.Helper()
	array := func(s []uint16) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(backend.BFloat16, len(s)+1), Offset: 1, Len: len(s)}
		be.Write(a, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 2*len(s)))
		return a
	}
	holds := func(what string, a backend.Array, want []uint16) {
		t.Helper()
		got := make([]uint16, a.Len)
		be.Read(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(got))), 2*len(got)), a)
		if !slices.Equal(got, want) {
			t.Fatalf("%s of bfloat16, %s:\ngot  %x\nwant %x", what, name, got, want)
		}
	}
	src, back := make([]uint16, n), make([]uint16, n)
	for i := range src {
		src[i] = uint16(i*40503 + 0x7f81)
	}
	at := positions(g.Shape, g.Strides, g.Offset)
	want, seen := make([]uint16, len(at)), map[int]bool{}
	for i, a := range at {
		want[i], back[a], seen[a] = src[a], src[a], true
	}
	dst := array(make([]uint16, len(at)))
	be.Strided(dst, array(src), g)
	holds("copy", dst, want)
	if len(seen) == len(at) {
		to := array(make([]uint16, n))
		be.StridedWrite(to, dst, g)
		holds("write", to, back)
	}
}

func testStridedWrite(t *testing.T, be backend.Backend) {
	for _, c := range stridedGeoms {
		stridedWrite[float32](t, be, c.name, c.n, c.g)
		stridedWrite[float64](t, be, c.name, c.n, c.g)
		stridedWrite[uint8](t, be, c.name, c.n, c.g)
	}
}

func stridedWrite[T float32 | float64 | uint8](t *testing.T, be backend.Backend, name string, n int, g backend.StridedGeom) {
	t.Helper()
	at := positions(g.Shape, g.Strides, g.Offset)
	want := make([]T, n)
	for i := range want {
		want[i] = 77
	}
	src := make([]T, len(at))
	seen := map[int]bool{}
	for i, a := range at {
		src[i] = T(i % 251)
		want[a] = src[i]
		if seen[a] {
			return // what a view that shows an element twice receives is undefined
		}
		seen[a] = true
	}
	dst := empty[T](be, n)
	be.StridedWrite(dst, put(be, src), g)
	wantExact(t, be, fmt.Sprintf("%s, %v", name, dtypeOf[T]()), dst, want)
}

func testFill(t *testing.T, be backend.Backend) {
	fillOne(t, be, 1.5, float32(1.5))
	fillOne(t, be, 1e300, 1e300)
	fillOne(t, be, -3, int64(-3))
	fillOne(t, be, 200, uint8(200))
	fillOne(t, be, 0.5, true)
	fillOne(t, be, 0, false)
	a := empty[float32](be, 2)
	be.Fill(a, math.Inf(-1))
	wantExact(t, be, "-Inf", a, []float32{float32(math.Inf(-1)), float32(math.Inf(-1))})
}

func fillOne[T elem](t *testing.T, be backend.Backend, v float64, want T) {
	t.Helper()
	for _, n := range []int{0, 1, 5, 70001} {
		src := make([]T, n+2)
		a := put(be, src)
		be.Fill(backend.Array{Buffer: a.Buffer, Offset: a.Offset + 1, Len: n}, v)
		for i := range n {
			src[i+1] = want
		}
		wantExact(t, be, fmt.Sprintf("%d %v", n, dtypeOf[T]()), a, src)
	}
}

func testArange(t *testing.T, be backend.Backend) {
	for _, c := range []struct {
		n           int
		start, step float64
	}{{0, 0, 1}, {1, 5, 3}, {7, 0, 1}, {7, -3, 2}, {50001, 10, -1}} {
		want := make([]float64, c.n)
		ints := make([]int64, c.n)
		for i := range want {
			want[i] = c.start + float64(i)*c.step
			ints[i] = int64(want[i])
		}
		f32, f64, i64 := empty[float32](be, c.n), empty[float64](be, c.n), empty[int64](be, c.n)
		be.Arange(f32, c.start, c.step)
		be.Arange(f64, c.start, c.step)
		be.Arange(i64, c.start, c.step)
		what := fmt.Sprintf("%d from %g by %g", c.n, c.start, c.step)
		wantFloats(t, be, what, f32, want, 0)
		wantFloats(t, be, what, f64, want, 0)
		wantExact(t, be, what, i64, ints)
	}
	half := empty[float32](be, 3)
	be.Arange(half, 0.25, 0.5)
	wantExact(t, be, "fractions", half, []float32{0.25, 0.75, 1.25})
	bytes := empty[uint8](be, 3)
	be.Arange(bytes, 250, 2)
	wantExact(t, be, "uint8", bytes, []uint8{250, 252, 254})
}

func testUpload(t *testing.T, be backend.Backend) {
	for _, n := range []int{0, 1, 3, 1000, 65535, 65536, 65537, 4 << 20, 9<<20 + 5} {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i * 7 >> 3)
		}
		want := slices.Clone(src)
		for _, d := range []backend.DType{backend.Uint8, backend.Float32, backend.Float64, backend.Int64, backend.Bool, backend.BFloat16, backend.Float16} {
			len := n / d.Size()
			part := src[:len*d.Size()]
			b := be.Upload(d, part)
			clear(part)
			if b.DType() != d || b.Len() != len {
				t.Fatalf("%d bytes: got %d of %v, want %d of %v", n, b.Len(), b.DType(), len, d)
			}
			got := make([]byte, n)
			be.Read(got[:len*d.Size()], backend.Array{Buffer: b, Len: len})
			copy(part, want)
			if !bytes.Equal(got[:len*d.Size()], part) {
				t.Errorf("%d bytes of %v came back changed", n, d)
			}
			be.Free(b)
		}
	}
}

func testUploadOrder(t *testing.T, be backend.Backend) {
	const n = 40_000
	sum := empty[int64](be, n)
	be.Fill(sum, 0)
	src := make([]int64, n)
	want := make([]int64, n)
	for step := range 20 {
		for i := range src {
			src[i] = int64(step * i)
			want[i] += src[i]
		}
		x := backend.Array{Buffer: be.Upload(backend.Int64, bytesOf(src)), Len: n}
		be.Binary(sum, sum, x, backend.Add, backend.BinaryGeom{})
		be.Free(x.Buffer)
	}
	wantExact(t, be, "the sum of what was uploaded", sum, want)
}
