package main

import (
	"encoding/binary"
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const tileGroup = 32 // rows of a panel in a group: a tile's row has as many bfloat16 numbers

// amx writes what multiplies float32 numbers split into bfloat16 numbers with the matrix tiles of Intel's AMX.
func amx() {
	config := tileConfig()
	pairOrder := alternate("tilePairs")
	for count := 1; count <= 3; count++ {
		for _, rows := range []int{32, 16} {
			tileGEMM(config, rows, count)
		}
		tileSplit(pairOrder, count)
	}
	tileTurn()
}

// tileConfig is eight tiles of 16 rows of 64 bytes.
func tileConfig() Mem {
	config := GLOBL("tileConfig", attr.RODATA|attr.NOPTR)
	DATA(0, U64(1)) // palette 1
	for t := range 8 {
		DATA(16+2*t, U16(64)) // bytes of a row
	}
	for t := range 8 {
		DATA(48+t, U8(16)) // rows
	}
	DATA(56, U64(0))
	return config
}

// vex writes an instruction on tiles, which neither avo nor Go's assembler knows, as its bytes: VEX.128.pp.0F38.W0.
func vex(name string, prefix, opcode byte, third int, modrm ...byte) {
	pp := map[byte]byte{0: 0, 0x66: 1, 0xf3: 2, 0xf2: 3}[prefix]
	code := append([]byte{0xc4, 0xe2, ^byte(third)&15<<3 | pp, opcode}, modrm...)
	Comment(name)
	for len(code) > 0 {
		switch {
		case len(code) >= 4:
			Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(code))}})
			code = code[4:]
		case len(code) >= 2:
			Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code))}})
			code = code[2:]
		default:
			Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(code[0])}})
			code = nil
		}
	}
}

// at encodes the operand [base + stride + disp] of an instruction on tile t. The registers are of the first eight.
func at(t int, base, stride reg.GPPhysical, disp int) []byte {
	modrm := []byte{0x80 | byte(t)<<3 | 4, byte(stride.PhysicalIndex())<<3 | byte(base.PhysicalIndex())}
	return binary.LittleEndian.AppendUint32(modrm, uint32(disp))
}

func tileLoad(t int, base, stride reg.GPPhysical, disp int) {
	vex(fmt.Sprintf("TILELOADD tile %d", t), 0xf2, 0x4b, 0, at(t, base, stride, disp)...)
}

func tileStore(t int, base, stride reg.GPPhysical, disp int) {
	vex(fmt.Sprintf("TILESTORED tile %d", t), 0xf3, 0x4b, 0, at(t, base, stride, disp)...)
}

