package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/wick-ml/wick/tensor"
)

// strided is a model of a view: which numbers of a memory its elements are.
type strided struct {
	memory  *[]float64
	shape   []int
	strides []int
	at      int
}

// places returns where the elements lie, row by row.
func (m strided) places() []int {
	var out []int
	places(m.shape, func(_ int, place []int) {
		at := m.at
		for d, i := range place {
			at += i * m.strides[d]
		}
		out = append(out, at)
	})
	return out
}

func (m strided) values() []float64 {
	var out []float64
	for _, i := range m.places() {
		out = append(out, (*m.memory)[i])
	}
	return out
}

// dense returns the strides of elements that lie row by row.
func dense(shape []int) []int {
	st := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		st[i] = n
		n *= max(shape[i], 1)
	}
	return st
}

// contiguous reports whether the elements lie row by row.
func (m strided) contiguous() bool {
	at := m.places()
	for i := range at {
		if at[i] != at[0]+i {
			return false
		}
	}
	return true
}

// viewed returns the model of a view in another shape, if there are strides for it: the
// place of each element says so.
func (m strided) viewed(shape []int) (strided, bool) {
	at := m.places()
	v := strided{m.memory, shape, dense(shape), m.at}
	if len(at) == 0 {
		return v, true
	}
	for d, step := range dense(shape) {
		if shape[d] > 1 {
			v.strides[d] = at[step] - at[0]
		}
	}
	return v, slices.Equal(v.places(), at)
}

// pair is a view and its model.
type pair struct {
	x *T
	m strided
}

func without(s []int, i int) []int        { return slices.Delete(slices.Clone(s), i, i+1) }
func with(s []int, i int, v ...int) []int { return slices.Insert(slices.Clone(s), i, v...) }

