//go:build cuda && linux

package cuda

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
)

// atOnce is how many turns of a kernel's one launch serves; more would not fit what a
// launch takes (MOST in kernels/optim.cu). perShare is how many elements of one of them a
// block has (SHARE).
const (
	atOnce   = 72
	perShare = 4096
)

// parameters are what a launch goes through (struct Parameters in
// kernels/optim.cu).
type parameters struct {
	lists   [5][atOnce]pointer
	lengths [atOnce]int64
	first   [atOnce]uint32
	count   uint32
	blocks  uint32 // of all
}

// The numbers of a step, in the type that a kernel computes in (structs in
// kernels/optim.cu).
type (
	sgdNumbers[A float32 | float64] struct {
		sign, decay, lr, mu, keep A
		nesterov                  int64
	}
	adamNumbers[A float32 | float64] struct{ sign, decay, shrink, size, scale, eps, beta2, new1, new2 A }
)

var sgd, adam = typed("sgd_", floatTypes), typed("adam_", floatTypes)

func sgdFor[A float32 | float64](n []float64) sgdNumbers[A] {
	return sgdNumbers[A]{A(n[0]), A(n[1]), A(n[2]), A(n[3]), A(n[4]), flag(n[5] != 0)}
}

func adamFor[A float32 | float64](n []float64) adamNumbers[A] {
	return adamNumbers[A]{A(n[0]), A(n[1]), A(n[2]), A(n[3]), A(n[4]), A(n[5]), A(n[6]), A(n[7]), A(n[8])}
}

// Map runs a rule: with a kernel for it, or as a kernel that is written when the rule is
// first met.
func (be *Backend) Map(dst, src [][]backend.Array, r backend.Rule) {
	defer runtime.KeepAlive(dst)
	defer runtime.KeepAlive(src)
	if len(dst[0]) == 0 {
		return
	}
	t := dst[0][0].DType()
	alike := true
	for _, list := range slices.Concat(dst, src) {
		alike = alike && list[0].DType() == t
	}
	switch {
	case alike && r.Kernel == backend.SGDKernel:
		be.step(&sgd, numbersOf(be, sgdFor[float32], sgdFor[float64], r), src...)
	case alike && r.Kernel == backend.AdamKernel:
		be.step(&adam, numbersOf(be, adamFor[float32], adamFor[float64], r), src...)
	default:
		be.mapRule(dst, src, r)
	}
}

// numbers returns what adds a rule's numbers to a kernel's parameters, for arithmetic of
// either type. The numbers of a step that is captured lie in the graph, which the kernel
// prefers.
type numbers struct{ single, double func(*params) }

func numbersOf[S, D any](be *Backend, single func([]float64) S, double func([]float64) D, r backend.Rule) numbers {
	s, d := single(r.Numbers), double(r.Numbers)
	var atS, atD pointer
	if g := be.capturing(); g != nil {
		inS, at := reserve[S](g)
		inD, at2 := reserve[D](g)
		*inS, *inD, atS, atD = s, d, at, at2
		g.renews(r, func(n []float64) { *inS, *inD = single(n), double(n) })
	}
	return numbers{
		func(to *params) { param(to, s); param(to, atS) },
		func(to *params) { param(to, d); param(to, atD) },
	}
}

// renews notes what a rule of the graph takes again.
func (g *graph) renews(r backend.Rule, set func(numbers []float64)) {
	if r.Fits != nil {
		g.fits = append(g.fits, r.Fits)
	}
	if r.Renew != nil {
		g.renew = append(g.renew, func() { set(r.Renew()) })
	}
}

// add deals n elements of arrays to blocks. There has to be room.
func (all *parameters) add(n int, arrays ...pointer) {
	if n == 0 {
		return
	}
	for k, a := range arrays {
		all.lists[k][all.count] = a
	}
	all.lengths[all.count], all.first[all.count] = int64(n), all.blocks
	all.count++
	all.blocks += shares(n)
}

