package main

func (a *neon) gemm() {
	a.sgemm()
	a.transpose8()
	a.copy8()
	a.stage8()
}

// sgemm writes the micro-kernel of 6 rows and 16 columns: 24 sums, four vectors
// of b, and three of a, which hold the elements of two turns. 8×12 would load a little less, but
// Winograd's algorithm wants panels of b whose width is a multiple of a vector's lanes, here 8, and
// panels of a that are not higher.
func (a *neon) sgemm() {
	const mr, nr = 6, 4 // rows, and vectors of a row
	a.function("sgemm6x16", []string{"k int", "a, b, c *float32", "add bool"}, "", func() {
		k, pa, pb, pc, add := a.arg("k"), a.arg("a"), a.arg("b"), a.arg("c"), a.flag("add")
		sums, b, e := a.vectors(mr*nr), a.vectors(nr), a.vectors(3)
		a.clear(sums...)
		step := func(i int) {
			for j := 0; j < nr; j += 2 {
				a.ins("FLDPQ.P 32(%v), (%s, %s)", pb, b[j].f(), b[j+1].f())
			}
			for r := range mr {
				for j := range nr {
					a.byLane("fmla", sums[r*nr+j], b[j], e[(mr*i+r)/4], (mr*i+r)%4)
				}
			}
		}
		pair, tail, done, store := a.label("pair"), a.label("tail"), a.label("done"), a.label("store")
		a.ins("SUBS $2, %v, %v", k, k)
		a.ins("BLT %s", tail)
		a.at(pair)
		a.ins("FLDPQ (%v), (%s, %s)", pa, e[0].f(), e[1].f())
		a.load(pa, 32, 4, e[2])
		a.ins("ADD $48, %v, %v", pa, pa)
		step(0)
		step(1)
		a.ins("SUBS $2, %v, %v", k, k)
		a.ins("BGE %s", pair)
		a.at(tail)
		a.ins("ADDS $1, %v, %v", k, k)
		a.ins("BLT %s", done)
		a.load(pa, 0, 4, e[0])
		a.load(pa, 16, 2, e[1])
		step(0)
		a.at(done)
		a.ins("CBZ %v, %s", add, store)
		for i := 0; i < mr*nr; i += 2 {
			a.ins("FLDPQ %d(%v), (%s, %s)", 16*i, pc, b[0].f(), b[1].f())
			a.op("fadd.4s", sums[i], sums[i], b[0])
			a.op("fadd.4s", sums[i+1], sums[i+1], b[1])
		}
		a.at(store)
		for i := 0; i < mr*nr; i += 2 {
			a.ins("FSTPQ (%s, %s), %d(%v)", sums[i].f(), sums[i+1].f(), 16*i, pc)
		}
	},
		"multiplies a panel of k rows of 6 elements and one of k rows of 16: c = aᵀ·b,",
		"or c += aᵀ·b, of 6×16 elements.",
	)
}

// lanePointers loads where eight lanes are.
func (a *neon) lanePointers(base, lanes gp) (lane [8]gp) {
	for l := range lane {
		lane[l] = a.gp()
	}
	for l := 0; l < len(lane); l += 2 {
		a.ins("LDP %d(%v), (%v, %v)", 8*l, lanes, lane[l], lane[l+1])
		a.elementAt(base, lane[l], lane[l])
		a.elementAt(base, lane[l+1], lane[l+1])
	}
	return lane
}

// transpose8Vectors transposes 8×8 elements, two vectors of x for each row, as four blocks of 4×4, and
// tells which two vectors are then a row.
func (a *neon) transpose8Vectors(x []vec) (rows [8][2]vec) {
	for i := range 2 {
		for j := range 2 {
			var q [4]vec
			for r := range q {
				q[r] = x[2*(4*i+r)+j]
			}
			a.transpose(q)
			for r := range q {
				rows[4*j+r][i] = q[r]
			}
		}
	}
	return rows
}