// viewOf draws a view operation and applies it to a view and its model.
func viewOf(t *rapid.T, p pair) pair {
	x, m := p.x, p.m
	n := len(m.shape)
	draw := func(lo, hi int, name string) int { return rapid.IntRange(lo, hi).Draw(t, name) }
	m.shape, m.strides = slices.Clone(m.shape), slices.Clone(m.strides)
	kinds := []string{"Unsqueeze", "Detach", "Contiguous", "Clone", "View", "Permute", "Expand", "Autocast"}
	if n > 0 {
		kinds = append(kinds, "Transpose", "MoveDim", "Narrow", "Slice", "Select", "Unbind", "Split", "Chunk", "Squeeze", "Unfold", "Flatten", "Unflatten")
	}
	if n > 1 {
		kinds = append(kinds, "Diagonal")
	}
	if x.IsContiguous() {
		kinds = append(kinds, "AsStrided")
	}
	fresh := func(y *T, shape []int) pair {
		memory := p.m.values()
		return pair{y, strided{&memory, shape, dense(shape), 0}}
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "view")
	d := 0
	if n > 0 {
		d = draw(0, n-1, "dim")
	}
	part := func(start, count, step int) strided {
		m.at += start * m.strides[d]
		m.shape[d], m.strides[d] = count, m.strides[d]*step
		if count == 0 {
			m.at = 0
		}
		return m
	}
	switch kind {
	case "Detach":
		return pair{x.Detach(), m}
	case "Autocast":
		return pair{x.Autocast(tensor.BFloat16), m}
	case "Contiguous":
		if x.IsContiguous() {
			return pair{x.Contiguous(), m}
		}
		return fresh(x.Contiguous(), m.shape)
	case "Clone":
		return fresh(x.Clone(), m.shape)
	case "Unsqueeze":
		i := draw(0, n, "at")
		return pair{x.Unsqueeze(i - n - 1), strided{m.memory, with(m.shape, i, 1), with(m.strides, i, 1), m.at}}
	case "Permute":
		identity := make([]int, n)
		for i := range identity {
			identity[i] = i
		}
		order := rapid.Permutation(identity).Draw(t, "order")
		shape, strides := make([]int, n), make([]int, n)
		for i, from := range order {
			shape[i], strides[i] = m.shape[from], m.strides[from]
		}
		return pair{x.Permute(order...), strided{m.memory, shape, strides, m.at}}
	case "Transpose":
		e := draw(0, n-1, "other")
		m.shape[d], m.shape[e] = m.shape[e], m.shape[d]
		m.strides[d], m.strides[e] = m.strides[e], m.strides[d]
		return pair{x.Transpose(d, e-n), m}
	case "MoveDim":
		e := draw(0, n-1, "to")
		return pair{x.MoveDim(d, e), strided{m.memory, with(without(m.shape, d), e, m.shape[d]), with(without(m.strides, d), e, m.strides[d]), m.at}}
	case "Expand":
		for i := range m.shape {
			if m.shape[i] == 1 && rapid.Bool().Draw(t, "repeat") {
				m.shape[i], m.strides[i] = draw(0, 3, "times"), 0
			}
		}
		if rapid.Bool().Draw(t, "lead") {
			m.shape, m.strides = with(m.shape, 0, draw(0, 2, "times")), with(m.strides, 0, 0)
		}
		return pair{x.Expand(m.shape...), m}
	case "Narrow":
		start := draw(0, m.shape[d], "start")
		count := draw(0, m.shape[d]-start, "count")
		return pair{x.Narrow(d, start, count), part(start, count, 1)}
	case "Slice":
		size := m.shape[d]
		start, step := draw(0, size, "start"), draw(1, 3, "step")
		end := draw(start, size+2, "end")
		count := 0
		for i := start; i < min(end, size); i += step {
			count++
		}
		return pair{x.Slice(d, start, end, step), part(start, count, step)}
	case "Select", "Unbind":
		if m.shape[d] == 0 {
			return p
		}
		i := draw(0, m.shape[d]-1, "index")
		y := x.Select(d, i-m.shape[d])
		if kind == "Unbind" {
			y = x.Unbind(d)[i]
		}
		return pair{y, strided{m.memory, without(m.shape, d), without(m.strides, d), m.at + i*m.strides[d]}}
	case "Split", "Chunk":
		if m.shape[d] == 0 {
			return p
		}
		size := draw(1, m.shape[d], "size")
		pieces := x.Split(size, d)
		if kind == "Chunk" {
			pieces = x.Chunk(size, d)
			size = (m.shape[d]-1)/size + 1
		}
		i := draw(0, len(pieces)-1, "piece")
		return pair{pieces[i], part(i*size, min(size, m.shape[d]-i*size), 1)}
	case "Squeeze":
		shape, strides := []int{}, []int{}
		for i, s := range m.shape {
			if s != 1 {
				shape, strides = append(shape, s), append(strides, m.strides[i])
			}
		}
		return pair{x.Squeeze(), strided{m.memory, shape, strides, m.at}}
	case "Diagonal":
		e := draw(0, n-2, "other")
		if e >= d {
			e++
		}
		offset := draw(-2, 2, "offset")
		at, count := offset*m.strides[e], max(0, min(m.shape[d], m.shape[e]-offset))
		if offset < 0 {
			at, count = -offset*m.strides[d], max(0, min(m.shape[d]+offset, m.shape[e]))
		}
		if count == 0 {
			at = 0
		}
		hi, lo := max(d, e), min(d, e)
		return pair{x.Diagonal(offset, d, e), strided{m.memory,
			append(without(without(m.shape, hi), lo), count), append(without(without(m.strides, hi), lo), m.strides[d]+m.strides[e]), m.at + at}}
	case "Unfold":
		if m.shape[d] == 0 {
			return p
		}
		size, step := draw(1, m.shape[d], "size"), draw(1, 2, "step")
		y := x.Unfold(d, size, step)
		shape, strides := append(m.shape, size), append(m.strides, m.strides[d])
		shape[d], strides[d] = (m.shape[d]-size)/step+1, m.strides[d]*step
		return pair{y, strided{m.memory, shape, strides, m.at}}
	case "AsStrided":
		flat := strided{m.memory, []int{len(m.places())}, []int{1}, m.at}
		shape, strides := []int{draw(0, 3, "rows"), draw(0, 3, "columns")}, []int{draw(0, 3, "down"), draw(0, 3, "along")}
		at := draw(0, 2, "offset")
		v := strided{flat.memory, shape, strides, flat.at + at}
		if shape[0]*shape[1] > 0 && at+(shape[0]-1)*strides[0]+(shape[1]-1)*strides[1] >= flat.shape[0] {
			if err := try(func() { x.AsStrided(shape, strides, at) }); err == nil {
				t.Errorf("AsStrided(%v, %v, %d) of %v reaches beyond its elements", shape, strides, at, x.Shape())
			}
			return p
		}
		return pair{x.AsStrided(shape, strides, at), v}
	}
	// In another shape: View, Flatten, Unflatten or, where that is refused, Reshape.
	shape := []int{len(m.places())}
	for k := 2; k <= 4 && shape[0] > 0; k++ {
		if shape[0]%k == 0 && rapid.Bool().Draw(t, "cut") {
			shape = with(shape, 1, k)
			shape[0] /= k
		}
	}
	switch kind {
	case "Flatten":
		e := draw(d, n-1, "to")
		shape = slices.Concat(m.shape[:d], []int{tensor.Shape(m.shape[d : e+1]).Len()}, m.shape[e+1:])
		v, ok := m.viewed(shape)
		if y := x.Flatten(d, e); ok {
			return pair{y, v}
		} else {
			return fresh(y, shape)
		}
	case "Unflatten":
		if m.shape[d]%2 == 1 {
			return p
		}
		v, _ := m.viewed(slices.Concat(m.shape[:d], []int{m.shape[d] / 2, 2}, m.shape[d+1:]))
		return pair{x.Unflatten(d, -1, 2), v}
	}
	v, ok := m.viewed(shape)
	if err := try(func() { x.View(shape...) }); (err == nil) != ok {
		t.Errorf("View(%v) of %v with strides %v: got error %v, want one: %v", shape, x.Shape(), x.Strides(), err, !ok)
	}
	y := x.Reshape(shape...)
	if y.Len() > 0 && y.SharesMemory(x) != ok {
		t.Errorf("Reshape(%v) of %v with strides %v shares memory: %v", shape, x.Shape(), x.Strides(), !ok)
	}
	if ok {
		return pair{y, v}
	}
	return fresh(y, shape)
}