// shares is how many blocks n elements take.
func shares(n int) uint32 { return uint32((n + perShare - 1) / perShare) }

// step launches a kernel of optim.cu for the arrays of lists, each of which changes all but
// the second. Arrays of one type go together.
func (be *Backend) step(k *kernels, with numbers, lists ...[]backend.Array) {
	for i := 0; i < len(lists[0]); {
		t := lists[0][i].DType()
		var all parameters
		for ; all.count < atOnce && i < len(lists[0]) && lists[0][i].DType() == t; i++ {
			var arrays [5]pointer
			for j, list := range lists {
				arrays[j] = address(list[i])
			}
			all.add(lists[0][i].Len, arrays[:]...)
		}
		if all.blocks == 0 {
			continue
		}
		var p params
		p.first, p.n = unsafe.Pointer(&all), 1
		if t == backend.Float64 {
			with.double(&p)
		} else {
			with.single(&p)
		}
		be.launch(be.function(k[t]), [3]int{int(all.blocks), 1, 1}, threads, 0, &p)
	}
}

// program is a rule as a kernel: what it reads and writes, and how its first parameter, of
// which each launch serves a part, is laid out.
type program struct {
	expr     expr.Expr
	lists    []mapList
	numbers  int
	double   bool  // arithmetic is in float64
	from, to []int // the lists of sources and destinations
}

// mapList is an array of each turn.
type mapList struct {
	typ           backend.DType
	reads, writes bool
}

// The launch's first parameter: pointers of each list, lengths, first blocks, and their
// number.
func (p *program) most() int      { return (4096 - 128 - 8*p.numbers) / (8*len(p.lists) + 12) }
func (p *program) lengthsAt() int { return 8 * len(p.lists) * p.most() }
func (p *program) firstAt() int   { return p.lengthsAt() + 8*p.most() }
func (p *program) countAt() int   { return p.firstAt() + (4*p.most()+7)/8*8 }
func (p *program) bytes() int     { return p.countAt() + 8 }

// mapRule launches a rule as a kernel of its own.
func (be *Backend) mapRule(dst, src [][]backend.Array, r backend.Rule) {
	p := &program{expr: r.Expr, numbers: len(r.Numbers), double: dst[0][0].DType() == backend.Float64}
	var arrays [][]backend.Array
	for _, list := range src {
		i := slices.IndexFunc(arrays, func(l []backend.Array) bool { return slices.Equal(l, list) })
		if i < 0 {
			i = len(arrays)
			arrays, p.lists = append(arrays, list), append(p.lists, mapList{typ: list[0].DType()})
		}
		p.from = append(p.from, i)
	}
	for _, list := range dst {
		i := slices.IndexFunc(arrays, func(l []backend.Array) bool { return slices.Equal(l, list) })
		if i < 0 {
			i = len(arrays)
			arrays, p.lists = append(arrays, list), append(p.lists, mapList{typ: list[0].DType()})
		}
		p.lists[i].writes = true
		p.to = append(p.to, i)
	}
	for _, in := range p.expr {
		if in.Op == expr.Load {
			p.lists[p.from[in.A]].reads = true
		}
	}
	f, err := be.translate(p.key(), mapEntry, p.text)
	if err != nil {
		panic(err)
	}
	width := 4
	if p.double {
		width = 8
	}
	words := make([]uint64, (len(r.Numbers)*width+7)/8+1)
	fill := func(to []uint64, n []float64) {
		for i, v := range n {
			if p.double {
				to[i] = math.Float64bits(v)
			} else {
				shift := 32 * (i % 2)
				to[i/2] = to[i/2]&^(0xffffffff<<shift) | uint64(math.Float32bits(float32(v)))<<shift
			}
		}
	}
	fill(words, r.Numbers)
	var now pointer
	if g := be.capturing(); g != nil {
		kept, at := g.reserve(len(words))
		fill(kept, r.Numbers)
		now = at
		g.renews(r, func(n []float64) { fill(kept, n) })
	}
	most := p.most()
	for i := 0; i < len(dst[0]); {
		all := make([]uint64, p.bytes()/8)
		bytes := bytesOf(all)
		count, blocks := 0, uint32(0)
		for ; count < most && i < len(dst[0]); i++ {
			n := dst[0][i].Len
			if n == 0 {
				continue
			}
			for k, list := range arrays {
				switch {
				case p.lists[k].writes:
					all[k*most+count] = uint64(address(list[i]))
				case p.lists[k].reads:
					all[k*most+count] = uint64(reading(list[i]))
				}
			}
			all[p.lengthsAt()/8+count] = uint64(n)
			*(*uint32)(unsafe.Pointer(&bytes[p.firstAt()+4*count])) = blocks
			count++
			blocks += shares(n)
		}
		if count == 0 {
			continue
		}
		all[p.countAt()/8] = uint64(count)
		var ps params
		ps.first, ps.n, ps.end = unsafe.Pointer(&all[0]), 2, copy(ps.words[:len(ps.words)-1], words)
		if ps.end < len(words) {
			panic("cuda: a rule has more numbers than a launch takes")
		}
		param(&ps, now)
		be.launch(f, [3]int{int(blocks), 1, 1}, threads, 0, &ps)
	}
}

