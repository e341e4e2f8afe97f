// Command gen writes the assembly of package kernels: the inner kernels of the
// matrix product and the transposition that packs its operands, the transforms of
// Winograd's convolutions, and what passes over memory; files named neon write
// the same for arm64. It is a module of its own,
// so that nobody who uses Wick depends on avo. Run it with go generate in
// internal/cpu/kernels.
package main

import (
	"flag"
	"fmt"
	"log"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	part := flag.String("part", "gemm", "the kernels to write")
	arm64 := flag.Bool("neon", false, "write them for arm64, as ../PART_arm64.s and ../PART_stubs_arm64.go")
	flag.Parse()
	if *arm64 {
		if err := writeNEON(*part); err != nil {
			log.Fatal(err)
		}
		return
	}
	ConstraintExpr("!noasm")
	switch *part {
	case "gemm":
		for _, mr := range []int{14, 8} {
			for _, away := range []bool{false, true} {
				gemm512("sgemm", mr, away, "float32", "AVX-512F", "elements", func(b, a, sum reg.VecPhysical) { VFMADD231PS(b, a, sum) })
			}
		}
		sgemm256(6)
		transpose8()
		copy8()
		stage8()
		stage8by2()
		spread8()
	case "vector":
		vector()
	case "winograd":
		winograd()
	case "taps":
		taps()
	case "half":
		half()
	case "parts":
		parts()
	case "amx":
		amx()
	}
	Generate()
}

// signature is a micro-kernel's.
func signature(factor string) string {
	return fmt.Sprintf("func(k int, a, b *%s, c *float32, add bool)", factor)
}

// doc is the comment of a micro-kernel's stub.
func doc(name string, mr, nr int, needs, elements string) {
	Doc(
		fmt.Sprintf("%s multiplies a panel of k rows of %d %s and one of k rows of %d: c = aᵀ·b,", name, mr, elements, nr),
		fmt.Sprintf("or c += aᵀ·b, of %d×%d elements. It needs %s.", mr, nr, needs),
	)
}

// gemm512 writes the micro-kernel of mr rows and 32 columns for AVX-512: an
// outer product of mr broadcast elements and two vectors in each turn, with all
// sums in registers. 14 rows fill the register file: 28 sums, two vectors of b
// and two broadcasts in flight. Elements are 32 bits, which multiply multiplies
// and adds. With away, the result goes to rows elsewhere.
func gemm512(name string, mr int, away bool, factor, needs, elements string, multiply func(b, a, sum reg.VecPhysical)) {
	name = fmt.Sprintf("%s%dx32", name, mr)
	if away {
		TEXT(name+"to", NOSPLIT, "func(k int, a, b, c *float32, add bool, dst *float32, ld int)")
		Pragma("noescape")
		Doc(
			fmt.Sprintf("%sto is %s, but writes the result to rows of dst that are ld elements apart, and leaves c as it is.", name, name),
			"It needs "+needs+".",
		)
	} else {
		TEXT(name, NOSPLIT, signature(factor))
		Pragma("noescape")
		doc(name, mr, 32, needs, elements)
	}
	z := []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
		reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
		reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	c := Load(Param("c"), GP64())
	add := Load(Param("add"), GP8())
	var dst, ld reg.Register
	if away {
		dst, ld = Load(Param("dst"), GP64()), Load(Param("ld"), GP64())
		SHLQ(Imm(2), ld)
		row := GP64()
		MOVQ(dst, row)
		for range mr { // the rows are there when the sums are
			PREFETCHT0(Mem{Base: row})
			PREFETCHT0(Mem{Base: row, Disp: 64})
			PREFETCHT0(Mem{Base: row, Disp: 124})
			ADDQ(ld, row)
		}
	}
	for i := range 2 * mr {
		VPXORQ(z[i], z[i], z[i])
	}
	step := func(i int) {
		VMOVUPS(Mem{Base: b, Disp: 128 * i}, z[28])
		VMOVUPS(Mem{Base: b, Disp: 128*i + 64}, z[29])
		for r := range mr {
			t := z[30+r%2]
			VBROADCASTSS(Mem{Base: a, Disp: 4 * (mr*i + r)}, t)
			multiply(z[28], t, z[2*r])
			multiply(z[29], t, z[2*r+1])
		}
	}
	loop(k, step, func(n int) {
		ADDQ(U32(4*mr*n), a)
		ADDQ(U32(128*n), b)
	})
	TESTB(add, add)
	JZ(LabelRef("store"))
	for i := range 2 * mr {
		VADDPS(Mem{Base: c, Disp: 64 * i}, z[i], z[i])
	}
	Label("store")
	for i := range 2 * mr {
		if !away {
			VMOVUPS(z[i], Mem{Base: c, Disp: 64 * i})
			continue
		}
		VMOVUPS(z[i], Mem{Base: dst, Disp: 64 * (i % 2)})
		if i%2 == 1 {
			ADDQ(ld, dst)
		}
	}
	VZEROUPPER()
	RET()
}

