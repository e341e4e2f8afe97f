package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels over the taps of staged planes, in ../taps.go.

// taps writes all of these kernels.
func taps() {
	vectorConstants()
	for _, v := range isas {
		v.correlate()
		v.largest()
		v.places()
		v.dots()
		v.split()
		if v.wide { // 3×3 weights and what they multiply do not fit into 16 registers
			for registers := 1; registers <= 2; registers++ {
				v.three(registers)
				v.threeDots(registers)
			}
		}
	}
}

// The fields of a tapGeom.
const (
	geomRows    = 0
	geomN       = 8
	geomDstRow  = 16
	geomSrcRow  = 24
	geomOffsets = 32
	geomTaps    = 40
)

// grid is a loop over rows of registers that taps read. Four rows go at once, so
// that their sums do not wait for each other.
type grid struct {
	isa
	g, dst, src      reg.GPVirtual
	srcRow, at, from reg.GPVirtual
	t                reg.GPVirtual   // the tap
	others           []reg.GPVirtual // arrays with dst's rows
	down             bool            // from the last tap to the first

	begin func(acc []reg.VecVirtual, m mask)
	tap   func(acc []reg.VecVirtual, each func(f func(i int, p Mem)))
}

// eachRow calls f with the element at of rows of an array.
func (l *grid) eachRow(array reg.GPVirtual, height int, f func(i int, p Mem)) {
	LEAQ(Mem{Base: array, Index: l.at, Scale: 1}, l.from)
	if height > 1 {
		MOVQ(Mem{Base: l.g, Disp: geomDstRow}, l.t)
	}
	for i := range height {
		l.row(i, l.from, l.t, 4, f)
	}
}

// row calls f with row i from base on, which it moves with the last of four rows.
func (l *grid) row(i int, base, stride reg.GPVirtual, size uint8, f func(i int, p Mem)) {
	switch i {
	case 0:
		f(i, Mem{Base: base})
	case 3:
		LEAQ(Mem{Base: base, Index: stride, Scale: size}, base)
		f(i, Mem{Base: base, Index: stride, Scale: 2 * size})
	default:
		f(i, Mem{Base: base, Index: stride, Scale: size * uint8(i)})
	}
}

func (l *grid) run() {
	l.g, l.dst, l.src = arg("geom"), arg("dst"), arg("src")
	l.srcRow, l.at, l.from, l.t = GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: l.g, Disp: geomN}, l.at)
	ANDQ(Imm(uint64(l.lanes-1)), l.at)
	m := l.lanesOf(l.at, 0, l.lanes)
	MOVQ(Mem{Base: l.g, Disp: geomSrcRow}, l.srcRow)
	SHLQ(Imm(2), l.srcRow)
	rows := GP64()
	MOVQ(Mem{Base: l.g, Disp: geomRows}, rows)
	for _, height := range []int{4, 1} {
		name := fmt.Sprintf("rows%d", height)
		Label(name)
		SUBQ(Imm(uint64(height)), rows)
		JLT(LabelRef(name + "_end"))
		left := GP64()
		MOVQ(Mem{Base: l.g, Disp: geomN}, left)
		XORQ(l.at, l.at)
		SUBQ(Imm(uint64(l.lanes)), left)
		JLT(LabelRef(name + "_rest"))
		Label(name + "_one")
		l.body(name+"_one", height, nil)
		ADDQ(Imm(uint64(4*l.lanes)), l.at)
		SUBQ(Imm(uint64(l.lanes)), left)
		JGE(LabelRef(name + "_one"))
		Label(name + "_rest")
		ADDQ(Imm(uint64(l.lanes)), left)
		JZ(LabelRef(name + "_next"))
		l.body(name+"_rest", height, m)
		Label(name + "_next")
		for range height {
			ADDQ(l.srcRow, l.src)
		}
		MOVQ(Mem{Base: l.g, Disp: geomDstRow}, l.t)
		SHLQ(Imm(map[int]uint64{1: 2, 4: 4}[height]), l.t)
		for _, a := range append(l.others, l.dst) {
			ADDQ(l.t, a)
		}
		JMP(LabelRef(name))
		Label(name + "_end")
		ADDQ(Imm(uint64(height)), rows)
	}
}