// write draws a change in place of a view and does it to the model too; others are
// views to copy from, which may lie in the same memory.
func write(t *rapid.T, p pair, others []pair) {
	cells := p.m.places()
	repeated, meets := false, map[int]bool{}
	for d, n := range p.m.shape {
		repeated = repeated || n > 1 && p.x.Strides()[d] == 0
	}
	for _, i := range cells {
		meets[i] = true
	}
	number := float64(rapid.IntRange(0, 9).Draw(t, "number"))
	kind := rapid.SampledFrom([]string{"Fill", "Zero", "CopyFrom", "CopyFrom", "AddInPlace", "SubInPlace", "AddScalarInPlace", "MulScalarInPlace", "ClampInPlace", "ReLUInPlace",
		"SetRaw", "MaskedFillInPlace", "IndexFillInPlace", "IndexCopyInPlace", "IndexAddInPlace", "LerpInPlace", "NormalInPlace"}).Draw(t, "write")
	if len(meets) != len(cells) && kind != "Fill" && kind != "Zero" {
		if repeated {
			if err := try(func() { p.x.AddScalarInPlace(1) }); err == nil && len(cells) > 0 {
				t.Errorf("%v with strides %v can be written", p.x.Shape(), p.x.Strides())
			}
		}
		return
	}
	float := p.x.DType().IsFloat()
	old := p.m.values()
	set := func(f func(i int) float64) {
		for i, place := range cells {
			(*p.m.memory)[place] = f(i)
		}
	}
	// A source: another view, where it broadcasts.
	q := others[rapid.IntRange(0, len(others)-1).Draw(t, "source")]
	fits := len(q.m.shape) <= len(p.m.shape)
	for i := range min(len(q.m.shape), len(p.m.shape)) {
		a, b := q.m.shape[len(q.m.shape)-1-i], p.m.shape[len(p.m.shape)-1-i]
		fits = fits && (a == b || a == 1)
	}
	source := make([]float64, len(cells))
	if fits {
		values := q.m.values()
		ids := tensor.Zeros(q.m.shape...) // only its shape is read
		places(p.m.shape, func(i int, place []int) { source[i] = at(ids, values, place) })
	}
	switch kind {
	case "Fill":
		p.x.Fill(number)
		set(func(int) float64 { return number })
	case "Zero":
		p.x.Zero()
		set(func(int) float64 { return 0 })
	case "CopyFrom":
		if fits {
			p.x.CopyFrom(q.x)
			set(func(i int) float64 { return source[i] })
		}
	case "AddInPlace", "SubInPlace":
		if !fits || p.x.DType() == tensor.Uint8 || slices.Max(append(slices.Concat(old, source), 0)) > 60 || slices.Min(append(slices.Concat(old, source), 0)) < -60 {
			return
		}
		if kind == "AddInPlace" {
			p.x.AddInPlace(q.x)
			set(func(i int) float64 { return old[i] + source[i] })
		} else {
			p.x.SubInPlace(q.x)
			set(func(i int) float64 { return old[i] - source[i] })
		}
	case "AddScalarInPlace":
		if slices.Max(append(old, 0)) <= 100 {
			p.x.AddScalarInPlace(number)
			set(func(i int) float64 { return old[i] + number })
		}
	case "MulScalarInPlace":
		if slices.Max(append(old, 0)) <= 60 && slices.Min(append(old, 0)) >= -60 {
			p.x.MulScalarInPlace(2)
			set(func(i int) float64 { return 2 * old[i] })
		}
	case "ClampInPlace":
		p.x.ClampInPlace(2, number+2)
		set(func(i int) float64 { return min(max(old[i], 2), number+2) })
	case "ReLUInPlace":
		if float {
			p.x.ReLUInPlace()
			set(func(i int) float64 { return max(old[i], 0) })
		}
	case "LerpInPlace":
		if float && fits {
			p.x.LerpInPlace(q.x, 1)
			set(func(i int) float64 { return source[i] })
		}
	case "SetRaw":
		p.x.SetRaw(numbered([]int{len(cells)}).RemainderScalar(50).ToDType(p.x.DType()).Raw())
		set(func(i int) float64 { return float64(i % 50) })
	case "MaskedFillInPlace":
		p.x.MaskedFillInPlace(p.x.GtScalar(5), number)
		set(func(i int) float64 {
			if old[i] > 5 {
				return number
			}
			return old[i]
		})
	case "NormalInPlace":
		if float {
			p.x.NormalInPlace(number, 0)
			set(func(int) float64 { return number })
		}
	default: // index
		if len(p.m.shape) == 0 || p.m.shape[0] == 0 {
			return
		}
		k := rapid.IntRange(0, p.m.shape[0]-1).Draw(t, "entry")
		row := len(cells) / p.m.shape[0]
		index := tensor.From([]int{k})
		within := func(i int) bool { return row > 0 && i/row == k }
		src := counting(p.x, 1, append([]int{1}, p.m.shape[1:]...)...)
		add := kind == "IndexAddInPlace"
		switch {
		case kind == "IndexFillInPlace":
			p.x.IndexFillInPlace(0, index, number)
		case kind == "IndexCopyInPlace":
			p.x.IndexCopyInPlace(0, index, src)
		case slices.Max(append(old, 0)) > 60:
			return
		default:
			p.x.IndexAddInPlace(0, index, src)
		}
		set(func(i int) float64 {
			switch {
			case !within(i):
				return old[i]
			case kind == "IndexFillInPlace":
				return number
			case add:
				return old[i] + float64(i%row+1)
			}
			return float64(i%row + 1)
		})
	}
}