// tileGEMM writes the micro-kernel of rows rows and 32 columns for numbers of count parts. Tiles 0 to 3 are the
// sums, 4 and 5 rows of a, 6 and 7 columns of b. The order of the products of parts loads each part of a group once but for
// one, and ends with the largest: a tile's product is summed over the group before it is added, so that an element is rounded to its
// sum's precision once for each product and 32 rows. With 16 rows two sums take turns, which wait for each other.
func tileGEMM(config Mem, rows, count int) {
	name := fmt.Sprintf("tilegemm%dx32x%d", rows, count)
	TEXT(name, NOSPLIT, "func(groups int, a, b *uint16, c *float32, add bool)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s multiplies panels of groups > 0 groups of 32 rows, of %d and of 32 numbers split into %d parts, laid by", name, rows, count),
		fmt.Sprintf("tilesplit%d, that of a turned: c = aᵀ·b, or c += aᵀ·b, of %d×32 elements. It needs AMX-BF16.", count, rows),
	)
	groups, a, b, c := reg.RBX, reg.RSI, reg.RDI, reg.RDX
	strideA, strideB := reg.RAX, reg.RCX // from one row of a tile to the next; those of c are as far apart as those of b
	Load(Param("groups"), groups)
	Load(Param("a"), a)
	Load(Param("b"), b)
	Load(Param("c"), c)
	add := Load(Param("add"), reg.R8B)
	tiles := rows / 16 * 2
	LEAQ(config, strideA)
	vex("LDTILECFG [RAX]", 0, 0x49, 0, 0)
	MOVQ(U32(4*rows), strideA)
	MOVQ(U32(128), strideB)
	TESTB(add, add)
	JZ(LabelRef("zero"))
	place := func(t int) int { return t/2*16*128 + t%2*64 }
	for t := range tiles {
		tileLoad(t, c, strideB, place(t))
	}
	JMP(LabelRef("group"))
	Label("zero")
	for t := range tiles {
		vex(fmt.Sprintf("TILEZERO tile %d", t), 0xf2, 0x49, 0, 0xc0|byte(t)<<3)
	}
	Label("group")
	inA, inB := -1, -1 // the parts that are in tiles
	for _, p := range [][][2]int{
		{{0, 0}},
		{{1, 0}, {0, 0}, {0, 1}},
		{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}},
	}[count-1] {
		if p[0] != inA {
			inA = p[0]
			for i := range rows / 16 {
				tileLoad(4+i, a, strideA, inA*2*tileGroup*rows+64*i)
			}
		}
		if p[1] != inB {
			inB = p[1]
			for i := range 2 {
				tileLoad(6+i, b, strideB, inB*2*tileGroup*32+64*i)
			}
		}
		for t := range tiles {
			vex(fmt.Sprintf("TDPBF16PS tile %d, parts %d and %d", t, inA, inB), 0xf3, 0x5c, 6+t%2, 0xc0|byte(t)<<3|byte(4+t/2))
		}
	}
	ADDQ(U32(2*tileGroup*rows*count), a)
	ADDQ(U32(2*tileGroup*32*count), b)
	DECQ(groups)
	JNZ(LabelRef("group"))
	for t := range tiles {
		tileStore(t, c, strideB, place(t))
	}
	vex("TILERELEASE", 0, 0x49, 0, 0xc0)
	RET()
}

