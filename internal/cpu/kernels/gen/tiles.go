package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// amx writes what convolutions and products of matrices on the matrix tiles of Intel's AMX are made of.
func amx() {
	config := tileConfig()
	order := alternate("partPairs")
	for count := 1; count <= 3; count++ {
		tileSums(config, count)
		splitRows(count)
		splitPairs(order, count)
	}
	pairRows()
	turns()
	finishRows()
	gatherTaps()
}

// tileSums writes sums of products of tiles that lie anywhere, of numbers of count parts. The order of the products of parts loads each
// part once but for one, and ends with the largest: a tile's product is summed over its depth before it is added, so that an element is
// rounded to its sum's precision once for each product and 32 rows.
func tileSums(config Mem, count int) {
	name := fmt.Sprintf("tilesums%d", count)
	TEXT(name, NOSPLIT, "func(blocks *int, n int, steps *int, a, b *uint16, c *float32, geom *int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s computes n > 0 blocks of 32×32 sums, tileBlock each, of the products of the tiles that steps, tileStep each, list. geom is a", name),
		fmt.Sprintf("tileGeom. Numbers have %d parts, whose tiles lie 2048 bytes apart. It needs AMX-BF16.", count),
	)
	pa, pb, left, half := reg.R10, reg.R11, reg.R12, reg.R13 // half: from a tile of 16 rows to the next
	block := Load(Param("blocks"), reg.R8)
	n := Load(Param("n"), reg.R9)
	strideA, strideB, a0, b0, a1, step := reg.RAX, reg.RCX, reg.RSI, reg.RDI, reg.RBX, reg.RDX
	field := func(i int) Mem { return Mem{Base: block, Disp: 8 * i} }
	geom := func(i int) Mem { return Mem{Base: reg.RAX, Disp: 8 * i} }
	LEAQ(config, strideA)
	vex("LDTILECFG [RAX]", 0, 0x49, 0, 0)
	// sums places RDX and RBX at the sums, whose rows are RCX apart.
	sums := func() {
		Load(Param("c"), reg.RDX)
		ADDQ(field(2), reg.RDX)
		Load(Param("geom"), reg.RAX)
		MOVQ(geom(2), reg.RCX)
		MOVQ(reg.RCX, reg.RBX)
		SHLQ(Imm(4), reg.RBX)
		ADDQ(reg.RDX, reg.RBX)
	}
	Label("block")
	sums()
	MOVQ(geom(3), left) // add
	TESTQ(left, left)
	JZ(LabelRef("zero"))
	for t, base := range []reg.GPPhysical{reg.RDX, reg.RDX, reg.RBX, reg.RBX} {
		tileLoad(t, base, reg.RCX, t%2*64)
	}
	JMP(LabelRef("ready"))
	Label("zero")
	for t := range 4 {
		vex("TILEZERO", 0xf2, 0x49, 0, 0xc0|byte(t)<<3)
	}
	Label("ready")
	MOVQ(geom(1), strideB)
	MOVQ(geom(0), strideA)
	MOVQ(strideA, half)
	SHLQ(Imm(4), half)
	Load(Param("a"), pa)
	ADDQ(field(0), pa)
	Load(Param("b"), pb)
	ADDQ(field(1), pb)
	MOVQ(field(3), step)
	SHLQ(Imm(4), step)
	ADDQ(NewParamAddr("steps", 16), step)
	MOVQ(field(4), left)
	TESTQ(left, left)
	JZ(LabelRef("store"))
	Label("step")
	MOVQ(Mem{Base: step}, a0)
	ADDQ(pa, a0)
	MOVQ(Mem{Base: step, Disp: 8}, b0)
	ADDQ(pb, b0)
	LEAQ(Mem{Base: a0, Index: half, Scale: 1}, a1)
	product := func(t int) {
		vex("TDPBF16PS", 0xf3, 0x5c, 6+t%2, 0xc0|byte(t)<<3|byte(4+t/2))
	}
	// All loads first: where a neighbour on the same core keeps the tiles busy, this order takes a tenth less time.
	inA, inB := -1, -1 // the parts that are in tiles
	for _, p := range partProducts[count-1] {
		if p[0] != inA {
			inA = p[0]
			tileLoad(4, a0, strideA, 2048*inA)
			tileLoad(5, a1, strideA, 2048*inA)
		}
		if p[1] != inB {
			inB = p[1]
			tileLoad(6, b0, strideB, 2048*inB)
			tileLoad(7, b0, strideB, 2048*inB+64)
		}
		for t := range 4 {
			product(t)
		}
	}
	ADDQ(Imm(16), step)
	DECQ(left)
	JNZ(LabelRef("step"))
	Label("store")
	sums()
	for t, base := range []reg.GPPhysical{reg.RDX, reg.RDX, reg.RBX, reg.RBX} {
		tileStore(t, base, reg.RCX, t%2*64)
	}
	ADDQ(Imm(40), block)
	DECQ(n)
	JNZ(LabelRef("block"))
	vex("TILERELEASE", 0, 0x49, 0, 0xc0)
	RET()
}