// key is the same for programs that are one kernel.
func (p *program) key() string {
	b := []byte("rule ")
	for _, in := range p.expr {
		b = append(b, byte(in.Op))
		for _, v := range []uint16{in.A, in.B, in.C} {
			b = append(b, byte(v), byte(v>>8))
		}
	}
	b = append(b, byte(p.numbers), byte(len(p.from)))
	for _, i := range slices.Concat(p.from, p.to) {
		b = append(b, byte(i), byte(p.lists[i].typ))
	}
	return string(b)
}

// mapEntry is the name of a kernel that is written here.
const mapEntry = "map_rule"

// mapFunctions are the functions that rules call, for either type of arithmetic.
var mapFunctions = [2]map[expr.Op]string{functionsOf("f32"), functionsOf("f64")}

func functionsOf(suffix string) map[expr.Op]string {
	names := map[expr.Op]string{}
	for op := expr.Exp; op < expr.NumOps; op++ {
		names[op] = single("map_" + strings.ToLower(op.String()) + "_" + suffix)
	}
	return names
}

// writer writes PTX.
type writer struct {
	strings.Builder
	p     *program
	t     string // the type of arithmetic: f32 or f64
	calls map[string]bool
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, "\t"+format+"\n", args...) }

// text writes the program as a module.
func (p *program) text() (string, error) {
	w := &writer{p: p, t: "f32", calls: map[string]bool{}}
	suffix, pack := 0, 4
	if p.double {
		w.t, suffix, pack = "f64", 1, 2
	}
	// What the block's share is: elements [at, to) of a turn.
	w.line("mov.b64 %%all, all;")
	w.line("mov.u32 %%block, %%ctaid.x;")
	w.line("ld.param.u32 %%hi, [%%all+%d];", p.countAt())
	w.line("mov.u32 %%lo, 0;")
	w.WriteString("SEARCH:\n")
	w.line("sub.u32 %%t0, %%hi, %%lo;")
	w.line("setp.le.u32 %%p0, %%t0, 1;")
	w.line("@%%p0 bra FOUND;")
	w.line("add.u32 %%t0, %%lo, %%hi;")
	w.line("shr.u32 %%t0, %%t0, 1;")
	w.line("mul.wide.u32 %%l0, %%t0, 4;")
	w.line("add.u64 %%l0, %%l0, %%all;")
	w.line("ld.param.u32 %%t1, [%%l0+%d];", p.firstAt())
	w.line("setp.le.u32 %%p0, %%t1, %%block;")
	w.line("selp.b32 %%lo, %%t0, %%lo, %%p0;")
	w.line("selp.b32 %%hi, %%hi, %%t0, %%p0;")
	w.line("bra SEARCH;")
	w.WriteString("FOUND:\n")
	w.line("mul.wide.u32 %%l0, %%lo, 4;")
	w.line("add.u64 %%l0, %%l0, %%all;")
	w.line("ld.param.u32 %%t1, [%%l0+%d];", p.firstAt())
	w.line("sub.u32 %%t1, %%block, %%t1;")
	w.line("mul.wide.u32 %%at, %%t1, %d;", perShare)
	w.line("mul.wide.u32 %%l0, %%lo, 8;")
	w.line("add.u64 %%l0, %%l0, %%all;")
	w.line("ld.param.u64 %%to, [%%l0+%d];", p.lengthsAt())
	w.line("add.u64 %%l1, %%at, %d;", perShare)
	w.line("min.u64 %%to, %%to, %%l1;")
	w.line("mov.u64 %%l2, 0;") // bits that keep packs from being taken
	for i, l := range p.lists {
		w.line("ld.param.u64 %%q%d, [%%l0+%d];", i, 8*i*p.most())
		w.line("and.b64 %%l1, %%q%d, %d;", i, pack*l.typ.Size()-1)
		w.line("or.b64 %%l2, %%l2, %%l1;")
		w.line("cvta.to.global.u64 %%q%d, %%q%d;", i, i)
	}
	// The numbers.
	if p.numbers > 0 {
		w.line("ld.param.u64 %%l1, [now];")
		w.line("setp.eq.u64 %%p0, %%l1, 0;")
		w.line("@%%p0 bra GIVEN;")
		w.line("cvta.to.global.u64 %%l1, %%l1;")
		for i := range p.numbers {
			w.line("ld.global.%s %%n%d, [%%l1+%d];", w.t, i, i*p.width())
		}
		w.line("bra READY;")
		w.WriteString("GIVEN:\n")
		for i := range p.numbers {
			w.line("ld.param.%s %%n%d, [numbers+%d];", w.t, i, i*p.width())
		}
		w.WriteString("READY:\n")
	}
	w.line("mov.u32 %%t0, %%tid.x;")
	w.line("cvt.u64.u32 %%thread, %%t0;")
	// Packs, then what is left.
	w.line("mov.u64 %%end, %%at;")
	w.line("setp.ne.u64 %%p0, %%l2, 0;")
	w.line("@%%p0 bra SINGLES;")
	w.line("sub.u64 %%l0, %%to, %%at;")
	w.line("and.b64 %%l0, %%l0, %d;", -pack)
	w.line("add.u64 %%end, %%at, %%l0;")
	w.line("mul.lo.u64 %%l0, %%thread, %d;", pack)
	w.line("add.u64 %%at, %%at, %%l0;")
	w.loop("PACKS", pack)
	w.WriteString("SINGLES:\n")
	w.line("add.u64 %%at, %%end, %%thread;")
	w.line("mov.u64 %%end, %%to;")
	w.loop("REST", 1)
	w.line("ret;")

	functions, err := image()
	if err != nil {
		return "", err
	}
	var m strings.Builder
	m.WriteString(".version 8.0\n.target sm_70\n.address_size 64\n")
	for op := range expr.NumOps {
		if name := mapFunctions[suffix][op]; w.calls[name] {
			m.WriteString(functions[name])
		}
	}
	fmt.Fprintf(&m, ".visible .entry %s(\n\t.param .align 8 .b8 all[%d],\n\t.param .align 8 .b8 numbers[%d],\n\t.param .u64 now\n)\n.maxntid %d\n{\n",
		mapEntry, p.bytes(), (p.numbers*p.width()+7)/8*8+8, threads)
	fmt.Fprintf(&m, "\t.reg .pred %%p<3>;\n\t.reg .b32 %%t<3>;\n\t.reg .b32 %%lo, %%hi, %%block;\n\t.reg .b64 %%l<3>;\n\t.reg .b64 %%all, %%at, %%to, %%end, %%thread;\n")
	fmt.Fprintf(&m, "\t.reg .b64 %%q<%d>;\n\t.reg .%s %%n<%d>;\n\t.reg .b16 %%h<4>;\n", len(p.lists), w.t, p.numbers+1)
	for k := range pack {
		fmt.Fprintf(&m, "\t.reg .%s %%v%d_<%d>;\n\t.reg .%s %%m%d_<%d>;\n", w.t, k, len(p.expr), w.t, k, len(p.lists))
	}
	m.WriteString(w.String() + "}\n")
	return m.String(), nil
}