func (a *neon) transpose8() {
	a.function("transpose8x8", []string{"dst *float32", "width int", "src *float32", "lanes *[8]int", "blocks *int", "n int"}, "", func() {
		dst, width, blocks, n := a.arg("dst"), a.arg("width"), a.arg("blocks"), a.arg("n")
		lane := a.lanePointers(a.arg("src"), a.arg("lanes"))
		at, p := a.gp(), a.gp()
		a.ins("LSL $2, %v, %v", width, width)
		block, done := a.label("block"), a.label("done")
		a.ins("CBZ %v, %s", n, done)
		a.at(block)
		a.ins("MOVD.P 8(%v), %v", blocks, at)
		x := a.vectors(16)
		for l := range lane {
			a.elementAt(lane[l], at, p)
			a.ins("FLDPQ (%v), (%s, %s)", p, x[2*l].f(), x[2*l+1].f())
		}
		// In order, since a row that is narrower than eight writes over the next one's beginning.
		for _, row := range a.transpose8Vectors(x) {
			a.ins("FSTPQ (%s, %s), (%v)", row[0].f(), row[1].f(), dst)
			a.ins("ADD %v, %v, %v", width, dst, dst)
		}
		a.ins("SUBS $1, %v, %v", n, n)
		a.ins("BNE %s", block)
		a.at(done)
	},
		"packs n blocks of eight elements of each of eight lanes:",
		"dst[(8·b+i)·width + l] = src[lanes[l]+blocks[b]+i].",
	)
}

func (a *neon) copy8() {
	a.function("copy8", []string{"dst *float32", "width int", "src *float32", "offsets *int", "n int", "pieces *int", "pairs int"}, "", func() {
		dst, width, src, offsets, n := a.arg("dst"), a.arg("width"), a.arg("src"), a.arg("offsets"), a.arg("n")
		pieces, pairs := a.arg("pieces"), a.arg("pairs")
		from, piece, left, d, s := a.gp(), a.gp(), a.gp(), a.gp(), a.gp()
		x := a.vectors(2)
		row, pair, done := a.label("row"), a.label("pair"), a.label("done")
		a.ins("LSL $2, %v, %v", width, width)
		a.ins("CBZ %v, %s", n, done)
		a.at(row)
		a.ins("MOVD.P 8(%v), %v", offsets, from)
		a.elementAt(src, from, from)
		a.ins("MOVD %v, %v", pieces, piece)
		a.ins("MOVD %v, %v", pairs, left)
		a.at(pair)
		for range 2 {
			a.ins("LDP.P 16(%v), (%v, %v)", piece, d, s)
			a.elementAt(from, s, s)
			a.elementAt(dst, d, d)
			a.ins("FLDPQ (%v), (%s, %s)", s, x[0].f(), x[1].f())
			a.ins("FSTPQ (%s, %s), (%v)", x[0].f(), x[1].f(), d)
		}
		a.ins("SUBS $1, %v, %v", left, left)
		a.ins("BNE %s", pair)
		a.ins("ADD %v, %v, %v", width, dst, dst)
		a.ins("SUBS $1, %v, %v", n, n)
		a.ins("BNE %s", row)
		a.at(done)
	},
		"packs n rows, of eight elements for each of 2·pairs > 0 pieces, one after the other:",
		"dst[i·width + pieces[j].dst + 0…7] = src[offsets[i] + pieces[j].src + 0…7]. pieces points at the first field of",
		"the first piece.",
	)
}

