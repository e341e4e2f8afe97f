package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// linear is a linear map of one dimension of a tile. Its columns belong to the
// inputs and, behind them, to the sums that it takes first, which several rows
// share.
type linear struct {
	inputs int
	sums   []sum
	matrix [][]float64
}

// sum is input i plus sign times input j.
type sum struct {
	i, j int
	sign float64
}

// The maps of F(4, 3) with the points 0, 1, -1, 1/2, -2 and ∞, of F(2, 3) with 0,
// 1, -1 and ∞, and of the two pixels of a row that has no more. In package cpu,
// winograd.go has them as plain matrices.
var (
	input4 = linear{6, []sum{{1, 3, -1}, {2, 4, -1}}, [][]float64{
		{1, 0, -2, 0, 1, 0, -1.5, 0},
		{0, -1, .5, 2.5, 1, 0, 0, 0},
		{0, -1, 2.5, -.5, -1, 0, 0, 0},
		{0, 0, 0, 0, 0, 0, 1, .5},
		{0, 0, 0, 0, 0, 0, .5, -1},
		{0, 1, 0, -2, 0, 1, 0, -1.5},
	}}
	weight4 = linear{3, []sum{{0, 2, 1}}, [][]float64{
		{1, 0, 0, 0},
		{0, 1. / 3, 0, 1. / 3},
		{0, -1. / 3, 0, 1. / 3},
		{32. / 15, 16. / 15, 8. / 15, 0},
		{1. / 15, -2. / 15, 4. / 15, 0},
		{0, 0, 1, 0},
	}}
	output4 = linear{6, []sum{{1, 2, 1}, {1, 2, -1}}, [][]float64{
		{1, 0, 0, 1, 1, 0, 1, 0},
		{0, 0, 0, .5, -2, 0, 0, 1},
		{0, 0, 0, .25, 4, 0, 1, 0},
		{0, 0, 0, .125, -8, 1, 0, 1},
	}}
	outputGrad4 = linear{4, []sum{{0, 2, 1}, {1, 3, 1}}, [][]float64{
		{1, 0, 0, 0, 0, 0},
		{0, 0, 0, 0, 1, 1},
		{0, 0, 0, 0, 1, -1},
		{1, .5, .25, .125, 0, 0},
		{1, -2, 4, -8, 0, 0},
		{0, 0, 0, 1, 0, 0},
	}}
	weightGrad4 = linear{6, []sum{{1, 2, 1}, {1, 2, -1}}, [][]float64{
		{1, 0, 0, 32. / 15, 1. / 15, 0, 1. / 3, 0},
		{0, 0, 0, 16. / 15, -2. / 15, 0, 0, 1. / 3},
		{0, 0, 0, 8. / 15, 4. / 15, 1, 1. / 3, 0},
	}}

	input2      = linear{4, nil, [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}}
	weight2     = linear{3, nil, [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}}
	output2     = linear{4, nil, [][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}}}
	outputGrad2 = linear{2, nil, [][]float64{{1, 0}, {1, 1}, {1, -1}, {0, 1}}}
	weightGrad2 = linear{4, nil, [][]float64{{1, .5, .5, 0}, {0, .5, -.5, 0}, {0, .5, .5, 1}}}

	inputPair      = linear{2, nil, [][]float64{{1, 0}, {1, 1}, {0, 1}}}
	weightPair     = linear{3, nil, [][]float64{{1, -1, 0}, {0, 1, 0}, {0, -1, 1}}}
	outputPair     = linear{3, nil, [][]float64{{0, 1, 1}, {1, 1, 0}}}
	outputGradPair = linear{2, nil, [][]float64{{0, 1}, {1, 1}, {1, 0}}}
	weightGradPair = linear{3, nil, [][]float64{{1, 0, 0}, {-1, 1, -1}, {0, 0, 1}}}
)

// plain returns the map without sums.
func (l linear) plain() linear {
	p := linear{inputs: l.inputs}
	for _, row := range l.matrix {
		whole := slices.Clone(row[:l.inputs])
		for i, s := range l.sums {
			whole[s.i] += row[l.inputs+i]
			whole[s.j] += s.sign * row[l.inputs+i]
		}
		p.matrix = append(p.matrix, whole)
	}
	return p
}