func (p *program) width() int {
	if p.double {
		return 8
	}
	return 4
}

// loop writes what goes through elements from at to end, pack by pack.
func (w *writer) loop(label string, pack int) {
	fmt.Fprintf(w, "%s:\n", label)
	w.line("setp.ge.u64 %%p0, %%at, %%end;")
	w.line("@%%p0 bra %s_DONE;", label)
	for i, l := range w.p.lists {
		if l.reads {
			w.load(i, l.typ, pack)
		}
	}
	for i, in := range w.p.expr {
		for k := range pack {
			w.instr(i, in, k)
		}
	}
	for _, in := range w.p.expr {
		if in.Op == expr.Store {
			w.store(w.p.to[in.B], w.p.lists[w.p.to[in.B]].typ, in.A, pack)
		}
	}
	w.line("add.u64 %%at, %%at, %d;", threads*pack)
	w.line("bra %s;", label)
	fmt.Fprintf(w, "%s_DONE:\n", label)
}

// vector is the registers of a pack, and how loads and stores name their number.
func vector(pack int, name func(k int) string) (width, registers string) {
	if pack == 1 {
		return "", name(0)
	}
	names := make([]string, pack)
	for k := range names {
		names[k] = name(k)
	}
	return fmt.Sprintf(".v%d", pack), "{" + strings.Join(names, ", ") + "}"
}