// sgemm256 writes the micro-kernel of mr rows and 16 columns for AVX2 and FMA;
// 6 rows fill the register file: 12 sums, two vectors of b, two broadcasts.
func sgemm256(mr int) {
	name := fmt.Sprintf("sgemm%dx16", mr)
	TEXT(name, NOSPLIT, signature("float32"))
	Pragma("noescape")
	doc(name, mr, 16, "AVX2 and FMA", "elements")
	y := []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	c := Load(Param("c"), GP64())
	add := Load(Param("add"), GP8())
	for i := range 2 * mr {
		VXORPS(y[i], y[i], y[i])
	}
	step := func(i int) {
		VMOVUPS(Mem{Base: b, Disp: 64 * i}, y[12])
		VMOVUPS(Mem{Base: b, Disp: 64*i + 32}, y[13])
		for r := range mr {
			t := y[14+r%2]
			VBROADCASTSS(Mem{Base: a, Disp: 4 * (mr*i + r)}, t)
			VFMADD231PS(y[12], t, y[2*r])
			VFMADD231PS(y[13], t, y[2*r+1])
		}
	}
	loop(k, step, func(n int) {
		ADDQ(U32(4*mr*n), a)
		ADDQ(U32(64*n), b)
	})
	TESTB(add, add)
	JZ(LabelRef("store"))
	for i := range 2 * mr {
		VADDPS(Mem{Base: c, Disp: 32 * i}, y[i], y[i])
	}
	Label("store")
	for i := range 2 * mr {
		VMOVUPS(y[i], Mem{Base: c, Disp: 32 * i})
	}
	VZEROUPPER()
	RET()
}

// loop repeats step k times, unrolled by two. step(i) works i turns ahead of
// the pointers, which advance(n) moves on by n turns.
func loop(k reg.Register, step, advance func(int)) {
	SUBQ(Imm(2), k)
	JLT(LabelRef("tail"))
	Label("pair")
	step(0)
	step(1)
	advance(2)
	SUBQ(Imm(2), k)
	JGE(LabelRef("pair"))
	Label("tail")
	ADDQ(Imm(1), k)
	JLT(LabelRef("done"))
	step(0)
	Label("done")
}

