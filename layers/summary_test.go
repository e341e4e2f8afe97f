package layers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/tensor"
)

// cells returns the line of a summary's module, without the column of parameters' shapes.
func cells(t *testing.T, summary, path string) string {
	t.Helper()
	lines := strings.Split(summary, "\n")
	starts := []int{0}
	rule := []rune(lines[1])
	for i := 1; i < len(rule); i++ {
		if rule[i] != ' ' && rule[i-1] == ' ' {
			starts = append(starts, i)
		}
	}
	for _, line := range lines[2:] {
		if line == "" {
			break
		}
		r := []rune(line)
		var out []string
		for i, s := range starts {
			end := len(r)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			if i != 2 && s < end {
				if c := strings.TrimSpace(string(r[s:end])); c != "" {
					out = append(out, c)
				}
			}
		}
		if strings.TrimSpace(string(r[:min(len(r), starts[1])])) == path {
			return strings.Join(out, " | ")
		}
	}
	t.Fatalf("no line of %q in\n%s", path, summary)
	return ""
}

// What a pass costs. The numbers of the convolutions and of the first Linear are
// those of torchinfo 1.8, but for the transposed one: it counts 52,224.
func TestSummaryOfAPass(t *testing.T) {
	shared := NewLinear(4, 4)
	embedding := NewEmbedding(10, 6)
	head := &Linear{Weight: embedding.Weight}
	mix := NewLinear(6, 6, LinearOpts{NoBias: true})
	language := &foreign{[]Part{Child("embedding", embedding), Child("mix", mix), Child("drop", NewDropout(0.5)), Child("head", head)}, func(x *tensor.Tensor) *tensor.Tensor {
		q := embedding.Forward(x)
		a := q.MatMul(q.Transpose(1, 2)).Softmax(-1).MatMul(q) // [2 3 3], [2 3 6]
		return head.Forward(mix.Forward(a))
	}}
	// Blocks as a program writes them: the attention's products have no parameters.
	block := func() *foreign {
		qk, v, proj, fc := NewLinear(4, 4), NewLinear(4, 4), NewLinear(4, 4), NewLinear(4, 4)
		attn := &foreign{[]Part{Child("qk", qk), Child("v", v), Child("proj", proj)}, func(x *tensor.Tensor) *tensor.Tensor {
			q, v := qk.Forward(x), v.Forward(x)
			return proj.Forward(q.MatMul(x.T()).Softmax(1).MatMul(v))
		}}
		return &foreign{[]Part{Child("attn", attn), Child("fc", fc)}, func(x *tensor.Tensor) *tensor.Tensor {
			x = x.Add(attn.Forward(x))
			return x.Add(fc.Forward(x).GELU())
		}}
	}
	blocks, fc, last := ModuleList{block(), block()}, NewLinear(4, 4), NewLinear(4, 2)
	tail := &foreign{[]Part{Child("fc", fc)}, func(x *tensor.Tensor) *tensor.Tensor { return fc.Forward(x).MatMul(tensor.Ones(4, 4)) }}
	transformer := &foreign{[]Part{Child("blocks", blocks), Child("tail", ModuleList{tail}), Child("head", last)}, func(x *tensor.Tensor) *tensor.Tensor {
		x = last.Forward(tail.Forward(blocks[1].(Layer).Forward(blocks[0].(Layer).Forward(x))))
		return x.MatMul(tensor.Ones(2, 2))
	}}
	for _, tt := range []struct {
		name  string
		model Layer
		x     *tensor.Tensor
		lines map[string]string
		total string
	}{
		{"convolutions", NewSequential(
			NewConv2d(4, 8, 3, ConvOpts{Groups: 4, Stride: 2, Padding: 1}),
			NewConvTranspose2d(8, 6, 2, ConvOpts{Stride: 2, Groups: 2}),
			NewConv2d(6, 4, 3, ConvOpts{NoBias: true, Dilation: 2}), Flatten{}, NewLinear(4*12*12, 5)), tensor.Zeros(2, 4, 16, 16),
			map[string]string{
				"":  "Sequential | [2 5]",
				"0": "0 | Conv2d(4, 8, kernel 3, stride 2, padding 1, groups 4) | 80 | [2 8 8 8] | 10,240",
				"1": "1 | ConvTranspose2d(8, 6, kernel 2, stride 2, groups 2) | 102 | [2 6 16 16] | 15,360",
				"2": "2 | Conv2d(6, 4, kernel 3, dilation 2, no bias) | 216 | [2 4 12 12] | 62,208",
				"3": "3 | Flatten | [2 576]",
				"4": "4 | Linear(576, 5) | 2,885 | [2 5] | 5,770",
			},
			"93,578 multiply-adds for the input [2 4 16 16]"},
		{"one image", NewSequential(NewConv2d(3, 2, 3), NewConvTranspose2d(2, 1, 3)), tensor.Zeros(3, 8, 8),
			map[string]string{
				"0": "0 | Conv2d(3, 2, kernel 3) | 56 | [2 6 6] | 2,016",
				"1": "1 | ConvTranspose2d(2, 1, kernel 3) | 19 | [1 8 8] | 712",
			},
			"2,728 multiply-adds"},
		{"one layer", NewLinear(4, 3), tensor.Zeros(2, 7, 4), map[string]string{"": "Linear(4, 3) | 15 | [2 7 3] | 210"}, "210 multiply-adds"},
		{"a module used twice, in two places", NewSequential(shared, ReLU{}, shared), tensor.Zeros(3, 4),
			map[string]string{
				"0": "0 | Linear(4, 4) | 20 | [3 4] | 60",
				"2": "2 | Linear(4, 4) | 0 | [3 4] | 60 | tied",
			},
			"120 multiply-adds"},
		{"a module used twice, in one place", &foreign{[]Part{Child("a", shared)}, func(x *tensor.Tensor) *tensor.Tensor { return shared.Forward(shared.Forward(x)) }},
			tensor.Zeros(3, 4), map[string]string{"": "foreign | [3 4]", "a": "a | Linear(4, 4) | 20 | [3 4] | 120 | used 2 times"}, "120 multiply-adds"},
		{"a Sequential used twice", func() Layer {
			s := NewSequential(shared, ReLU{})
			return &foreign{[]Part{Child("s", s)}, func(x *tensor.Tensor) *tensor.Tensor { return s.Forward(s.Forward(x)) }}
		}(), tensor.Zeros(3, 4),
			map[string]string{"s": "s | Sequential | [3 4] | used 2 times", "s.0": "s.0 | Linear(4, 4) | 20 | [3 4] | 120 | used 2 times", "s.1": "s.1 | ReLU() | [3 4] | used 2 times"},
			"120 multiply-adds"},
		{"integers, a foreign Forward, tied weights", language, tensor.From([]int64{0, 1, 2, 3, 4, 9}, 2, 3),
			map[string]string{
				"":          "foreign | [2 3 10] | 216", // 2·3·3·6, twice
				"embedding": "embedding | Embedding(10, 6) | 60 | [2 3 6]",
				"mix":       "mix | Linear(6, 6, no bias) | 36 | [2 3 6] | 216",
				"drop":      "drop | Dropout(0.5)",
				"head":      "head | Linear(6, 10, no bias) | 0 | [2 3 10] | 360 | tied",
			},
			"792 multiply-adds for the input [2 3]"},
		{"blocks in a ModuleList", transformer, tensor.Zeros(3, 4),
			map[string]string{
				"":                 "foreign | [3 2] | 12", // the last product, in front of the head
				"blocks":           "blocks | ModuleList",
				"blocks.0":         "blocks.0 | foreign | [3 4]",
				"blocks.0.attn":    "blocks.0.attn | foreign | 72", // 3·4·3 and 3·3·4
				"blocks.0.attn.qk": "blocks.0.attn.qk | Linear(4, 4) | 20 | [3 4] | 60",
				"blocks.1":         "blocks.1 | foreign | [3 4]",
				"blocks.1.attn":    "blocks.1.attn | foreign | 72",
				"tail.0":           "tail.0 | foreign | [3 4] | 48",
				"tail.0.fc":        "tail.0.fc | Linear(4, 4) | 20 | [3 4] | 60",
				"head":             "head | Linear(4, 2) | 10 | [3 2] | 30",
			},
			"774 multiply-adds for the input [3 4]"},
		{"memory", NewSequential(NewLinear(1000, 500, LinearOpts{NoBias: true}), ReLU{Inplace: true}, Flatten{}, Softmax{Dim: 1}), tensor.Zeros(200, 1000), nil,
			// 200·1000, 1000·500 and 200·500 twice, of 4 bytes
			"5.6 MB for a training step, about: input 0.8 MB, parameters 2.0 MB, gradients 2.0 MB, activations 0.8 MB"},
	} {
		got := Summary(tt.model, tt.x)
		lines := map[string]string{}
		for path := range tt.lines {
			lines[path] = cells(t, got, path)
		}
		if diff := cmp.Diff(tt.lines, lines, cmp.Transformer("nil", func(m map[string]string) map[string]string {
			if m == nil {
				return map[string]string{}
			}
			return m
		})); diff != "" || !strings.Contains(got, tt.total) {
			t.Errorf("%s: (-want +got):\n%swant %q in\n%s", tt.name, diff, tt.total, got)
		}
	}
	for _, tt := range []struct {
		name string
		f    func()
		want string
	}{
		{"no layer", func() { Summary(ModuleList{}, tensor.Zeros(1)) }, "ModuleList has no Forward"},
		{"two inputs", func() { Summary(shared, tensor.Zeros(4), tensor.Zeros(4)) }, "got 2 inputs, want one at most"},
		{"what does not fit", func() { Summary(NewSequential(shared), tensor.Zeros(2, 5)) }, "input [2 5] does not end in 4"},
	} {
		if err := tensor.Try(tt.f); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// modal is a foreign module with a mode that it tells, or not.
type modal struct {
	foreign
	training bool
}

func (m *modal) SetTraining(on bool) { m.training = on }

type telling struct{ modal }

func (m *telling) Training() bool { return m.training }

// A summary leaves a model as it was, also where the pass fails.
func TestSummaryRestores(t *testing.T) {
	count := tensor.Zeros(1)
	var inPass []bool
	quiet, loud := &modal{training: true}, &telling{modal{training: true}}
	quiet.parts = []Part{Buffer("count", count)}
	quiet.forward = func(x *tensor.Tensor) *tensor.Tensor {
		inPass = append(inPass, quiet.training, loud.training)
		count.AddScalarInPlace(1)
		tensor.Rand(3)
		if x.Size(0) > 2 {
			panic(&tensor.Error{Op: "Test"})
		}
		return x
	}
	loud.forward = quiet.forward
	own := NewDropout(0.5)
	own.Generator = tensor.NewGenerator(5)
	frozen := NewBatchNorm2d(3)
	frozen.SetTraining(false)
	m := NewSequential(NewBatchNorm2d(3), frozen, own, loud, NewDropout(0.5), quiet)
	x := tensor.Ones(2, 3)
	state := func() (s []any) {
		for path, m := range Modules(m) {
			if o, ok := m.(interface{ Training() bool }); ok {
				s = append(s, path, o.Training())
			}
		}
		for key, b := range StateDict(m) {
			s = append(s, key, b.Float64s())
		}
		for _, g := range []*tensor.Generator{tensor.DefaultGenerator(), own.Generator} {
			seed, offset := g.State()
			s = append(s, seed, offset)
		}
		return append(s, quiet.training, x.Floats())
	}
	want := state()
	live := tensor.CPU.MemoryStats().Live
	Summary(m, x)
	if now := tensor.CPU.MemoryStats().Live; now > live+100 {
		t.Errorf("%d bytes stay in use", now-live)
	}
	if diff := cmp.Diff(want, state()); diff != "" {
		t.Errorf("after a summary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, false, true, false}, inPass); diff != "" {
		t.Errorf("modes in the pass (-want +got):\n%s", diff)
	}
	wrong := tensor.Ones(3, 3)
	if err := tensor.Try(func() { Summary(m, wrong) }); err == nil {
		t.Error("got no error")
	}
	if diff := cmp.Diff(want, state()); diff != "" {
		t.Errorf("after one that failed (-want +got):\n%s", diff)
	}
}
