package main

import (
	"fmt"
	"math"
)

// The kernels that pass over memory, for arm64. They round where the Go loops
// do, as those for amd64. There are no masks: what is left behind the last whole register
// goes element by element, through the same instructions, in the first lane of registers whose
// other lanes are 0.

func (a *neon) vector() {
	a.sumsAbout()
	a.sumAndDot(false)
	a.sumAndDot(true)
	a.normalize(false)
	a.normalize(true)
	a.normalizeGrad(false)
	a.normalizeGrad(true)
	a.sum("sum", false)
	a.sum("sumSquares", true)
	a.relu()
	a.reluGrad()
	for _, op := range [][2]string{{"add", "+"}, {"sub", "-"}, {"mul", "·"}, {"div", "/"}} {
		a.binary(op[0], op[1])
		a.binary64(op[0], op[1])
	}
	a.squareRoot()
	a.squareRoot64()
	a.adam()
	a.sgd()
	a.maxPool()
	a.maxPoolGrad()
	a.max()
	a.exp(true)
	a.exp(false)
	a.softmaxGrad()
	a.logSoftmaxGrad()
}

// blocks is a loop over n elements of arrays, whose pointers it moves on: body works on so many elements, of
// the sizes one after the other as long as so many are left. The last size is 1.
func (a *neon) blocks(n gp, sizes []int, arrays []gp, body func(elements int)) {
	a.scope(func() {
		left := a.gp()
		a.ins("MOVD %v, %v", n, left)
		for _, size := range sizes {
			again, end := a.label("block"), a.label("end")
			a.ins("SUBS $%d, %v, %v", size, left, left)
			a.ins("BLT %s", end)
			a.at(again)
			a.scope(func() { body(size) })
			for _, p := range arrays {
				a.ins("ADD $%d, %v, %v", 4*size, p, p)
			}
			a.ins("SUBS $%d, %v, %v", size, left, left)
			a.ins("BGE %s", again)
			a.at(end)
			if size > 1 {
				a.ins("ADD $%d, %v, %v", size, left, left)
			}
		}
	})
}

// stream is blocks of unroll registers, of one, and of one element: body(i, elements) works on the 4
// elements, or the 1, that stand i registers further on.
func (a *neon) stream(n gp, unroll int, arrays []gp, body func(i, elements int)) {
	sizes := []int{4 * unroll, 4, 1}
	if unroll == 1 {
		sizes = sizes[1:]
	}
	a.blocks(n, sizes, arrays, func(elements int) {
		for i := range registers(elements) {
			a.scope(func() { body(i, min(elements, 4)) })
		}
	})
}

// registers is how many registers so many elements take.
func registers(elements int) int { return (elements + 3) / 4 }

// rows repeats a stream for rows, stride elements apart, of arrays.
func (a *neon) rows(unroll int, arrays []gp, body func(i, elements int)) {
	rows, stride, n := a.arg("rows"), a.arg("stride"), a.arg("n")
	row, done := a.label("row"), a.label("done")
	a.ins("LSL $2, %v, %v", stride, stride)
	// The stream moves the pointers by n elements.
	a.ins("SUB %v<<2, %v, %v", n, stride, stride)
	a.ins("CBZ %v, %s", rows, done)
	a.at(row)
	a.stream(n, unroll, arrays, body)
	for _, p := range arrays {
		a.ins("ADD %v, %v, %v", stride, p, p)
	}
	a.ins("SUBS $1, %v, %v", rows, rows)
	a.ins("BNE %s", row)
	a.at(done)
}

// elementwise is a stream whose body gets the registers with the elements of inputs, loaded, and
// returns what goes to the first array.
func elementwise(a *neon, to gp, inputs []gp, body func(x []vec, elements int) vec) func(i, elements int) {
	return func(i, elements int) {
		x := a.vectors(len(inputs))
		for j, p := range inputs {
			a.load(p, 16*i, elements, x[j])
		}
		a.store(body(x, elements), to, 16*i, elements)
	}
}

