package main

import (
	"fmt"
	"math"
	"slices"
)

// neonLanes are the elements of what the transforms call a vector: two registers. Four would not fill
// the panels of the micro-kernel, which are six rows high.
const neonLanes = 8

func (a *neon) winograd() {
	transforms([]int{32 * neonLanes}, func(name string, _ int, m [2]linear) { a.transform(fmt.Sprintf("%sx%d", name, neonLanes), m) })
	a.scatter8()
}

// pair is a vector of eight lanes.
type pair [2]vec

func (a *neon) pair() pair { return pair{a.vec(), a.vec()} }

// transform writes the map of tiles by m[0] along the rows' index and m[1] along the
// columns', as it is written for amd64. Factors are lanes of a few registers.
func (a *neon) transform(name string, m [2]linear) {
	inH, inW, outH, outW := m[0].inputs, m[1].inputs, len(m[0].matrix), len(m[1].matrix)
	a.function(name, []string{"dst *float32", "strideH, strideW int", "src *float32", "tiles *int", "n int"}, "", func() {
		dst, strideH, strideW := a.arg("dst"), a.arg("strideH"), a.arg("strideW")
		src, tiles, n := a.arg("src"), a.arg("tiles"), a.arg("n")
		from, rowAt, to, next := a.gp(), a.gp(), a.gp(), a.gp()
		a.ins("LSL $2, %v, %v", strideH, strideH)
		a.ins("LSL $2, %v, %v", strideW, strideW)
		factors := a.factors(m)
		tile := a.label("tile")
		a.at(tile)
		a.ins("MOVD (%v), %v", tiles, from)
		a.elementAt(dst, from, rowAt)
		a.ins("ADD $%d, %v, %v", 8*(1+inH*inW), tiles, next)
		for i := range outH {
			a.scope(func() {
				columns := make([]pair, inW)
				for j := range columns {
					var terms []neonTerm
					for r, v := range m[0].matrix[i] {
						if v != 0 {
							terms = append(terms, neonTerm{v, func(p pair) {
								a.ins("MOVD %d(%v), %v", 8*(1+r*inW+j), tiles, from)
								a.elementAt(src, from, from)
								a.ins("FLDPQ (%v), (%s, %s)", from, p[0].f(), p[1].f())
							}, nil})
						}
					}
					columns[j] = a.pair()
					a.combine(columns[j], terms, factors)
				}
				for _, s := range m[1].sums {
					p := a.pair()
					a.addPair(p, columns[s.i], columns[s.j], s.sign)
					columns = append(columns, p)
				}
				a.ins("MOVD %v, %v", rowAt, to)
				for j, row := range m[1].matrix {
					a.scope(func() {
						var terms []neonTerm
						for c, v := range row {
							if v != 0 {
								terms = append(terms, neonTerm{v, nil, &columns[c]})
							}
						}
						p := a.combine(a.pair(), terms, factors)
						a.ins("FSTPQ (%s, %s), (%v)", p[0].f(), p[1].f(), to)
						if j < outW-1 {
							a.ins("ADD %v, %v, %v", strideW, to, to)
						}
					})
				}
				if i < outH-1 {
					a.ins("ADD %v, %v, %v", strideH, rowAt, rowAt)
				}
			})
		}
		a.ins("MOVD %v, %v", next, tiles)
		a.ins("SUBS $1, %v, %v", n, n)
		a.ins("BNE %s", tile)
	},
		fmt.Sprintf("transforms n > 0 tiles of %d×%d vectors of %d elements into %d×%d. tiles has %d numbers for each: where in", inH, inW, neonLanes, outH, outW, 1+inH*inW),
		"dst its results begin, strideH and strideW apart, and where its vectors lie in src.",
	)
}

// lane is a lane of a register.
type lane struct {
	v vec
	i int
}