// transpose8 writes the packing of eight lanes: blocks of eight contiguous
// elements of each lane become rows of the panel. 8×8 elements are transposed
// as four 4×4 blocks.
func transpose8() {
	TEXT("transpose8x8", NOSPLIT, "func(dst *float32, width int, src *float32, lanes *[8]int, blocks *int, n int)")
	Pragma("noescape")
	Doc(
		"transpose8x8 packs n blocks of eight elements of each of eight lanes:",
		"dst[(8·b+i)·width + l] = src[lanes[l]+blocks[b]+i]. It needs AVX.",
	)
	dst := Load(Param("dst"), GP64())
	width := Load(Param("width"), GP64())
	src := Load(Param("src"), GP64())
	lanes := Load(Param("lanes"), GP64())
	SHLQ(Imm(2), width)
	var lane [8]reg.Register
	for l := range lane {
		r := GP64()
		MOVQ(Mem{Base: lanes, Disp: 8 * l}, r)
		LEAQ(Mem{Base: src, Index: r, Scale: 4}, r)
		lane[l] = r
	}
	blocks := Load(Param("blocks"), GP64())
	n := Load(Param("n"), GP64())
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("block")
	at := GP64()
	MOVQ(Mem{Base: blocks}, at)
	for half := range 2 {
		var x, t [4]reg.VecVirtual
		for i := range x {
			// Elements 4·half … 4·half+3 of lanes i and i+4.
			x[i] = YMM()
			VMOVUPS(Mem{Base: lane[i], Index: at, Scale: 4, Disp: 16 * half}, x[i].AsX())
			VINSERTF128(Imm(1), Mem{Base: lane[i+4], Index: at, Scale: 4, Disp: 16 * half}, x[i], x[i])
			t[i] = YMM()
		}
		transpose4(x, t, func(_ int, row reg.VecVirtual) {
			VMOVUPS(row, Mem{Base: dst})
			ADDQ(width, dst)
		})
	}
	ADDQ(Imm(8), blocks)
	DECQ(n)
	JNZ(LabelRef("block"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose4 transposes the 4×4 elements in each half of the vectors x, by way of t,
// and hands their rows on.
func transpose4(x, t [4]reg.VecVirtual, store func(i int, row reg.VecVirtual)) {
	VUNPCKLPS(x[1], x[0], t[0])
	VUNPCKHPS(x[1], x[0], t[1])
	VUNPCKLPS(x[3], x[2], t[2])
	VUNPCKHPS(x[3], x[2], t[3])
	for i := range 4 {
		row := YMM()
		VSHUFPS(U8([]uint8{0x44, 0xee}[i%2]), t[2+i/2], t[i/2], row)
		store(i, row)
	}
}

// copy8 writes the packing of pieces of eight elements.
func copy8() {
	TEXT("copy8", NOSPLIT, "func(dst *float32, width int, src *float32, offsets *int, n int, pieces *int, pairs, from, to int)")
	Pragma("noescape")
	Doc(
		"copy8 packs n rows, of eight elements for each of 2·pairs > 0 pieces, one after the other:",
		"dst[i·width + pieces[j].dst + 0…7] = src[offsets[i] + pieces[j].src + 0…7]. pieces points at the first field of",
		"the first piece. What is from bytes behind a row's sources and to bytes behind what it writes is asked for ahead, where these are",
		"not 0. It needs AVX.",
	)
	dst := Load(Param("dst"), GP64())
	width := Load(Param("width"), GP64())
	src := Load(Param("src"), GP64())
	offsets := Load(Param("offsets"), GP64())
	n := Load(Param("n"), GP64())
	pieces := Load(Param("pieces"), GP64())
	pairs := Load(Param("pairs"), GP64())
	SHLQ(Imm(2), width)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("row")
	from, piece, left := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: offsets}, from)
	LEAQ(Mem{Base: src, Index: from, Scale: 4}, from)
	for i, base := range []reg.Register{from, dst} {
		name := []string{"from", "to"}[i]
		ahead, at := Load(Param(name), GP64()), GP64()
		TESTQ(ahead, ahead)
		JZ(LabelRef(name + "_near"))
		ADDQ(base, ahead)
		MOVQ(pieces, piece)
		MOVQ(pairs, left)
		Label(name + "_ahead")
		MOVQ(Mem{Base: piece, Disp: 8 - 8*i}, at)
		PREFETCHT0(Mem{Base: ahead, Index: at, Scale: 4})
		ADDQ(Imm(32), piece)
		DECQ(left)
		JNZ(LabelRef(name + "_ahead"))
		Label(name + "_near")
	}
	MOVQ(pieces, piece)
	MOVQ(pairs, left)
	Label("pair")
	for i := range 2 {
		d, s, y := GP64(), GP64(), YMM()
		MOVQ(Mem{Base: piece, Disp: 16 * i}, d)
		MOVQ(Mem{Base: piece, Disp: 16*i + 8}, s)
		VMOVUPS(Mem{Base: from, Index: s, Scale: 4}, y)
		VMOVUPS(y, Mem{Base: dst, Index: d, Scale: 4})
	}
	ADDQ(Imm(32), piece)
	DECQ(left)
	JNZ(LabelRef("pair"))
	ADDQ(Imm(8), offsets)
	ADDQ(width, dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

// stage8 writes the staging of images: rows of eight elements at a time, with
// zeros where they reach over an image's edges.
func stage8() {
	iota8 = GLOBL("iota8", attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(4*i, U32(i))
	}
	TEXT("stage8", NOSPLIT, "func(dst, src *float32, geom *int)")
	Pragma("noescape")
	Doc(
		"stage8 copies geom.rows > 0 rows of each of geom.images > 0 images: element i of a row of dst, for i < 8·geom.blocks, is",
		"src[i+geom.shift] where geom.from <= i < geom.to, else 0. Sources outside these limits are not read. geom points at the first",
		"field of a stageGeom. It needs AVX2.",
	)
	stage(1, func(load func(i int) reg.VecVirtual, dst, at, _ reg.GPVirtual) {
		VMOVUPS(load(0), Mem{Base: dst, Index: at, Scale: 1})
	})
}

// stage8by2 is stage8 for images whose columns are parted into even and odd ones.
func stage8by2() {
	TEXT("stage8by2", NOSPLIT, "func(dst, src *float32, geom *int)")
	Pragma("noescape")
	Doc(
		"stage8by2 parts columns while it copies: element i of a row of dst, for i < 8·geom.blocks, is src[2·i+geom.shift], and",
		"element i+geom.odd is src[2·i+1+geom.shift], where the index less the shift is at least geom.from and below geom.to, else",
		"0. The rest is as with stage8.",
	)
	stage(2, func(load func(i int) reg.VecVirtual, dst, at, odd reg.GPVirtual) {
		lo, hi, even := load(0), load(1), YMM()
		VSHUFPS(Imm(0x88), hi, lo, even)
		VSHUFPS(Imm(0xdd), hi, lo, lo)
		VPERMPD(Imm(0xd8), even, even)
		VPERMPD(Imm(0xd8), lo, lo)
		VMOVUPS(even, Mem{Base: dst, Index: at, Scale: 1})
		ADDQ(odd, at)
		VMOVUPS(lo, Mem{Base: dst, Index: at, Scale: 1})
		SUBQ(odd, at)
	})
}

// iota8 is the numbers from 0 to 7.
var iota8 Mem

// stage loops over rows. In each turn store writes eight elements at dst + at, from as many loads as there are columns for each.
func stage(columns uint8, store func(load func(i int) reg.VecVirtual, dst, at, odd reg.GPVirtual)) {
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	g := Load(Param("geom"), GP64())
	field := func(i int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: g, Disp: 8 * i}, r)
		return r
	}
	images := field(0)
	dstImage, srcImage, dstRow, srcRow := field(2), field(3), field(4), field(5)
	shift := field(7)
	LEAQ(Mem{Base: src, Index: shift, Scale: 4}, src)
	for _, stride := range []reg.GPVirtual{dstImage, srcImage, dstRow, srcRow} {
		SHLQ(Imm(2), stride)
	}
	var odd reg.GPVirtual
	if columns > 1 {
		odd = field(10)
		SHLQ(Imm(2), odd)
	}
	first, to, from, step := YMM(), YMM(), YMM(), YMM()
	VMOVDQU(iota8, first)
	VPBROADCASTD(Mem{Base: g, Disp: 8 * 8}, from)
	VPBROADCASTD(Mem{Base: g, Disp: 8 * 9}, to)
	// Eights: all ones, of which one bit is left, shifted back.
	VPCMPEQD(step, step, step)
	VPSRLD(Imm(31), step, step)
	VPSLLD(Imm(3), step, step)
	Label("image")
	d, s, left := GP64(), GP64(), GP64()
	MOVQ(dst, d)
	MOVQ(src, s)
	MOVQ(Mem{Base: g, Disp: 8 * 1}, left)
	Label("row")
	at, todo := GP64(), GP64()
	XORQ(at, at)
	MOVQ(Mem{Base: g, Disp: 8 * 6}, todo)
	i := YMM()
	VMOVDQA(first, i)
	PREFETCHT0(Mem{Base: s, Disp: 1024}) // the next rows or the next channel
	Label("block")
	store(func(block int) reg.VecVirtual {
		mask, below, v := YMM(), YMM(), YMM()
		VPCMPGTD(i, from, below)
		VPCMPGTD(i, to, mask)
		VPANDN(mask, below, mask) // i < to and not from > i
		VMASKMOVPS(Mem{Base: s, Index: at, Scale: columns, Disp: 32 * block}, mask, v)
		VPADDD(step, i, i)
		return v
	}, d, at, odd)
	ADDQ(Imm(32), at)
	DECQ(todo)
	JNZ(LabelRef("block"))
	ADDQ(dstRow, d)
	ADDQ(srcRow, s)
	DECQ(left)
	JNZ(LabelRef("row"))
	ADDQ(dstImage, dst)
	ADDQ(srcImage, src)
	DECQ(images)
	JNZ(LabelRef("image"))
	VZEROUPPER()
	RET()
}

// spread8 writes the storing of the rows of a product to every other column.
func spread8() {
	TEXT("spread8", NOSPLIT, "func(dst, src *float32, rows, dstRow, srcRow int, runs *int, n int)")
	Pragma("noescape")
	Doc(
		"spread8 copies n > 0 runs of each of rows > 0 rows, which are dstRow and srcRow elements apart: dst[run.dst+2·i] =",
		"src[run.src+i], for i < run.n. runs points at the first field of the first run. It needs AVX-512F.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	rows := Load(Param("rows"), GP64())
	dstRow := Load(Param("dstRow"), GP64())
	srcRow := Load(Param("srcRow"), GP64())
	runs := Load(Param("runs"), GP64())
	n := Load(Param("n"), GP64())
	SHLQ(Imm(2), dstRow)
	SHLQ(Imm(2), srcRow)
	bits, even, some, someEven := GP64(), K(), K(), K()
	MOVQ(U32(0x5555), bits)
	KMOVW(bits.As32(), even)
	Label("row")
	run, left := GP64(), GP64()
	MOVQ(runs, run)
	MOVQ(n, left)
	Label("run")
	d, s, count := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: run}, d)
	LEAQ(Mem{Base: dst, Index: d, Scale: 4}, d)
	MOVQ(Mem{Base: run, Disp: 8}, s)
	LEAQ(Mem{Base: src, Index: s, Scale: 4}, s)
	MOVQ(Mem{Base: run, Disp: 16}, count)
	z := ZMM()
	SUBQ(Imm(8), count)
	JLT(LabelRef("rest"))
	Label("eight")
	PREFETCHT0(Mem{Base: d, Index: dstRow, Scale: 1}) // the next row's
	VPMOVZXDQ(Mem{Base: s}, z)
	VMOVUPS(z, even, Mem{Base: d})
	ADDQ(Imm(32), s)
	ADDQ(Imm(64), d)
	SUBQ(Imm(8), count)
	JGE(LabelRef("eight"))
	Label("rest")
	ADDQ(Imm(8), count)
	JZ(LabelRef("next"))
	MOVQ(U32(1), bits)
	MOVQ(count, reg.RCX)
	SHLQ(reg.CL, bits)
	DECQ(bits)
	KMOVW(bits.As32(), some)
	INCQ(bits)
	SHLQ(reg.CL, bits)
	DECQ(bits)
	ANDQ(U32(0x5555), bits)
	KMOVW(bits.As32(), someEven)
	PREFETCHT0(Mem{Base: d, Index: dstRow, Scale: 1})
	VPMOVZXDQ_Z(Mem{Base: s}, some, z)
	VMOVUPS(z, someEven, Mem{Base: d})
	Label("next")
	ADDQ(Imm(24), run)
	DECQ(left)
	JNZ(LabelRef("run"))
	ADDQ(dstRow, dst)
	ADDQ(srcRow, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