// partProducts are the products of parts that count, for numbers of one part, two and three.
var partProducts = [][][2]int{
	{{0, 0}},
	{{1, 0}, {0, 0}, {0, 1}},
	{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}},
}

// splitRows writes the splitting of rows.
func splitRows(count int) {
	name := fmt.Sprintf("splitrows%d", count)
	TEXT(name, NOSPLIT, "func(dst *uint16, src *float32, ld, rows, k int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s splits rows > 0 rows of k > 0 numbers, ld bytes apart, into %d bfloat16 parts. Each group of 32 columns, the last filled", name, count),
		"up with zeros, makes a tile of 64 bytes a row for each part, 2048 bytes apart; groups follow each other. It needs AVX512_BF16.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	ld := Load(Param("ld"), GP64())
	rows := Load(Param("rows"), GP64())
	k := Load(Param("k"), GP64())
	low, high, both, part := reg.Z0, reg.Z1, reg.Z2, reg.Z3
	full, tailLow, tailHigh := K(), K(), K()
	KXNORW(full, full, full)
	// The masks of the last group's halves.
	ones := GP64()
	MOVQ(k, reg.RCX)
	ANDQ(Imm(31), reg.RCX)
	MOVQ(U32(1), ones)
	SHLQ(reg.CL, ones)
	DECQ(ones)
	KMOVW(ones.As32(), tailLow)
	SHRQ(Imm(16), ones)
	KMOVW(ones.As32(), tailHigh)
	split := func(to, from reg.Register, maskLow, maskHigh reg.Register) {
		VMOVUPS_Z(Mem{Base: from}, maskLow, low)
		VMOVUPS_Z(Mem{Base: from, Disp: 64}, maskHigh, high)
		for p := range count {
			bf16(0x72, 0xf2, both, high, low)
			VMOVDQU32(both, Mem{Base: to, Disp: 2048 * p})
			if p < count-1 {
				VPMOVZXWD(reg.Y2, part)
				VPSLLD(Imm(16), part, part)
				VSUBPS(part, low, low)
				VEXTRACTI64X4(Imm(1), both, reg.Y2)
				VPMOVZXWD(reg.Y2, part)
				VPSLLD(Imm(16), part, part)
				VSUBPS(part, high, high)
			}
		}
	}
	Label("row")
	to, from, left := GP64(), GP64(), GP64()
	MOVQ(dst, to)
	MOVQ(src, from)
	MOVQ(k, left)
	SUBQ(Imm(32), left)
	JLT(LabelRef("tail"))
	Label("group")
	split(to, from, full, full)
	ADDQ(Imm(128), from)
	ADDQ(U32(uint32(2048*count)), to)
	SUBQ(Imm(32), left)
	JGE(LabelRef("group"))
	Label("tail")
	ADDQ(Imm(32), left)
	JZ(LabelRef("next"))
	split(to, from, tailLow, tailHigh)
	Label("next")
	ADDQ(Imm(64), dst)
	ADDQ(ld, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// splitPairs writes the splitting of columns, by pairs of rows.
func splitPairs(order Mem, count int) {
	name := fmt.Sprintf("splitpairs%d", count)
	TEXT(name, NOSPLIT, "func(dst *uint16, src *float32, ld, lanes, k int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s splits k > 0 rows of lanes numbers, from 1 to 32, ld bytes apart, into %d bfloat16 parts. Each group of 32 rows, the last", name, count),
		"filled up with zeros, makes 16 rows of 32 pairs for each part, 2048 bytes apart; groups follow each other. It needs AVX512_BF16 and AVX512BW.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	ld := Load(Param("ld"), GP64())
	k := Load(Param("k"), GP64())
	even, odd, both, perm, high, part := reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5
	VMOVDQU32(order, perm)
	VPTERNLOGD(U8(0xff), high, high, high)
	VPSLLD(Imm(16), high, high)
	masks := [2]reg.Register{K(), K()} // of the lanes that are there
	ones := GP64()
	MOVQ(NewParamAddr("lanes", 24), reg.RCX)
	MOVQ(U32(1), ones)
	SHLQ(reg.CL, ones)
	DECQ(ones)
	KMOVW(ones.As32(), masks[0])
	SHRQ(Imm(16), ones)
	KMOVW(ones.As32(), masks[1])
	Label("group")
	pairs := GP64()
	MOVQ(U32(16), pairs)
	Label("pair")
	CMPQ(k, Imm(2))
	JGE(LabelRef("there"))
	// One row is there, or none.
	CMPQ(k, Imm(1))
	JLT(LabelRef("none"))
	pair := func(rows int) {
		for i, mask := range masks {
			VPXORD(even, even, even)
			VPXORD(odd, odd, odd)
			if rows > 0 {
				VMOVUPS_Z(Mem{Base: src, Disp: 64 * i}, mask, even)
			}
			if rows > 1 {
				VMOVUPS_Z(Mem{Base: src, Index: ld, Scale: 1, Disp: 64 * i}, mask, odd)
			}
			for p := range count {
				bf16(0x72, 0xf2, both, odd, even)
				VPERMW(both, perm, both)
				VMOVDQU32(both, Mem{Base: dst, Disp: 2048*p + 64*i})
				if p < count-1 {
					VPSLLD(Imm(16), both, part)
					VSUBPS(part, even, even)
					VPANDD(high, both, part)
					VSUBPS(part, odd, odd)
				}
			}
		}
	}
	pair(1)
	JMP(LabelRef("next"))
	Label("none")
	pair(0)
	JMP(LabelRef("next"))
	Label("there")
	pair(2)
	Label("next")
	LEAQ(Mem{Base: src, Index: ld, Scale: 2}, src)
	ADDQ(Imm(128), dst)
	SUBQ(Imm(2), k)
	DECQ(pairs)
	JNZ(LabelRef("pair"))
	if count > 1 {
		ADDQ(U32(uint32(2048*(count-1))), dst)
	}
	TESTQ(k, k)
	JG(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// pairRows writes the staging of two neighbouring channels, by pairs of pixels.
func pairRows() {
	order := alternate("rowPairs")
	TEXT("pairrows", NOSPLIT, "func(dst *uint32, a, b *uint16, rows, width, pitch int)")
	Pragma("noescape")
	Doc(
		"pairrows writes rows > 0 rows of width > 0 pairs, pitch pairs apart: a pair is an element of a and, above it, that of b in the same place.",
		"It needs AVX512BW and AVX512VL.",
	)
	dst := Load(Param("dst"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	rows := Load(Param("rows"), GP64())
	width := Load(Param("width"), GP64())
	pitch := Load(Param("pitch"), GP64())
	SHLQ(Imm(2), pitch)
	perm := reg.Z3
	VMOVDQU32(order, perm)
	full, tail := K(), K()
	tailMask(width, full, tail)
	Label("row")
	to, left := GP64(), GP64()
	MOVQ(dst, to)
	MOVQ(width, left)
	piece := func(mask reg.Register) {
		VMOVDQU16_Z(Mem{Base: a}, mask, reg.Y0)
		VMOVDQU16_Z(Mem{Base: b}, mask, reg.Y1)
		VINSERTI64X4(Imm(1), reg.Y1, reg.Z0, reg.Z0)
		VPERMW(reg.Z0, perm, reg.Z0)
		VMOVDQU32(reg.Z0, mask, Mem{Base: to})
	}
	SUBQ(Imm(16), left)
	JLT(LabelRef("tail"))
	Label("piece")
	piece(full)
	ADDQ(Imm(32), a)
	ADDQ(Imm(32), b)
	ADDQ(Imm(64), to)
	SUBQ(Imm(16), left)
	JGE(LabelRef("piece"))
	Label("tail")
	ADDQ(Imm(16), left)
	JZ(LabelRef("next"))
	piece(tail)
	LEAQ(Mem{Base: a, Index: left, Scale: 2}, a)
	LEAQ(Mem{Base: b, Index: left, Scale: 2}, b)
	Label("next")
	ADDQ(pitch, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// tailMask fills masks of sixteen lanes: all of them, and those of the last n modulo 16.
func tailMask(n reg.Register, full, tail reg.Register) {
	KXNORW(full, full, full)
	MOVQ(n, reg.RCX)
	ANDQ(Imm(15), reg.RCX)
	ones := GP32()
	MOVL(U32(1), ones)
	SHLL(reg.CL, ones)
	DECL(ones)
	KMOVW(ones, tail)
}

// turns writes transpositions of squares of 16×16 elements of 32 bits, whose rows lie anywhere.
func turns() {
	rows := func(at reg.Register, base reg.Register, f func(i int, m Mem)) {
		for i := range 16 {
			t := GP64()
			MOVQ(Mem{Base: at, Disp: 8 * i}, t)
			f(i, Mem{Base: base, Index: t, Scale: 1})
		}
	}
	advance := func(dst, src reg.Register) {
		step := GP64()
		Load(Param("dstStep"), step)
		ADDQ(step, dst)
		step = GP64()
		Load(Param("srcStep"), step)
		ADDQ(step, src)
	}

	TEXT("pairturn", NOSPLIT, "func(dst *uint32, dstAt *int, src *uint16, srcAt *int, second int, order *uint16, count, dstStep, srcStep int)")
	Pragma("noescape")
	Doc(
		"pairturn transposes count > 0 squares of 16×16 pairs. Row i of a square is the 32 words of which the first 16 lie at src + srcAt[i] and the",
		"others second farther, in order, two of which make a pair; column j goes to dst + dstAt[j]. From one square to the next src",
		"and dst advance by their steps. Places are in bytes. It needs AVX512BW.",
	)
	dst := Load(Param("dst"), GP64())
	dstAt := Load(Param("dstAt"), GP64())
	src := Load(Param("src"), GP64())
	srcAt := Load(Param("srcAt"), GP64())
	second := Load(Param("second"), GP64())
	order := Load(Param("order"), GP64())
	count := Load(Param("count"), GP64())
	Label("square")
	VMOVDQU32(Mem{Base: order}, reg.Z31)
	upper := GP64()
	LEAQ(Mem{Base: src, Index: second, Scale: 1}, upper)
	for i := range 16 {
		t := GP64()
		MOVQ(Mem{Base: srcAt, Disp: 8 * i}, t)
		VMOVDQU(Mem{Base: src, Index: t, Scale: 1}, ymms[i])
		VINSERTI64X4(Imm(1), Mem{Base: upper, Index: t, Scale: 1}, zmms[i], zmms[i])
		VPERMW(zmms[i], reg.Z31, zmms[i])
	}
	transpose16()
	rows(dstAt, dst, func(i int, m Mem) { VMOVDQU32(zmms[i], m) })
	advance(dst, src)
	DECQ(count)
	JNZ(LabelRef("square"))
	VZEROUPPER()
	RET()

	TEXT("turn16", NOSPLIT, "func(dst *uint32, dstAt *int, src *uint32, srcAt *int, count, dstStep, srcStep int)")
	Pragma("noescape")
	Doc("turn16 is pairturn for rows that are pairs already. It needs AVX-512F.")
	dst = Load(Param("dst"), GP64())
	dstAt = Load(Param("dstAt"), GP64())
	src = Load(Param("src"), GP64())
	srcAt = Load(Param("srcAt"), GP64())
	count = Load(Param("count"), GP64())
	Label("square")
	rows(srcAt, src, func(i int, m Mem) { VMOVDQU32(m, zmms[i]) })
	transpose16()
	rows(dstAt, dst, func(i int, m Mem) { VMOVDQU32(zmms[i], m) })
	advance(dst, src)
	DECQ(count)
	JNZ(LabelRef("square"))
	VZEROUPPER()
	RET()

	for _, half := range []bool{false, true} {
		name, what, needs := "turnwide", "float32", "AVX-512F"
		if half {
			name, what, needs = "turnhalf", "bfloat16, rounded to nearest even", "AVX-512F"
		}
		TEXT(name, NOSPLIT, "func(dst *byte, dstAt *int, src *float32, srcAt *int, affine *float32, relu bool, count, dstStep, srcStep int)")
		Pragma("noescape")
		Doc(
			name+" is turn16 for float32 numbers, each of which is multiplied and added to, and not below 0 if relu, and written as "+what+".",
			"affine has 16 factors and 16 summands for the elements of each column, for each square. It needs "+needs+".",
		)
		dst := Load(Param("dst"), GP64())
		dstAt := Load(Param("dstAt"), GP64())
		src := Load(Param("src"), GP64())
		srcAt := Load(Param("srcAt"), GP64())
		affine := Load(Param("affine"), GP64())
		relu := Load(Param("relu"), GP8())
		count := Load(Param("count"), GP64())
		floor := K()
		KXORW(floor, floor, floor)
		TESTB(relu, relu)
		JZ(LabelRef("square"))
		KXNORW(floor, floor, floor)
		Label("square")
		rows(srcAt, src, func(i int, m Mem) { VMOVUPS(m, zmms[i]) })
		transpose16()
		VMOVUPS(Mem{Base: affine}, reg.Z16)
		VMOVUPS(Mem{Base: affine, Disp: 64}, reg.Z17)
		VPXORD(reg.Z18, reg.Z18, reg.Z18)
		rows(dstAt, dst, func(i int, m Mem) { finish(zmms[i], reg.Z16, reg.Z17, reg.Z18, floor, half, nil, m) })
		ADDQ(U32(128), affine)
		advance(dst, src)
		DECQ(count)
		JNZ(LabelRef("square"))
		VZEROUPPER()
		RET()
	}
}

// finish writes v·factor + summand to m, under a mask if there is one, and not below zero in the lanes of floor. It uses Z24 and up.
func finish(v, factor, summand, zero reg.VecPhysical, floor reg.Register, half bool, mask reg.Register, m Mem) {
	VFMADD213PS(summand, factor, v)
	VMAXPS(v, zero, floor, v) // NaN, the second of both, stays
	if !half {
		if mask != nil {
			VMOVUPS(v, mask, m)
		} else {
			VMOVUPS(v, m)
		}
		return
	}
	even, bias, quiet := word("halfEven", 1), word("halfBias", 0x7fff), word("halfQuiet", 0x40)
	up, r, nan := reg.Z24, reg.Z25, K()
	VPSRLD(Imm(16), v, up)
	VPANDD_BCST(even, up, r)
	VPADDD_BCST(bias, r, r)
	VPADDD(v, r, r)
	VPSRLD(Imm(16), r, r)
	VCMPPS(Imm(3), v, v, nan) // unordered
	VPORD_BCST(quiet, up, nan, r)
	if mask != nil {
		VPMOVDW(r, mask, m)
	} else {
		VPMOVDW(r, m)
	}
}

// finishRows writes what writes rows of results.
func finishRows() {
	for _, half := range []bool{false, true} {
		name, what, size := "rowswide", "float32", uint8(4)
		if half {
			name, what, size = "rowshalf", "bfloat16, rounded to nearest even", 2
		}
		TEXT(name, NOSPLIT, "func(dst *byte, src *float32, rows, width, pitch int, factor, summand float32, relu bool)")
		Pragma("noescape")
		Doc(
			name+" writes rows > 0 rows of width > 0 elements, which are pitch apart in src, one behind the other: times factor, plus summand, and not",
			"below 0 if relu, as "+what+". It needs AVX-512F.",
		)
		dst := Load(Param("dst"), GP64())
		src := Load(Param("src"), GP64())
		rows := Load(Param("rows"), GP64())
		width := Load(Param("width"), GP64())
		pitch := Load(Param("pitch"), GP64())
		SHLQ(Imm(2), pitch)
		VBROADCASTSS(NewParamAddr("factor", 40), reg.Z16)
		VBROADCASTSS(NewParamAddr("summand", 44), reg.Z17)
		relu := Load(Param("relu"), GP8())
		VPXORD(reg.Z18, reg.Z18, reg.Z18)
		floor, full, tail := K(), K(), K()
		tailMask(width, full, tail)
		KXORW(floor, floor, floor)
		TESTB(relu, relu)
		JZ(LabelRef("row"))
		KXNORW(floor, floor, floor)
		Label("row")
		from, left := GP64(), GP64()
		MOVQ(src, from)
		MOVQ(width, left)
		piece := func(mask reg.Register) {
			VMOVUPS_Z(Mem{Base: from}, mask, reg.Z0)
			finish(reg.Z0, reg.Z16, reg.Z17, reg.Z18, floor, half, mask, Mem{Base: dst})
		}
		SUBQ(Imm(16), left)
		JLT(LabelRef("tail"))
		Label("piece")
		piece(full)
		ADDQ(Imm(64), from)
		ADDQ(Imm(16*uint64(size)), dst)
		SUBQ(Imm(16), left)
		JGE(LabelRef("piece"))
		Label("tail")
		ADDQ(Imm(16), left)
		JZ(LabelRef("next"))
		piece(tail)
		LEAQ(Mem{Base: dst, Index: left, Scale: size}, dst)
		Label("next")
		ADDQ(pitch, src)
		DECQ(rows)
		JNZ(LabelRef("row"))
		VZEROUPPER()
		RET()
	}
}

// gatherTaps writes the packing of weights.
func gatherTaps() {
	lanes := GLOBL("gatherLanes", attr.RODATA|attr.NOPTR)
	for i := range 32 {
		DATA(4*i, U32(uint32(i)))
	}
	TEXT("gathertaps", NOSPLIT, "func(dst, src *uint16, lane, taps, rows, srcRow, dstTap int)")
	Pragma("noescape")
	Doc(
		"gathertaps writes, for each of rows > 0 rows, which are srcRow bytes apart in src and 64 in dst, and for each of taps > 1 taps, which are",
		"neighbours in src and dstTap bytes apart in dst, 32 words that are lane bytes apart in src. It needs AVX-512F.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	taps := Load(Param("taps"), GP64())
	rows := Load(Param("rows"), GP64())
	srcRow := Load(Param("srcRow"), GP64())
	dstTap := Load(Param("dstTap"), GP64())
	at := [2]reg.VecPhysical{reg.Z0, reg.Z1}
	for i := range at {
		VPBROADCASTD(NewParamAddr("lane", 16), at[i])
		VPMULLD(lanes.Offset(64*i), at[i], at[i])
	}
	v := [2]reg.VecPhysical{reg.Z2, reg.Z3}
	gather := func(from Mem) {
		for i := range v {
			all := K()
			KXNORW(all, all, all)
			VPXORD(v[i], v[i], v[i])
			from.Index, from.Scale = at[i], 1
			VPGATHERDD(from, all, v[i])
		}
	}
	store := func(to reg.Register) {
		for i := range v {
			VPMOVDW(v[i], Mem{Base: to, Disp: 32 * i})
		}
	}
	upper := func() {
		for i := range v {
			VPSRLD(Imm(16), v[i], v[i])
		}
	}
	Label("row")
	from, to, left := GP64(), GP64(), GP64()
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(taps, left)
	SUBQ(Imm(2), left)
	Label("pair")
	gather(Mem{Base: from})
	store(to)
	ADDQ(dstTap, to)
	upper()
	store(to)
	ADDQ(dstTap, to)
	ADDQ(Imm(4), from)
	SUBQ(Imm(2), left)
	JGE(LabelRef("pair"))
	ADDQ(Imm(2), left)
	JZ(LabelRef("next"))
	gather(Mem{Base: from, Disp: -2}) // nothing behind the last tap is read
	upper()
	store(to)
	Label("next")
	ADDQ(Imm(64), dst)
	ADDQ(srcRow, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
