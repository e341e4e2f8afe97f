package layers

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// typed calls f and returns what it panics with as an error; a panic that is no
// *tensor.Error is a fault.
func typed(t *testing.T, what string, f func()) (err error) {
	t.Helper()
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("%s: a panic that is no *tensor.Error: %v", what, e)
		}
	}()
	return tensor.Try(f)
}

// walkers are the functions that walk through a model.
func walkers(m Module) map[string]func() {
	save := func(f func() error) func() {
		return func() {
			if err := f(); err != nil {
				panic(&tensor.Error{Op: "Save", Err: err})
			}
		}
	}
	return map[string]func(){
		"Modules": func() {
			for range Modules(m) {
			}
		},
		"Parameters":    func() { Parameters(m) },
		"NumParameters": func() { NumParameters(m) },
		"StateDict": func() {
			for range StateDict(m) {
			}
		},
		"To":              func() { To(m, tensor.CPU) },
		"ToDType":         func() { ToDType(m, tensor.Float32) },
		"Train":           func() { Train(m) },
		"Eval":            func() { Eval(m) },
		"ZeroGrad":        func() { ZeroGrad(m) },
		"SetRequiresGrad": func() { SetRequiresGrad(m, true) },
		"Summary":         func() { Summary(m) },
		"NewTrace":        func() { NewTrace(m) },
		"Save":            save(func() error { return SaveTo(new(strings.Builder), m) }),
		"SaveStateDict":   save(func() error { return SaveStateDictTo(new(strings.Builder), m) }),
		"Describe":        save(func() error { _, _, err := Describe(m); return err }),
		"LoadStateDict":   save(func() error { _, err := LoadStateDict(m, func(func(string, *tensor.Tensor) bool) {}); return err }),
	}
}

// holder is a module of a program.
type holder struct{ child Module }

func (h *holder) Parts() []Part { return []Part{Child("child", h.child)} }

// maker has another child each time.
type maker struct{ depth int }

func (m *maker) Parts() []Part { return []Part{Child("next", &maker{m.depth + 1})} }

// careless reads a field that may be nil.
type careless struct{ inner *holder }

func (c careless) Parts() []Part { return []Part{Child("child", c.inner.child)} }

// Whoever walks through a model in which a module is nil or contains itself gets
// one sentence that says where.
func TestModulesThatAreNilOrStandInThemselves(t *testing.T) {
	self := NewSequential(ReLU{})
	self.Append(self)
	twice := NewSequential(Identity{}, Identity{})
	twice.layers[0], twice.layers[1] = NewSequential(twice, twice), NewSequential(twice, twice)
	list := make(ModuleList, 2)
	list[0], list[1] = ReLU{}, list
	loop := &holder{}
	loop.child = ModuleList{&holder{loop}}
	taken := NewSequential(ReLU{}, ReLU{})
	taken.layers[1] = nil
	pointer := NewSequential(ReLU{}, ReLU{})
	pointer.layers[1] = (*Linear)(nil)
	for _, c := range []struct {
		name string
		m    Module
		want string
	}{
		{"nil", nil, "the model is nil"},
		{"a nil pointer", (*Sequential)(nil), "the model (*layers.Sequential) is nil"},
		{"a nil Dropout", (*Dropout)(nil), "the model (*layers.Dropout) is nil"},
		{"a nil ReLU", (*ReLU)(nil), "the model (*layers.ReLU) is nil"},
		{"a program's nil", (*holder)(nil), "the model (*layers.holder) is nil"},
		{"a part that is a nil pointer", &holder{(*MaxPool2d)(nil)}, "child Modules: the module (*layers.MaxPool2d) is nil"},
		{"in a ModuleList", ModuleList{ReLU{}, (*Conv2d)(nil)}, "1 Modules: the module (*layers.Conv2d) is nil"},
		{"a layer taken away", taken, "1 "},
		{"a layer that is a nil pointer", pointer, "1 Modules: the module (*layers.Linear) is nil"},
		{"a field that is nil", ModuleList{careless{}}, "0 Modules: the module (layers.careless) cannot list its parts"},
		{"an embedded nil", ModuleList{conv{}}, "0 Modules: the module (layers.conv) cannot list its parts"},
		{"in itself", self, "1 Modules: the module (*layers.Sequential) contains itself"},
		{"in itself twice", twice, "0.0 Modules: the module (*layers.Sequential) contains itself"},
		{"a ModuleList in itself", list, "1 Modules: the module (layers.ModuleList) contains itself"},
		{"a loop", loop, "child.0.child Modules: the module (*layers.holder) contains itself"},
		{"no end", &maker{}, "modules are nested more than 1000 deep"},
	} {
		for name, f := range walkers(c.m) {
			err := typed(t, name+" of "+c.name, f)
			if err == nil && c.name != "a layer taken away" || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s of %s: got %v, want %q", name, c.name, err, c.want)
			}
		}
		if err := typed(t, "printing "+c.name, func() { _ = String(c.m) }); err != nil && c.want != "" && !strings.Contains(err.Error(), "cannot list") {
			t.Errorf("printing %s: %v", c.name, err)
		}
		_ = fmt.Sprint(c.m)
	}
}