func (l *grid) body(name string, height int, m mask) {
	acc := make([]reg.VecVirtual, height)
	for i := range acc {
		acc[i] = l.reg()
	}
	l.begin(acc, m)
	if l.down {
		MOVQ(Mem{Base: l.g, Disp: geomTaps}, l.t)
		DECQ(l.t)
		JLT(LabelRef(name + "_store"))
	} else {
		XORQ(l.t, l.t)
		CMPQ(l.t, Mem{Base: l.g, Disp: geomTaps})
		JGE(LabelRef(name + "_store"))
	}
	Label(name + "_tap")
	MOVQ(Mem{Base: l.g, Disp: geomOffsets}, l.from)
	MOVQ(Mem{Base: l.from, Index: l.t, Scale: 8}, l.from)
	LEAQ(Mem{Base: l.src, Index: l.from, Scale: 4}, l.from)
	ADDQ(l.at, l.from)
	l.tap(acc, func(f func(i int, p Mem)) {
		for i := range height {
			l.row(i, l.from, l.srcRow, 1, f)
		}
	})
	if l.down {
		DECQ(l.t)
	} else {
		INCQ(l.t)
		CMPQ(l.t, Mem{Base: l.g, Disp: geomTaps})
	}
	if l.down {
		JGE(LabelRef(name + "_tap"))
	} else {
		JLT(LabelRef(name + "_tap"))
	}
	Label(name + "_store")
	l.eachRow(l.dst, height, func(i int, p Mem) { l.store(acc[i], p, m) })
}

func (v isa) correlate() {
	v.text("correlate", "func(dst, src, weights *float32, geom *int)",
		"computes dst = Σ weights·src over the taps; geom points at the first field of a tapGeom. It reads a register's width past src.")
	weights := arg("weights")
	l := grid{isa: v}
	l.begin = func(acc []reg.VecVirtual, _ mask) {
		for _, a := range acc {
			v.clear(a)
		}
	}
	l.tap = func(acc []reg.VecVirtual, each func(f func(i int, p Mem))) {
		w := v.reg()
		VBROADCASTSS(Mem{Base: weights, Index: l.t, Scale: 4}, w)
		each(func(i int, p Mem) { VFMADD231PS(p, w, acc[i]) })
	}
	l.run()
	VZEROUPPER()
	RET()
}

func (v isa) largest() {
	v.text("largest", "func(dst, src *float32, geom *int)",
		"computes the maxima of src over the taps. It reads a register's width past src.")
	lowest := v.reg()
	bits := GP32()
	MOVL(U32(0xff800000), bits)
	VMOVD(bits, lowest.AsX())
	VBROADCASTSS(lowest.AsX(), lowest)
	l := grid{isa: v}
	l.begin = func(acc []reg.VecVirtual, _ mask) {
		for _, a := range acc {
			VMOVAPS(lowest, a)
		}
	}
	l.tap = func(acc []reg.VecVirtual, each func(f func(i int, p Mem))) {
		each(func(i int, p Mem) {
			x := v.reg()
			VMOVUPS(p, x)
			v.greater(x, acc[i])
		})
	}
	l.run()
	VZEROUPPER()
	RET()
}

func (v isa) places() {
	v.text("places", "func(dst *int32, src, y *float32, marks *int32, geom *int) (nan bool)",
		"gives each element the mark of the first tap whose src is y, or -1. It reports whether one of y is NaN. It reads a",
		"register's width past src.")
	marks, y, nan, bits := arg("marks"), arg("y"), GP64(), GP64()
	XORQ(nan, nan)
	l := grid{isa: v, down: true, others: []reg.GPVirtual{y}}
	var best []reg.VecVirtual
	l.begin = func(acc []reg.VecVirtual, m mask) {
		best = make([]reg.VecVirtual, len(acc))
		l.eachRow(y, len(acc), func(i int, p Mem) {
			best[i] = v.reg()
			v.load(p, m, best[i])
			if v.wide {
				k := K()
				VCMPPS(Imm(unordered), best[i], best[i], k)
				KMOVW(k, bits.As32())
				VPTERNLOGD(Imm(255), acc[i], acc[i], acc[i])
			} else {
				t := v.reg()
				VCMPPS(Imm(unordered), best[i], best[i], t)
				VMOVMSKPS(t, bits.As32())
				VPCMPEQD(acc[i], acc[i], acc[i])
			}
			ORL(bits.As32(), nan.As32())
		})
	}
	l.tap = func(acc []reg.VecVirtual, each func(f func(i int, p Mem))) {
		mark := v.reg()
		VBROADCASTSS(Mem{Base: marks, Index: l.t, Scale: 4}, mark)
		each(func(i int, p Mem) {
			if v.wide {
				k := K()
				VCMPPS(Imm(equal), p, best[i], k)
				VMOVAPS(mark, k, acc[i])
			} else {
				t := v.reg()
				VCMPPS(Imm(equal), p, best[i], t)
				VBLENDVPS(t, mark, acc[i], acc[i])
			}
		})
	}
	l.run()
	TESTQ(nan, nan)
	SETNE(bits.As8())
	Store(bits.As8(), Return("nan"))
	VZEROUPPER()
	RET()
}