// Any views of any tensors, made and written in any order, are what a model of strided
// arrays says.
func TestViewModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom([]tensor.DType{tensor.Float32, tensor.Float64, tensor.Int64, tensor.Uint8, tensor.BFloat16, tensor.Float16}).Draw(t, "type")
		var all []pair
		for range rapid.IntRange(1, 2).Draw(t, "bases") {
			shape := drawShape(t, "shape")
			memory := numbered(shape).RemainderScalar(50).Float64s()
			x := tensor.From(memory).Reshape(shape...).ToDType(dtype).Clone()
			all = append(all, pair{x, strided{&memory, shape, dense(shape), 0}})
		}
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			p := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
			if rapid.Bool().Draw(t, "write") {
				write(t, p, all)
			} else if v := viewOf(t, p); v.x.Len() < 2000 {
				all = append(all, v)
			}
			for i, p := range all {
				want := p.m.values()
				if !p.x.Shape().Equal(p.m.shape) || !slices.Equal(p.x.Float64s(), want) {
					t.Fatalf("view %d, %s %v with strides %v: got %v\nwant %v, %v", i, dtype, p.x.Shape(), p.x.Strides(), p.x.Float64s(), p.m.shape, want)
				}
				if p.x.IsContiguous() != p.m.contiguous() {
					t.Fatalf("view %d of %v with strides %v is contiguous: %v", i, p.x.Shape(), p.x.Strides(), p.x.IsContiguous())
				}
				for d, n := range p.x.Shape() {
					if n > 1 && len(want) > 0 && p.x.Strides()[d] != p.m.strides[d] {
						t.Fatalf("view %d of %v has strides %v, want %v", i, p.x.Shape(), p.x.Strides(), p.m.strides)
					}
				}
				for j, q := range all {
					if p.x.SharesMemory(q.x) != (p.m.memory == q.m.memory) {
						t.Fatalf("views %d and %d share memory: %v", i, j, p.x.SharesMemory(q.x))
					}
				}
			}
		}
		p := all[len(all)-1]
		readsAgree(t, p.x, all[rapid.IntRange(0, len(all)-1).Draw(t, "beside")].x)
	})
}