// place leaves the address of list i's elements in %l0.
func (w *writer) place(i int, t backend.DType) {
	w.line("mul.lo.u64 %%l0, %%at, %d;", t.Size())
	w.line("add.u64 %%l0, %%l0, %%q%d;", i)
}

func (w *writer) load(i int, t backend.DType, pack int) {
	w.place(i, t)
	value := func(k int) string { return fmt.Sprintf("%%m%d_%d", k, i) }
	if !t.IsHalf() {
		v, registers := vector(pack, value)
		w.line("ld.global%s.%s %s, [%%l0];", v, w.t, registers)
		return
	}
	v, registers := vector(pack, func(k int) string { return fmt.Sprintf("%%h%d", k) })
	w.line("ld.global%s.b16 %s, [%%l0];", v, registers)
	for k := range pack {
		if t == backend.Float16 {
			w.line("cvt.f32.f16 %s, %%h%d;", value(k), k)
			continue
		}
		w.line("cvt.u32.u16 %%t0, %%h%d;", k)
		w.line("shl.b32 %%t0, %%t0, 16;")
		w.line("mov.b32 %s, %%t0;", value(k))
	}
}

func (w *writer) store(i int, t backend.DType, from uint16, pack int) {
	w.place(i, t)
	value := func(k int) string { return fmt.Sprintf("%%v%d_%d", k, from) }
	if !t.IsHalf() {
		v, registers := vector(pack, value)
		w.line("st.global%s.%s [%%l0], %s;", v, w.t, registers)
		return
	}
	for k := range pack {
		if t == backend.Float16 {
			w.line("cvt.rn.f16.f32 %%h%d, %s;", k, value(k))
			continue
		}
		// To nearest even; NaN stays NaN.
		w.line("mov.b32 %%t0, %s;", value(k))
		w.line("shr.u32 %%t1, %%t0, 16;")
		w.line("and.b32 %%t2, %%t1, 1;")
		w.line("add.u32 %%t2, %%t2, 32767;")
		w.line("add.u32 %%t2, %%t2, %%t0;")
		w.line("shr.u32 %%t2, %%t2, 16;")
		w.line("or.b32 %%t1, %%t1, 64;")
		w.line("setp.nan.f32 %%p0, %s, %s;", value(k), value(k))
		w.line("selp.b32 %%t0, %%t1, %%t2, %%p0;")
		w.line("cvt.u16.u32 %%h%d, %%t0;", k)
	}
	v, registers := vector(pack, func(k int) string { return fmt.Sprintf("%%h%d", k) })
	w.line("st.global%s.b16 [%%l0], %s;", v, registers)
}

