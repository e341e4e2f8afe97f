package expr

// Grad returns the gradient that reaches source i where source `sources`, one behind
// those that the formula has, reaches destination 0: what a backward pass computes. It
// is empty where that is 0 whatever comes.
//
// A comparison has the gradient 0, Select that of the value it takes, Max and Min that of
// the first of two equal values, Abs 0 at 0.
func (f *Formula) Grad(sources, i int) *Formula {
	n := &Formula{Numbers: f.Numbers}
	b := &builder{f: n, known: map[Instr]Value{}}
	values := make([]Value, len(f.Expr)) // of f, in n
	result := -1
	for k, in := range f.Expr {
		switch in.Op {
		case Load, Number:
			values[k] = b.emit(in)
		case Store:
			if in.B == 0 {
				result = int(in.A)
			}
		default:
			values[k] = b.emit(Instr{in.Op, values[in.A].i, b.operand(values, in, 1), b.operand(values, in, 2)})
		}
	}
	adjoints := make([]Value, len(f.Expr)) // the zero Value stands for 0
	depends := f.depend(i)
	adjoints[result] = b.emit(Instr{Op: Load, A: uint16(sources)})
	add := func(to uint16, g Value) {
		if !depends[to] {
			return
		}
		if adjoints[to].f != nil {
			g = b.two(Add, adjoints[to], g)
		}
		adjoints[to] = g
	}
	var total Value
	for k := len(f.Expr) - 1; k >= 0; k-- {
		g, in := adjoints[k], f.Expr[k]
		if g.f == nil || !depends[k] {
			continue
		}
		v, x, y := values[k], values[in.A], values[in.B]
		switch in.Op {
		case Load: // of source i
			if total.f != nil {
				g = b.two(Add, total, g)
			}
			total = g
		case Add:
			add(in.A, g)
			add(in.B, g)
		case Sub:
			add(in.A, g)
			add(in.B, b.one(Neg, g))
		case Mul:
			add(in.A, b.two(Mul, g, y))
			add(in.B, b.two(Mul, g, x))
		case Div:
			q := b.two(Div, g, y)
			add(in.A, q)
			add(in.B, b.one(Neg, b.two(Mul, q, v)))
		case Max, Min:
			first := b.two(Ge, x, y)
			if in.Op == Min {
				first = b.two(Ge, y, x)
			}
			add(in.A, b.choose(first, g, b.number(0)))
			add(in.B, b.choose(first, b.number(0), g))
		case Select:
			add(in.B, b.choose(x, g, b.number(0)))
			add(in.C, b.choose(x, b.number(0), g))
		case Neg:
			add(in.A, b.one(Neg, g))
		case Abs:
			add(in.A, b.two(Mul, g, b.one(Sign, x)))
		case Sqrt:
			add(in.A, b.two(Div, b.two(Mul, g, b.number(0.5)), v))
		case Exp:
			add(in.A, b.two(Mul, g, v))
		case Expm1:
			add(in.A, b.two(Mul, g, b.one(Exp, x))) // not v + 1, which cancels
		case Log:
			add(in.A, b.two(Div, g, x))
		case Log1p:
			add(in.A, b.two(Div, g, b.two(Add, x, b.number(1))))
		case Tanh:
			add(in.A, b.two(Mul, g, b.two(Sub, b.number(1), b.two(Mul, v, v))))
		case Sigmoid:
			add(in.A, b.two(Mul, g, b.two(Mul, v, b.two(Sub, b.number(1), v))))
		}
	}
	if total.f == nil {
		return &Formula{}
	}
	n.Store(0, total)
	return n.used()
}

// depend reports for each value whether it is computed from source i in a way that has a
// gradient.
func (f *Formula) depend(i int) []bool {
	d := make([]bool, len(f.Expr))
	for k, in := range f.Expr {
		switch in.Op {
		case Number, Store, Gt, Ge, Eq, Sign:
		case Load:
			d[k] = int(in.A) == i
		case Select:
			d[k] = d[in.B] || d[in.C]
		default:
			d[k] = d[in.A] || in.Op.Values() > 1 && d[in.B]
		}
	}
	return d
}

// used returns the formula without what nobody reads.
func (f *Formula) used() *Formula {
	read := make([]bool, len(f.Expr))
	for k := len(f.Expr) - 1; k >= 0; k-- {
		in := f.Expr[k]
		if read[k] = read[k] || in.Op == Store; !read[k] {
			continue
		}
		for n, v := range [3]uint16{in.A, in.B, in.C} {
			read[v] = read[v] || n < in.Op.Values()
		}
	}
	u := &Formula{}
	places := make([]uint16, len(f.Expr))
	numbers := map[uint16]uint16{}
	for k, in := range f.Expr {
		if !read[k] {
			continue
		}
		switch in.Op {
		case Number:
			if _, ok := numbers[in.A]; !ok {
				numbers[in.A] = uint16(len(u.Numbers))
				u.Numbers = append(u.Numbers, f.Numbers[in.A])
			}
			in.A = numbers[in.A]
		case Load:
		case Store:
			in.A = places[in.A]
		default:
			in.A = places[in.A]
			if in.Op.Values() > 1 {
				in.B = places[in.B]
			}
			if in.Op.Values() > 2 {
				in.C = places[in.C]
			}
		}
		places[k] = u.emit(in.Op, in.A, in.B, in.C).i
	}
	return u
}

// builder writes instructions, each of them once.
type builder struct {
	f     *Formula
	known map[Instr]Value
}

func (b *builder) emit(in Instr) Value {
	if in.Op == Add || in.Op == Mul {
		in.A, in.B = min(in.A, in.B), max(in.A, in.B)
	}
	v, ok := b.known[in]
	if !ok {
		v = b.f.emit(in.Op, in.A, in.B, in.C)
		b.known[in] = v
	}
	return v
}

// operand returns where operand k of an instruction is now.
func (b *builder) operand(values []Value, in Instr, k int) uint16 {
	if k >= in.Op.Values() {
		return 0
	}
	return values[[3]uint16{in.A, in.B, in.C}[k]].i
}

func (b *builder) one(op Op, x Value) Value    { return b.emit(Instr{Op: op, A: x.i}) }
func (b *builder) two(op Op, x, y Value) Value { return b.emit(Instr{Op: op, A: x.i, B: y.i}) }
func (b *builder) choose(c, x, y Value) Value  { return b.emit(Instr{Select, c.i, x.i, y.i}) }

// number returns a number, one that is there if there is one.
func (b *builder) number(x float64) Value {
	for i, y := range b.f.Numbers {
		if x == y {
			return b.emit(Instr{Op: Number, A: uint16(i)})
		}
	}
	b.f.Numbers = append(b.f.Numbers[:len(b.f.Numbers):len(b.f.Numbers)], x)
	return b.emit(Instr{Op: Number, A: uint16(len(b.f.Numbers) - 1)})
}