// winograd writes the transforms of all schemes, and what scatters their results.
func winograd() {
	transforms([]int{512, 256}, transform)
	scatter8(false)
	scatter8(true)
	touch8(false)
	touch8(true)
	transpose8BF16()
}

// transforms calls transform for the maps of all schemes, for vectors of the given sizes.
func transforms(sizes []int, transform func(name string, bits int, m [2]linear)) {
	for _, bits := range sizes {
		for _, s := range []struct {
			name                                          string
			input, weight, output, outputGrad, weightGrad [2]linear
		}{
			{"2x4", [2]linear{input2, input4}, [2]linear{weight2, weight4}, [2]linear{output2, output4},
				[2]linear{outputGrad2, outputGrad4}, [2]linear{weightGrad2, weightGrad4}},
			{"Pair", [2]linear{inputPair, inputPair}, [2]linear{weightPair, weightPair}, [2]linear{outputPair, outputPair},
				[2]linear{outputGradPair, outputGradPair}, [2]linear{weightGradPair, weightGradPair}},
			{"4x4", [2]linear{input4.plain(), input4}, [2]linear{weight4.plain(), weight4}, [2]linear{output4.plain(), output4},
				[2]linear{outputGrad4.plain(), outputGrad4}, [2]linear{weightGrad4.plain(), weightGrad4}},
		} {
			transform("input"+s.name, bits, s.input)
			transform("weight"+s.name, bits, s.weight)
			transform("output"+s.name, bits, s.output)
			transform("outputGrad"+s.name, bits, s.outputGrad)
			transform("weightGrad"+s.name, bits, s.weightGrad)
		}
	}
}

// constants are the vectors in memory of the numbers that the transforms multiply by.
var constants = map[uint32]Mem{}

