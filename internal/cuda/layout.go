//go:build cuda && linux

package cuda

import (
	"math/bits"
	"runtime"
	"sync"

	"github.com/wick-ml/wick/internal/backend"
)

// Tensor cores take the channels of a pixel as neighbours (NHWC), and so do cuDNN's
// fast convolutions of half precision. To everybody else arrays are row-major. So a
// buffer may hold its elements in one of two forms, or in both: what a convolution
// writes stays channels last through normalization, ReLU, additions and pooling up to
// the next convolution, and is converted when a method asks that does not know of it.

// layout is how elements lie channels last: n images, each of inner pixels of c
// channels. The zero layout is row-major.
type layout struct{ n, c, inner int }

// plain says that both forms are the same.
func (l layout) plain() bool { return l.c <= 1 || l.inner <= 1 }

// forms are the two forms of a buffer's elements. The row-major one lies in the
// buffer's memory. Methods that read an array may run at the same time, so they never
// take a form away; one that writes has the array for itself.
type forms struct {
	mu      sync.Mutex
	layout  layout  // of last
	last    pointer // the block of the form with channels last, 0 if there is none
	truth   bool    // last is what was written, else the row-major form
	derived uint64  // the backend's epoch in which the other form was made from the one that was written; 0 if it is not valid
	second  runtime.Cleanup
	blocks  int
}

// layouts says which convolutions work channels last.
type layouts int8

const (
	byRule     layouts = iota
	everywhere         // all of them, and all other methods that know channels last
	nowhere
)

// of returns an array's buffer. Every use of its memory begins here.
func of(a backend.Array) *buffer {
	b := a.Buffer.(*buffer)
	if g := b.be.capturing(); g != nil {
		g.touch(b)
	}
	return b
}

// whole says that an array is all of its buffer, so that it may lie channels last.
func whole(a backend.Array) bool { return a.Offset == 0 && a.Len == of(a).n }