// stage8 writes the staging of an image. A block of eight elements is copied as a whole, or zeros, or zeros
// and then what there is of it.
func (a *neon) stage8() {
	a.function("stage8", []string{"dst, src *float32", "geom *int"}, "", func() {
		dst, src, g := a.arg("dst"), a.arg("src"), a.arg("geom")
		field := func(i int) gp {
			r := a.gp()
			a.ins("MOVD %d(%v), %v", 8*i, g, r)
			return r
		}
		images, rows := field(0), field(1)
		dstImage, srcImage, dstRow, srcRow := field(2), field(3), field(4), field(5)
		blocks, shift, from, to := field(6), field(7), field(8), field(9)
		a.elementAt(src, shift, src)
		for _, stride := range []gp{dstImage, srcImage, dstRow, srcRow} {
			a.ins("LSL $2, %v, %v", stride, stride)
		}
		a.ins("LSL $3, %v, %v", blocks, blocks) // elements
		d, s, left, i, p, q, lo, hi := a.gp(), a.gp(), shift, g, a.gp(), a.gp(), a.gp(), a.gp()
		x, zero := a.vectors(2), a.vec()
		a.clear(zero)
		image, row, block := a.label("image"), a.label("row"), a.label("block")
		part, four, one, next := a.label("part"), a.label("four"), a.label("one"), a.label("next")
		a.at(image)
		a.ins("MOVD %v, %v", dst, d)
		a.ins("MOVD %v, %v", src, s)
		a.ins("MOVD %v, %v", rows, left)
		a.at(row)
		a.ins("MOVD ZR, %v", i)
		a.at(block)
		a.elementAt(d, i, p)
		// The limits of what is there in the block.
		a.ins("ADD $8, %v, %v", i, hi)
		a.ins("CMP %v, %v", from, i)
		a.ins("CSEL GT, %v, %v, %v", i, from, lo)
		a.ins("CMP %v, %v", to, hi)
		a.ins("CSEL LT, %v, %v, %v", hi, to, hi)
		a.elementAt(s, lo, q)
		a.ins("SUB %v, %v, %v", lo, hi, hi) // so many elements
		a.ins("CMP $8, %v", hi)
		a.ins("BNE %s", part)
		a.ins("FLDPQ (%v), (%s, %s)", q, x[0].f(), x[1].f())
		a.ins("FSTPQ (%s, %s), (%v)", x[0].f(), x[1].f(), p)
		a.ins("B %s", next)
		a.at(part)
		a.ins("FSTPQ (%s, %s), (%v)", zero.f(), zero.f(), p)
		a.elementAt(d, lo, p)
		a.ins("SUBS $4, %v, %v", hi, hi)
		a.ins("BLT %s", four)
		a.ins("FMOVQ.P 16(%v), %s", q, x[0].f())
		a.ins("FMOVQ.P %s, 16(%v)", x[0].f(), p)
		a.ins("SUB $4, %v, %v", hi, hi)
		a.at(four)
		a.ins("ADDS $4, %v, %v", hi, hi)
		a.ins("BLE %s", next)
		a.at(one)
		a.ins("FMOVS.P 4(%v), %s", q, x[0].f())
		a.ins("FMOVS.P %s, 4(%v)", x[0].f(), p)
		a.ins("SUBS $1, %v, %v", hi, hi)
		a.ins("BNE %s", one)
		a.at(next)
		a.ins("ADD $8, %v, %v", i, i)
		a.ins("CMP %v, %v", blocks, i)
		a.ins("BLT %s", block)
		a.ins("ADD %v, %v, %v", dstRow, d, d)
		a.ins("ADD %v, %v, %v", srcRow, s, s)
		a.ins("SUBS $1, %v, %v", left, left)
		a.ins("BNE %s", row)
		a.ins("ADD %v, %v, %v", dstImage, dst, dst)
		a.ins("ADD %v, %v, %v", srcImage, src, src)
		a.ins("SUBS $1, %v, %v", images, images)
		a.ins("BNE %s", image)
	},
		"copies geom.rows > 0 rows of each of geom.images > 0 images: element i of a row of dst, for i < 8·geom.blocks, is",
		"src[i+geom.shift] where geom.from <= i < geom.to, else 0. Sources outside these limits are not read. geom points at the first",
		"field of a stageGeom.",
	)
}
