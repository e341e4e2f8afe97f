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