// tileSplit writes the splitting of a panel into count parts, by pairs of rows.
func tileSplit(pairOrder Mem, count int) {
	name := fmt.Sprintf("tilesplit%d", count)
	TEXT(name, NOSPLIT, "func(dst *uint16, src *float32, lanes, k int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s splits a panel of k > 0 rows of lanes numbers, a multiple of 16, into %d bfloat16 parts. Groups of 32 rows, the last", name, count),
		"filled up with zeros, lie one behind the other, in a group one part behind the other, and in a part pairs of rows: number l of",
		"one is followed by number l of the next. It needs AVX512_BF16 and AVX512BW.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	lanes := Load(Param("lanes"), GP64())
	k := Load(Param("k"), GP64())
	even, odd, both, order, high, part := reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5
	VMOVDQU32(pairOrder, order)
	VPTERNLOGD(U8(0xff), high, high, high)
	VPSLLD(Imm(16), high, high)
	maskEven, maskOdd := K(), K() // of rows that are there
	KXNORW(maskEven, maskEven, maskEven)
	KXNORW(maskOdd, maskOdd, maskOdd)
	row, size := GP64(), GP64() // of a row, and of a part of a group, in bytes
	MOVQ(lanes, row)
	SHLQ(Imm(2), row)
	MOVQ(lanes, size)
	SHLQ(Imm(6), size)
	Label("group")
	pairs := GP64()
	MOVQ(U32(tileGroup/2), pairs)
	Label("pair")
	CMPQ(k, Imm(2))
	JGE(LabelRef("there"))
	KXORW(maskOdd, maskOdd, maskOdd)
	CMPQ(k, Imm(1))
	JGE(LabelRef("there"))
	KXORW(maskEven, maskEven, maskEven)
	Label("there")
	left := GP64()
	MOVQ(row, left)
	Label("lanes")
	VMOVUPS_Z(Mem{Base: src}, maskEven, even)
	VMOVUPS_Z(Mem{Base: src, Index: row, Scale: 1}, maskOdd, odd)
	for p := range count {
		bf16(0x72, 0xf2, both, odd, even)
		VPERMW(both, order, both)
		to := Mem{Base: dst}
		if p > 0 {
			to = to.Idx(size, uint8(p))
		}
		VMOVDQU32(both, to)
		if p < count-1 {
			VPSLLD(Imm(16), both, part)
			VSUBPS(part, even, even)
			VPANDD(high, both, part)
			VSUBPS(part, odd, odd)
		}
	}
	ADDQ(Imm(64), src)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(64), left)
	JNZ(LabelRef("lanes"))
	ADDQ(row, src)
	SUBQ(Imm(2), k)
	DECQ(pairs)
	JNZ(LabelRef("pair"))
	for range count - 1 {
		ADDQ(size, dst)
	}
	TESTQ(k, k)
	JG(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// tileTurn writes the transposition of tiles of 16×16 pairs.
func tileTurn() {
	TEXT("tileturn", NOSPLIT, "func(panel *uint16, lanes, parts int)")
	Pragma("noescape")
	Doc(
		"tileturn transposes, in place, each square of 16 pairs of rows by 16 numbers in parts > 0 parts of groups of a panel of lanes",
		"numbers, 16 or 32, as tilesplit lays them: after that 32 rows of a number lie one behind the other. It needs AVX-512F.",
	)
	panel := Load(Param("panel"), GP64())
	lanes := Load(Param("lanes"), GP64())
	parts := Load(Param("parts"), GP64())
	row, rest := GP64(), GP64() // of pairs, in bytes; from behind a part's first rows of squares to the next part
	MOVQ(lanes, row)
	SHLQ(Imm(2), row)
	MOVQ(row, rest)
	SHLQ(Imm(4), rest)
	SUBQ(row, rest)
	Label("part")
	left := GP64()
	MOVQ(row, left)
	Label("square")
	p := GP64()
	MOVQ(panel, p)
	for i := range 16 {
		VMOVDQU32(Mem{Base: p}, zmms[i])
		ADDQ(row, p)
	}
	transpose16()
	MOVQ(panel, p)
	for i := range 16 {
		VMOVDQU32(zmms[i], Mem{Base: p})
		ADDQ(row, p)
	}
	ADDQ(Imm(64), panel)
	SUBQ(Imm(64), left)
	JNZ(LabelRef("square"))
	ADDQ(rest, panel)
	DECQ(parts)
	JNZ(LabelRef("part"))
	VZEROUPPER()
	RET()
}

var (
	zmms = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
		reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
		reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	ymms = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10,
		reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
)

// transpose16 transposes the square of 16×16 elements of 32 bits in Z0 to Z15. It uses the other registers.
func transpose16() {
	// In each quarter of the vectors 4×4 pairs of four rows, then quarters.
	for i := 0; i < 16; i += 4 {
		VPUNPCKLDQ(zmms[i+1], zmms[i], zmms[16+i])
		VPUNPCKHDQ(zmms[i+1], zmms[i], zmms[17+i])
		VPUNPCKLDQ(zmms[i+3], zmms[i+2], zmms[18+i])
		VPUNPCKHDQ(zmms[i+3], zmms[i+2], zmms[19+i])
	}
	for i := 0; i < 16; i += 4 { // zmms[i+j] has the columns j, j+4, j+8 and j+12 of the rows i to i+3
		VPUNPCKLQDQ(zmms[18+i], zmms[16+i], zmms[i])
		VPUNPCKHQDQ(zmms[18+i], zmms[16+i], zmms[i+1])
		VPUNPCKLQDQ(zmms[19+i], zmms[17+i], zmms[i+2])
		VPUNPCKHQDQ(zmms[19+i], zmms[17+i], zmms[i+3])
	}
	for j := range 4 { // the columns j and j+8 of eight rows, then j+4 and j+12
		VSHUFI32X4(U8(0x88), zmms[4+j], zmms[j], zmms[16+j])
		VSHUFI32X4(U8(0xdd), zmms[4+j], zmms[j], zmms[20+j])
		VSHUFI32X4(U8(0x88), zmms[12+j], zmms[8+j], zmms[24+j])
		VSHUFI32X4(U8(0xdd), zmms[12+j], zmms[8+j], zmms[28+j])
	}
	for j := range 4 {
		VSHUFI32X4(U8(0x88), zmms[24+j], zmms[16+j], zmms[j])
		VSHUFI32X4(U8(0xdd), zmms[24+j], zmms[16+j], zmms[8+j])
		VSHUFI32X4(U8(0x88), zmms[28+j], zmms[20+j], zmms[4+j])
		VSHUFI32X4(U8(0xdd), zmms[28+j], zmms[20+j], zmms[12+j])
	}
}