func (a *neon) normalize(relu bool) {
	name, doc := "normalize", "computes dst = (x-mean)·scale + shift for rows of n elements, stride apart."
	if relu {
		name, doc = "normalizeReLU", "computes dst = max((x-mean)·scale + shift, 0) for rows of n elements, stride apart."
	}
	a.function(name+"NEON", []string{"dst, x *float32", "rows, stride, n int", "mean, scale, shift float32"}, "", func() {
		dst, x := a.arg("dst"), a.arg("x")
		mean, scale, shift, zero := a.all("mean"), a.all("scale"), a.all("shift"), a.vec()
		a.clear(zero)
		a.rows(4, []gp{dst, x}, elementwise(a, dst, []gp{x}, func(x []vec, _ int) vec {
			a.op("fsub.4s", x[0], x[0], mean)
			a.op("fmul.4s", x[0], x[0], scale)
			a.op("fadd.4s", x[0], x[0], shift)
			if relu {
				a.op("fmax.4s", x[0], x[0], zero)
			}
			return x[0]
		}))
	}, doc)
}

// where makes d 0 where y is 0; y is destroyed.
func (a *neon) where(d, y vec) {
	a.isZero(y, y)
	a.op("bic.16b", d, d, y)
}

func (a *neon) normalizeGrad(relu bool) {
	name, arrays := "normalizeGrad", "dx, dy, x *float32"
	doc := "computes dx = (dy - dyMean - (x-mean)·slope)·scale for rows of n elements, stride apart."
	if relu {
		name, arrays, doc = "normalizeGradReLU", "dx, dy, x, y *float32", "is normalizeGrad with 0 for dy where y is 0."
	}
	a.function(name+"NEON", []string{arrays, "rows, stride, n int", "mean, dyMean, slope, scale float32"}, "", func() {
		dx, in := a.arg("dx"), []gp{a.arg("dy"), a.arg("x")}
		if relu {
			in = append(in, a.arg("y"))
		}
		mean, dyMean, slope, scale := a.all("mean"), a.all("dyMean"), a.all("slope"), a.all("scale")
		a.rows(2, append([]gp{dx}, in...), elementwise(a, dx, in, func(x []vec, _ int) vec {
			if relu {
				a.where(x[0], x[2])
			}
			a.op("fsub.4s", x[1], x[1], mean)
			a.op("fmul.4s", x[1], x[1], slope)
			a.op("fsub.4s", x[0], x[0], dyMean)
			a.op("fsub.4s", x[0], x[0], x[1])
			a.op("fmul.4s", x[0], x[0], scale)
			return x[0]
		}))
	}, doc)
}

// Sums in float64. Each register of floats makes two of float64, each of which has sums of its own.

// widened are the elements of x as float64: one register for one element, else two.
func (a *neon) widened(x vec, elements int) []vec {
	d := a.vectors(2)
	a.widen(d[0], x, false)
	if elements == 1 {
		return d[:1]
	}
	a.widen(d[1], x, true)
	return d
}

// less subtracts m from the lanes of d that count.
func (a *neon) less(d, m vec, elements int) {
	if elements == 1 {
		a.ins("FSUBD %s, %s, %s", m.f(), d.f(), d.f()) // leaves 0 in the other lane
	} else {
		a.op("fsub.2d", d, d, m)
	}
}

// fold adds all lanes of the sums into the result.
func (a *neon) fold(s []vec, result string) {
	for n := len(s) / 2; n > 0; n /= 2 {
		for i := range n {
			a.op("fadd.2d", s[i], s[i], s[i+n])
		}
	}
	a.addLanes64(s[0], s[0])
	a.ins("FMOVD %s, %s", s[0].f(), a.param(result))
}

func (a *neon) sumsAbout() {
	a.function("sumsAboutNEON", []string{"x *float32", "rows, stride, n int", "near float64"}, "sum, squares float64", func() {
		x, near := a.arg("x"), a.all64("near")
		sum, squares := a.vectors(4), a.vectors(4)
		a.clear(append(sum, squares...)...)
		a.rows(2, []gp{x}, func(i, elements int) {
			f := a.vec()
			a.load(x, 16*i, elements, f)
			for j, d := range a.widened(f, elements) {
				a.less(d, near, elements)
				a.op("fadd.2d", sum[2*i+j], sum[2*i+j], d)
				a.fma64(squares[2*i+j], d, d)
			}
		})
		a.fold(sum, "sum")
		a.fold(squares, "squares")
	}, "returns Σ (x-near) and Σ (x-near)² over rows of n elements, stride apart.")
}

