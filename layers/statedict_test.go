package layers_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// state makes a state dict of keys and tensors in turn.
type entry struct {
	key string
	t   *tensor.Tensor
}

func state(entries ...entry) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, e := range entries {
			if !yield(e.key, e.t) {
				return
			}
		}
	}
}

func TestLoadStateDict(t *testing.T) {
	three := func(v float64) *tensor.Tensor { return tensor.Full(v, 3) }
	count := tensor.From([]int64{5}).View()
	weight, bias := entry{"weight", three(2)}, entry{"bias", three(3)}
	all := []entry{weight, bias, {"count", count}}
	gone := tensor.NewScope()
	released := three(1).In(gone)
	gone.Close()

	tests := []struct {
		name                string
		state               []entry
		notStrict           bool
		missing, unexpected []string
		errors              []string // words of the error; none if empty
	}{
		{"all", all, false, nil, nil, nil},
		{"all in another order", []entry{all[2], all[0], all[1]}, false, nil, nil, nil},
		{"all, not strict", all, true, nil, nil, nil},
		{"other types", []entry{{"weight", three(2).ToDType(tensor.Float64)}, {"bias", three(3).ToDType(tensor.Int64)}, {"count", tensor.Full(5)}}, false, nil, nil, nil},
		{"missing", []entry{bias}, false, []string{"weight", "count"}, nil, []string{"*layers_test.affine", `missing keys "weight", "count"`}},
		{"missing, not strict", []entry{bias}, true, []string{"weight", "count"}, nil, nil},
		{"unexpected", append([]entry{{"z", count}, {"a", count}}, all...), false, nil, []string{"z", "a"}, []string{`unexpected keys "z", "a"`}},
		{"unexpected, not strict", append([]entry{{"z", count}, {"a", nil}}, all...), true, nil, []string{"z", "a"}, nil},
		{"both", []entry{{"w", three(1)}, bias, {"count", count}}, false, []string{"weight"}, []string{"w"}, []string{`missing keys "weight"; unexpected keys "w"`}},
		{"shapes", []entry{{"weight", tensor.Ones(4)}, {"bias", tensor.Ones(3, 1)}, {"count", count}}, false, nil, nil,
			[]string{`"weight" has the shape [4], want [3], "bias" has the shape [3 1], want [3]`}},
		{"shapes, not strict", []entry{{"bias", tensor.Ones()}, weight}, true, []string{"count"}, nil, []string{`"bias" has the shape [], want [3]`}},
		{"twice", append([]entry{weight}, all...), true, nil, nil, []string{`"weight" comes twice`}},
		{"nil", []entry{{"weight", nil}, bias, {"count", count}}, true, nil, nil, []string{`"weight" is nil`}},
		{"released", []entry{bias, {"count", count}, {"weight", released}}, false, nil, nil, []string{"scope closed"}},
		{"empty", nil, false, []string{"weight", "bias", "count"}, nil, []string{"missing keys"}},
		{"empty, not strict", nil, true, []string{"weight", "bias", "count"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newAffine(3)
			before, pointers := contents(m), []*tensor.Tensor{m.weight, m.bias, m.count}
			var diff layers.KeyDiff
			var err error
			if bad := tensor.Try(func() {
				diff, err = layers.LoadStateDict(m, state(tt.state...), layers.StateDictOpts{NotStrict: tt.notStrict})
			}); bad != nil {
				err = bad
			}
			if !slices.Equal(diff.Missing, tt.missing) || !slices.Equal(diff.Unexpected, tt.unexpected) {
				t.Errorf("got %+v, want missing %q, unexpected %q", diff, tt.missing, tt.unexpected)
			}
			if !slices.Equal(pointers, []*tensor.Tensor{m.weight, m.bias, m.count}) || m.weight.DType() != tensor.Float32 || !m.weight.RequiresGrad() {
				t.Error("a tensor is not what it was")
			}
			after := contents(m)
			if tt.errors != nil {
				wantError(t, err, tt.errors...)
				if fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("the model was changed: got %v, want %v", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]float64{"weight": 2, "bias": 3, "count": 5}
			for key, x := range layers.StateDict(m) {
				if slices.Contains(tt.missing, key) {
					if after[key] != before[key] {
						t.Errorf("%s was changed to %s, want %s", key, after[key], before[key])
					}
				} else if got := x.Float64s()[0]; got != want[key] {
					t.Errorf("%s: got %v, want %v", key, got, want[key])
				}
			}
		})
	}
}

func TestLoadStateDictBetweenModels(t *testing.T) {
	from, to := newNet(3), newNet(3)
	fill(from, 3)
	layers.ToDType(to, tensor.Float64)
	if _, err := layers.LoadStateDict(to, layers.StateDict(from)); err != nil {
		t.Fatal(err)
	}
	if got := to.tied.weight.DType(); got != tensor.Float64 {
		t.Errorf("got %s, want float64", got)
	}
	layers.ToDType(to, tensor.Float32)
	layers.ToDType(from, tensor.Float32)
	wantSame(t, to, from)
	if from.tied.weight.SharesMemory(to.tied.weight) {
		t.Error("the models share memory, want a copy")
	}
}

// Of tied tensors, a file of safetensors.torch.save_model has one key.
func TestLoadStateDictTied(t *testing.T) {
	from, to := newNet(2), newNet(2)
	fill(from, 3)
	untied := func(yield func(string, *tensor.Tensor) bool) {
		for key, x := range layers.StateDict(from) {
			if !strings.HasPrefix(key, "tied.") && !yield(key, x) {
				return
			}
		}
	}
	diff, err := layers.LoadStateDict(to, untied)
	if err != nil || len(diff.Missing)+len(diff.Unexpected) > 0 {
		t.Errorf("got %v, %v, want no difference", diff, err)
	}
	wantSame(t, to, from)
}

func TestLoadStateDictListsADozen(t *testing.T) {
	var list []layers.Layer
	for range 10 {
		list = append(list, newAffine(1))
	}
	_, err := layers.LoadStateDict(layers.NewSequential(list...), state())
	wantError(t, err, `"3.bias", "3.count" and 18 more`)
	if strings.Contains(err.Error(), "4.weight") {
		t.Errorf("got %q, want twelve keys", err)
	}
}