// readsAgree holds operations on views to the same ones on copies.
func readsAgree(t *rapid.T, x, y *T) {
	number := x.DType().IsFloat()
	reads := map[string]func(x, y *T) *T{
		"Add":          func(x, y *T) *T { return x.Add(y) },
		"Div":          func(x, y *T) *T { return x.Div(y.Square().AddScalar(1)) },
		"Gt":           func(x, y *T) *T { return x.Gt(y) },
		"Maximum":      func(x, y *T) *T { return x.Maximum(y) },
		"Where":        func(x, y *T) *T { return tensor.Where(x.GtScalar(3), x, y) },
		"MaskedFill":   func(x, y *T) *T { return x.MaskedFill(y.GtScalar(3), 1) },
		"MaskedSelect": func(x, y *T) *T { return x.MaskedSelect(y.GtScalar(3)) },
		"MatMul":       func(x, y *T) *T { return x.MatMul(y) },
		"Outer":        func(x, _ *T) *T { return x.MatMul(x.Transpose(-1, -2)) },
		"Cat":          func(x, y *T) *T { return tensor.Cat(0, x, y, x) },
		"Stack":        func(x, _ *T) *T { return tensor.Stack(-1, x, x) },
		"AddScalar":    func(x, _ *T) *T { return x.AddScalar(2) },
		"GtScalar":     func(x, _ *T) *T { return x.GtScalar(2) },
		"Neg":          func(x, _ *T) *T { return x.Neg() },
		"Exp":          func(x, _ *T) *T { return x.MulScalar(0.1).Exp() },
		"Not":          func(x, _ *T) *T { return x.Not() },
		"Clamp":        func(x, _ *T) *T { return x.Clamp(1, 4) },
		"ToDType":      func(x, _ *T) *T { return x.ToDType(tensor.Int64) },
		"Sum":          func(x, _ *T) *T { return x.Sum() },
		"Sum 0":        func(x, _ *T) *T { return x.Sum(0) },
		"SumKeepDim":   func(x, _ *T) *T { return x.SumKeepDim(-1) },
		"Mean":         func(x, _ *T) *T { return x.Mean(-1) },
		"Var":          func(x, _ *T) *T { return x.Var(0) },
		"Max":          func(x, _ *T) *T { v, _ := x.Max(0); return v },
		"ArgMin":       func(x, _ *T) *T { return x.ArgMin(-1) },
		"Cumsum":       func(x, _ *T) *T { return x.Cumsum(0) },
		"Sort":         func(x, _ *T) *T { _, i := x.Sort(0, true); return i },
		"Norm":         func(x, _ *T) *T { return x.Norm(2) },
		"Softmax":      func(x, _ *T) *T { return x.Softmax(0) },
		"LayerNorm":    func(x, _ *T) *T { return tensor.LayerNorm(x, []int{x.Size(-1)}, nil, nil, 0) },
		"BatchNorm2d":  func(x, _ *T) *T { return tensor.BatchNorm2d(x, nil, nil, nil, nil, tensor.BatchNormOpts{}) },
		"IndexSelect":  func(x, _ *T) *T { return x.IndexSelect(0, tensor.From([]int{0, 0})) },
		"Gather":       func(x, _ *T) *T { return x.Gather(0, x.ToDType(tensor.Int64).MulScalar(0)) },
		"Nonzero":      func(x, _ *T) *T { return x.Nonzero() },
		"Flip":         func(x, _ *T) *T { return x.Flip(0) },
		"Roll":         func(x, _ *T) *T { return x.Roll(1, 0) },
		"Repeat":       func(x, _ *T) *T { return x.Repeat(2, 1, 1, 1, 1, 1, 1, 1, 1) },
		"Tril":         func(x, _ *T) *T { return x.Tril(0) },
		"Linear":       func(x, _ *T) *T { return tensor.Linear(x, x.Flatten(0, -2), nil) },
		"Conv2d": func(x, _ *T) *T {
			return tensor.Conv2d(x.Unsqueeze(0), x.Unsqueeze(0).Narrow(2, 0, 1).Narrow(3, 0, 1), nil, tensor.ConvOpts{})
		},
		"MSELoss":      func(x, y *T) *T { return tensor.MSELoss(x, y, tensor.ReduceNone) },
		"CrossEntropy": func(x, _ *T) *T { return tensor.CrossEntropy(x, x.ArgMax(1), tensor.CrossEntropyOpts{}) },
		"String":       func(x, _ *T) *T { return tensor.From([]byte(fmt.Sprint(x))) },
		"Raw":          func(x, _ *T) *T { return tensor.From(x.Raw()) },
		"CountEqual":   func(x, _ *T) *T { return tensor.Full(float64(tensor.CountEqual(x, x.Clone()))) },
		"Dropout":      func(x, _ *T) *T { return x.Dropout(0.5, true, tensor.NewGenerator(1)) },
	}
	names := make([]string, 0, len(reads))
	for name := range reads {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := reads[name]
		var got, want *T
		a, b := x.Detach().Autocast(tensor.Float32), y.Detach().Autocast(tensor.Float32)
		a, b = a.Detach(), b.Detach()
		c, d := a.Clone(), b.Clone()
		record := number && a.DType() == b.DType()
		if record {
			for _, v := range []*T{a, b, c, d} {
				v.SetRequiresGrad(true)
			}
		}
		err, wantErr := try(func() { got = f(a, b) }), try(func() { want = f(c, d) })
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s of %v %v with strides %v and %v: got error %v, of copies %v", name, x.Shape(), y.Shape(), x.Strides(), y.Strides(), err, wantErr)
		}
		if err != nil {
			continue
		}
		if !same(got, want) {
			t.Fatalf("%s of %v %v with strides %v and %v: got %v\nof copies %v", name, x.Shape(), y.Shape(), x.Strides(), y.Strides(), got, want)
		}
		if !got.RequiresGrad() {
			continue
		}
		got.Mul(numbered(got.Shape()).ToDType(got.DType())).Sum().Backward()
		want.Mul(numbered(got.Shape()).ToDType(got.DType())).Sum().Backward()
		if !same(a.Grad(), c.Grad()) || !same(b.Grad(), d.Grad()) {
			t.Fatalf("%s of %v %v with strides %v and %v: got the gradients %v and %v\nof copies %v and %v", name, x.Shape(), y.Shape(), x.Strides(), y.Strides(), a.Grad(), b.Grad(), c.Grad(), d.Grad())
		}
	}
}

// same reports whether two tensors, which may be nil, have the same elements but for
// the rounding of sums in another order.
func same(a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.DType() != b.DType() || !a.Shape().Equal(b.Shape()) {
		return false
	}
	tol := map[tensor.DType]float64{tensor.Float64: 1e-12, tensor.Float32: 1e-4, tensor.BFloat16: 0.02, tensor.Float16: 0.02}[a.DType()]
	scale := 0.0
	x, y := a.Float64s(), b.Float64s()
	for i := range x {
		if d := y[i] - y[i]; d == 0 {
			scale = max(scale, y[i], -y[i])
		}
	}
	return slices.EqualFunc(x, y, func(v, w float64) bool {
		return v == w || v != v && w != w || v-w <= tol*scale && w-v <= tol*scale
	})
}