func (a *neon) sumAndDot(relu bool) {
	name, arrays, doc := "sumAndDot", "dy, x *float32", "returns Σ dy and Σ dy·(x-mean) over rows of n elements, stride apart."
	if relu {
		name, arrays, doc = "sumAndDotReLU", "dy, x, y *float32", "is sumAndDot of dy where y is not 0."
	}
	a.function(name+"NEON", []string{arrays, "rows, stride, n int", "mean float64"}, "sum, dot float64", func() {
		in := []gp{a.arg("dy"), a.arg("x")}
		if relu {
			in = append(in, a.arg("y"))
		}
		mean := a.all64("mean")
		sum, dot := a.vectors(4), a.vectors(4)
		a.clear(append(sum, dot...)...)
		a.rows(2, in, func(i, elements int) {
			f := a.vectors(len(in))
			for j, p := range in {
				a.load(p, 16*i, elements, f[j])
			}
			if relu {
				a.where(f[0], f[2])
			}
			dy, x := a.widened(f[0], elements), a.widened(f[1], elements)
			for j := range dy {
				a.less(x[j], mean, elements)
				a.op("fadd.2d", sum[2*i+j], sum[2*i+j], dy[j])
				a.fma64(dot[2*i+j], dy[j], x[j])
			}
		})
		a.fold(sum, "sum")
		a.fold(dot, "dot")
	}, doc)
}

func (a *neon) sum(name string, square bool) {
	a.function(name+"NEON", []string{"x *float32", "n int"}, "sum float64", func() {
		x, n := a.arg("x"), a.arg("n")
		sum := a.vectors(8)
		a.clear(sum...)
		a.stream(n, 4, []gp{x}, func(i, elements int) {
			f := a.vec()
			a.load(x, 16*i, elements, f)
			for j, d := range a.widened(f, elements) {
				if square {
					a.fma64(sum[2*i+j], d, d)
				} else {
					a.op("fadd.2d", sum[2*i+j], sum[2*i+j], d)
				}
			}
		})
		a.fold(sum, "sum")
	}, fmt.Sprintf("returns Σ %s over n elements.", map[bool]string{false: "x", true: "x²"}[square]))
}

func (a *neon) relu() {
	a.function("reluNEON", []string{"dst, x *float32", "n int"}, "", func() {
		dst, x, n, zero := a.arg("dst"), a.arg("x"), a.arg("n"), a.vec()
		a.clear(zero)
		a.stream(n, 4, []gp{dst, x}, elementwise(a, dst, []gp{x}, func(x []vec, _ int) vec {
			a.op("fmax.4s", x[0], x[0], zero) // NaN if x is
			return x[0]
		}))
	}, "computes dst = max(x, 0) for n elements.")
}

func (a *neon) reluGrad() {
	a.function("reluGradNEON", []string{"dx, dy, y *float32", "n int"}, "", func() {
		dx, dy, y, n := a.arg("dx"), a.arg("dy"), a.arg("y"), a.arg("n")
		a.stream(n, 4, []gp{dx, dy, y}, elementwise(a, dx, []gp{dy, y}, func(x []vec, _ int) vec {
			a.where(x[0], x[1])
			return x[0]
		}))
	}, "computes dx = dy where y is not 0, else 0, for n elements.")
}

func (a *neon) binary(name, sign string) {
	a.function(name+"NEON", []string{"dst, a, b *float32", "n int"}, "", func() {
		dst, x, y, n := a.arg("dst"), a.arg("a"), a.arg("b"), a.arg("n")
		a.stream(n, 4, []gp{dst, x, y}, elementwise(a, dst, []gp{x, y}, func(x []vec, _ int) vec {
			a.op("f"+name+".4s", x[0], x[0], x[1])
			return x[0]
		}))
	}, fmt.Sprintf("computes dst = a %s b for n elements.", sign))
}