func constant(v float64) Mem {
	bits := math.Float32bits(float32(v))
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("wino%08x", bits), attr.RODATA|attr.NOPTR)
		for i := range 16 {
			DATA(4*i, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

// transform writes the map of tiles by m[0] along the rows' index and m[1] along the
// columns', for vectors of 16 (AVX-512) or 8 (AVX2) lanes. A row of results takes
// from each column of the tile what m[0] says, and then what m[1] says of these;
// so that six columns and some sums are all that needs registers.
func transform(name string, bits int, m [2]linear) {
	inH, inW, outH, outW := m[0].inputs, m[1].inputs, len(m[0].matrix), len(m[1].matrix)
	TEXT(fmt.Sprintf("%sx%d", name, bits/32), NOSPLIT, "func(dst *float32, strideH, strideW int, src *float32, tiles *int, n int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%sx%d transforms n > 0 tiles of %d×%d vectors of %d elements into %d×%d. tiles has %d numbers for each: where in", name, bits/32, inH, inW, bits/32, outH, outW, 1+inH*inW),
		"dst its results begin, strideH and strideW apart, and where its vectors lie in src. It needs "+map[int]string{512: "AVX-512F.", 256: "AVX2 and FMA."}[bits],
	)
	vector := func() reg.VecVirtual {
		if bits == 512 {
			return ZMM()
		}
		return YMM()
	}
	dst := Load(Param("dst"), GP64())
	strideH := Load(Param("strideH"), GP64())
	strideW := Load(Param("strideW"), GP64())
	src := Load(Param("src"), GP64())
	tiles := Load(Param("tiles"), GP64())
	n := Load(Param("n"), GP64())
	SHLQ(Imm(2), strideH)
	SHLQ(Imm(2), strideW)
	// AVX-512 has registers for the constants.
	held := map[uint32]Op{}
	factor := func(v float64) Op {
		b := math.Float32bits(float32(v))
		if op, ok := held[b]; ok {
			return op
		}
		return constant(v)
	}
	if bits == 512 {
		for _, l := range m {
			for _, row := range l.matrix {
				for _, v := range row {
					b := math.Float32bits(float32(v))
					if _, ok := held[b]; !ok && v != 0 && v != 1 && v != -1 {
						r := ZMM()
						VMOVUPS(constant(v), r)
						held[b] = r
					}
				}
			}
		}
	}
	Label("tile")
	at := GP64()
	MOVQ(Mem{Base: tiles}, at)
	rowAt := GP64()
	LEAQ(Mem{Base: dst, Index: at, Scale: 4}, rowAt)
	for i := range outH {
		columns := make([]reg.VecVirtual, inW)
		for j := range columns {
			var terms []term
			for r, v := range m[0].matrix[i] {
				if v != 0 {
					terms = append(terms, term{v, func() Op {
						from := GP64()
						MOVQ(Mem{Base: tiles, Disp: 8 * (1 + r*inW + j)}, from)
						return Mem{Base: src, Index: from, Scale: 4}
					}})
				}
			}
			columns[j] = combine(terms, vector, factor)
		}
		for _, s := range m[1].sums {
			v := vector()
			if s.sign > 0 {
				VADDPS(columns[s.j], columns[s.i], v)
			} else {
				VSUBPS(columns[s.j], columns[s.i], v)
			}
			columns = append(columns, v)
		}
		to := GP64()
		if i == outH-1 {
			to = rowAt
		} else {
			MOVQ(rowAt, to)
		}
		for j, row := range m[1].matrix {
			var terms []term
			for c, v := range row {
				if v != 0 {
					terms = append(terms, term{v, func() Op { return columns[c] }})
				}
			}
			VMOVUPS(combine(terms, vector, factor), Mem{Base: to})
			if j < outW-1 {
				ADDQ(strideW, to)
			}
		}
		if i < outH-1 {
			ADDQ(strideH, rowAt)
		}
	}
	ADDQ(U32(8*(1+inH*inW)), tiles)
	DECQ(n)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// term is a factor and a vector in a register or in memory.
type term struct {
	factor float64
	vector func() Op
}

// combine adds terms. What is only added or subtracted comes first.
func combine(terms []term, vector func() reg.VecVirtual, factor func(float64) Op) reg.VecVirtual {
	var first, units, others []term
	for _, t := range terms {
		switch {
		case t.factor == 1 && first == nil:
			first = append(first, t)
		case t.factor == 1 || t.factor == -1:
			units = append(units, t)
		default:
			others = append(others, t)
		}
	}
	inRegister := func(op Op) reg.VecVirtual {
		if r, ok := op.(reg.VecVirtual); ok {
			return r
		}
		r := vector()
		VMOVUPS(op, r)
		return r
	}
	var acc reg.VecVirtual
	if first != nil {
		op := first[0].vector()
		acc = inRegister(op)
		if len(units) == 0 && len(others) > 0 && op == Op(acc) { // a register that others read too
			acc = vector()
			VMOVAPS(op, acc)
		}
	} else { // there is no map without a positive factor or one that is not 1
		v := inRegister(others[0].vector())
		acc = vector()
		VMULPS(factor(others[0].factor), v, acc)
		others = others[1:]
	}
	for _, t := range units {
		sum := vector()
		if t.factor > 0 {
			VADDPS(t.vector(), acc, sum)
		} else {
			VSUBPS(t.vector(), acc, sum)
		}
		acc = sum
	}
	for _, t := range others {
		VFMADD231PS(factor(t.factor), inRegister(t.vector()), acc)
	}
	return acc
}

// stored returns what the name of a function says of where elements lie, the type of these, and their size: float32 or
// bfloat16.
func stored(half bool) (suffix, element string, size uint8) {
	if half {
		return "BF16", "uint16", 2
	}
	return "", "float32", 4
}

// touch8 writes the prefetching of blocks.
func touch8(half bool) {
	suffix, element, size := stored(half)
	TEXT("touch8"+suffix, NOSPLIT, "func(src *"+element+", lanes *[8]int, blocks *int, n int)")
	Pragma("noescape")
	Doc("touch8" + suffix + " has n > 0 blocks of eight elements of each of eight lanes fetched into the first cache: src[lanes[l]+blocks[b]+i]. They may lie anywhere.")
	src := Load(Param("src"), GP64())
	lanes := Load(Param("lanes"), GP64())
	var lane [8]reg.Register
	for l := range lane {
		r := GP64()
		MOVQ(Mem{Base: lanes, Disp: 8 * l}, r)
		LEAQ(Mem{Base: src, Index: r, Scale: size}, r)
		lane[l] = r
	}
	blocks := Load(Param("blocks"), GP64())
	n := Load(Param("n"), GP64())
	Label("block")
	at := GP64()
	MOVQ(Mem{Base: blocks}, at)
	for _, l := range lane {
		PREFETCHT0(Mem{Base: l, Index: at, Scale: size})
	}
	ADDQ(Imm(8), blocks)
	DECQ(n)
	JNZ(LabelRef("block"))
	RET()
}

// scatter8 writes the opposite of transpose8, for elements that become bfloat16 if half is true.
func scatter8(half bool) {
	suffix, element, size := stored(half)
	TEXT("scatter8x8"+suffix, NOSPLIT, "func(dst *"+element+", lanes *[8]int, blocks *int, src *float32, width int, n int, plus float32)")
	Pragma("noescape")
	lines := []string{
		"scatter8x8" + suffix + " writes n blocks of eight elements of each of eight lanes:",
		"dst[lanes[l]+blocks[b]+i] = src[(8·b+i)·width + l] + plus. It needs AVX2.",
	}
	if half {
		lines = append(lines, "What it writes is bfloat16, rounded to nearest even.")
	}
	Doc(lines...)
	dst := Load(Param("dst"), GP64())
	lanes := Load(Param("lanes"), GP64())
	var lane [8]reg.Register
	for l := range lane {
		r := GP64()
		MOVQ(Mem{Base: lanes, Disp: 8 * l}, r)
		LEAQ(Mem{Base: dst, Index: r, Scale: size}, r)
		lane[l] = r
	}
	blocks := Load(Param("blocks"), GP64())
	src := Load(Param("src"), GP64())
	width := Load(Param("width"), GP64())
	n := Load(Param("n"), GP64())
	plus := YMM()
	p, err := Param("plus").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, plus)
	SHLQ(Imm(2), width)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("block")
	at := GP64()
	MOVQ(Mem{Base: blocks}, at)
	var first [4]reg.VecVirtual // elements 0…3 of lanes i and i+4, where the type is half as wide
	for part := range 2 {
		var x, t [4]reg.VecVirtual
		for i := range x {
			// Lanes 0…7 of element 4·part+i.
			x[i] = YMM()
			VADDPS(Mem{Base: src}, plus, x[i])
			ADDQ(width, src)
			if half {
				x[i] = roundBF16(x[i])
			}
			t[i] = YMM()
		}
		transpose4(x, t, func(i int, row reg.VecVirtual) { // four elements of lane i and of lane i+4
			disp := 16 * part
			if half {
				if part == 0 {
					first[i] = row
					return
				}
				VPACKUSDW(row, first[i], row)
				disp = 0
			}
			VMOVUPS(row.AsX(), Mem{Base: lane[i], Index: at, Scale: size, Disp: disp})
			VEXTRACTF128(Imm(1), row, Mem{Base: lane[i+4], Index: at, Scale: size, Disp: disp})
		})
	}
	ADDQ(Imm(8), blocks)
	DECQ(n)
	JNZ(LabelRef("block"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose8BF16 writes transpose8 for elements that lie as bfloat16.
func transpose8BF16() {
	TEXT("transpose8x8BF16", NOSPLIT, "func(dst *float32, width int, src *uint16, lanes *[8]int, blocks *int, n int)")
	Pragma("noescape")
	Doc(
		"transpose8x8BF16 packs n blocks of eight elements of each of eight lanes, which are bfloat16 and become float32:",
		"dst[(8·b+i)·width + l] = src[lanes[l]+blocks[b]+i]. It needs AVX2.",
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
		LEAQ(Mem{Base: src, Index: r, Scale: 2}, r)
		lane[l] = r
	}
	blocks := Load(Param("blocks"), GP64())
	n := Load(Param("n"), GP64())
	zero := YMM()
	VXORPS(zero, zero, zero)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("block")
	at := GP64()
	MOVQ(Mem{Base: blocks}, at)
	// Lanes i and i+4: elements 0…3 and 4…7, each with zeros below it.
	var low, high, t [4]reg.VecVirtual
	for i := range low {
		high[i], low[i], t[i] = YMM(), YMM(), YMM()
		VMOVDQU(Mem{Base: lane[i], Index: at, Scale: 2}, high[i].AsX())
		VINSERTI128(Imm(1), Mem{Base: lane[i+4], Index: at, Scale: 2}, high[i], high[i])
		VPUNPCKLWD(high[i], zero, low[i])
		VPUNPCKHWD(high[i], zero, high[i])
	}
	for _, x := range [][4]reg.VecVirtual{low, high} {
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