// address is where an array's elements lie row-major, for a method that may write
// them: the form with channels last is not valid from then on. It is 0 for an absent
// or empty array.
func address(a backend.Array) pointer {
	if a.None() || a.Len == 0 {
		return 0
	}
	b := of(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.needRows()
	b.truth, b.derived = false, 0
	return b.memory + pointer(a.Offset*b.dtype.Size())
}

// reading is address for a method that only reads: both forms stay valid.
func reading(a backend.Array) pointer {
	if a.None() || a.Len == 0 {
		return 0
	}
	b := of(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.needRows()
	return b.memory + pointer(a.Offset*b.dtype.Size())
}

// needRows sees to it that the row-major form is valid.
func (b *buffer) needRows() {
	epoch := b.be.epoch.Load()
	if !b.truth || b.derived == epoch {
		return
	}
	if b.memory == 0 {
		b.memory = b.block()
	}
	b.be.toRows(b.memory, b.last, b.dtype, b.layout)
	b.derived = epoch
}

// block takes a second block.
func (b *buffer) block() pointer {
	p := b.pool.Get(b.bytes())
	b.second = runtime.AddCleanup(b, found, lost{b.pool, region{p, b.bytes()}})
	b.blocks = 2
	return p
}

// giveBack frees the blocks, once.
func (b *buffer) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.memory == 0 && b.last == 0 {
		return
	}
	b.cleanup.Stop()
	b.abandon()
	if b.blocks == 2 {
		b.second.Stop()
	}
	for _, p := range []pointer{b.memory, b.last} {
		if p != 0 {
			b.pool.Put(p, b.bytes())
		}
	}
	b.memory, b.last = 0, 0
	b.truth, b.derived, b.layout = false, 0, layout{}
}

// written returns how an array was written: channels last, or row-major (the zero
// layout).
func written(a backend.Array) layout {
	if a.None() || a.Len == 0 || !whole(a) {
		return layout{}
	}
	b := of(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.truth {
		return layout{}
	}
	return b.layout
}

// readAs is where an array's elements lie in a layout, for a method that reads them.
// What is only a window, or lies channels last in another shape, is copied.
func (be *Backend) readAs(t *temporaries, a backend.Array, l layout) pointer {
	if a.None() || a.Len == 0 || l.plain() {
		return reading(a)
	}
	if whole(a) {
		if p := of(a).needLast(l); p != 0 {
			return p
		}
	}
	p := address(be.temporary(t, a.DType(), a.Len))
	be.toLast(p, reading(a), a.DType(), l)
	return p
}

// needLast returns the form with channels last, or 0 if the buffer has it in another
// shape.
func (b *buffer) needLast(l layout) pointer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last != 0 && b.layout != l {
		return 0 // somebody may be reading it
	}
	if b.truth {
		return b.last
	}
	if epoch := b.be.epoch.Load(); b.derived != epoch {
		if b.last == 0 {
			b.last = b.block()
			b.layout = l
		}
		b.be.toLast(b.last, b.memory, b.dtype, l)
		b.derived = epoch
	}
	return b.last
}

// writeAs is where a method writes an array in a layout, all of it. It calls done
// when it has put what writes into the stream: a window is then converted, and so is
// what a captured step did not make, since what is written to that between the
// launches is row-major.
func (be *Backend) writeAs(t *temporaries, a backend.Array, l layout) (p pointer, done func()) {
	if a.None() || a.Len == 0 || l.plain() {
		return address(a), func() {}
	}
	if g := be.capturing(); !whole(a) || g != nil && g.outside[of(a)] {
		p = address(be.temporary(t, a.DType(), a.Len))
		return p, func() { be.toRows(address(a), p, a.DType(), l) }
	}
	b := of(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == 0 {
		b.last, b.memory = b.memory, 0
	}
	b.layout, b.truth, b.derived = l, true, 0
	return b.last, func() {}
}

// renew makes the forms that were made from others before invalid: a captured graph
// converts nothing that was converted before the capture began, and what it writes
// when it is replayed nobody sees. It is called when a capture begins, when it ends,
// and at each replay.
func (be *Backend) renew() { be.epoch.Add(1) }

// common is the layout in which a method without regard for places, which makes dst of
// sources of the same length, works: that of the first that was written channels
// last, or row-major if one of the arrays is a window.
func common(dst backend.Array, sources ...backend.Array) (l layout) {
	if dst.Len == 0 || !whole(dst) || !dst.DType().IsFloat() {
		return layout{}
	}
	for _, a := range sources {
		if a.None() {
			continue
		}
		if !a.DType().IsFloat() || a.Len != dst.Len || !whole(a) {
			return layout{}
		}
		if l == (layout{}) {
			l = written(a)
		}
	}
	return l
}

// places are where the arrays of a method without regard for places lie: dst, which
// it makes of sources of the same length. It calls done when it has put what writes
// into the stream.
func (be *Backend) places(dst backend.Array, sources ...backend.Array) (to pointer, from []pointer, done func()) {
	l := common(dst, sources...)
	var t temporaries
	for _, a := range sources { // before dst, which may be one of them
		from = append(from, be.readAs(&t, a, l))
	}
	to, written := be.writeAs(&t, dst, l)
	return to, from, func() {
		written()
		be.release(&t)
	}
}

// elementwise begins the parameters of a kernel with the places of such arrays.
func (be *Backend) elementwise(p *params, dst backend.Array, sources ...backend.Array) (done func()) {
	to, from, done := be.places(dst, sources...)
	param(p, to)
	for _, at := range from {
		param(p, at)
	}
	return done
}

// toLast and toRows convert between the forms.
func (be *Backend) toLast(to, from pointer, t backend.DType, l layout) {
	be.transpose(to, from, t.Size(), l.n, l.c, l.inner)
}

func (be *Backend) toRows(to, from pointer, t backend.DType, l layout) {
	be.transpose(to, from, t.Size(), l.n, l.inner, l.c)
}

var (
	transposeFew   = sized{2: single("transpose_few_2"), 4: single("transpose_few_4"), 8: single("transpose_few_8")}
	transposeTiles = sized{2: single("transpose_2"), 4: single("transpose_4"), 8: single("transpose_8")}
)

// few is up to how many rows or columns lie in a tile of a transposition as a whole
// (MOST_FEW of kernels/layout.cu).
const few = 16

// transpose transposes a batch of matrices of rows×cols elements of size bytes.
func (be *Backend) transpose(to, from pointer, size, batch, rows, cols int) {
	if batch*rows*cols == 0 {
		return
	}
	be.transposed.Add(1)
	var p params
	param(&p, to)
	param(&p, from)
	aligned := to%16 == 0 && from%16 == 0
	if most := max(rows, cols); min(rows, cols) <= few {
		const across = 256 // ACROSS of kernels/layout.cu
		param(&p, int64(batch))
		param(&p, int64(most))
		param(&p, int64(min(rows, cols)))
		param(&p, flag(rows <= cols))
		param(&p, flag(aligned && most*size%16 == 0))
		be.launch(be.function(transposeFew[size]), [3]int{min(batch*((most+across-1)/across), blocksPerUnit*be.units), 1, 1}, threads, 0, &p)
		return
	}
	const tile = 64 // TILE of kernels/layout.cu
	param(&p, int64(batch))
	param(&p, int64(rows))
	param(&p, int64(cols))
	param(&p, flag(aligned && rows*size%16 == 0 && cols*size%16 == 0))
	tiles := batch * ((rows + tile - 1) / tile) * ((cols + tile - 1) / tile)
	be.launch(be.function(transposeTiles[size]), [3]int{min(tiles, blocksPerUnit*be.units), 1, 1}, threads, 0, &p)
}

// divisor is a number that kernels divide by (struct Div in kernels/common.cuh).
type divisor struct {
	d    int64
	m, s uint32
}

func newDivisor(d int) divisor {
	s := bits.Len64(uint64(max(d, 1) - 1)) // 2^s is d or more
	v := divisor{d: int64(d), s: uint32(s)}
	if d > 0 && s < 32 {
		v.m = uint32((1<<32)*(uint64(1)<<s-uint64(d))/uint64(d) + 1)
	}
	return v
}

// over is how a kernel goes over arrays of images × channels × pixels of one type:
// row-major or channels last, by runs of 16 bytes where all arrays allow it.
type over struct {
	be    *Backend
	dtype backend.DType
	layout
	last bool
	wide bool
	t    temporaries
	done []func()
}

func (be *Backend) over(t backend.DType, l layout, last bool) *over {
	o := &over{be: be, dtype: t, layout: l, last: last && !l.plain()}
	run := l.inner
	if o.last {
		run = l.c
	}
	o.wide = t != backend.Float64 && run*t.Size()%16 == 0
	return o
}

// as is the layout in which arrays are asked for.
func (o *over) as() layout {
	if o.last {
		return o.layout
	}
	return layout{}
}

func (o *over) at(p pointer) pointer {
	o.wide = o.wide && p%16 == 0
	return p
}

// read and write are where arrays lie that the kernel goes over.
func (o *over) read(a backend.Array) pointer { return o.at(o.be.readAs(&o.t, a, o.as())) }

func (o *over) write(a backend.Array) pointer {
	if !o.last {
		return o.at(address(a))
	}
	p, done := o.be.writeAs(&o.t, a, o.layout)
	o.done = append(o.done, done)
	return o.at(p)
}

// numbers is where an array lies that has one number for each channel.
func (o *over) numbers(a backend.Array) pointer { return o.at(reading(a)) }

// stride is how far channels lie apart.
func (o *over) stride() int64 {
	if o.last {
		return 1
	}
	return int64(o.inner)
}

// run is how many elements a thread takes at once.
func (o *over) run() int {
	if o.wide {
		return 16 / o.dtype.Size()
	}
	return 1
}

func (o *over) suffix() string {
	name := "rows_"
	if o.last {
		name = "last_"
	}
	if o.wide {
		name += "wide_"
	}
	return name + suffix(o.dtype)
}

// wideTypes are those that are taken by packs.
var wideTypes = []backend.DType{backend.Float32, backend.BFloat16, backend.Float16}

// goesOver notes the kernels of names that an over launches.
func goesOver(names ...string) {
	for _, name := range names {
		for _, l := range []string{"rows_", "last_"} {
			typed(name+l, floatTypes)
			typed(name+l+"wide_", wideTypes)
		}
	}
}

// lanes returns, for arrays with channels last, how many pixels a block takes at once
// and how many blocks share the channels (Lane in kernels/common.cuh).
func (o *over) lanes() (lines, tiles int) {
	across := o.c / o.run()
	return threads / min(across, threads), (across + threads - 1) / threads
}

// launch launches a kernel that writes all elements.
func (o *over) launch(name string, p *params) {
	be := o.be
	pixels := o.n * o.inner
	switch {
	case pixels*o.c == 0:
	case o.last:
		lines, tiles := o.lanes()
		param(p, int64(o.c))
		param(p, int64(pixels))
		be.launch(be.function(name+o.suffix()), [3]int{max(1, min((pixels+lines-1)/lines, blocksPerUnit*be.units/tiles)), tiles, 1}, threads, 0, p)
	default:
		param(p, newDivisor(o.inner/o.run()))
		param(p, newDivisor(o.c))
		be.each(name+o.suffix(), pixels*o.c/o.run(), p)
	}
	o.close()
}

// sums launches a kernel that takes two sums of each channel in so many parts, and
// returns that number.
func (o *over) sums(name string, parts func(split int) pointer, rest func(p *params)) (split int) {
	be := o.be
	var p params
	var grid [3]int
	if o.last {
		lines, tiles := o.lanes()
		split = max(1, min(blocksPerUnit*be.units/2/tiles, o.n*o.inner/(4*lines)))
		grid = [3]int{split, tiles, 1}
	} else {
		split = max(1, min(blocksPerUnit*be.units/o.c, o.n*o.inner/(4*threads*o.run())))
		grid = [3]int{o.c, split, 1}
	}
	param(&p, parts(split))
	rest(&p)
	if o.last {
		param(&p, int64(o.c))
		param(&p, int64(o.n*o.inner))
	} else {
		param(&p, int64(o.n))
		param(&p, int64(o.c))
		param(&p, newDivisor(o.inner/o.run()))
	}
	be.launch(be.function(name+o.suffix()), grid, threads, 0, &p)
	return split
}

// close finishes what was written and gives back what was taken.
func (o *over) close() {
	for _, f := range o.done {
		f()
	}
	o.done = nil
	o.be.release(&o.t)
	o.t = nil
}
