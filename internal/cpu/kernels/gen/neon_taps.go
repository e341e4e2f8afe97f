package main

import (
	"fmt"
	"math"
)

// The kernels over the taps of staged planes, for arm64.

func (a *neon) taps() {
	a.correlate()
	a.largest()
	a.places()
	a.dots()
	a.splitPairs()
}

// field loads a field of a tapGeom.
func (a *neon) field(geom gp, offset int) gp {
	r := a.gp()
	a.ins("MOVD %d(%v), %v", offset, geom, r)
	return r
}

// neonGrid is a loop over rows of registers that taps read.
type neonGrid struct {
	others []gp // arrays with dst's rows
	down   bool // from the last tap to the first

	begin func(acc []vec, elements int)
	tap   func(acc []vec, number vec, load func(i int) vec)
}

// grid writes a loop. numbers is an array with four bytes for each tap, of which tap gets a register full, or nil.
func (a *neon) grid(dst, src gp, numbers *gp, g *neonGrid) {
	geom := a.arg("geom")
	rows, n := a.field(geom, geomRows), a.field(geom, geomN)
	dstRow, srcRow := a.field(geom, geomDstRow), a.field(geom, geomSrcRow)
	offsets, taps := a.field(geom, geomOffsets), a.field(geom, geomTaps)
	for _, stride := range []gp{dstRow, srcRow} {
		a.ins("SUB %v, %v, %v", n, stride, stride) // the blocks move on by n
		a.ins("LSL $2, %v, %v", stride, stride)
	}
	load := ".P 8"
	if g.down {
		a.ins("ADD %v<<3, %v, %v", taps, offsets, offsets)
		a.elementAt(*numbers, taps, *numbers)
		load = ".W -8"
	}
	row, done := a.label("row"), a.label("done")
	a.at(row)
	a.ins("SUBS $1, %v, %v", rows, rows)
	a.ins("BLT %s", done)
	arrays := append([]gp{dst, src}, g.others...)
	a.blocks(n, []int{16, 4, 1}, arrays, func(elements int) {
		width := min(elements, 4)
		acc := a.vectors(registers(elements))
		g.begin(acc, elements)
		at, left, p, of := a.gp(), a.gp(), a.gp(), a.gp()
		again, store := a.label("tap"), a.label("store")
		a.ins("MOVD %v, %v", offsets, at)
		if numbers != nil {
			a.ins("MOVD %v, %v", *numbers, of)
		}
		a.ins("MOVD %v, %v", taps, left)
		a.ins("CBZ %v, %s", left, store)
		a.at(again)
		a.ins("MOVD%s(%v), %v", load, at, p)
		a.elementAt(src, p, p)
		number, x := a.vec(), a.vec()
		if numbers != nil {
			if g.down {
				a.ins("SUB $4, %v, %v", of, of)
				a.ins("VLD1R (%v), [%s]", of, number.s4())
			} else {
				a.ins("VLD1R.P 4(%v), [%s]", of, number.s4())
			}
		}
		g.tap(acc, number, func(i int) vec {
			a.load(p, 16*i, width, x)
			return x
		})
		a.ins("SUBS $1, %v, %v", left, left)
		a.ins("BNE %s", again)
		a.at(store)
		for i, v := range acc {
			a.store(v, dst, 16*i, width)
		}
	})
	for _, p := range arrays {
		stride := dstRow
		if p == src {
			stride = srcRow
		}
		a.ins("ADD %v, %v, %v", stride, p, p)
	}
	a.ins("B %s", row)
	a.at(done)
}

func (a *neon) correlate() {
	a.function("correlateNEON", []string{"dst, src, weights *float32", "geom *int"}, "", func() {
		dst, src, weights := a.arg("dst"), a.arg("src"), a.arg("weights")
		a.grid(dst, src, &weights, &neonGrid{
			begin: func(acc []vec, _ int) { a.clear(acc...) },
			tap: func(acc []vec, weight vec, load func(i int) vec) {
				for i, s := range acc {
					a.fma(s, load(i), weight)
				}
			},
		})
	}, "computes dst = Σ weights·src over the taps; geom points at the first field of a tapGeom.")
}