// dotTaps is the number of taps that dots sums for.
const dotTaps = 5

func (v isa) dots() {
	v.text("dots", "func(sums, dy, src *float32, offsets *int, geom *int)",
		fmt.Sprintf("computes Σ dy·src for %d taps, whose offsets stand apart from geom; dy's rows are its dstRow apart.", dotTaps))
	g, dy, src, offsets := arg("geom"), arg("dy"), arg("src"), arg("offsets")
	var at [dotTaps]reg.GPVirtual
	for i := range at {
		at[i] = GP64()
		MOVQ(Mem{Base: offsets, Disp: 8 * i}, at[i])
		LEAQ(Mem{Base: src, Index: at[i], Scale: 4}, at[i])
	}
	n, rows, step := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: g, Disp: geomN}, n)
	ANDQ(Imm(uint64(v.lanes-1)), n)
	m := v.lanesOf(n, 0, v.lanes)
	MOVQ(Mem{Base: g, Disp: geomRows}, rows)
	acc := v.sums(dotTaps)
	TESTQ(rows, rows)
	JZ(LabelRef("end"))
	Label("row")
	left, col := GP64(), GP64()
	MOVQ(Mem{Base: g, Disp: geomN}, left)
	XORQ(col, col)
	body := func(m mask) {
		d := v.reg()
		v.load(Mem{Base: dy, Index: col, Scale: 1}, m, d)
		for i := range acc {
			p := Mem{Base: at[i], Index: col, Scale: 1}
			if m == nil {
				VFMADD231PS(p, d, acc[i])
				continue
			}
			x := v.reg()
			v.load(p, m, x)
			VFMADD231PS(x, d, acc[i])
		}
	}
	SUBQ(Imm(uint64(v.lanes)), left)
	JLT(LabelRef("rest"))
	Label("one")
	body(nil)
	ADDQ(Imm(uint64(4*v.lanes)), col)
	SUBQ(Imm(uint64(v.lanes)), left)
	JGE(LabelRef("one"))
	Label("rest")
	ADDQ(Imm(uint64(v.lanes)), left)
	JZ(LabelRef("next"))
	body(m)
	Label("next")
	MOVQ(Mem{Base: g, Disp: geomSrcRow}, step)
	for i := range at {
		LEAQ(Mem{Base: at[i], Index: step, Scale: 4}, at[i])
	}
	MOVQ(Mem{Base: g, Disp: geomDstRow}, step)
	LEAQ(Mem{Base: dy, Index: step, Scale: 4}, dy)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("end")
	v.foldFloats(acc, arg("sums"))
	VZEROUPPER()
	RET()
}

func (v isa) split() {
	v.text("split", "func(even, odd, x *float32, q int)", "parts q pairs of elements.")
	even, odd, x := arg("even"), arg("odd"), arg("x")
	w := v.windows()
	w.run(func(i int, m mask) {
		a, b := w.split(v, x, m)
		w.fix(v, 0, a)
		w.fix(v, 0, b)
		v.store(a, w.mem(even, i), m)
		v.store(b, w.mem(odd, i), m)
	})
	VZEROUPPER()
	RET()
}

// The fields of a strip.
const (
	stripRows   = 0
	stripDstRow = 8
	stripSrcRow = 16
	stripHeight = 24
	stripTop    = 32
	stripLeft   = 40
	stripAdd    = 48
	stripMasks  = 56
)

