package layers

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// String returns a model as PyTorch prints one: its type, its settings, and its
// children, under their names. Sequential and ModuleList print themselves so, and
// a model does with a method that calls it:
//
//	func (n *Net) String() string { return layers.String(n) }
//
// A module without parts that has a String method is shown by it.
func String(m Module) string {
	if isLibrary(m) && !isNil(m) {
		return text(m, nil)
	}
	return tree(m, nil)
}

// text is String for a module within others.
func text(m Module, above []Module) string {
	switch m := m.(type) {
	case *Sequential, ModuleList:
	case fmt.Stringer:
		if isNil(m.(Module)) || len(children(m.(Module))) == 0 {
			return fmt.Sprint(m)
		}
	}
	return tree(m, above)
}

// tree shows a module by its type and its children.
func tree(m Module, above []Module) string {
	if isNil(m) {
		return "<nil>"
	}
	name := typeName(m)
	for _, a := range above {
		if same(a, m) {
			return name + "(…)"
		}
	}
	if len(above) == maxNesting {
		return name + "(…)"
	}
	above = append(above, m)
	var lines []string
	parts := children(m)
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = text(p.child, above)
	}
	_, list := m.(ModuleList) // in which equal ones that follow each other are one line
	for i := 0; i < len(parts); {
		last := i
		for list && last+1 < len(parts) && texts[last+1] == texts[i] {
			last++
		}
		if last == i {
			lines = append(lines, "("+parts[i].name+"): "+texts[i])
		} else {
			lines = append(lines, fmt.Sprintf("(%s-%s): %d x %s", parts[i].name, parts[last].name, last-i+1, texts[i]))
		}
		i = last + 1
	}
	if len(lines) == 0 {
		return name + "()"
	}
	return name + "(\n  " + strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n  ") + "\n)"
}

// children returns the parts that are modules.
func children(m Module) (list []Part) {
	for _, p := range parts("", m) {
		if p.child != nil {
			list = append(list, p)
		}
	}
	return list
}

// String returns the layers as PyTorch prints them. See [String].
func (s *Sequential) String() string { return tree(s, nil) }

// String returns the modules as PyTorch prints them. See [String].
func (l ModuleList) String() string { return tree(l, nil) }

// matrix returns the sizes of a weight that has two, or zeros.
func matrix(w *tensor.Tensor) (rows, columns int) {
	if w == nil || w.Dim() != 2 {
		return 0, 0
	}
	return w.Size(0), w.Size(1)
}

// python writes a boolean as Python does.
func python(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// float writes a number as Python does: "1e-05", "0.1", "1.0".
func float(v float64) string {
	switch {
	case v == tensor.Zero:
		v = 0
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(fmt.Sprint(v)), "+")
	case v != 0 && (math.Abs(v) < 1e-4 || math.Abs(v) >= 1e16):
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// tuple writes numbers as a tuple of Python's: "(3, 3)", "(8,)".
func tuple(v ...int) string {
	s := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(v), "[]")), ", ")
	if len(v) == 1 {
		s += ","
	}
	return "(" + s + ")"
}

// number writes one number where height and width are alike, otherwise a tuple.
func number(hw [2]int) string {
	if hw[0] == hw[1] {
		return strconv.Itoa(hw[0])
	}
	return tuple(hw[:]...)
}