// stream64 is a stream over n elements of arrays of float64, as twice as many float32.
func (a *neon) stream64(n gp, arrays []gp, body func(i, elements int)) {
	a.ins("LSL $1, %v, %v", n, n)
	a.blocks(n, []int{16, 4, 2}, arrays, func(elements int) {
		for i := range registers(elements) {
			a.scope(func() { body(i, min(elements, 4)) })
		}
	})
}

func (a *neon) binary64(name, sign string) {
	a.function(name+"64NEON", []string{"dst, a, b *float64", "n int"}, "", func() {
		dst, x, y, n := a.arg("dst"), a.arg("a"), a.arg("b"), a.arg("n")
		a.stream64(n, []gp{dst, x, y}, elementwise(a, dst, []gp{x, y}, func(x []vec, _ int) vec {
			a.op("f"+name+".2d", x[0], x[0], x[1])
			return x[0]
		}))
	}, fmt.Sprintf("computes dst = a %s b for n elements.", sign))
}

func (a *neon) squareRoot() {
	a.function("sqrtNEON", []string{"dst, x *float32", "n int"}, "", func() {
		dst, x, n := a.arg("dst"), a.arg("x"), a.arg("n")
		a.stream(n, 4, []gp{dst, x}, elementwise(a, dst, []gp{x}, func(x []vec, _ int) vec {
			a.sqrt(x[0], x[0])
			return x[0]
		}))
	}, "computes dst = √x for n elements.")
}

func (a *neon) squareRoot64() {
	a.function("sqrt64NEON", []string{"dst, x *float64", "n int"}, "", func() {
		dst, x, n := a.arg("dst"), a.arg("x"), a.arg("n")
		a.stream64(n, []gp{dst, x}, elementwise(a, dst, []gp{x}, func(x []vec, _ int) vec {
			a.sqrt64(x[0], x[0])
			return x[0]
		}))
	}, "computes dst = √x for n elements.")
}

// numbers loads floats from the struct that p points at into all lanes of a
// register each.
func (a *neon) numbers(n int) []vec {
	p, v := a.arg("p"), a.vectors(n)
	for i := range v {
		a.ins("VLD1R.P 4(%v), [%s]", p, v[i].s4())
	}
	return v
}

func (a *neon) adam() {
	a.function("adamNEON", []string{"w, dw, m, v *float32", "n int", "p *float32", "decays bool"}, "", func() {
		w, g, first, second, n := a.arg("w"), a.arg("dw"), a.arg("m"), a.arg("v"), a.arg("n")
		decays := a.flag("decays")
		p := a.numbers(9)
		sign, decay, shrink, size, scale, eps, beta2, new1, new2 := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
		a.stream(n, 1, []gp{w, g, first, second}, elementwise(a, w, []gp{w, g, first, second}, func(in []vec, elements int) vec {
			x, d, m, v, t := in[0], in[1], in[2], in[3], a.vec()
			skip := a.label("nodecay")
			a.op("fmul.4s", d, d, sign)
			a.ins("CBZ %v, %s", decays, skip)
			a.op("fmul.4s", t, x, decay)
			a.op("fadd.4s", d, d, t)
			a.at(skip)
			a.op("fsub.4s", t, d, m)
			a.op("fmul.4s", t, t, new1)
			a.op("fadd.4s", m, m, t) // the new first moment
			a.store(m, first, 0, elements)
			a.op("fmul.4s", v, v, beta2)
			a.op("fmul.4s", t, d, new2)
			a.op("fmul.4s", t, t, d)
			a.op("fadd.4s", v, v, t) // the new second moment
			a.store(v, second, 0, elements)
			a.sqrt(v, v)
			a.op("fmul.4s", v, v, scale)
			a.op("fadd.4s", v, v, eps)
			a.op("fmul.4s", m, m, size)
			a.op("fdiv.4s", m, m, v)
			a.op("fmul.4s", x, x, shrink)
			a.op("fsub.4s", x, x, m)
			return x
		}))
	},
		"makes a step of Adam for n elements. p points at the first field of an adamNumbers; decays says that its decay",
		"is not 0.")
}