// instr writes an instruction for element k of a pack.
func (w *writer) instr(i int, in expr.Instr, k int) {
	value := func(i uint16) string { return fmt.Sprintf("%%v%d_%d", k, i) }
	t, d, a, b := w.t, value(uint16(i)), value(in.A), value(in.B)
	const one, minus, zero = 1, -1, 0
	switch in.Op {
	case expr.Load:
		w.line("mov.%s %s, %%m%d_%d;", t, d, k, w.p.from[in.A])
	case expr.Number:
		w.line("mov.%s %s, %%n%d;", t, d, in.A)
	case expr.Store:
	case expr.Add, expr.Sub, expr.Mul, expr.Div:
		w.line("%s.rn.%s %s, %s, %s;", strings.ToLower(in.Op.String()), t, d, a, b)
	case expr.Max, expr.Min:
		w.line("setp.%s.%s %%p0, %s, %s;", map[expr.Op]string{expr.Max: "gt", expr.Min: "lt"}[in.Op], t, a, b)
		w.line("setp.nan.%s %%p1, %s, %s;", t, a, a)
		w.line("or.pred %%p0, %%p0, %%p1;")
		w.line("selp.%s %s, %s, %s, %%p0;", t, d, a, b)
	case expr.Gt, expr.Ge, expr.Eq:
		w.line("setp.%s.%s %%p0, %s, %s;", strings.ToLower(in.Op.String()), t, a, b)
		w.line("selp.%s %s, %s, %s, %%p0;", t, d, w.constant(one), w.constant(zero))
	case expr.Select:
		w.line("setp.neu.%s %%p0, %s, %s;", t, a, w.constant(zero))
		w.line("selp.%s %s, %s, %s, %%p0;", t, d, b, value(in.C))
	case expr.Neg, expr.Abs:
		w.line("%s.%s %s, %s;", strings.ToLower(in.Op.String()), t, d, a)
	case expr.Sign:
		w.line("setp.gt.%s %%p0, %s, %s;", t, a, w.constant(zero))
		w.line("setp.lt.%s %%p1, %s, %s;", t, a, w.constant(zero))
		w.line("selp.%s %s, %s, %s, %%p0;", t, d, w.constant(one), w.constant(zero))
		w.line("selp.%s %s, %s, %s, %%p1;", t, d, w.constant(minus), d)
	case expr.Sqrt:
		w.line("sqrt.rn.%s %s, %s;", t, d, a)
	default:
		name := mapFunctions[flag(w.p.double)][in.Op]
		w.calls[name] = true
		bits := 8 * w.p.width()
		w.line("{")
		w.line(".param .b%d x;", bits)
		w.line(".param .b%d y;", bits)
		w.line("st.param.%s [x+0], %s;", t, a)
		w.line("call (y), %s, (x);", name)
		w.line("ld.param.%s %s, [y+0];", t, d)
		w.line("}")
	}
}

// constant is a number in the type of arithmetic.
func (w *writer) constant(v float64) string {
	if w.p.double {
		return fmt.Sprintf("0d%016X", math.Float64bits(v))
	}
	return fmt.Sprintf("0f%08X", math.Float32bits(float32(v)))
}
