// Package layers provides neural-network modules in the manner of torch.nn:
// convolutions, normalizations, pooling, activations, losses, containers, and
// functions over a model's tree of parts: Parameters, StateDict, LoadStateDict,
// To, Train, Eval, Save, Load, Summary.
//
// A model is any type with a method Parts, which lists its parameters, buffers
// and children by name:
//
//	type Net struct {
//		Features   *layers.Sequential
//		Classifier *layers.Linear
//	}
//
//	func (n *Net) Parts() []layers.Part {
//		return []layers.Part{layers.Child("features", n.Features), layers.Child("classifier", n.Classifier)}
//	}
//
// New layers are in training mode, as in PyTorch.
package layers

import (
	"fmt"
	"iter"
	"runtime"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// Module is a model or a part of one.
type Module interface {
	// Parts lists parameters, buffers and children in a fixed order.
	Parts() []Part
}

// Layer is a module with one input and one output, which is what [Sequential]
// chains.
type Layer interface {
	Module
	Forward(x *tensor.Tensor) *tensor.Tensor
}

// Func makes a layer without parameters of a function.
type Func func(x *tensor.Tensor) *tensor.Tensor

// Forward returns f(x).
func (f Func) Forward(x *tensor.Tensor) *tensor.Tensor {
	if f == nil {
		fail("Func", "the function is nil")
	}
	return f(x)
}

func (f Func) Parts() []Part { return nil }

// Part is a named parameter, buffer or child of a module; [Param], [Buffer] and
// [Child] make one.
type Part struct {
	name   string
	tensor *tensor.Tensor
	buffer bool
	child  Module
}

// Param makes a part of a parameter, a tensor that optimizers change. A nil
// tensor (a layer without bias) is ignored.
func Param(name string, t *tensor.Tensor) Part { return Part{name: name, tensor: t} }

// Buffer makes a part of a tensor that is saved with the model but not
// optimized, such as a running mean. A nil tensor is ignored.
func Buffer(name string, t *tensor.Tensor) Part { return Part{name: name, tensor: t, buffer: true} }

// Child makes a part of a module within a module. A nil Module (a block without a
// shortcut) is ignored; with a nil pointer to a module, functions that walk through
// the model panic.
func Child(name string, m Module) Part { return Part{name: name, child: m} }

// Modules yields m and all modules in it with their paths ("features.0"; m's own
// is ""), parents first. A module that occurs several times is yielded each time.
// It panics with a *tensor.Error if a module is nil or contains itself; so do all
// functions that walk through a model.
func Modules(m Module) iter.Seq2[string, Module] {
	return func(yield func(string, Module) bool) {
		w := walk{yield: yield}
		w.visit("", m)
	}
}

// walk is a depth-first walk through a model's tree.
type walk struct {
	yield func(string, Module) bool
	above []Module // the modules that contain it, outermost first
}

// maxNesting is more levels than any model has.
const maxNesting = 1000

func (w *walk) visit(path string, m Module) bool {
	if isNil(m) {
		failAt(path, "Modules", "%s is nil", what(path, m))
	}
	for _, a := range w.above {
		if same(a, m) {
			failAt(path, "Modules", "%s contains itself", what(path, m))
		}
	}
	if len(w.above) == maxNesting {
		failAt("", "Modules", "modules are nested more than %d deep", maxNesting)
	}
	if !w.yield(path, m) {
		return false
	}
	w.above = append(w.above, m)
	for _, p := range parts(path, m) {
		if p.child != nil && !w.visit(join(path, p.name), p.child) {
			return false
		}
	}
	w.above = w.above[:len(w.above)-1]
	return true
}

// parts returns what m lists. What goes wrong in that, such as a field that is nil,
// is an error that names the module.
func parts(path string, m Module) []Part {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case runtime.Error:
			failAt(path, "Modules", "%s cannot list its parts: %v", what(path, m), e)
		default:
			panic(e)
		}
	}()
	return m.Parts()
}

// what names a module in an error that has its path already.
func what(path string, m Module) string {
	switch {
	case m == nil && path == "":
		return "the model"
	case path == "":
		return "the model (" + typeString(m) + ")"
	}
	return "the module (" + typeString(m) + ")"
}

// isNil reports whether m is nil or a nil pointer. (A nil ModuleList is an empty
// one.)
func isNil(m Module) bool {
	return m == nil || strings.HasPrefix(typeString(m), "*") && fmt.Sprintf("%p", m) == "0x0"
}