func (a *neon) sgd() {
	a.function("sgdNEON", []string{"w, dw, m *float32", "n int", "p *float32", "decays, nesterov bool"}, "", func() {
		w, g, momentum, n := a.arg("w"), a.arg("dw"), a.arg("m"), a.arg("n")
		decays, nesterov := a.flag("decays"), a.flag("nesterov")
		p := a.numbers(5)
		sign, decay, lr, mu, keep := p[0], p[1], p[2], p[3], p[4]
		a.stream(n, 1, []gp{w, g, momentum}, elementwise(a, w, []gp{w, g, momentum}, func(in []vec, elements int) vec {
			x, d, b, t := in[0], in[1], in[2], a.vec()
			skip, plain := a.label("nodecay"), a.label("plain")
			a.op("fmul.4s", d, d, sign)
			a.ins("CBZ %v, %s", decays, skip)
			a.op("fmul.4s", t, x, decay)
			a.op("fadd.4s", d, d, t)
			a.at(skip)
			a.op("fmul.4s", b, b, mu)
			a.op("fmul.4s", t, d, keep)
			a.op("fadd.4s", b, b, t)
			a.store(b, momentum, 0, elements)
			a.ins("CBZ %v, %s", nesterov, plain)
			a.op("fmul.4s", b, b, mu)
			a.op("fadd.4s", b, d, b)
			a.at(plain)
			a.op("fmul.4s", b, b, lr)
			a.op("fsub.4s", x, x, b)
			return x
		}))
	},
		"makes a step of SGD with momentum for n elements. p points at the first field of an sgdNumbers; decays says that its",
		"decay is not 0.")
}

// windows are the loops over the 2×2 windows of pairs of rows. body works on 4 windows, or 1, from
// the pointers to the upper row and the lower one of each of images, and to each of arrays, on.
func (a *neon) windows(arrays, images []gp, body func(lower []gp, elements int)) {
	rows, w, q := a.arg("rows"), a.arg("w"), a.arg("q")
	row, done := a.label("row"), a.label("done")
	lower := make([]gp, len(images))
	for i := range lower {
		lower[i] = a.gp()
	}
	behind := a.gp() // the windows of a row
	a.ins("SUB %v<<1, %v, %v", q, w, behind)
	a.ins("CBZ %v, %s", rows, done)
	a.at(row)
	for i, p := range images {
		a.elementAt(p, w, lower[i])
	}
	a.stream(q, 1, arrays, func(_, elements int) {
		body(lower, elements)
		for i, p := range images {
			a.ins("ADD $%d, %v, %v", 8*elements, p, p)
			a.ins("ADD $%d, %v, %v", 8*elements, lower[i], lower[i])
		}
	})
	for i, p := range images {
		a.elementAt(lower[i], behind, p)
	}
	a.ins("SUBS $1, %v, %v", rows, rows)
	a.ins("BNE %s", row)
	a.at(done)
}

// split loads the windows' elements of one row, the left and the right ones, into neighbouring registers.
func (a *neon) split(row gp, elements int, to [2]vec) {
	if elements == 1 {
		a.load(row, 0, 1, to[0])
		a.load(row, 4, 1, to[1])
		return
	}
	a.ins("VLD2 (%v), [%s, %s]", row, to[0].s4(), to[1].s4())
}

// join is split's inverse.
func (a *neon) join(from [2]vec, row gp, elements int) {
	if elements == 1 {
		a.store(from[0], row, 0, 1)
		a.store(from[1], row, 4, 1)
		return
	}
	a.ins("VST2 [%s, %s], (%v)", from[0].s4(), from[1].s4(), row)
}

func (a *neon) maxPool() {
	a.function("maxPool2x2NEON", []string{"dst, x *float32", "rows, w, q int"}, "", func() {
		dst, x := a.arg("dst"), a.arg("x")
		a.windows([]gp{dst}, []gp{x}, func(lower []gp, elements int) {
			upper, under := a.pair(), a.pair()
			a.split(x, elements, upper)
			a.split(lower[0], elements, under)
			a.op("fmax.4s", upper[0], upper[0], upper[1])
			a.op("fmax.4s", under[0], under[0], under[1])
			a.op("fmax.4s", upper[0], upper[0], under[0])
			a.store(upper[0], dst, 0, elements)
		})
	}, "takes the maxima of q 2×2 windows in each of rows pairs of x's rows, which are w elements long; dst's rows are q.")
}

