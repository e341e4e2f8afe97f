package layers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wick-ml/wick/tensor"
)

// Summary returns a table of a model: each module with its path, its settings
// and the shapes of its parameters, and the totals. A module that has a String
// method is shown by it. Parameters that stand in several places are counted once.
func Summary(m Module) string {
	rows := [][]string{{"path", "layer", "parameters", "elements", ""}}
	seen := map[*tensor.Tensor]bool{}
	var parameters, frozen, buffers, parameterBytes, bufferBytes int
	for path, m := range Modules(m) {
		var shapes, notes []string
		elements, own, ownFrozen, tied := 0, 0, 0, 0
		for _, p := range m.Parts() {
			t := p.tensor
			if t == nil {
				continue
			}
			bytes := t.Len() * t.DType().Size()
			if p.buffer {
				if !seen[t] {
					buffers += t.Len()
					bufferBytes += bytes
				}
				seen[t] = true
				continue
			}
			shapes = append(shapes, p.name+" "+t.Shape().String())
			own++
			if !t.RequiresGrad() {
				ownFrozen++
			}
			if seen[t] {
				tied++
				continue
			}
			seen[t] = true
			elements += t.Len()
			parameterBytes += bytes
			if !t.RequiresGrad() {
				frozen += t.Len()
			}
		}
		parameters += elements
		switch {
		case ownFrozen == 0:
		case ownFrozen == own:
			notes = append(notes, "frozen")
		default:
			notes = append(notes, "partly frozen")
		}
		if tied > 0 {
			notes = append(notes, "tied")
		}
		count := ""
		if own > 0 {
			count = thousands(elements)
		}
		rows = append(rows, []string{path, label(m), strings.Join(shapes, ", "), count, strings.Join(notes, ", ")})
	}
	var b strings.Builder
	writeTable(&b, rows)
	fmt.Fprintf(&b, "\n%s parameters (%s): %s trainable, %s frozen\n",
		thousands(parameters), megabytes(parameterBytes), thousands(parameters-frozen), thousands(frozen))
	if buffers > 0 {
		fmt.Fprintf(&b, "%s elements in buffers (%s)\n", thousands(buffers), megabytes(bufferBytes))
	}
	return b.String()
}

// writeTable writes rows in columns, a line under the first; the fourth column is
// one of numbers.
func writeTable(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	line := make([]string, len(width))
	for i, w := range width {
		line[i] = strings.Repeat("─", w)
	}
	for _, row := range slices.Insert(rows, 1, line) {
		var l strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 3 {
				l.WriteString(pad + cell)
			} else {
				l.WriteString(cell + pad)
			}
			l.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
}

// label returns what a module says of itself, or its type's name.
func label(m Module) string {
	if s, ok := m.(fmt.Stringer); ok {
		return s.String()
	}
	return typeName(m)
}

// thousands returns n with commas: "14,728,266".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(bytes int) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// list joins the settings of a layer, without the empty ones.
func list(settings ...string) string {
	return strings.Join(slices.DeleteFunc(settings, func(s string) bool { return s == "" }), ", ")
}

// when returns s if cond holds.
func when(cond bool, s string) string {
	if cond {
		return s
	}
	return ""
}

// sizes returns "kernel 3" or, where height and width differ, "kernel 3×5";
// nothing for the default.
func sizes(name string, hw [2]int, zero int) string {
	switch {
	case hw == [2]int{zero, zero}:
		return ""
	case hw[0] == hw[1]:
		return fmt.Sprintf("%s %d", name, hw[0])
	}
	return fmt.Sprintf("%s %d×%d", name, hw[0], hw[1])
}
