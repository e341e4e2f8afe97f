package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// half writes the conversions between float32 and types of half precision, for n > 0
// blocks of sixteen elements.
func half() {
	for _, bits := range []int{512, 256} {
		needs := map[int]string{512: "AVX-512F", 256: "AVX2"}[bits]
		conversion("widenBF16", bits, "func(dst *float32, src *uint16, n int)", "bfloat16 to float32", needs, 64, 32, widenBF16)
		conversion("narrowBF16", bits, "func(dst *uint16, src *float32, n int)", "float32 to bfloat16, rounded to nearest even", needs, 32, 64, narrowBF16)
		if bits == 256 {
			needs += " and F16C"
		}
		conversion("widenF16", bits, "func(dst *float32, src *uint16, n int)", "float16 to float32", needs, 64, 32, widenF16)
		conversion("narrowF16", bits, "func(dst *uint16, src *float32, n int)", "float32 to float16, rounded to nearest even", needs, 32, 64, narrowF16)
	}
}

// conversion writes the loop over blocks, which take to bytes in dst and from bytes in src.
func conversion(name string, bits int, signature, what, needs string, to, from int, block func(bits int, dst, src Mem)) {
	name = fmt.Sprintf("%s%d", name, bits)
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s converts n > 0 blocks of sixteen elements from %s. It needs %s.", name, what, needs))
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	Label("block")
	const far = 4096 // a loop that only moves numbers waits for memory, for what it writes too
	PREFETCHT0(Mem{Base: src, Disp: far})
	PREFETCHT0(Mem{Base: dst, Disp: far})
	block(bits, Mem{Base: dst}, Mem{Base: src})
	ADDQ(Imm(uint64(to)), dst)
	ADDQ(Imm(uint64(from)), src)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

func widenBF16(bits int, dst, src Mem) {
	if bits == 512 {
		v := ZMM()
		VPMOVZXWD(src, v)
		VPSLLD(Imm(16), v, v)
		VMOVDQU32(v, dst)
		return
	}
	for i := range 2 {
		v := YMM()
		VPMOVZXWD(src.Offset(16*i), v)
		VPSLLD(Imm(16), v, v)
		VMOVDQU(v, dst.Offset(32*i))
	}
}

func narrowBF16(bits int, dst, src Mem) {
	if bits == 512 {
		u := ZMM()
		VMOVDQU32(src, u)
		VPMOVDW(wordsBF16(u), dst)
		return
	}
	var halves [2]reg.VecVirtual
	for i := range halves {
		u := YMM()
		VMOVDQU(src.Offset(32*i), u)
		halves[i] = roundBF16(u)
	}
	both := YMM()
	VPACKUSDW(halves[1], halves[0], both)
	VPERMQ(Imm(0xd8), both, both)
	VMOVDQU(both, dst)
}

// wordsBF16 returns the sixteen elements of u as bfloat16 in the lower halves of words.
func wordsBF16(u reg.VecVirtual) reg.VecVirtual {
	even, bias, quiet := word("halfEven", 1), word("halfBias", 0x7fff), word("halfQuiet", 0x40)
	up, r, nan := ZMM(), ZMM(), K()
	VPSRLD(Imm(16), u, up)
	VPANDD_BCST(even, up, r)
	VPADDD_BCST(bias, r, r)
	VPADDD(u, r, r)
	VPSRLD(Imm(16), r, r)
	VCMPPS(Imm(unordered), u, u, nan)
	VPORD_BCST(quiet, up, nan, r)
	return r
}

// roundBF16 returns the eight elements of u as bfloat16 in the lower halves of words.
func roundBF16(u reg.VecVirtual) reg.VecVirtual {
	up, r, nan, t := YMM(), YMM(), YMM(), YMM()
	VPSRLD(Imm(16), u, up)
	VPBROADCASTD(word("halfEven", 1), t)
	VPAND(t, up, r)
	VPBROADCASTD(word("halfBias", 0x7fff), t)
	VPADDD(t, r, r)
	VPADDD(u, r, r)
	VPSRLD(Imm(16), r, r)
	VCMPPS(Imm(3), u, u, nan) // unordered
	VPBROADCASTD(word("halfQuiet", 0x40), t)
	VPOR(t, up, up)
	VPBLENDVB(nan, up, r, r)
	return r
}

func widenF16(bits int, dst, src Mem) {
	if bits == 512 {
		v := ZMM()
		VCVTPH2PS(src, v)
		VMOVUPS(v, dst)
		return
	}
	for i := range 2 {
		v := YMM()
		VCVTPH2PS(src.Offset(16*i), v)
		VMOVUPS(v, dst.Offset(32*i))
	}
}

func narrowF16(bits int, dst, src Mem) {
	if bits == 512 {
		v := ZMM()
		VMOVUPS(src, v)
		VCVTPS2PH(Imm(0), v, dst)
		return
	}
	for i := range 2 {
		v := YMM()
		VMOVUPS(src.Offset(32*i), v)
		VCVTPS2PH(Imm(0), v, dst.Offset(16*i))
	}
}

// words are the numbers in memory that vectors are filled with.
var words = map[string]Mem{}

func word(name string, v uint32) Mem {
	m, ok := words[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		DATA(0, U32(v))
		words[name] = m
	}
	return m
}