// factors loads the absolute values of the numbers that m multiplies by.
func (a *neon) factors(m [2]linear) map[float64]lane {
	at := map[float64]lane{}
	var v vec
	for _, l := range m {
		for _, row := range l.matrix {
			for _, f := range row {
				f = math.Abs(f)
				if _, ok := at[f]; ok || f == 0 || f == 1 {
					continue
				}
				i := len(at) % 4
				if i == 0 {
					v = a.vec()
				}
				a.scope(func() {
					r := a.gp()
					a.ins("MOVD $%#x, %v", math.Float32bits(float32(f)), r)
					a.ins("VMOV %v, V%d.S[%d]", r, v, i)
				})
				at[f] = lane{v, i}
			}
		}
	}
	return at
}

// neonTerm is a factor and a vector, which lies in registers or in memory.
type neonTerm struct {
	factor float64
	load   func(pair)
	in     *pair
}

func (a *neon) addPair(d, x, y pair, sign float64) {
	op := "fadd.4s"
	if sign < 0 {
		op = "fsub.4s"
	}
	for h := range d {
		a.op(op, d[h], x[h], y[h])
	}
}

// combine adds terms, in the order of that for amd64, and returns where the sum is: in d or, if it is
// one term, where that is.
func (a *neon) combine(d pair, terms []neonTerm, factors map[float64]lane) pair {
	var first, units, others []neonTerm
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
	a.scope(func() {
		temporary := a.pair()
		in := func(t neonTerm, otherwise pair) pair {
			if t.in != nil {
				return *t.in
			}
			t.load(otherwise)
			return otherwise
		}
		multiply := func(name string, t neonTerm) {
			v, f := in(t, temporary), factors[math.Abs(t.factor)]
			for h := range d {
				a.byLane(name, d[h], v[h], f.v, f.i)
			}
		}
		if first == nil { // there is no map without a positive factor
			i := slices.IndexFunc(others, func(t neonTerm) bool { return t.factor > 0 })
			multiply("fmul", others[i])
			others = slices.Delete(others, i, i+1)
		} else {
			sum := in(first[0], d)
			if len(units) > 0 {
				a.addPair(d, sum, in(units[0], temporary), units[0].factor)
				units = units[1:]
			} else if sum != d && len(others) == 0 {
				d = sum
			} else if sum != d { // a register that others read too
				a.move(sum[0], d[0])
				a.move(sum[1], d[1])
			}
		}
		for _, t := range units {
			a.addPair(d, d, in(t, temporary), t.factor)
		}
		for _, t := range others {
			name := "fmla"
			if t.factor < 0 {
				name = "fmls"
			}
			multiply(name, t)
		}
	})
	return d
}

// scatter8 writes the opposite of transpose8.
func (a *neon) scatter8() {
	a.function("scatter8x8", []string{"dst *float32", "lanes *[8]int", "blocks *int", "src *float32", "width int", "n int", "plus float32"}, "", func() {
		blocks, src, width, n := a.arg("blocks"), a.arg("src"), a.arg("width"), a.arg("n")
		lane := a.lanePointers(a.arg("dst"), a.arg("lanes"))
		at, p := a.gp(), a.gp()
		plus := a.all("plus")
		a.ins("LSL $2, %v, %v", width, width)
		block, done := a.label("block"), a.label("done")
		a.ins("CBZ %v, %s", n, done)
		a.at(block)
		a.ins("MOVD.P 8(%v), %v", blocks, at)
		x := a.vectors(16)
		for i := 0; i < len(x); i += 2 {
			a.ins("FLDPQ (%v), (%s, %s)", src, x[i].f(), x[i+1].f())
			a.ins("ADD %v, %v, %v", width, src, src)
			a.op("fadd.4s", x[i], x[i], plus)
			a.op("fadd.4s", x[i+1], x[i+1], plus)
		}
		for l, row := range a.transpose8Vectors(x) {
			a.elementAt(lane[l], at, p)
			a.ins("FSTPQ (%s, %s), (%v)", row[0].f(), row[1].f(), p)
		}
		a.ins("SUBS $1, %v, %v", n, n)
		a.ins("BNE %s", block)
		a.at(done)
	},
		"writes n blocks of eight elements of each of eight lanes:",
		"dst[lanes[l]+blocks[b]+i] = src[(8·b+i)·width + l] + plus.",
	)
}
