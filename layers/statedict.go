package layers

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// StateDictOpts are the options of [LoadStateDict].
type StateDictOpts struct {
	NotStrict bool // missing and unexpected keys are no error (PyTorch's strict=False)
}

// KeyDiff is the difference between the keys of a state dict and of a model.
type KeyDiff struct {
	Missing    []string // in the model and not in the state, in the model's order
	Unexpected []string // in the state and not in the model, in the state's order
}

// LoadStateDict copies a state dict into a model's parameters and buffers: what
// [StateDict] of another model gives, or [ReadStateDict] of a file. Types and
// devices may differ; the model keeps its own, and its tensors stay the same Go
// values, so optimizers made before keep working. (torch.nn.Module.load_state_dict)
//
// The keys of the model and of the state must be the same, unless NotStrict is set;
// the difference is returned in both cases. Of tied tensors one key is enough. Shapes
// must always be equal. Everything is checked before anything is copied: after an
// error the model is unchanged.
func LoadStateDict(m Module, state iter.Seq2[string, *tensor.Tensor], opts ...StateDictOpts) (KeyDiff, error) {
	if err := walkable(m); err != nil {
		return KeyDiff{}, err
	}
	if state == nil {
		return KeyDiff{}, errors.New("layers: LoadStateDict: the state dict is nil")
	}
	given := map[string]*tensor.Tensor{}
	var keys, faults []string
	for key, t := range state {
		if _, ok := given[key]; ok {
			faults = append(faults, fmt.Sprintf("%q comes twice", key))
		}
		if t != nil {
			t.In(nil) // panics if its memory is gone, and does nothing otherwise
		}
		given[key] = t
		keys = append(keys, key)
	}

	type slot struct {
		key      string
		dst, src *tensor.Tensor
	}
	var slots []slot
	own := map[string]bool{}
	filled := map[*tensor.Tensor]bool{}
	for key, p := range tensors(m) {
		src, ok := given[key]
		switch {
		case ok && !p.tensor.IsLeaf():
			faults = append(faults, fmt.Sprintf("%q is computed from other tensors (by %s) and cannot be loaded into; Detach gives one that can", key, p.tensor.Node().Op().Name()))
		case ok && src == nil:
			faults = append(faults, fmt.Sprintf("%q is nil", key))
		case ok && !src.Shape().Equal(p.tensor.Shape()):
			faults = append(faults, fmt.Sprintf("%q has the shape %v, want %v", key, src.Shape(), p.tensor.Shape()))
		}
		slots = append(slots, slot{key, p.tensor, src})
		own[key] = true
		filled[p.tensor] = filled[p.tensor] || ok
	}
	var diff KeyDiff
	for _, s := range slots {
		if !filled[s.dst] {
			diff.Missing = append(diff.Missing, s.key)
		}
	}
	for _, key := range keys {
		if !own[key] {
			diff.Unexpected = append(diff.Unexpected, key)
		}
	}

	var problems []string
	if !option(opts).NotStrict {
		if len(diff.Missing) > 0 {
			problems = append(problems, "missing keys "+dozen(diff.Missing, strconv.Quote))
		}
		if len(diff.Unexpected) > 0 {
			problems = append(problems, "unexpected keys "+dozen(diff.Unexpected, strconv.Quote))
		}
	}
	if len(faults) > 0 {
		problems = append(problems, dozen(faults, func(s string) string { return s }))
	}
	if len(problems) > 0 {
		return diff, fmt.Errorf("layers: the state dict does not fit the model (%s): %s", typeString(m), strings.Join(problems, "; "))
	}
	for _, s := range slots {
		if s.src != nil {
			s.dst.CopyFrom(s.src)
		}
	}
	return diff, nil
}

// dozen returns the first twelve elements of a list, and how many follow.
func dozen(list []string, show func(string) string) string {
	var b strings.Builder
	for i, s := range list {
		if i == 12 {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(show(s))
	}
	return b.String()
}