func (a *neon) maxPoolGrad() {
	a.function("maxPoolGrad2x2NEON", []string{"dx, dy, x, y *float32", "rows, w, q int"}, "nan bool", func() {
		dx, dy, x, y := a.arg("dx"), a.arg("dy"), a.arg("x"), a.arg("y")
		numbers := a.vec() // ones in the lanes that had no NaN yet
		a.ins("VCMEQ %s, %s, %s", numbers.s4(), numbers.s4(), numbers.s4())
		a.windows([]gp{dy, y}, []gp{x, dx}, func(lower []gp, elements int) {
			best, d, t := a.vec(), a.vec(), a.vec()
			a.load(y, 0, elements, best)
			a.load(dy, 0, elements, d)
			a.op("fcmeq.4s", t, best, best)
			a.ins("VAND %s, %s, %s", t.b16(), numbers.b16(), numbers.b16())
			// take makes x what d holds where x is best, else 0, and takes it from d.
			take := func(x vec) {
				a.op("fcmeq.4s", t, x, best)
				a.ins("VAND %s, %s, %s", t.b16(), d.b16(), x.b16())
				a.op("bic.16b", d, d, t)
			}
			p := a.pair()
			a.split(x, elements, p)
			take(p[0])
			take(p[1])
			a.join(p, dx, elements)
			a.split(lower[0], elements, p)
			take(p[0])
			a.move(d, p[1]) // what is left is the last one's
			a.join(p, lower[1], elements)
		})
		a.someZero(numbers, "nan")
	},
		"gives dy to the first element of each window that is y, and 0 to the others; see maxPool2x2. It reports whether one",
		"of y is NaN; what it wrote is of no use then.")
}

// someZero stores whether a lane of v, of ones or zeros, has zeros.
func (a *neon) someZero(v vec, result string) {
	a.scope(func() {
		x, y := a.gp(), a.gp()
		a.ins("VMOV V%d.D[0], %v", v, x)
		a.ins("VMOV V%d.D[1], %v", v, y)
		a.ins("AND %v, %v, %v", y, x, x)
		a.ins("CMN $1, %v", x)
		a.ins("CSET NE, %v", x)
		a.ins("MOVB %v, %s", x, a.param(result))
	})
}

func (a *neon) max() {
	a.function("maxNEON", []string{"x *float32", "n int"}, "largest float32", func() {
		x, n := a.arg("x"), a.arg("n")
		best := a.vectors(4)
		best[0] = a.constant(float32(math.Inf(-1)))
		for _, b := range best[1:] {
			a.move(best[0], b)
		}
		a.stream(n, 4, []gp{x}, func(i, elements int) {
			f := a.vec()
			if elements == 1 {
				a.ins("VLD1R (%v), [%s]", x, f.s4())
			} else {
				a.load(x, 16*i, elements, f)
			}
			a.op("fmax.4s", best[i], best[i], f)
		})
		a.op("fmax.4s", best[0], best[0], best[1])
		a.op("fmax.4s", best[2], best[2], best[3])
		a.op("fmax.4s", best[0], best[0], best[2])
		a.largestLane(best[0], best[0])
		a.ins("FMOVS %s, %s", best[0].f(), a.param("largest"))
	}, "returns the maximum of n elements, -Inf of none, NaN if one is NaN.")
}

// neonExponential is what e to the power of x is made with; see exp32, which rounds alike.
type neonExponential struct {
	lowest, highest vec
	numbers         []vec // expNumbers
}

func (a *neon) exponential() *neonExponential {
	e := &neonExponential{lowest: a.constant(-104), highest: a.constant(89)}
	for _, f := range expNumbers {
		e.numbers = append(e.numbers, a.constant(f))
	}
	return e
}

