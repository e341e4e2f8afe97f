package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Printing follows PyTorch's defaults: 4 digits, 3 entries at each end of a
// dimension once there are more than 1,000 elements, lines of 80 characters.
const (
	printDigits    = 4
	printThreshold = 1000
	printEdge      = 3
	printWidth     = 80
)

// String prints the tensor as PyTorch does, with the type where it is not the
// default one for such elements, the device where it is not the CPU, and what
// made it where it has history.
func (x *Tensor) String() string {
	if x == nil || x.storage == nil {
		return "<nil>"
	}
	if x.storage.released.Load() {
		return fmt.Sprintf("tensor(released, shape=%v, dtype=%s)", x.shape, x.DType())
	}
	var suffix []string
	if x.Len() == 0 && len(x.shape) > 1 {
		suffix = append(suffix, fmt.Sprintf("size=%v", x.shape))
	}
	if x.storage.device != CPU {
		suffix = append(suffix, "device="+x.storage.device.String())
	}
	switch t := x.DType(); {
	case t != Float32 && (t != Int64 && t != Bool || x.Len() == 0):
		suffix = append(suffix, "dtype="+t.String())
	}
	if n := x.Node(); n != nil {
		suffix = append(suffix, "grad_fn=<"+n.Op().Name()+">")
	} else if x.RequiresGrad() {
		suffix = append(suffix, "requires_grad=true")
	}
	if x.IsNoGrad() {
		suffix = append(suffix, "no_grad")
	}
	var b strings.Builder
	b.WriteString("tensor(")
	if x.Len() == 0 {
		b.WriteString("[]")
	} else {
		y, cut := x.bare(), make([]bool, len(x.shape))
		if x.Len() > printThreshold {
			y = y.edges(cut)
		}
		p := printer{b: &b, values: y.Float64s(), shape: y.shape, strides: y.shape.strides(), cut: cut}
		p.format = p.chooseFormat(x.DType())
		if x.DType() == Int64 {
			// float64 cannot hold all of them.
			p.ints = y.Ints()
		}
		x.releaseCopy(y)
		for _, i := range p.shown(0, 0) {
			// Infinities and NaN do not widen the columns.
			if v := p.values[i]; !math.IsInf(v, 0) && !math.IsNaN(v) {
				p.width = max(p.width, len(p.element(i)))
			}
		}
		p.print(0, 0, len("tensor("))
	}
	line := b.Len() - strings.LastIndexByte(b.String(), '\n') - 1
	for _, s := range suffix {
		if line+2+len(s) > printWidth {
			b.WriteString(",\n       ")
			line = len("       ")
		} else {
			b.WriteString(", ")
			line += 2
		}
		b.WriteString(s)
		line += len(s)
	}
	b.WriteByte(')')
	return b.String()
}

// edges returns the entries of x that are printed of a large tensor, and notes the
// dimensions from whose middle it has left some out.
func (x *Tensor) edges(cut []bool) *Tensor {
	const op = "String"
	y := x
	for d, n := range x.shape {
		if cut[d] = n > 2*printEdge; cut[d] {
			z := cat(op, d, []*Tensor{y.narrow(op, d, 0, printEdge), y.narrow(op, d, n-printEdge, printEdge)})
			x.releaseCopy(y)
			y = z
		}
	}
	return y
}

type printer struct {
	b       *strings.Builder
	values  []float64
	ints    []int64
	shape   Shape // of what is printed
	strides []int
	cut     []bool // the dimensions that have "…" in the middle
	format  func(v float64) string
	width   int
}

func (p *printer) element(i int) string {
	if p.ints != nil {
		return strconv.FormatInt(p.ints[i], 10)
	}
	return p.format(p.values[i])
}

// entries lists the indices of a dimension that are printed; -1 stands for "…".
func (p *printer) entries(dim int) []int {
	n := p.shape[dim]
	var out []int
	for i := range n {
		if p.cut[dim] && i == printEdge {
			out = append(out, -1)
		}
		out = append(out, i)
	}
	return out
}

// shown lists the flat positions of all printed elements.
func (p *printer) shown(dim, at int) []int {
	if dim == len(p.shape) {
		return []int{at}
	}
	var out []int
	for _, i := range p.entries(dim) {
		if i >= 0 {
			out = append(out, p.shown(dim+1, at+i*p.strides[dim])...)
		}
	}
	return out
}

// chooseFormat picks the notation that serves all printed elements, by PyTorch's
// rules.
func (p *printer) chooseFormat(t DType) func(v float64) string {
	switch t {
	case Bool:
		return func(v float64) string {
			if v != 0 {
				return " True"
			}
			return "False"
		}
	case Int64, Uint8:
		return func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }
	}
	lo, hi, whole := math.Inf(1), 0.0, true
	for _, i := range p.shown(0, 0) {
		v := math.Abs(p.values[i])
		if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			continue
		}
		lo, hi = min(lo, v), max(hi, v)
		whole = whole && v == math.Trunc(v)
	}
	special := func(v float64, s string) string {
		switch {
		case math.IsNaN(v):
			return "nan"
		case math.IsInf(v, 1):
			return "inf"
		case math.IsInf(v, -1):
			return "-inf"
		}
		return s
	}
	scientific := hi > 0 && (hi/lo > 1000 || hi > 1e8 || lo < 1e-4)
	switch {
	case whole && !(hi > 0 && (hi/lo > 1000 || hi > 1e8)):
		return func(v float64) string { return special(v, strconv.FormatFloat(v, 'f', 0, 64)+".") }
	case scientific:
		return func(v float64) string { return special(v, strconv.FormatFloat(v, 'e', printDigits, 64)) }
	}
	return func(v float64) string { return special(v, strconv.FormatFloat(v, 'f', printDigits, 64)) }
}

func (p *printer) print(dim, at, indent int) {
	if dim == len(p.shape) {
		s := p.element(at)
		if len(p.shape) > 0 {
			s = strings.Repeat(" ", max(p.width-len(s), 0)) + s
		} else {
			s = strings.TrimPrefix(s, " ")
		}
		p.b.WriteString(s)
		return
	}
	p.b.WriteByte('[')
	last := dim == len(p.shape)-1
	perLine := max((printWidth-indent)/(p.width+2), 1)
	for k, i := range p.entries(dim) {
		if k > 0 {
			switch {
			case !last:
				p.b.WriteString("," + strings.Repeat("\n", len(p.shape)-1-dim) + strings.Repeat(" ", indent+1))
			case k%perLine == 0:
				p.b.WriteString(",\n" + strings.Repeat(" ", indent+1))
			default:
				p.b.WriteString(", ")
			}
		}
		if i < 0 {
			if last {
				p.b.WriteString(" ...")
			} else {
				p.b.WriteString("...")
			}
			continue
		}
		p.print(dim+1, at+i*p.strides[dim], indent+1)
	}
	p.b.WriteByte(']')
}