// same reports whether a and b are the same module.
func same(a, b Module) bool {
	if a, ok := a.(ModuleList); ok {
		b, ok := b.(ModuleList)
		return ok && len(a) > 0 && len(a) == len(b) && &a[0] == &b[0]
	}
	defer func() { _ = recover() }() // values of a type that cannot be compared
	return a == b
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// tensors yields all parameters and buffers with their paths, a module's own
// before its children's, and notes the paths in the tensors, so that errors can
// name them. Several goroutines may walk through one model.
func tensors(m Module) iter.Seq2[string, Part] {
	return func(yield func(string, Part) bool) {
		for path, m := range Modules(m) {
			for _, p := range parts(path, m) {
				if p.tensor == nil {
					continue
				}
				at := join(path, p.name)
				friends.SetPath(p.tensor, at)
				if !yield(at, p) {
					return
				}
			}
		}
	}
}

// NamedParameters yields a model's parameters with their paths, in PyTorch's
// order; one that occurs several times (tied weights) is yielded once, under its
// first path.
func NamedParameters(m Module) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		seen := map[*tensor.Tensor]bool{}
		for path, p := range tensors(m) {
			if p.buffer || seen[p.tensor] {
				continue
			}
			seen[p.tensor] = true
			if !yield(path, p.tensor) {
				return
			}
		}
	}
}

// Parameters returns a model's parameters in PyTorch's order, tied ones once.
func Parameters(m Module) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, p := range NamedParameters(m) {
		out = append(out, p)
	}
	return out
}

// StateDict yields a model's parameters and buffers, the live tensors, under
// PyTorch's keys and in its order, tied ones under each of their keys.
func StateDict(m Module) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for path, p := range tensors(m) {
			if !yield(path, p.tensor) {
				return
			}
		}
	}
}

// NumParameters returns the number of elements in a model's parameters.
func NumParameters(m Module) int {
	n := 0
	for _, p := range NamedParameters(m) {
		n += p.Len()
	}
	return n
}

// SetRequiresGrad freezes (false) or unfreezes (true) all parameters of a model
// or a part of one: frozen ones get no gradient, and optimizers skip them.
func SetRequiresGrad(m Module, on bool) {
	for _, p := range NamedParameters(m) {
		p.SetRequiresGrad(on)
	}
}

// ZeroGrad clears the gradients of all parameters.
func ZeroGrad(m Module) {
	for _, p := range NamedParameters(m) {
		p.ZeroGrad()
	}
}

// trainable is implemented by layers with a training and an evaluation mode.
type trainable interface{ SetTraining(on bool) }

// Train puts a model in training mode: Dropout drops, BatchNorm2d uses the
// batch's statistics.
func Train(m Module) { setTraining(m, true) }

// Eval puts a model in evaluation mode: Dropout does nothing, BatchNorm2d uses its
// running statistics.
func Eval(m Module) { setTraining(m, false) }

func setTraining(m Module, on bool) {
	for _, m := range Modules(m) {
		if t, ok := m.(trainable); ok {
			t.SetTraining(on)
		}
	}
}

// To moves a model's parameters, their gradients and its buffers to a device.
// The tensors stay the same Go values, so optimizers made before keep working.
func To(m Module, device *tensor.Device) {
	for _, p := range tensors(m) {
		replace(p.tensor, p.tensor.Detach().To(device))
		if g := p.tensor.Grad(); g != nil {
			replace(g, g.To(device))
		}
	}
}

// ToDType converts a model's floating-point parameters, their gradients and its
// floating-point buffers to another floating-point type. The tensors stay the
// same Go values.
func ToDType(m Module, t tensor.DType) {
	if !t.IsFloat() {
		fail("ToDType", "got %s, want a floating-point type", t)
	}
	for _, p := range tensors(m) {
		if !p.tensor.DType().IsFloat() {
			continue
		}
		replace(p.tensor, p.tensor.Detach().ToDType(t))
		if g := p.tensor.Grad(); g != nil {
			replace(g, g.ToDType(t))
		}
	}
}

// replace gives x the memory of y, unless they share it already.
func replace(x, y *tensor.Tensor) {
	if !x.SharesMemory(y) {
		friends.SetData(x, y)
	}
}

// typeName returns the name of a module's type without its package: "Conv2d".
func typeName(m Module) string {
	name := strings.TrimPrefix(typeString(m), "*")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	return name
}