func (a *neon) largest() {
	a.function("largestNEON", []string{"dst, src *float32", "geom *int"}, "", func() {
		dst, src, lowest := a.arg("dst"), a.arg("src"), a.constant(float32(math.Inf(-1)))
		a.grid(dst, src, nil, &neonGrid{
			begin: func(acc []vec, _ int) {
				for _, s := range acc {
					a.move(lowest, s)
				}
			},
			tap: func(acc []vec, _ vec, load func(i int) vec) {
				for i, s := range acc {
					a.op("fmax.4s", s, s, load(i))
				}
			},
		})
	}, "computes the maxima of src over the taps.")
}

func (a *neon) places() {
	a.function("placesNEON", []string{"dst *int32", "src, y *float32", "marks *int32", "geom *int"}, "nan bool", func() {
		dst, src, y, marks := a.arg("dst"), a.arg("src"), a.arg("y"), a.arg("marks")
		numbers, t := a.vec(), a.vec() // numbers has ones in the lanes that had no NaN yet
		ones := func(v vec) { a.ins("VCMEQ %s, %s, %s", v.s4(), v.s4(), v.s4()) }
		ones(numbers)
		var best []vec
		a.grid(dst, src, &marks, &neonGrid{
			others: []gp{y},
			down:   true,
			begin: func(acc []vec, elements int) {
				best = a.vectors(len(acc))
				for i, b := range best {
					a.load(y, 16*i, min(elements, 4), b)
					a.op("fcmeq.4s", t, b, b)
					a.ins("VAND %s, %s, %s", t.b16(), numbers.b16(), numbers.b16())
					ones(acc[i])
				}
			},
			tap: func(acc []vec, mark vec, load func(i int) vec) {
				for i, s := range acc {
					a.op("fcmeq.4s", t, load(i), best[i])
					a.ins("VBIT %s, %s, %s", t.b16(), mark.b16(), s.b16())
				}
			},
		})
		a.someZero(numbers, "nan")
	}, "gives each element the mark of the first tap whose src is y, or -1. It reports whether one of y is NaN.")
}

func (a *neon) dots() {
	a.function("dotsNEON", []string{"sums, dy, src *float32", "offsets *int", "geom *int"}, "", func() {
		sums, dy, src, offsets, geom := a.arg("sums"), a.arg("dy"), a.arg("src"), a.arg("offsets"), a.arg("geom")
		rows, n := a.field(geom, geomRows), a.field(geom, geomN)
		dstRow, srcRow := a.field(geom, geomDstRow), a.field(geom, geomSrcRow)
		for _, stride := range []gp{dstRow, srcRow} {
			a.ins("SUB %v, %v, %v", n, stride, stride) // the blocks move on by n
			a.ins("LSL $2, %v, %v", stride, stride)
		}
		var at []gp
		for i := range dotTaps {
			p := a.field(offsets, 8*i)
			a.elementAt(src, p, p)
			at = append(at, p)
		}
		acc := a.vectors(2 * dotTaps)
		a.clear(acc...)
		row, end := a.label("row"), a.label("end")
		a.at(row)
		a.ins("SUBS $1, %v, %v", rows, rows)
		a.ins("BLT %s", end)
		a.stream(n, 2, append([]gp{dy}, at...), func(i, elements int) {
			d, x := a.vec(), a.vec()
			a.load(dy, 16*i, elements, d)
			for t, p := range at {
				a.load(p, 16*i, elements, x)
				a.fma(acc[2*t+i], d, x)
			}
		})
		a.ins("ADD %v, %v, %v", dstRow, dy, dy)
		for _, p := range at {
			a.ins("ADD %v, %v, %v", srcRow, p, p)
		}
		a.ins("B %s", row)
		a.at(end)
		for t := range dotTaps {
			s := acc[2*t]
			a.op("fadd.4s", s, s, acc[2*t+1])
			a.op("faddp.4s", s, s, s)
			a.op("faddp.4s", s, s, s)
			a.store(s, sums, 4*t, 1)
		}
	}, fmt.Sprintf("computes Σ dy·src for %d taps, whose offsets stand apart from geom; dy's rows are its dstRow apart.", dotTaps))
}

func (a *neon) splitPairs() {
	a.function("splitNEON", []string{"even, odd, x *float32", "q int"}, "", func() {
		even, odd, x, q := a.arg("even"), a.arg("odd"), a.arg("x"), a.arg("q")
		a.stream(q, 1, []gp{even, odd, x, x}, func(_, elements int) {
			p := a.pair()
			a.split(x, elements, p)
			a.store(p[0], even, 0, elements)
			a.store(p[1], odd, 0, elements)
		})
	}, "parts q pairs of elements.")
}