// columns is a loop over the rows of a plane that 3×3 taps read, for columns of
// one or two registers. Each row is loaded once, in three places, and used for
// all three rows of taps.
type columns struct {
	isa
	registers      int
	g, src, srcRow reg.GPVirtual
	h, height      reg.GPVirtual // the row, and how many there are
	masks          []mask        // of loads
	last           mask          // of the last register of the other plane
	x              []reg.VecVirtual
	labels         int
}

func (v isa) columns(registers int) *columns {
	c := &columns{isa: v, registers: registers, g: arg("geom"), src: arg("src"), srcRow: GP64(), h: GP64(), height: GP64(), x: v.sums(3 * registers)}
	at := func(field int) Mem { return Mem{Base: c.g, Disp: field} }
	for i := range 3*registers + 1 {
		k := K()
		disp := stripMasks + 8*i
		if i == 3*registers {
			disp = stripMasks + 8*6
		}
		KMOVW(at(disp), k)
		c.masks = append(c.masks, k)
	}
	c.masks, c.last = c.masks[:3*registers], c.masks[3*registers]
	MOVQ(at(stripSrcRow), c.srcRow)
	MOVQ(at(stripTop), c.h)
	first := GP64()
	MOVQ(c.h, first)
	IMULQ(c.srcRow, first)
	ADDQ(at(stripLeft), first)
	LEAQ(Mem{Base: c.src, Index: first, Scale: 4}, c.src)
	SHLQ(Imm(2), c.srcRow)
	MOVQ(at(stripHeight), c.height)
	return c
}

// ahead is how many bytes before they are used planes are asked for.
const ahead = 4096

// row calls f with what the taps (tap 0…2, register) read in the next row: zeros if the plane has no such row, which
// are multiplied like any others, so that no NaN is lost.
func (c *columns) row(f func(tap, register int, x reg.VecVirtual)) {
	c.labels++
	label := fmt.Sprintf("outside%d", c.labels)
	for _, x := range c.x {
		c.clear(x)
	}
	CMPQ(c.h, c.height)
	JCC(LabelRef(label)) // unsigned: rows above the plane are large numbers
	for tap := range 3 {
		for i := range c.registers {
			c.load(Mem{Base: c.src, Disp: 4*tap + 64*i}, c.masks[3*i+tap], c.x[3*i+tap])
		}
	}
	Label(label)
	for tap := range 3 {
		for i := range c.registers {
			f(tap, i, c.x[3*i+tap])
		}
	}
	for i := range c.registers {
		PREFETCHT0(Mem{Base: c.src, Disp: ahead + 64*i}) // the next planes
	}
	INCQ(c.h)
	ADDQ(c.srcRow, c.src)
}

// of is the mask of register i of the other plane.
func (c *columns) of(i int) mask {
	if i == c.registers-1 {
		return c.last
	}
	return nil
}