// exponentialOf replaces x by its exponential.
func (a *neon) exponentialOf(e *neonExponential, x vec) {
	log2e, round, ln2, ln2rest, one, poly := e.numbers[0], e.numbers[1], e.numbers[2], e.numbers[3], e.numbers[4], e.numbers[5:]
	t, n, p := a.vec(), a.vec(), a.vec()
	a.op("fmin.4s", x, x, e.highest)
	a.op("fmax.4s", x, x, e.lowest)
	a.op("fmul.4s", t, x, log2e)
	a.op("fadd.4s", t, t, round)
	a.op("fsub.4s", n, t, round)
	a.op("fmul.4s", p, n, ln2)
	a.op("fsub.4s", x, x, p)
	a.op("fmul.4s", p, n, ln2rest)
	a.op("fsub.4s", x, x, p)
	a.op("fmul.4s", p, x, poly[0])
	for _, c := range poly[1:] {
		a.op("fadd.4s", p, p, c)
		a.op("fmul.4s", p, p, x)
	}
	a.op("fmul.4s", p, p, x)
	a.op("fadd.4s", p, p, x)
	a.op("fadd.4s", p, p, one)
	// Two powers of two, each a normal number.
	a.ins("VSUB %s, %s, %s", round.s4(), t.s4(), t.s4())
	a.halve(n, t)
	a.ins("VSUB %s, %s, %s", n.s4(), t.s4(), t.s4())
	for _, half := range []vec{n, t} {
		a.ins("VSHL $23, %s, %s", half.s4(), half.s4())
		a.ins("VADD %s, %s, %s", one.s4(), half.s4(), half.s4())
		a.op("fmul.4s", p, p, half)
	}
	a.move(p, x)
}

func (a *neon) exp(store bool) {
	name, arrays, doc := "exp", "dst, x *float32", "computes dst = exp(x-shift) for n elements, and returns their sum."
	if !store {
		name, arrays, doc = "sumExp", "x *float32", "returns Σ exp(x-shift) over n elements."
	}
	a.function(name+"NEON", []string{arrays, "n int", "shift float32"}, "sum float64", func() {
		x, n := a.arg("x"), a.arg("n")
		moved := []gp{x}
		var dst gp
		if store {
			dst = a.arg("dst")
			moved = append(moved, dst)
		}
		shift, e, sum := a.all("shift"), a.exponential(), a.vectors(2)
		a.clear(sum...)
		a.stream(n, 2, moved, func(i, elements int) {
			f := a.vec()
			a.load(x, 16*i, elements, f)
			a.op("fsub.4s", f, f, shift)
			a.exponentialOf(e, f)
			if store {
				a.store(f, dst, 16*i, elements)
			}
			if elements == 1 {
				a.ins("FMOVS %s, %s", f.f(), f.f()) // leaves 0 in the other lanes
			}
			for j, d := range a.widened(f, elements) {
				a.op("fadd.2d", sum[j], sum[j], d)
			}
		})
		a.fold(sum, "sum")
	}, doc)
}

func (a *neon) softmaxGrad() {
	a.function("softmaxGradNEON", []string{"dx, dy, y *float32", "n int", "dot float32"}, "", func() {
		dx, dy, y, n, dot := a.arg("dx"), a.arg("dy"), a.arg("y"), a.arg("n"), a.all("dot")
		a.stream(n, 4, []gp{dx, dy, y}, elementwise(a, dx, []gp{dy, y}, func(x []vec, _ int) vec {
			a.op("fsub.4s", x[0], x[0], dot)
			a.op("fmul.4s", x[0], x[0], x[1])
			return x[0]
		}))
	}, "computes dx = (dy-dot)·y for n elements.")
}

func (a *neon) logSoftmaxGrad() {
	a.function("logSoftmaxGradNEON", []string{"dx, dy, y *float32", "n int", "sum float32"}, "", func() {
		dx, dy, y, n, sum, e := a.arg("dx"), a.arg("dy"), a.arg("y"), a.arg("n"), a.all("sum"), a.exponential()
		a.stream(n, 2, []gp{dx, dy, y}, elementwise(a, dx, []gp{dy, y}, func(x []vec, _ int) vec {
			a.exponentialOf(e, x[1])
			a.op("fmul.4s", x[1], x[1], sum)
			a.op("fsub.4s", x[0], x[0], x[1])
			return x[0]
		}))
	}, "computes dx = dy - exp(y)·sum for n elements.")
}
