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
	sums := arg("sums")
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