// three writes the convolution of a plane with 3×3 taps.
func (v isa) three(registers int) {
	v.text(fmt.Sprintf("three%dx", registers), "func(dst, src, weights *float32, geom *int)",
		fmt.Sprintf("computes dst = Σ weights·src over 3×3 taps for %d registers of columns, or adds that to dst; geom points at the first", registers),
		"field of a strip.")
	dst, weights := arg("dst"), arg("weights")
	c := v.columns(registers)
	var w [9]reg.VecVirtual
	for i := range w {
		w[i] = v.reg()
		VBROADCASTSS(Mem{Base: weights, Disp: 4 * i}, w[i])
	}
	left, dstRow, in, last, add := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: c.g, Disp: stripRows}, left)
	MOVQ(Mem{Base: c.g, Disp: stripDstRow}, dstRow)
	MOVQ(Mem{Base: c.g, Disp: stripAdd}, add)
	SHLQ(Imm(2), dstRow)
	MOVQ(left, last)
	DECQ(last)
	IMULQ(dstRow, last)
	ADDQ(dst, last)
	MOVQ(dst, in)
	var acc [3][]reg.VecVirtual
	for i := range acc {
		acc[i] = v.sums(registers)
	}
	// Row i of src is the first that row i of dst reads, and the last for row i-2.
	step := func(i int, first int) {
		label := fmt.Sprintf("begun%d", i)
		for _, a := range acc[i%3] {
			v.clear(a)
		}
		TESTQ(add, add)
		JNZ(LabelRef(label + "_add"))
		for j := range acc[i%3] {
			PREFETCHT0(Mem{Base: in, Disp: ahead + 64*j})
		}
		JMP(LabelRef(label))
		Label(label + "_add")
		for j, a := range acc[i%3] {
			v.load(Mem{Base: in, Disp: 64 * j}, c.of(j), a)
		}
		Label(label)
		ADDQ(dstRow, in)
		CMPQ(in, last)
		CMOVQHI(last, in) // what is loaded behind the last row is not used
		c.row(func(tap, j int, x reg.VecVirtual) {
			for r := range first {
				VFMADD231PS(x, w[3*r+tap], acc[(i+3-r)%3][j])
			}
		})
	}
	step(0, 1)
	step(1, 2)
	Label("three")
	for i := 2; i < 5; i++ {
		step(i, 3)
		for j, a := range acc[(i+1)%3] {
			v.store(a, Mem{Base: dst, Disp: 64 * j}, c.of(j))
		}
		ADDQ(dstRow, dst)
		DECQ(left)
		if i < 4 {
			JZ(LabelRef("done"))
		} else {
			JNZ(LabelRef("three"))
		}
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// threeDots writes the gradient of a plane's 3×3 taps.
func (v isa) threeDots(registers int) {
	v.text(fmt.Sprintf("threeDots%dx", registers), "func(sums, dy, src *float32, geom *int)",
		fmt.Sprintf("computes Σ dy·src for 3×3 taps over %d registers of columns; dy has the rows of a strip's dst, at least three.", registers))
	dy := arg("dy")
	c := v.columns(registers)
	left, dyRow := GP64(), GP64()
	MOVQ(Mem{Base: c.g, Disp: stripRows}, left)
	SUBQ(Imm(2), left)
	MOVQ(Mem{Base: c.g, Disp: stripDstRow}, dyRow)
	SHLQ(Imm(2), dyRow)
	acc := v.sums(9)
	var d [3][]reg.VecVirtual
	for i := range d {
		d[i] = make([]reg.VecVirtual, registers)
		for j := range d[i] {
			d[i][j] = v.reg()
		}
	}
	// Row i of src meets row i-r of dy at the taps' row r.
	step := func(i int, from, to int) {
		if from == 0 {
			for j, r := range d[i%3] {
				v.load(Mem{Base: dy, Disp: 64 * j}, c.of(j), r)
				PREFETCHT0(Mem{Base: dy, Disp: ahead + 64*j})
			}
			ADDQ(dyRow, dy)
		}
		c.row(func(tap, j int, x reg.VecVirtual) {
			for r := from; r < to; r++ {
				VFMADD231PS(x, d[(i+3-r)%3][j], acc[3*r+tap])
			}
		})
	}
	step(0, 0, 1)
	step(1, 0, 2)
	Label("three")
	for i := 2; i < 5; i++ {
		step(i, 0, 3)
		DECQ(left)
		if i < 4 {
			JZ(LabelRef(fmt.Sprintf("tail%d", i)))
		} else {
			JNZ(LabelRef("three"))
		}
	}
	for i := 4; i >= 2; i-- {
		Label(fmt.Sprintf("tail%d", i))
		step(i+1, 1, 3)
		step(i+2, 2, 3)
		if i > 2 {
			JMP(LabelRef("end"))
		}
	}
	Label("end")
	v.foldFloats(acc, arg("sums"))
	VZEROUPPER()
	RET()
}

// foldFloats stores the sum of each register's lanes.
func (v isa) foldFloats(acc []reg.VecVirtual, sums reg.GPVirtual) {
	for i, a := range acc {
		y := a.AsY()
		if v.wide {
			h := YMM()
			VEXTRACTF64X4(Imm(1), a, h)
			VADDPS(h, y, y)
		}
		h, x := XMM(), a.AsX()
		VEXTRACTF128(Imm(1), y, h)
		VADDPS(h, x, x)
		VMOVHLPS(x, x, h)
		VADDPS(h, x, x)
		VMOVSHDUP(x, h)
		VADDSS(h, x, x)
		VMOVSS(x, Mem{Base: sums, Disp: 4 * i})
	}
}
