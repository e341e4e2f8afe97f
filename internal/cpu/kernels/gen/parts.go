package main

import (
	"encoding/binary"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// parts writes what multiplies float32 numbers split into bfloat16 numbers.
func parts() {
	for _, mr := range []int{14, 8} {
		gemm512("bfgemm", mr, false, "uint16", "AVX512_BF16", "pairs of bfloat16 numbers", func(b, a, sum reg.VecPhysical) { bf16(0x52, 0xf3, sum, a, b) })
	}
	pairs()
}

// bf16 writes an instruction of AVX512_BF16 for three 512-bit registers, which neither avo nor Go's
// assembler knows, as its bytes: first is the register that is written, and prefix 0xf2 or 0xf3.
//
//	VDPBF16PS      first, second, third   opcode 0x52, prefix 0xf3: first += second·third, by pairs
//	VCVTNE2PS2BF16 first, second, third   opcode 0x72, prefix 0xf2: the roundings of third and, behind them, of second
func bf16(opcode, prefix byte, first, second, third reg.VecPhysical) {
	r, v, m := byte(first.PhysicalIndex()), byte(second.PhysicalIndex()), byte(third.PhysicalIndex())
	not := func(register byte, bit uint) byte { return ^register >> bit & 1 }
	code := []byte{
		0x62, // EVEX
		not(r, 3)<<7 | not(m, 4)<<6 | not(m, 3)<<5 | not(r, 4)<<4 | 2, // the map 0F38
		^v&15<<3 | 4 | map[byte]byte{0xf3: 2, 0xf2: 3}[prefix],
		2<<5 | not(v, 4)<<3, // 512 bits
		opcode,
		3<<6 | r&7<<3 | m&7,
	}
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(code))}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code[4:]))}})
}

// alternate writes the order of words in which the first half of a vector alternates with the second.
func alternate(name string) Mem {
	order := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)|uint32(16+i)<<16))
	}
	return order
}

// pairs writes the rounding of a panel, by pairs of rows.
func pairs() {
	order := alternate("pairs16")
	TEXT("bfpairs", NOSPLIT, "func(dst *uint16, src *float32, lanes, k int)")
	Pragma("noescape")
	Doc(
		"bfpairs rounds a panel of k > 0 rows of lanes > 0 elements to bfloat16: dst[(i·lanes + l)·2 + j] is src[(2·i + j)·lanes + l],",
		"for j < 2, and 0 behind the last row. It needs AVX512_BF16 and AVX512BW.",
	)
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	lanes := Load(Param("lanes"), GP64())
	rows := Load(Param("k"), GP64())
	even, odd, both, perm := reg.Z0, reg.Z1, reg.Z2, reg.Z3
	VMOVDQU32(order, perm)
	stride := GP64()
	MOVQ(lanes, stride)
	SHLQ(Imm(2), stride)
	Label("group")
	// Lanes behind the last are masked out.
	ones, shift, mask := GP32(), reg.RCX, K()
	MOVQ(lanes, shift)
	CMPQ(shift, Imm(16))
	JLE(LabelRef("few"))
	MOVQ(U32(16), shift)
	Label("few")
	MOVL(U32(1), ones)
	SHLL(reg.CL, ones)
	DECL(ones)
	KMOVW(ones, mask)
	to, from, k := GP64(), GP64(), GP64()
	MOVQ(dst, to)
	MOVQ(src, from)
	MOVQ(rows, k)
	round := func() {
		bf16(0x72, 0xf2, both, odd, even)
		VPERMW(both, perm, both)
		VMOVDQU32(both, mask, Mem{Base: to})
	}
	SUBQ(Imm(2), k)
	JLT(LabelRef("last"))
	Label("pair")
	VMOVUPS_Z(Mem{Base: from}, mask, even)
	VMOVUPS_Z(Mem{Base: from, Index: stride, Scale: 1}, mask, odd)
	LEAQ(Mem{Base: from, Index: stride, Scale: 2}, from)
	round()
	ADDQ(stride, to)
	SUBQ(Imm(2), k)
	JGE(LabelRef("pair"))
	Label("last")
	ADDQ(Imm(1), k)
	JLT(LabelRef("next"))
	VMOVUPS_Z(Mem{Base: from}, mask, even)
	VPXORD(odd, odd, odd)
	round()
	Label("next")
	ADDQ(Imm(64), dst)
	ADDQ(Imm(64), src)
	SUBQ(Imm(16), lanes)
	JG(LabelRef("group"))
	VZEROUPPER()
	RET()
}