// A module that is nil is no part, as a nil tensor is.
func TestNilParts(t *testing.T) {
	if got := len(Parameters(&holder{})); got != 0 {
		t.Errorf("got %d parameters", got)
	}
	if got, want := String(&holder{}), "holder()"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Layers that no constructor made, and nil ones, say so.
func TestLayersThatNobodyMade(t *testing.T) {
	x := tensor.Ones(2, 4, 8, 8)
	for _, c := range []struct {
		l    Layer
		want string
	}{
		{&Conv2d{}, "Conv2d: the layer is nil or has nothing in it; NewConv2d makes one"},
		{&ConvTranspose2d{}, "ConvTranspose2d: the layer is nil or has nothing in it; NewConvTranspose2d makes one"},
		{&Linear{}, "NewLinear"}, {&Embedding{}, "NewEmbedding"}, {&BatchNorm2d{}, "NewBatchNorm2d"}, {&LayerNorm{}, "NewLayerNorm"},
		{&GroupNorm{}, "NewGroupNorm"}, {&MaxPool2d{}, "NewMaxPool2d"}, {&AvgPool2d{}, "NewAvgPool2d"},
		{Func(nil), "Func: the function is nil"},
		{(*Conv2d)(nil), "NewConv2d"}, {(*ConvTranspose2d)(nil), "NewConvTranspose2d"}, {(*Linear)(nil), "NewLinear"}, {(*Embedding)(nil), "NewEmbedding"},
		{(*BatchNorm2d)(nil), "NewBatchNorm2d"}, {(*LayerNorm)(nil), "NewLayerNorm"}, {(*GroupNorm)(nil), "NewGroupNorm"},
		{(*MaxPool2d)(nil), "NewMaxPool2d"}, {(*AvgPool2d)(nil), "NewAvgPool2d"}, {(*AdaptiveAvgPool2d)(nil), "NewAdaptiveAvgPool2d"},
		{(*Dropout)(nil), "Dropout: the layer is nil"}, {(*Sequential)(nil), "Sequential: the layer is nil"},
	} {
		name := fmt.Sprintf("%T (nil %t)", c.l, isNil(c.l))
		if err := typed(t, name, func() { c.l.Forward(x) }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Forward of %s: got %v, want %q", name, err, c.want)
		}
		s := NewSequential(NewConv2d(4, 4, 1), Identity{})
		Eval(s)
		s.layers[1] = c.l
		for _, x := range []*tensor.Tensor{x, x.NoGrad()} {
			if err := typed(t, name, func() { s.Forward(x) }); err == nil || !strings.Contains(err.Error(), "tensor: 1 ") {
				t.Errorf("Sequential with %s: got %v, want an error of layer 1", name, err)
			}
		}
		if _, function := c.l.(Func); isNil(c.l) && !function {
			if err := typed(t, name, func() { NewSequential(ReLU{}, c.l) }); err == nil || !strings.Contains(err.Error(), "NewSequential: layer 1 is nil") {
				t.Errorf("NewSequential with %s: got %v", name, err)
			}
			continue
		}
		// An empty one may be looked at, and is not saved.
		if err := typed(t, name, func() { _ = fmt.Sprint(c.l) + String(c.l) + Summary(c.l) }); err != nil {
			t.Errorf("showing %s: %v", name, err)
		}
		var err error
		if bad := typed(t, name, func() { err = SaveTo(new(strings.Builder), c.l) }); err == nil || bad != nil {
			t.Errorf("saving %s: got %v and %v, want an error", name, err, bad)
		}
	}
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"nil in NewSequential", "NewSequential: layer 0 is nil", func() { NewSequential(nil) }},
		{"nil in Append", "Append: layer 1 is nil", func() { NewSequential().Append(ReLU{}, nil) }},
		{"Append to nil", "Append: the Sequential is nil; NewSequential makes one", func() { (*Sequential)(nil).Append(ReLU{}) }},
		{"a layer taken away", "0 Sequential: the layer is nil", func() { s := NewSequential(ReLU{}); s.layers[0] = nil; s.Forward(x) }},
		{"a layer that returns nil", "1 Func: Forward returned nil", func() {
			NewSequential(ReLU{}, Func(func(*tensor.Tensor) *tensor.Tensor { return nil }), ReLU{}).Forward(x)
		}},
		{"the last layer returns nil", "0 Func: Forward returned nil", func() { NewSequential(Func(func(*tensor.Tensor) *tensor.Tensor { return nil })).Forward(x) }},
		{"nil into a Sequential", "nil", func() { NewSequential(ReLU{}).Forward(nil) }},
		{"nil into an empty Sequential", "nil", func() { NewSequential().Forward(nil) }},
		{"a Sequential in itself", "Sequential: a Sequential contains itself", func() { s := NewSequential(ReLU{}); s.Append(s); s.Forward(x) }},
		{"a Sequential in one in it", "Sequential: a Sequential contains itself", func() {
			s := NewSequential(ReLU{})
			s.Append(NewSequential(Identity{}, s))
			s.Forward(x)
		}},
		{"a summary of what returns nil", "nil", func() { Summary(Func(func(*tensor.Tensor) *tensor.Tensor { return nil }), x) }},
		{"a summary with nil", "nil", func() { Summary(ReLU{}, nil) }},
		{"a Trace that nobody made", "Trace: it is nil or has nothing in it; NewTrace makes one", func() { ReLU{}.Forward(x.Watch(&Trace{})) }},
		{"a Trace that nobody made of a Sequential", "NewTrace makes one", func() { NewSequential(ReLU{}).Forward(x.Watch(&Trace{})) }},
		{"a Trace that is nil", "NewTrace makes one", func() { ReLU{}.Forward(x.Watch((*Trace)(nil))) }},
		{"a Trace that is nil of a Sequential", "NewTrace makes one", func() { NewSequential(ReLU{}).Forward(x.Watch((*Trace)(nil))) }},
		{"a loss of nil", "nil", func() { CrossEntropyLoss{}.Forward(nil, x) }},
		{"a loss without labels", "nil", func() { CrossEntropyLoss{}.Forward(tensor.Ones(2, 3), nil) }},
		{"a state dict into what is computed", `"b" is computed from other tensors (by Exp)`, func() {
			p := parameter(3)
			h := &foreign{[]Part{Param("p", p), Buffer("b", p.Exp())}, nil}
			if _, err := LoadStateDict(h, func(yield func(string, *tensor.Tensor) bool) {
				_ = yield("p", tensor.Ones(3)) && yield("b", tensor.Ones(3))
			}); err != nil {
				if p.Floats()[0] != 0 {
					t.Error("p was loaded, b was not")
				}
				panic(&tensor.Error{Op: "LoadStateDict", Err: err})
			}
		}},
		{"a state dict that is nil", "the state dict is nil", func() {
			if _, err := LoadStateDict(ReLU{}, nil); err != nil {
				panic(&tensor.Error{Op: "LoadStateDict", Err: err})
			}
		}},
		{"a kernel among the options of a pooling", "got Kernel 3 and Stride 0 among the options, want them as arguments", func() { NewMaxPool2d(2, 2, PoolOpts{Kernel: 3}) }},
		{"a stride among the options of a pooling", "got Kernel 0 and Stride 1 among the options, want them as arguments", func() { NewAvgPool2d(2, 2, PoolOpts{Stride: 1}) }},
		{"a reader that is nil", "the reader is nil", func() {
			if _, err := LoadFrom[Module](nil); err != nil {
				panic(&tensor.Error{Op: "LoadFrom", Err: err})
			}
		}},
		{"a writer that is nil", "the writer is nil", func() {
			if err := errors.Join(SaveTo(nil, ReLU{}), SaveStateDictTo(nil, ReLU{})); err != nil {
				panic(&tensor.Error{Op: "SaveTo", Err: err})
			}
		}},
		{"a constructor that is nil", "the constructor of \"test.Nil\" is nil", func() { Register("test.Nil", nil) }},
		{"To nowhere", "the device is nil", func() { To(NewLinear(1, 1), nil) }},
		{"ToDType of no type", "type", func() { ToDType(NewLinear(1, 1), 99) }},
		{"ToDType of whole numbers", "int64", func() { ToDType(NewLinear(1, 1), tensor.Int64) }},
		{"a state dict of nil", `"weight" is nil`, func() {
			if _, err := LoadStateDict(NewLinear(1, 1), func(yield func(string, *tensor.Tensor) bool) { _ = yield("weight", nil) && yield("bias", nil) }); err != nil {
				panic(&tensor.Error{Op: "LoadStateDict", Err: err})
			}
		}},
	} {
		if err := typed(t, c.name, c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// The first two callers of what reads a model, at once: run with -race.
func TestReadersOfAModelAtOnce(t *testing.T) {
	for range 20 {
		m := NewSequential(NewConv2d(1, 2, 3), NewBatchNorm2d(2), NewSequential(NewConv2d(2, 2, 3)))
		Eval(m)
		part := m.layers[2]
		var wait sync.WaitGroup
		for _, f := range []func(){
			func() { Parameters(m) },
			func() {
				for range StateDict(m) {
				}
			},
			func() { Parameters(part) },
			func() { NumParameters(m) },
			func() { Summary(m) },
			func() { _ = String(m) },
			func() { NewTrace(m) },
			func() { _, _, _ = Describe(m) },
			func() { _ = SaveStateDictTo(new(strings.Builder), m) },
			func() { m.Forward(tensor.Ones(1, 1, 6, 6).NoGrad()) },
			func() {
				if err := typed(t, "a wrong input", func() { m.Forward(tensor.Ones(1, 3, 6, 6)) }); err == nil {
					t.Error("a wrong input was taken")
				}
			},
		} {
			wait.Go(f)
		}
		wait.Wait()
		Parameters(m)
		if got := m.layers[0].(*Conv2d).Weight.Path(); got != "0.weight" {
			t.Errorf("got the path %q, want 0.weight", got)
		}
	}
}
