package layers

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// String returns a model as PyTorch prints one: its type, its settings, and what
// stands in it, under its names. Sequential and ModuleList print themselves so, and
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

// String returns what PyTorch prints: "Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))".
func (l *Conv2d) String() string { return "Conv2d(" + l.settings().text() + ")" }

// String returns what PyTorch prints: "ConvTranspose2d(64, 3, kernel_size=(2, 2), stride=(2, 2))".
func (l *ConvTranspose2d) String() string { return "ConvTranspose2d(" + l.settings().text() + ")" }

func (s convSettings) text() string {
	not := func(name string, v [2]int, zero int) string {
		return when(v != [2]int{zero, zero}, name+"="+tuple(v[:]...))
	}
	return list(
		fmt.Sprintf("%d, %d, kernel_size=%s, stride=%s", s.In, s.Out, tuple(s.Kernel[:]...), tuple(s.Stride[:]...)),
		not("padding", s.Padding, 0), when(s.Same, "padding=same"), not("dilation", s.Dilation, 1), not("output_padding", s.OutputPadding, 0),
		when(s.Groups != 1, fmt.Sprintf("groups=%d", s.Groups)),
		when(!s.Bias, "bias=False"))
}

// String returns what PyTorch prints: "Linear(in_features=512, out_features=10, bias=True)".
func (l *Linear) String() string {
	out, in := matrix(l.Weight)
	return fmt.Sprintf("Linear(in_features=%d, out_features=%d, bias=%s)", in, out, python(l.Bias != nil))
}

// String returns what PyTorch prints: "Embedding(1000, 64)".
func (l *Embedding) String() string {
	n, dim := matrix(l.Weight)
	padding := ""
	if l.PaddingIdx != nil {
		padding = fmt.Sprintf("padding_idx=%d", *l.PaddingIdx)
	}
	return "Embedding(" + list(fmt.Sprintf("%d, %d", n, dim), padding) + ")"
}

// String returns what PyTorch prints: "BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)".
func (l *BatchNorm2d) String() string {
	momentum := float(l.Momentum)
	if l.Cumulative {
		momentum = "None"
	}
	return fmt.Sprintf("BatchNorm2d(%d, eps=%s, momentum=%s, affine=%s, bias=%s, track_running_stats=%s)",
		l.features(), float(l.Eps), momentum, python(l.Weight != nil), python(l.Bias != nil), python(l.RunningMean != nil))
}

// String returns what PyTorch prints: "LayerNorm((768,), eps=1e-05, elementwise_affine=True, bias=True)".
func (l *LayerNorm) String() string {
	return fmt.Sprintf("LayerNorm(%s, eps=%s, elementwise_affine=%s, bias=%s)",
		tuple(l.shape...), float(l.Eps), python(l.Weight != nil), python(l.Bias != nil))
}

// String returns what PyTorch prints: "GroupNorm(32, 256, eps=1e-05, affine=True, bias=True)".
func (l *GroupNorm) String() string {
	return fmt.Sprintf("GroupNorm(%d, %d, eps=%s, affine=%s, bias=%s)",
		l.groups, l.features(), float(l.Eps), python(l.Weight != nil), python(l.Bias != nil))
}

// String returns what PyTorch prints: "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)".
func (l *MaxPool2d) String() string {
	return fmt.Sprintf("MaxPool2d(kernel_size=%s, stride=%s, padding=%s, dilation=%s, ceil_mode=%s)",
		number(l.set.Kernel), number(l.set.Stride), number(l.set.Padding), number(l.set.Dilation), python(l.set.CeilMode))
}

// String returns what PyTorch prints: "AvgPool2d(kernel_size=2, stride=2, padding=0)".
func (l *AvgPool2d) String() string {
	return fmt.Sprintf("AvgPool2d(kernel_size=%s, stride=%s, padding=%s)", number(l.set.Kernel), number(l.set.Stride), number(l.set.Padding))
}

// String returns what PyTorch prints: "AdaptiveAvgPool2d(output_size=(7, 7))".
func (l *AdaptiveAvgPool2d) String() string {
	return "AdaptiveAvgPool2d(output_size=" + strings.ReplaceAll(tuple(l.set.Out[:]...), "-1", "None") + ")"
}

// String returns what PyTorch prints: "Dropout(p=0.5, inplace=False)".
func (l *Dropout) String() string { return "Dropout(p=" + float(l.P) + ", inplace=False)" }

// String returns what PyTorch prints: "Flatten(start_dim=1, end_dim=-1)".
func (l Flatten) String() string {
	start, end := l.dims()
	return fmt.Sprintf("Flatten(start_dim=%d, end_dim=%d)", start, end)
}

// String returns "Identity()".
func (Identity) String() string { return "Identity()" }

// String returns what PyTorch prints: "ReLU()" or "ReLU(inplace=True)".
func (l ReLU) String() string { return "ReLU(" + when(l.Inplace, "inplace=True") + ")" }

// String returns what PyTorch prints: "LeakyReLU(negative_slope=0.01)".
func (l LeakyReLU) String() string {
	return "LeakyReLU(negative_slope=" + float(or(l.Slope, 0.01)) + ")"
}

// String returns what PyTorch prints: "GELU(approximate='none')".
func (l GELU) String() string {
	if l.Tanh {
		return "GELU(approximate='tanh')"
	}
	return "GELU(approximate='none')"
}

// String returns "SiLU()".
func (SiLU) String() string { return "SiLU()" }

// String returns "Sigmoid()".
func (Sigmoid) String() string { return "Sigmoid()" }

// String returns "Tanh()".
func (Tanh) String() string { return "Tanh()" }

// String returns what PyTorch prints: "ELU(alpha=1.0)".
func (l ELU) String() string { return "ELU(alpha=" + float(or(l.Alpha, 1)) + ")" }

// String returns "Hardswish()".
func (Hardswish) String() string { return "Hardswish()" }

// String returns "Hardsigmoid()".
func (Hardsigmoid) String() string { return "Hardsigmoid()" }

// String returns what PyTorch prints: "Softplus(beta=1.0, threshold=20.0)".
func (l Softplus) String() string {
	return "Softplus(beta=" + float(or(l.Beta, 1)) + ", threshold=" + float(or(l.Threshold, 20)) + ")"
}

// String returns what PyTorch prints: "Softmax(dim=1)".
func (l Softmax) String() string { return fmt.Sprintf("Softmax(dim=%d)", l.Dim) }

// String returns what PyTorch prints: "LogSoftmax(dim=1)".
func (l LogSoftmax) String() string { return fmt.Sprintf("LogSoftmax(dim=%d)", l.Dim) }

// String returns "CrossEntropyLoss()".
func (CrossEntropyLoss) String() string { return "CrossEntropyLoss()" }

// String returns "NLLLoss()".
func (NLLLoss) String() string { return "NLLLoss()" }

// String returns "MSELoss()".
func (MSELoss) String() string { return "MSELoss()" }

// String returns "L1Loss()".
func (L1Loss) String() string { return "L1Loss()" }

// String returns "SmoothL1Loss()".
func (SmoothL1Loss) String() string { return "SmoothL1Loss()" }

// String returns "HuberLoss()".
func (HuberLoss) String() string { return "HuberLoss()" }

// String returns "BCEWithLogitsLoss()".
func (BCEWithLogitsLoss) String() string { return "BCEWithLogitsLoss()" }

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
