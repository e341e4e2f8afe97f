package main

import (
	"fmt"
	"go/types"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels that pass over memory. One program makes each of them for AVX-512
// and for AVX2, and some of them for arrays of bfloat16. They round where the Go
// loops do, so products are not fused with sums, except in the sums in float64.

// isa is what a kernel is made for.
type isa struct {
	wide  bool // AVX-512F, otherwise AVX2 and FMA
	lanes int  // float32 elements of a register
	brief bool // arrays are of bfloat16, which registers hold as float32; wide ones only
}

var isas = []isa{{wide: true, lanes: 16}, {lanes: 8}}

// log2size is the logarithm of an element's bytes in memory.
func (v isa) log2size() uint64 {
	if v.brief {
		return 1
	}
	return 2
}

func (v isa) size() int { return 1 << v.log2size() }

// vector writes all of these kernels.
func vector() {
	vectorConstants()
	expTable = GLOBL("expTable", attr.RODATA|attr.NOPTR)
	for i, f := range expNumbers {
		for j := range 8 {
			DATA(32*i+4*j, U32(math.Float32bits(f)))
		}
	}
	for _, v := range isas {
		v.storages()
		v.sum("sum", false)
		v.sum("sumSquares", true)
		v.rowSums()
		v.addWide()
		v.binary("sub", VSUBPS)
		v.binary("mul", VMULPS)
		v.binary("div", VDIVPS)
		v.sqrt("sqrt", VSQRTPS)
		v.binary("add64x", VADDPD)
		v.binary("sub64x", VSUBPD)
		v.binary("mul64x", VMULPD)
		v.binary("div64x", VDIVPD)
		v.sqrt("sqrt64x", VSQRTPD)
		v.adam()
		v.sgd()
		v.maxPool3()
		v.maxPoolGrad3()
		v.max()
		v.exp(true)
		v.exp(false)
		v.expScaled()
		v.softmaxGrad()
		v.logSoftmaxGrad()
	}
	isa{wide: true, lanes: 16, brief: true}.storages()
}

// storages writes the kernels that there are for arrays of bfloat16 too.
func (v isa) storages() {
	v.sumsAbout()
	v.sumAndDot(false)
	v.sumAndDot(true)
	v.normalize(false)
	v.normalize(true)
	v.normalizeGrad(false)
	v.normalizeGrad(true)
	v.relu()
	v.reluGrad()
	v.binary("add", VADDPS)
	v.maxPool()
	v.maxPoolGrad()
}

// vectorConstants writes what the kernels load.
func vectorConstants() {
	ones = GLOBL("ones", attr.RODATA|attr.NOPTR)
	for i := range 32 {
		DATA(4*i, U32(uint32([]int64{1<<32 - 1, 0}[i/16])))
	}
	for i, name := range []string{"outOfPairs", "intoPairs"} {
		pairOrder[i] = GLOBL(name, attr.RODATA|attr.NOPTR)
		for j, q := range [][]int{{0, 2, 4, 6, 1, 3, 5, 7}, {0, 4, 1, 5, 2, 6, 3, 7}}[i] {
			DATA(8*j, U64(q))
		}
	}
	for i, name := range []string{"evenColumns", "oddColumns", "lowColumns", "highColumns"} {
		thirdOrder[i] = GLOBL(name, attr.RODATA|attr.NOPTR)
		for j := range 16 {
			lane := 2*j + i
			if i >= 2 {
				lane = (i-2)*8 + j/2 + j%2*16
			}
			DATA(4*j, U32(uint32(lane)))
		}
	}
}

var (
	ones      Mem    // sixteen words of ones, sixteen of zeros: masks of any length
	pairOrder [2]Mem // see fix
	// thirdOrder is the lanes of even columns, of odd ones, and of the two registers that they came from.
	thirdOrder [4]Mem
	expTable   Mem // expNumbers, each for eight lanes
)

// text begins a kernel.
func (v isa) text(name, signature string, doc ...string) {
	needs := "AVX2 and FMA"
	suffix := "256"
	if v.wide {
		needs, suffix = "AVX-512F", "512"
	}
	doc = append([]string{}, doc...)
	if v.brief {
		suffix = "BF16" + suffix
		signature = strings.ReplaceAll(signature, "*float32", "*uint16")
		doc = append(doc, "Arrays are of bfloat16, which is rounded to nearest even.")
	}
	TEXT(name+suffix, NOSPLIT, signature)
	Pragma("noescape")
	doc[0] = name + suffix + " " + doc[0]
	doc[len(doc)-1] += " It needs " + needs + "."
	Doc(doc...)
}

func (v isa) reg() reg.VecVirtual {
	if v.wide {
		return ZMM()
	}
	return YMM()
}

func (v isa) zero() reg.VecVirtual {
	z := v.reg()
	v.clear(z)
	return z
}

func (v isa) clear(z reg.VecVirtual) {
	if v.wide {
		VPXORQ(z, z, z)
	} else {
		VXORPS(z, z, z)
	}
}

// all returns a register with the parameter in all lanes.
func (v isa) all(param string) reg.VecVirtual {
	a, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.reg()
	if a.Type.Kind() == types.Float64 {
		VBROADCASTSD(a.Addr, r)
	} else {
		VBROADCASTSS(a.Addr, r)
	}
	return r
}

// arg loads a parameter of 64 bits.
func arg(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// mask is the lanes that take part in a register's work: a k register with
// AVX-512, else all bits of each lane in a vector register. nil means all lanes.
type mask any

// lanesOf returns the mask of the first n lanes, n < 2·width, of width floats
// from lane from on; the words of n are destroyed with AVX-512.
func (v isa) lanesOf(n reg.GPVirtual, from, width int) mask {
	if v.wide {
		bits, count := GP64(), GP64()
		MOVQ(U32(1), bits)
		MOVQ(n, count)
		shift(bits, count)
		DECQ(bits)
		if from > 0 {
			SHRQ(Imm(uint64(from)), bits)
		}
		k := K()
		KMOVW(bits.As32(), k)
		return k
	}
	at := GP64()
	p := Mem{Base: at}
	LEAQ(ones.Offset(64+4*from), at)
	back := GP64()
	MOVQ(n, back)
	SHLQ(Imm(2), back)
	SUBQ(back, at)
	if width == 4 {
		x := XMM()
		VMOVUPS(p, x)
		return x
	}
	y := YMM()
	VMOVUPS(p, y)
	return y
}

// shift shifts x left by n, which must be in CL.
func shift(x, n reg.GPVirtual) {
	MOVQ(n, reg.RCX)
	SHLQ(reg.CL, x)
}

func (v isa) load(p Mem, m mask, r reg.VecVirtual) {
	if !v.brief {
		v.loadBits(p, m, r)
		return
	}
	if m == nil {
		VPMOVZXWD(p, r)
	} else {
		VPMOVZXWD_Z(p, m.(reg.Register), r)
	}
	VPSLLD(Imm(16), r, r)
}

// loadBits loads what is there, in words of 32 bits.
func (v isa) loadBits(p Mem, m mask, r reg.VecVirtual) {
	switch {
	case m == nil:
		VMOVUPS(p, r)
	case v.wide:
		VMOVUPS_Z(p, m.(reg.Register), r)
	default:
		VMASKMOVPS(p, m.(reg.Register), r)
	}
}

func (v isa) store(r reg.VecVirtual, p Mem, m mask) {
	if !v.brief {
		v.storeBits(r, p, m)
		return
	}
	r = wordsBF16(r)
	if m == nil {
		VPMOVDW(r, p)
	} else {
		VPMOVDW(r, m.(reg.Register), p)
	}
}

// storeBits stores words of 32 bits.
func (v isa) storeBits(r reg.VecVirtual, p Mem, m mask) {
	switch {
	case m == nil:
		VMOVUPS(r, p)
	case v.wide:
		VMOVUPS(r, m.(reg.Register), p)
	default:
		VMASKMOVPS(r, m.(reg.Register), p)
	}
}

// stream is a loop over n elements of several arrays: body(i, m) works on the
// registers of elements i·lanes further on; m is the mask of the last ones.
type stream struct {
	label  string
	lanes  int
	size   int // bytes of an element
	unroll int
	at     reg.GPVirtual // offset in bytes from the arrays' beginnings
	n      reg.GPVirtual // elements; stays
	rest   reg.GPVirtual // n modulo lanes, which m masks
	m      mask
}

// stream readies a loop.
func (v isa) stream(label string, n reg.GPVirtual, lanes, unroll int) *stream {
	s := &stream{label: label, lanes: lanes, size: v.size(), unroll: unroll, at: GP64(), n: n, rest: GP64()}
	MOVQ(n, s.rest)
	ANDQ(Imm(uint64(lanes-1)), s.rest)
	s.m = v.lanesOf(s.rest, 0, lanes)
	return s
}

// mem is where an array's elements of register i are.
func (s *stream) mem(base reg.Register, i int) Mem {
	return Mem{Base: base, Index: s.at, Scale: 1, Disp: s.size * s.lanes * i}
}

func (s *stream) run(body func(i int, m mask)) {
	s.runTogether(func(count int, m mask) {
		for i := range count {
			body(i, m)
		}
	})
}

// runTogether is run for a body that works on count registers at once.
func (s *stream) runTogether(body func(count int, m mask)) {
	left := GP64()
	MOVQ(s.n, left)
	XORQ(s.at, s.at)
	wide := s.lanes * s.unroll
	if s.unroll > 1 {
		SUBQ(Imm(uint64(wide)), left)
		JLT(LabelRef(s.label + "_single"))
		Label(s.label + "_wide")
		body(s.unroll, nil)
		ADDQ(U32(s.size*wide), s.at)
		SUBQ(Imm(uint64(wide)), left)
		JGE(LabelRef(s.label + "_wide"))
		Label(s.label + "_single")
		ADDQ(Imm(uint64(wide)), left)
	}
	SUBQ(Imm(uint64(s.lanes)), left)
	JLT(LabelRef(s.label + "_rest"))
	Label(s.label + "_one")
	body(1, nil)
	ADDQ(Imm(uint64(s.size*s.lanes)), s.at)
	SUBQ(Imm(uint64(s.lanes)), left)
	JGE(LabelRef(s.label + "_one"))
	Label(s.label + "_rest")
	TESTQ(s.rest, s.rest)
	JZ(LabelRef(s.label + "_end"))
	body(1, s.m)
	Label(s.label + "_end")
}

// eachRow repeats body for rows, stride elements apart, of the arrays. far is how many bytes further on lies what is to be
// asked for ahead, which will be read one or two kilobytes later: the next row or, of short ones, the second or the fourth;
// of long ones what follows in the row, since of two rows a cache would lose the second.
func (v isa) eachRow(arrays []reg.GPVirtual, body func(far reg.GPVirtual)) {
	rows, stride := arg("rows"), arg("stride")
	SHLQ(Imm(v.log2size()), stride)
	far, bytes := GP64(), GP64()
	MOVQ(stride, far)
	MOVQ(arg("n"), bytes)
	SHLQ(Imm(v.log2size()), bytes)
	CMPQ(bytes, U32(4096))
	JLE(LabelRef("near"))
	MOVQ(U32(2048), far)
	Label("near")
	for i := range 2 {
		label := fmt.Sprintf("short%d", i)
		CMPQ(bytes, U32(1024))
		JGE(LabelRef(label))
		SHLQ(Imm(1), far)
		SHLQ(Imm(1), bytes)
		Label(label)
	}
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	body(far)
	for _, a := range arrays {
		ADDQ(stride, a)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
}

// ahead asks for what register i will be far on.
func (s *stream) ahead(i int, far reg.GPVirtual, arrays ...reg.GPVirtual) {
	const line = 64
	if i*s.size*s.lanes%line != 0 {
		return
	}
	at := GP64()
	LEAQ(Mem{Base: s.at, Index: far, Scale: 1, Disp: i * s.size * s.lanes}, at)
	for _, a := range arrays {
		PREFETCHT0(Mem{Base: a, Index: at, Scale: 1})
	}
}

// doubles is half as many lanes: those of float64.
func (v isa) doubles() int { return v.lanes / 2 }

// float64s loads as many floats as fit a register of float64; floats first gets
// them as they are, and may change them.
func (v isa) float64s(p Mem, m mask, floats func(f reg.VecVirtual)) reg.VecVirtual {
	d := v.reg()
	if m == nil && floats == nil && !v.brief {
		VCVTPS2PD(p, d)
		return d
	}
	f := v.floatsOf(p, m)
	if floats != nil {
		floats(f)
	}
	VCVTPS2PD(v.half(f), d)
	return d
}

// half is the part of a register that floatsOf fills.
func (v isa) half(f reg.VecVirtual) reg.Register {
	if v.wide {
		return f.AsY()
	}
	return f.AsX()
}

// floatsOf loads as many floats as fit a register of float64.
func (v isa) floatsOf(p Mem, m mask) reg.VecVirtual {
	f := v.reg()
	switch {
	case v.brief && m == nil:
		VPMOVZXWD(p, v.half(f))
		VPSLLD(Imm(16), v.half(f), v.half(f))
	case v.brief:
		v.load(p, m, f)
	case m == nil:
		VMOVUPS(p, v.half(f))
	case v.wide:
		VMOVUPS_Z(p, m.(reg.Register), f)
	default:
		VMASKMOVPS(p, m.(reg.Register), f.AsX())
	}
	return f
}

// fold adds all lanes of all registers into the result.
func (v isa) fold(s []reg.VecVirtual, result string) { Store(v.folded(s), Return(result)) }

// folded adds all lanes of all registers.
func (v isa) folded(s []reg.VecVirtual) reg.Register {
	for n := len(s) / 2; n > 0; n /= 2 {
		for i := range n {
			VADDPD(s[i+n], s[i], s[i])
		}
	}
	y := s[0].AsY()
	if v.wide {
		h := YMM()
		VEXTRACTF64X4(Imm(1), s[0], h)
		VADDPD(h, y, y)
	}
	h := XMM()
	VEXTRACTF128(Imm(1), y, h)
	x := s[0].AsX()
	VADDPD(h, x, x)
	VUNPCKHPD(x, x, h)
	VADDSD(h, x, x)
	return x
}

// sums returns registers of zeros to sum in.
func (v isa) sums(n int) []reg.VecVirtual {
	s := make([]reg.VecVirtual, n)
	for i := range s {
		s[i] = v.zero()
	}
	return s
}

func (v isa) sumsAbout() {
	v.text("sumsAbout", "func(x *float32, rows, stride, n int, near float64) (sum, squares float64)",
		"returns Σ (x-near) and Σ (x-near)² over rows of n elements, stride apart.")
	x, n := arg("x"), arg("n")
	near := v.all("near")
	const unroll = 4
	sum, squares := v.sums(unroll), v.sums(unroll)
	s := v.stream("e", n, v.doubles(), unroll)
	v.eachRow([]reg.GPVirtual{x}, func(far reg.GPVirtual) {
		s.run(func(i int, m mask) {
			s.ahead(i, far, x)
			d := v.float64s(s.mem(x, i), m, nil)
			switch {
			case m == nil:
				VSUBPD(near, d, d)
			case v.wide:
				VSUBPD_Z(near, d, m.(reg.Register), d)
			default:
				VSUBPD(near, d, d)
				wide := YMM()
				VPMOVSXDQ(m.(reg.Register), wide)
				VANDPD(wide, d, d)
			}
			VADDPD(d, sum[i], sum[i])
			VFMADD231PD(d, d, squares[i])
		})
	})
	v.fold(sum, "sum")
	v.fold(squares, "squares")
	VZEROUPPER()
	RET()
}

// The predicates of VCMPPS.
const (
	equal        = 0 // and ordered
	unordered    = 3 // one is NaN
	notEqual     = 4 // or unordered
	notLessEqual = 6 // or unordered
)

func (v isa) sumAndDot(relu bool) {
	name, signature := "sumAndDot", "func(dy, x *float32, rows, stride, n int, mean float64) (sum, dot float64)"
	doc := "returns Σ dy and Σ dy·(x-mean) over rows of n elements, stride apart."
	if relu {
		name, signature = "sumAndDotReLU", "func(dy, x, y *float32, rows, stride, n int, mean float64) (sum, dot float64)"
		doc = "is sumAndDot of dy where y is not 0."
	}
	v.text(name, signature, doc)
	dy, x, n := arg("dy"), arg("x"), arg("n")
	arrays := []reg.GPVirtual{dy, x}
	var y reg.GPVirtual
	var zero reg.VecVirtual
	if relu {
		y = arg("y")
		arrays = append(arrays, y)
		zero = v.zero()
	}
	mean := v.all("mean")
	const unroll = 4
	sum, dot := v.sums(unroll), v.sums(unroll)
	s := v.stream("e", n, v.doubles(), unroll)
	v.eachRow(arrays, func(far reg.GPVirtual) {
		s.run(func(i int, m mask) {
			s.ahead(i, far, arrays...)
			var pass func(reg.VecVirtual)
			if relu {
				pass = func(f reg.VecVirtual) {
					r := v.floatsOf(s.mem(y, i), m)
					VCMPPS(Imm(notEqual), v.half(zero), v.half(r), v.half(r))
					VANDPS(v.half(r), v.half(f), v.half(f))
				}
			}
			a := v.float64s(s.mem(dy, i), m, pass)
			b := v.float64s(s.mem(x, i), m, nil)
			VADDPD(a, sum[i], sum[i])
			VSUBPD(mean, b, b)
			VFMADD231PD(a, b, dot[i])
		})
	})
	v.fold(sum, "sum")
	v.fold(dot, "dot")
	VZEROUPPER()
	RET()
}

// positive replaces what is not positive by 0, but for NaN.
func (v isa) positive(r, zero reg.VecVirtual) {
	if v.wide {
		k := K()
		VCMPPS(Imm(notLessEqual), zero, r, k)
		VMOVAPS_Z(r, k, r)
		return
	}
	m := YMM()
	VCMPPS(Imm(notLessEqual), zero, r, m)
	VANDPS(m, r, r)
}

// where loads from p, but 0 where y is 0.
func (v isa) where(y reg.VecVirtual, zero reg.VecVirtual, p Mem, m mask, r reg.VecVirtual) {
	if v.wide {
		k := K()
		if m == nil {
			VCMPPS(Imm(notEqual), zero, y, k)
		} else {
			VCMPPS(Imm(notEqual), zero, y, m.(reg.Register), k)
		}
		v.load(p, k, r)
		return
	}
	pass := YMM()
	VCMPPS(Imm(notEqual), zero, y, pass)
	v.load(p, m, r)
	VANDPS(pass, r, r)
}

func (v isa) normalize(relu bool) {
	name, doc := "normalize", "computes dst = (x-mean)·scale + shift for rows of n elements, stride apart."
	if relu {
		name, doc = "normalizeReLU", "computes dst = max((x-mean)·scale + shift, 0) for rows of n elements, stride apart."
	}
	v.text(name, "func(dst, x *float32, rows, stride, n int, mean, scale, shift float32)", doc)
	dst, x, n := arg("dst"), arg("x"), arg("n")
	mean, scale, shift := v.all("mean"), v.all("scale"), v.all("shift")
	var zero reg.VecVirtual
	if relu {
		zero = v.zero()
	}
	s := v.stream("e", n, v.lanes, 4)
	v.eachRow([]reg.GPVirtual{dst, x}, func(far reg.GPVirtual) {
		s.run(func(i int, m mask) {
			s.ahead(i, far, dst)
			r := v.reg()
			v.load(s.mem(x, i), m, r)
			VSUBPS(mean, r, r)
			VMULPS(scale, r, r)
			VADDPS(shift, r, r)
			if relu {
				v.positive(r, zero)
			}
			v.store(r, s.mem(dst, i), m)
		})
	})
	VZEROUPPER()
	RET()
}

func (v isa) normalizeGrad(relu bool) {
	name, signature := "normalizeGrad", "func(dx, dy, x *float32, rows, stride, n int, mean, dyMean, slope, scale float32)"
	doc := "computes dx = (dy - dyMean - (x-mean)·slope)·scale for rows of n elements, stride apart."
	if relu {
		name, signature = "normalizeGradReLU", "func(dx, dy, x, y *float32, rows, stride, n int, mean, dyMean, slope, scale float32)"
		doc = "is normalizeGrad with 0 for dy where y is 0."
	}
	v.text(name, signature, doc)
	dx, dy, x, n := arg("dx"), arg("dy"), arg("x"), arg("n")
	arrays := []reg.GPVirtual{dx, dy, x}
	var y reg.GPVirtual
	var zero reg.VecVirtual
	if relu {
		y = arg("y")
		arrays = append(arrays, y)
		zero = v.zero()
	}
	mean, dyMean, slope, scale := v.all("mean"), v.all("dyMean"), v.all("slope"), v.all("scale")
	s := v.stream("e", n, v.lanes, 2)
	v.eachRow(arrays, func(far reg.GPVirtual) {
		s.run(func(i int, m mask) {
			s.ahead(i, far, dx)
			a, b := v.reg(), v.reg()
			if relu {
				r := v.reg()
				v.load(s.mem(y, i), m, r)
				v.where(r, zero, s.mem(dy, i), m, a)
			} else {
				v.load(s.mem(dy, i), m, a)
			}
			v.load(s.mem(x, i), m, b)
			VSUBPS(mean, b, b)
			VMULPS(slope, b, b)
			VSUBPS(dyMean, a, a)
			VSUBPS(b, a, a)
			VMULPS(scale, a, a)
			v.store(a, s.mem(dx, i), m)
		})
	})
	VZEROUPPER()
	RET()
}

func (v isa) sum(name string, square bool) {
	v.text(name, "func(x *float32, n int) (sum float64)",
		fmt.Sprintf("returns Σ %s over n elements.", map[bool]string{false: "x", true: "x²"}[square]))
	x, n := arg("x"), arg("n")
	const unroll = 4
	sum := v.sums(unroll)
	s := v.stream("e", n, v.doubles(), unroll)
	s.run(func(i int, m mask) {
		d := v.float64s(s.mem(x, i), m, nil)
		if square {
			VFMADD231PD(d, d, sum[i])
		} else {
			VADDPD(d, sum[i], sum[i])
		}
	})
	v.fold(sum, "sum")
	VZEROUPPER()
	RET()
}

// rowSums is sum for many rows: a call for each would take longer than a short
// row's additions.
func (v isa) rowSums() {
	v.text("rowSums", "func(dst *float64, x *float32, rows, n int)",
		"writes Σ x of each of rows rows of n elements to dst.")
	dst, x, n := arg("dst"), arg("x"), arg("n")
	rows := arg("rows")
	const unroll = 4
	sum := v.sums(unroll)
	s := v.stream("e", n, v.doubles(), unroll)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	for _, r := range sum {
		v.clear(r)
	}
	s.run(func(i int, m mask) {
		d := v.float64s(s.mem(x, i), m, nil)
		VADDPD(d, sum[i], sum[i])
	})
	VMOVSD(v.folded(sum), Mem{Base: dst})
	ADDQ(Imm(8), dst)
	LEAQ(Mem{Base: x, Index: n, Scale: 4}, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

// addWide is what sums of columns are made of, row by row.
func (v isa) addWide() {
	v.text("addWide", "func(dst *float64, x *float32, n int)", "adds n elements of x, n > 0, a multiple of 32, to those of dst.")
	dst, x, n := arg("dst"), arg("x"), arg("n")
	Label("loop")
	for i := 0; i < 32; i += v.doubles() {
		d, to := v.float64s(Mem{Base: x, Disp: 4 * i}, nil, nil), Mem{Base: dst, Disp: 8 * i}
		VADDPD(to, d, d)
		VMOVUPD(d, to)
	}
	ADDQ(Imm(128), x)
	ADDQ(U32(256), dst)
	SUBQ(Imm(32), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func (v isa) relu() {
	v.text("relu", "func(dst, x *float32, n int)", "computes dst = max(x, 0) for n elements.")
	dst, x, n := arg("dst"), arg("x"), arg("n")
	zero := v.zero()
	s := v.stream("e", n, v.lanes, 4)
	s.run(func(i int, m mask) {
		r := v.reg()
		v.load(s.mem(x, i), m, r)
		v.positive(r, zero)
		v.store(r, s.mem(dst, i), m)
	})
	VZEROUPPER()
	RET()
}

func (v isa) reluGrad() {
	v.text("reluGrad", "func(dx, dy, y *float32, n int)", "computes dx = dy where y is not 0, else 0, for n elements.")
	dx, dy, y, n := arg("dx"), arg("dy"), arg("y"), arg("n")
	zero := v.zero()
	s := v.stream("e", n, v.lanes, 4)
	s.run(func(i int, m mask) {
		a, r := v.reg(), v.reg()
		v.load(s.mem(y, i), m, r)
		v.where(r, zero, s.mem(dy, i), m, a)
		v.store(a, s.mem(dx, i), m)
	})
	VZEROUPPER()
	RET()
}

// binary is for arrays of float64 too, under names with 64: they are moved as twice as many float32.
func (v isa) binary(name string, op func(...Op)) {
	sign := map[string]string{"add": "+", "sub": "-", "mul": "·", "div": "/"}[strings.TrimSuffix(name, "64x")]
	v.text(name, "func(dst, a, b *"+elementOf(name)+", n int)", fmt.Sprintf("computes dst = a %s b for n elements.", sign))
	dst, a, b, n := arg("dst"), arg("a"), arg("b"), floatsIn(name)
	s := v.stream("e", n, v.lanes, 4)
	s.run(func(i int, m mask) {
		r, t := v.reg(), v.reg()
		v.load(s.mem(a, i), m, r)
		v.load(s.mem(b, i), m, t)
		op(t, r, r)
		v.store(r, s.mem(dst, i), m)
	})
	VZEROUPPER()
	RET()
}

func (v isa) sqrt(name string, op func(...Op)) {
	v.text(name, "func(dst, x *"+elementOf(name)+", n int)", "computes dst = √x for n elements.")
	dst, x, n := arg("dst"), arg("x"), floatsIn(name)
	s := v.stream("e", n, v.lanes, 4)
	s.run(func(i int, m mask) {
		r := v.reg()
		v.load(s.mem(x, i), m, r)
		op(r, r)
		v.store(r, s.mem(dst, i), m)
	})
	VZEROUPPER()
	RET()
}

// elementOf is the type of the elements of a kernel of this name.
func elementOf(name string) string {
	if strings.Contains(name, "64") {
		return "float64"
	}
	return "float32"
}

// floatsIn is how many float32 the argument n stands for.
func floatsIn(name string) reg.GPVirtual {
	n := arg("n")
	if strings.Contains(name, "64") {
		ADDQ(n, n)
	}
	return n
}

// numbers loads floats from the struct that p points at into all lanes of a
// register each.
func (v isa) numbers(n int) []reg.VecVirtual {
	p := arg("p")
	r := make([]reg.VecVirtual, n)
	for i := range r {
		r[i] = v.reg()
		VBROADCASTSS(Mem{Base: p, Disp: 4 * i}, r[i])
	}
	return r
}

func (v isa) adam() {
	v.text("adam", "func(w, dw, m, v *float32, n int, p *float32, decays bool)",
		"makes a step of Adam for n elements. p points at the first field of an adamNumbers; decays says that its decay",
		"is not 0.")
	w, g, first, second, n := arg("w"), arg("dw"), arg("m"), arg("v"), arg("n")
	decays := Load(Param("decays"), GP8())
	p := v.numbers(9)
	sign, decay, shrink, size, scale, eps, beta2, new1, new2 := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
	s := v.stream("e", n, v.lanes, 1)
	label := 0
	s.run(func(i int, m mask) {
		d, x, a, b := v.reg(), v.reg(), v.reg(), v.reg()
		v.load(s.mem(g, i), m, d)
		v.load(s.mem(w, i), m, x)
		VMULPS(sign, d, d)
		TESTB(decays, decays)
		skip := fmt.Sprintf("nodecay%d", label)
		label++
		JZ(LabelRef(skip))
		VMULPS(decay, x, a)
		VADDPS(a, d, d)
		Label(skip)
		v.load(s.mem(first, i), m, a)
		VSUBPS(a, d, b)
		VMULPS(new1, b, b)
		VADDPS(b, a, a) // the new first moment
		v.store(a, s.mem(first, i), m)
		v.load(s.mem(second, i), m, b)
		VMULPS(beta2, b, b)
		t := v.reg()
		VMULPS(new2, d, t)
		VMULPS(d, t, t)
		VADDPS(t, b, b) // the new second moment
		v.store(b, s.mem(second, i), m)
		VSQRTPS(b, b)
		VMULPS(scale, b, b)
		VADDPS(eps, b, b)
		VMULPS(size, a, a)
		VDIVPS(b, a, a)
		VMULPS(shrink, x, x)
		VSUBPS(a, x, x)
		v.store(x, s.mem(w, i), m)
	})
	VZEROUPPER()
	RET()
}

func (v isa) sgd() {
	v.text("sgd", "func(w, dw, m *float32, n int, p *float32, decays, nesterov bool)",
		"makes a step of SGD with momentum for n elements. p points at the first field of an sgdNumbers; decays says that its",
		"decay is not 0.")
	w, g, momentum, n := arg("w"), arg("dw"), arg("m"), arg("n")
	decays, nesterov := Load(Param("decays"), GP8()), Load(Param("nesterov"), GP8())
	p := v.numbers(5)
	sign, decay, lr, mu, keep := p[0], p[1], p[2], p[3], p[4]
	s := v.stream("e", n, v.lanes, 1)
	label := 0
	s.run(func(i int, m mask) {
		d, x, b, t := v.reg(), v.reg(), v.reg(), v.reg()
		v.load(s.mem(g, i), m, d)
		v.load(s.mem(w, i), m, x)
		VMULPS(sign, d, d)
		TESTB(decays, decays)
		JZ(LabelRef(fmt.Sprintf("nodecay%d", label)))
		VMULPS(decay, x, t)
		VADDPS(t, d, d)
		Label(fmt.Sprintf("nodecay%d", label))
		v.load(s.mem(momentum, i), m, b)
		VMULPS(mu, b, b)
		VMULPS(keep, d, t)
		VADDPS(t, b, b)
		v.store(b, s.mem(momentum, i), m)
		TESTB(nesterov, nesterov)
		JZ(LabelRef(fmt.Sprintf("plain%d", label)))
		VMULPS(mu, b, b)
		VADDPS(b, d, b)
		Label(fmt.Sprintf("plain%d", label))
		label++
		VMULPS(lr, b, b)
		VSUBPS(b, x, x)
		v.store(x, s.mem(w, i), m)
	})
	VZEROUPPER()
	RET()
}

// windows are the loops over the 2×2 windows of rows of pairs.
type windows struct {
	*stream
	lo, hi mask              // of the pairs of the last windows
	order  [2]reg.VecVirtual // see fix
	upper  reg.VecVirtual    // the upper half of each word, where a pair is one word
}

func (v isa) windows() *windows {
	w := &windows{stream: v.stream("e", arg("q"), v.lanes, 1)}
	if v.brief {
		w.upper = v.constantBits(0xffff0000)
		return w
	}
	two := GP64()
	LEAQ(Mem{Base: w.rest, Index: w.rest, Scale: 1}, two)
	w.lo, w.hi = v.lanesOf(two, 0, v.lanes), v.lanesOf(two, v.lanes, v.lanes)
	if v.wide {
		for i := range w.order {
			w.order[i] = ZMM()
			VMOVUPS(pairOrder[i], w.order[i])
		}
	}
	return w
}

// pairs is where register i of a row of pairs is.
func (w *windows) pairs(base reg.Register, i int) Mem {
	return Mem{Base: base, Index: w.at, Scale: 2, Disp: w.size * w.lanes * i}
}

// fix puts the windows, which splitting pairs leaves in another order, into
// their own (0), or into that order (1).
func (w *windows) fix(v isa, to int, r reg.VecVirtual) {
	switch {
	case v.brief: // the order is theirs
	case v.wide:
		VPERMPD(r, w.order[to], r)
	default:
		VPERMPD(Imm(0xd8), r, r)
	}
}

// split loads the windows' elements of one row, the left and the right ones, in
// the order that fix knows.
func (w *windows) split(v isa, row reg.Register, m mask) (left, right reg.VecVirtual) {
	a, b := v.reg(), v.reg()
	if v.brief {
		v.loadBits(w.pairs(row, 0), m, b)
		VPSLLD(Imm(16), b, a)
		VPANDD(w.upper, b, b)
		return a, b
	}
	lo, hi := mask(nil), mask(nil)
	if m != nil {
		lo, hi = w.lo, w.hi
	}
	v.load(w.pairs(row, 0), lo, a)
	v.load(w.pairs(row, 1), hi, b)
	left = v.reg()
	VSHUFPS(Imm(0x88), b, a, left)
	VSHUFPS(Imm(0xdd), b, a, a)
	return left, a
}

// join is split's inverse.
func (w *windows) join(v isa, left, right reg.VecVirtual, row reg.Register, m mask) {
	if v.brief { // lower halves are 0
		VPSRLD(Imm(16), left, left)
		VPORD(right, left, left)
		v.storeBits(left, w.pairs(row, 0), m)
		return
	}
	lo, hi := mask(nil), mask(nil)
	if m != nil {
		lo, hi = w.lo, w.hi
	}
	a := v.reg()
	VUNPCKLPS(right, left, a)
	VUNPCKHPS(right, left, left)
	v.store(a, w.pairs(row, 0), lo)
	v.store(left, w.pairs(row, 1), hi)
}

// greater computes r = max(r, x), NaN if one of them is.
func (v isa) greater(x, r reg.VecVirtual) {
	if v.wide {
		k := K()
		VCMPPS(Imm(unordered), x, r, k)
		t := v.reg()
		VMAXPS(x, r, t)
		VADDPS(x, r, k, t)
		VMOVAPS(t, r)
		return
	}
	m := YMM() // all ones is a NaN
	VCMPPS(Imm(unordered), x, r, m)
	VMAXPS(x, r, r)
	VORPS(m, r, r)
}

func (v isa) maxPool() {
	v.text("maxPool2x2", "func(dst, x *float32, rows, w, q int)",
		"takes the maxima of q 2×2 windows in each of rows pairs of x's rows, which are w elements long; dst's rows are q.")
	dst, x, width := arg("dst"), arg("x"), arg("w")
	w := v.windows()
	rows, stride := arg("rows"), arg("w")
	SHLQ(Imm(1+v.log2size()), stride)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	below := GP64()
	LEAQ(Mem{Base: x, Index: width, Scale: uint8(v.size())}, below)
	w.run(func(i int, m mask) {
		a, b := w.split(v, x, m)
		c, d := w.split(v, below, m)
		v.greater(b, a)
		v.greater(d, c)
		v.greater(c, a)
		w.fix(v, 0, a)
		v.store(a, w.mem(dst, i), m)
	})
	LEAQ(Mem{Base: dst, Index: w.n, Scale: uint8(v.size())}, dst)
	ADDQ(stride, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

func (v isa) maxPoolGrad() {
	v.text("maxPoolGrad2x2", "func(dx, dy, x, y *float32, rows, w, q int) (nan bool)",
		"gives dy to the first element of each window that is y, and 0 to the others; see maxPool2x2. It reports whether one",
		"of y is NaN; what it wrote is of no use then.")
	dx, dy, x, y, width := arg("dx"), arg("dy"), arg("x"), arg("y"), arg("w")
	w := v.windows()
	rows, stride := arg("rows"), arg("w")
	SHLQ(Imm(1+v.log2size()), stride)
	nan, bits := GP64(), GP64()
	XORQ(nan, nan)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	below, dbelow := GP64(), GP64()
	LEAQ(Mem{Base: x, Index: width, Scale: uint8(v.size())}, below)
	LEAQ(Mem{Base: dx, Index: width, Scale: uint8(v.size())}, dbelow)
	w.run(func(i int, m mask) {
		best, d := v.reg(), v.reg()
		v.load(w.mem(y, i), m, best)
		v.load(w.mem(dy, i), m, d)
		if v.wide {
			k := K()
			VCMPPS(Imm(unordered), best, best, k)
			KMOVW(k, bits.As32())
		} else {
			t := YMM()
			VCMPPS(Imm(unordered), best, best, t)
			VMOVMSKPS(t, bits.As32())
		}
		ORQ(bits, nan)
		if v.brief { // d is stored as it is
			quiet := K()
			VCMPPS(Imm(unordered), d, d, quiet)
			VPORD_BCST(word("wideQuiet", 0x400000), d, quiet, d)
		}
		w.fix(v, 1, best)
		w.fix(v, 1, d)
		for r := range 2 {
			from, to := x, dx
			if r == 1 {
				from, to = below, dbelow
			}
			a, b := w.split(v, from, m)
			if r == 0 {
				v.take(best, d, a)
				v.take(best, d, b)
			} else {
				v.take(best, d, a)
				VMOVAPS(d, b) // what is left is the last one's
			}
			w.join(v, a, b, to, m)
		}
	})
	LEAQ(Mem{Base: dy, Index: w.n, Scale: uint8(v.size())}, dy)
	LEAQ(Mem{Base: y, Index: w.n, Scale: uint8(v.size())}, y)
	ADDQ(stride, x)
	ADDQ(stride, dx)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	TESTQ(nan, nan)
	some := GP8()
	SETNE(some)
	Store(some, Return("nan"))
	VZEROUPPER()
	RET()
}

// take makes a what d holds where a is best, else 0, and takes it from d.
func (v isa) take(best, d, a reg.VecVirtual) {
	if v.wide {
		is, not := K(), K()
		VCMPPS(Imm(equal), best, a, is)
		VCMPPS(Imm(notEqual), best, a, not)
		VMOVAPS_Z(d, is, a)
		VMOVAPS_Z(d, not, d)
		return
	}
	VCMPPS(Imm(equal), best, a, a)
	t := YMM()
	VANDPS(d, a, t)
	VANDNPS(d, a, d)
	VMOVAPS(t, a)
}

// constant returns a register with f in all lanes.
func (v isa) constant(f float32) reg.VecVirtual { return v.constantBits(math.Float32bits(f)) }

func (v isa) constantBits(u uint32) reg.VecVirtual {
	bits := GP32()
	MOVL(U32(u), bits)
	x, r := XMM(), v.reg()
	VMOVD(bits, x)
	VBROADCASTSS(x, r)
	return r
}

// max returns the maximum.
func (v isa) max() {
	v.text("max", "func(x *float32, n int) (largest float32)", "returns the maximum of n elements, -Inf of none, NaN if one is NaN.")
	x, n := arg("x"), arg("n")
	lowest := v.constant(float32(math.Inf(-1)))
	const unroll = 4
	best := make([]reg.VecVirtual, unroll)
	for i := range best {
		best[i] = v.reg()
		VMOVAPS(lowest, best[i])
	}
	s := v.stream("e", n, v.lanes, unroll)
	s.run(func(i int, m mask) {
		r := v.reg()
		switch {
		case m == nil:
			VMOVUPS(s.mem(x, i), r)
		case v.wide:
			VMOVAPS(lowest, r)
			VMOVUPS(s.mem(x, i), m.(reg.Register), r)
		default:
			VMASKMOVPS(s.mem(x, i), m.(reg.Register), r)
			VBLENDVPS(m.(reg.Register), r, lowest, r)
		}
		v.greater(r, best[i])
	})
	for n := unroll / 2; n > 0; n /= 2 {
		for i := range n {
			v.greater(best[i+n], best[i])
		}
	}
	half := isa{lanes: 8}
	y, h := YMM(), YMM()
	VMOVAPS(best[0].AsY(), y)
	if v.wide {
		VEXTRACTF64X4(Imm(1), best[0], h)
		half.greater(h, y)
	}
	VPERM2F128(Imm(1), y, y, h)
	half.greater(h, y)
	for _, order := range []uint64{0x4e, 0xb1} {
		VPERMILPS(Imm(order), y, h)
		half.greater(h, y)
	}
	Store(y.AsX(), Return("largest"))
	VZEROUPPER()
	RET()
}

// exponential is what e to the power of x is made with; see plainExp, which
// rounds alike.
type exponential struct {
	lowest, highest                 reg.VecVirtual
	log2e, round, ln2, ln2rest, one Op
	poly                            []Op
}

// expNumbers are the numbers of an exponential from log2e on.
var expNumbers = []float32{1.44269504088896341, 12582912, 0.693359375, -2.12194440e-4, 1,
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

func (v isa) exponential() *exponential {
	var c []Op
	for i, f := range expNumbers {
		if v.wide {
			c = append(c, v.constant(f))
		} else { // the registers do not suffice
			c = append(c, expTable.Offset(32*i))
		}
	}
	return &exponential{v.constant(-104), v.constant(89), c[0], c[1], c[2], c[3], c[4], c[5:]}
}

// exponentials is how many registers of them are made at once, as many as there
// is room for: one waits for its own last step most of the time.
func (v isa) exponentials() int {
	if v.wide {
		return 4
	}
	return 2
}

// of replaces each x by its exponential.
func (e *exponential) of(v isa, x ...reg.VecVirtual) {
	t, p := make([]reg.VecVirtual, len(x)), make([]reg.VecVirtual, len(x))
	for i := range x {
		t[i], p[i] = v.reg(), v.reg()
	}
	n := t // round(x·log2e)
	each := func(step func(i int)) {
		for i := range x {
			step(i)
		}
	}
	each(func(i int) { VMINPS(x[i], e.highest, x[i]) }) // x if it is NaN
	each(func(i int) { VMAXPS(x[i], e.lowest, x[i]) })
	each(func(i int) { VMULPS(e.log2e, x[i], t[i]) })
	each(func(i int) { VADDPS(e.round, t[i], t[i]) })
	each(func(i int) { VSUBPS(e.round, t[i], n[i]) })
	for _, part := range []Op{e.ln2, e.ln2rest} {
		each(func(i int) { VMULPS(part, n[i], p[i]) })
		each(func(i int) { VSUBPS(p[i], x[i], x[i]) })
	}
	each(func(i int) { VMULPS(e.poly[0], x[i], p[i]) })
	for _, c := range e.poly[1:] {
		each(func(i int) { VADDPS(c, p[i], p[i]) })
		each(func(i int) { VMULPS(x[i], p[i], p[i]) })
	}
	each(func(i int) { VMULPS(x[i], p[i], p[i]) })
	each(func(i int) { VADDPS(x[i], p[i], p[i]) })
	each(func(i int) { VADDPS(e.one, p[i], p[i]) })
	if v.wide {
		each(func(i int) { VSCALEFPS(n[i], p[i], x[i]) })
		return
	}
	// Two powers of two, each a normal number.
	each(func(i int) { VCVTPS2DQ(n[i], t[i]) }) // exact
	each(func(i int) { VPSRAD(Imm(1), t[i], x[i]) })
	each(func(i int) { VPSUBD(x[i], t[i], t[i]) })
	for _, half := range [][]reg.VecVirtual{x, t} {
		each(func(i int) { VPSLLD(Imm(23), half[i], half[i]) })
		each(func(i int) { VPADDD(e.one, half[i], half[i]) })
		each(func(i int) { VMULPS(half[i], p[i], p[i]) })
	}
	each(func(i int) { VMOVAPS(p[i], x[i]) })
}

func (v isa) exp(store bool) {
	name, signature := "exp", "func(dst, x *float32, n int, shift float32) (sum float64)"
	doc := "computes dst = exp(x-shift) for n elements, and returns their sum."
	if !store {
		name, signature = "sumExp", "func(x *float32, n int, shift float32) (sum float64)"
		doc = "returns Σ exp(x-shift) over n elements."
	}
	v.text(name, signature, doc)
	x, n := arg("x"), arg("n")
	var dst reg.GPVirtual
	if store {
		dst = arg("dst")
	}
	shift := v.all("shift")
	e := v.exponential()
	next := GP64() // row: reading it would wait for memory otherwise, since what comes before exp computes little
	LEAQ(Mem{Base: x, Index: n, Scale: 4}, next)
	sum := v.sums(2)
	s := v.stream("e", n, v.lanes, v.exponentials())
	s.runTogether(func(count int, m mask) {
		r := make([]reg.VecVirtual, count)
		for i := range r {
			r[i] = v.reg()
			PREFETCHT0(s.mem(next, i))
			v.load(s.mem(x, i), m, r[i])
			VSUBPS(shift, r[i], r[i])
		}
		e.of(v, r...)
		for i, r := range r {
			if store {
				v.store(r, s.mem(dst, i), m)
			}
			switch {
			case m == nil:
			case v.wide:
				VMOVAPS_Z(r, m.(reg.Register), r)
			default:
				VANDPS(m.(reg.Register), r, r)
			}
			d := v.reg()
			VCVTPS2PD(v.half(r), d)
			VADDPD(d, sum[0], sum[0])
			if v.wide {
				VEXTRACTF64X4(Imm(1), r, r.AsY())
			} else {
				VEXTRACTF128(Imm(1), r, r.AsX())
			}
			VCVTPS2PD(v.half(r), d)
			VADDPD(d, sum[1], sum[1])
		}
	})
	v.fold(sum, "sum")
	VZEROUPPER()
	RET()
}

func (v isa) expScaled() {
	v.text("expScaled", "func(dst, x *float32, n int, shift, scale float32)", "computes dst = exp(x-shift)·scale for n elements.")
	dst, x, n := arg("dst"), arg("x"), arg("n")
	shift, scale := v.all("shift"), v.all("scale")
	e := v.exponential()
	s := v.stream("e", n, v.lanes, v.exponentials())
	s.runTogether(func(count int, m mask) {
		r := make([]reg.VecVirtual, count)
		for i := range r {
			r[i] = v.reg()
			v.load(s.mem(x, i), m, r[i])
			VSUBPS(shift, r[i], r[i])
		}
		e.of(v, r...)
		for i, r := range r {
			VMULPS(scale, r, r)
			v.store(r, s.mem(dst, i), m)
		}
	})
	VZEROUPPER()
	RET()
}

func (v isa) softmaxGrad() {
	v.text("softmaxGrad", "func(dx, dy, y *float32, n int, dot float32)", "computes dx = (dy-dot)·y for n elements.")
	dx, dy, y, n := arg("dx"), arg("dy"), arg("y"), arg("n")
	dot := v.all("dot")
	s := v.stream("e", n, v.lanes, 4)
	s.run(func(i int, m mask) {
		a, b := v.reg(), v.reg()
		v.load(s.mem(dy, i), m, a)
		v.load(s.mem(y, i), m, b)
		VSUBPS(dot, a, a)
		VMULPS(b, a, a)
		v.store(a, s.mem(dx, i), m)
	})
	VZEROUPPER()
	RET()
}

func (v isa) logSoftmaxGrad() {
	v.text("logSoftmaxGrad", "func(dx, dy, y *float32, n int, sum float32)", "computes dx = dy - exp(y)·sum for n elements.")
	dx, dy, y, n := arg("dx"), arg("dy"), arg("y"), arg("n")
	sum := v.all("sum")
	e := v.exponential()
	s := v.stream("e", n, v.lanes, v.exponentials())
	s.runTogether(func(count int, m mask) {
		r := make([]reg.VecVirtual, count)
		for i := range r {
			r[i] = v.reg()
			v.load(s.mem(y, i), m, r[i])
		}
		e.of(v, r...)
		for i, r := range r {
			VMULPS(sum, r, r)
			a := v.reg()
			v.load(s.mem(dy, i), m, a)
			VSUBPS(r, a, a)
			v.store(a, s.mem(dx, i), m)
		}
	})
	VZEROUPPER()
	RET()
}

// thirds are the loops over the 3×3 windows of stride 2 of three rows. Window q is
// the columns 2q-1, 2q and 2q+1; blocks of as many windows as a register has lanes
// are gone through from the last to the first.
type thirds struct {
	q      reg.GPVirtual // offset in bytes of the last block in a row of results
	full   reg.GPVirtual // elements of the last block
	at     reg.GPVirtual // offset in bytes of the block in a row of results
	out    mask          // of the last block's windows
	lo, hi mask          // of the elements of its two registers
	order  [4]reg.VecVirtual
	none   reg.VecVirtual // what an element outside is taken for
}

// thirds readies a loop; none is in all lanes of elements that are not there.
func (v isa) thirds(none float32) *thirds {
	t := &thirds{q: GP64(), at: GP64()}
	// The last block has 1 to lanes windows.
	rest, columns := GP64(), GP64()
	MOVQ(arg("q"), rest)
	DECQ(rest)
	MOVQ(rest, t.at)
	ANDQ(I32(int32(-v.lanes)), t.at) // windows before the last block
	SUBQ(t.at, rest)
	INCQ(rest)
	MOVQ(arg("w"), columns)
	SUBQ(t.at, columns)
	SUBQ(t.at, columns)
	t.out, t.lo, t.hi = v.lanesOf(rest, 0, v.lanes), v.lanesOf(columns, 0, v.lanes), v.lanesOf(columns, v.lanes, v.lanes)
	t.full = columns
	SHLQ(Imm(2), t.at)
	MOVQ(t.at, t.q)
	t.none = v.constant(none)
	if v.wide {
		for i := range t.order {
			t.order[i] = ZMM()
			VMOVUPS(thirdOrder[i], t.order[i])
		}
	}
	return t
}

// run calls body for the last block, with masks if it is not full, and for those
// before it.
func (t *thirds) run(v isa, body func(last bool)) {
	MOVQ(t.q, t.at)
	CMPQ(t.full, Imm(uint64(2*v.lanes)))
	JEQ(LabelRef("block")) // a load waits for a store under a mask
	body(true)
	JMP(LabelRef("next"))
	Label("block")
	body(false)
	Label("next")
	SUBQ(Imm(uint64(4*v.lanes)), t.at)
	JGE(LabelRef("block"))
}

// pairs is where register i of the block's elements of a row is.
func (t *thirds) pairs(v isa, row reg.Register, i int) Mem {
	return Mem{Base: row, Index: t.at, Scale: 2, Disp: 4 * v.lanes * i}
}

// load loads the block's elements of a row.
func (t *thirds) load(v isa, row reg.Register, last bool) (a, b reg.VecVirtual) {
	a, b = v.reg(), v.reg()
	for i, r := range []reg.VecVirtual{a, b} {
		p, m := t.pairs(v, row, i), []mask{t.lo, t.hi}[i]
		switch {
		case !last:
			VMOVUPS(p, r)
		case v.wide:
			VMOVAPS(t.none, r)
			VMOVUPS(p, m.(reg.Register), r)
		default:
			VMASKMOVPS(p, m.(reg.Register), r)
			VBLENDVPS(m.(reg.Register), r, t.none, r)
		}
	}
	return a, b
}

// split parts the elements of even and of odd columns.
func (t *thirds) split(v isa, a, b reg.VecVirtual) (even, odd reg.VecVirtual) {
	even, odd = v.reg(), v.reg()
	if v.wide {
		VMOVAPS(t.order[0], even)
		VPERMI2PS(b, a, even)
		VMOVAPS(t.order[1], odd)
		VPERMI2PS(b, a, odd)
		return even, odd
	}
	VSHUFPS(Imm(0x88), b, a, even)
	VPERMPD(Imm(0xd8), even, even)
	VSHUFPS(Imm(0xdd), b, a, odd)
	VPERMPD(Imm(0xd8), odd, odd)
	return even, odd
}

// join is split's inverse, into memory.
func (t *thirds) join(v isa, even, odd reg.VecVirtual, row reg.Register, last bool) {
	var lo, hi mask
	if last {
		lo, hi = t.lo, t.hi
	}
	a, b := v.reg(), v.reg()
	if v.wide {
		VMOVAPS(t.order[2], a)
		VPERMI2PS(odd, even, a)
		VMOVAPS(t.order[3], b)
		VPERMI2PS(odd, even, b)
	} else {
		x, y := YMM(), YMM()
		VUNPCKLPS(odd, even, x)
		VUNPCKHPS(odd, even, y)
		VPERM2F128(Imm(0x20), y, x, a)
		VPERM2F128(Imm(0x31), y, x, b)
	}
	v.store(a, t.pairs(v, row, 0), lo)
	v.store(b, t.pairs(v, row, 1), hi)
}

// before returns odd with each lane moved one up; lane 0 gets the last lane of
// first.
func (t *thirds) before(v isa, odd, first reg.VecVirtual) reg.VecVirtual {
	r := v.reg()
	if v.wide {
		VALIGND(Imm(15), first, odd, r)
		return r
	}
	VPERM2F128(Imm(0x21), odd, first, r) // first's upper half, odd's lower
	VPALIGNR(Imm(12), r, odd, r)
	return r
}

// after returns d with each lane moved one down; the last lane gets lane 0 of next.
func (t *thirds) after(v isa, d, next reg.VecVirtual) reg.VecVirtual {
	r := v.reg()
	if v.wide {
		VALIGND(Imm(1), d, next, r)
		return r
	}
	VPERM2F128(Imm(0x21), next, d, r) // d's upper half, next's lower
	VPALIGNR(Imm(4), d, r, r)
	return r
}

// seen notes in nan whether a or b has a NaN.
func (v isa) seen(a, b reg.VecVirtual, nan reg.GPVirtual) {
	bits := GP64()
	if v.wide {
		k := K()
		VCMPPS(Imm(unordered), a, b, k)
		KMOVW(k, bits.As32())
	} else {
		t := YMM()
		VCMPPS(Imm(unordered), a, b, t)
		VMOVMSKPS(t, bits.As32())
	}
	ORQ(bits, nan)
}

// eachThird repeats body for so many rows of windows; the rows that they lie in are
// two further on each time.
func eachThird(rows []reg.GPVirtual, body func()) {
	count, stride := arg("rows"), arg("w")
	SHLQ(Imm(3), stride)
	Label("row")
	body()
	for _, r := range rows {
		ADDQ(stride, r)
	}
	DECQ(count)
	JNZ(LabelRef("row"))
}

// returnNaN returns whether nan is not 0.
func returnNaN(nan reg.GPVirtual) {
	TESTQ(nan, nan)
	some := GP8()
	SETNE(some)
	Store(some, Return("nan"))
	VZEROUPPER()
	RET()
}

func (v isa) maxPool3() {
	v.text("maxPool3x3", "func(dst, a, b, c *float32, rows, w, q int) (nan bool)",
		"takes the maxima of q windows of the rows a, b and c, of w elements each, and of the rows two rows further on, rows",
		"times, 1 and more. It reports whether there is a NaN; what it wrote is of no use then.")
	dst := arg("dst")
	in := []reg.GPVirtual{arg("a"), arg("b"), arg("c")}
	nan := GP64()
	XORQ(nan, nan)
	t := v.thirds(float32(math.Inf(-1)))
	step := GP64()
	MOVQ(arg("q"), step)
	eachThird(in, func() {
		t.run(v, func(last bool) {
			a0, a1 := t.load(v, in[0], last)
			b0, b1 := t.load(v, in[1], last)
			v.seen(a0, b0, nan)
			v.seen(a1, b1, nan)
			VMAXPS(b0, a0, a0)
			VMAXPS(b1, a1, a1)
			c0, c1 := t.load(v, in[2], last)
			v.seen(c0, c1, nan)
			VMAXPS(c0, a0, a0)
			VMAXPS(c1, a1, a1)
			even, odd := t.split(v, a0, a1)
			VMAXPS(odd, even, even)
			// The column before the block, which the block before it has looked for NaN in.
			first := v.reg()
			VMOVAPS(t.none, first)
			label := fmt.Sprintf("first%t", last)
			TESTQ(t.at, t.at)
			JZ(LabelRef(label))
			more := v.reg()
			for _, r := range in {
				VBROADCASTSS(Mem{Base: r, Index: t.at, Scale: 2, Disp: -4}, more)
				VMAXPS(more, first, first)
			}
			Label(label)
			VMAXPS(t.before(v, odd, first), even, even)
			var out mask
			if last {
				out = t.out
			}
			v.store(even, Mem{Base: dst, Index: t.at, Scale: 1}, out)
		})
		LEAQ(Mem{Base: dst, Index: step, Scale: 4}, dst)
	})
	returnNaN(nan)
}

func (v isa) maxPoolGrad3() {
	v.text("maxPoolGrad3x3", "func(da, db, dc, a, b, c, dy, y *float32, rows, w, q int) (nan bool)",
		"gives dy to the first element of each window that is y; see maxPool3x3. It adds to da, and writes db and dc. It",
		"reports whether one of y is NaN; what it wrote is of no use then.")
	to := []reg.GPVirtual{arg("da"), arg("db"), arg("dc")}
	in := []reg.GPVirtual{arg("a"), arg("b"), arg("c")}
	dy, y := arg("dy"), arg("y")
	nan := GP64()
	XORQ(nan, nan)
	t := v.thirds(float32(math.NaN())) // is no maximum
	carried := make([]reg.VecVirtual, 3)
	for i := range carried {
		carried[i] = v.reg()
	}
	eachThird(append(to, in...), func() {
		for _, r := range carried {
			v.clear(r)
		}
		t.run(v, func(last bool) {
			var out mask
			if last {
				out = t.out
			}
			best, d := v.reg(), v.reg()
			v.load(Mem{Base: y, Index: t.at, Scale: 1}, out, best)
			v.load(Mem{Base: dy, Index: t.at, Scale: 1}, out, d)
			v.seen(best, best, nan)
			for i, row := range in {
				a, b := t.load(v, row, last)
				middle, right := t.split(v, a, b)
				first := v.reg()
				VMOVAPS(t.none, first)
				label := fmt.Sprintf("first%t%d", last, i)
				TESTQ(t.at, t.at)
				JZ(LabelRef(label))
				VBROADCASTSS(Mem{Base: row, Index: t.at, Scale: 2, Disp: -4}, first)
				Label(label)
				left := t.before(v, right, first)
				v.take(best, d, left)
				v.take(best, d, middle)
				v.take(best, d, right)
				if i == 0 {
					a, b := t.load(v, to[0], last)
					even, odd := t.split(v, a, b)
					VADDPS(even, middle, middle)
					VADDPS(odd, right, right)
				}
				VADDPS(t.after(v, left, carried[i]), right, right)
				VMOVAPS(left, carried[i])
				t.join(v, middle, right, to[i], last)
			}
		})
		q := GP64()
		MOVQ(arg("q"), q)
		LEAQ(Mem{Base: dy, Index: q, Scale: 4}, dy)
		LEAQ(Mem{Base: y, Index: q, Scale: 4}, y)
	})
	returnNaN(nan)
}
