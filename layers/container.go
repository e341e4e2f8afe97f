package layers

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/wick-ml/wick/tensor"
)

func typeString(m Module) string { return fmt.Sprintf("%T", m) }

// Sequential is a layer made of layers, each applied to the result of the one
// before. In passes that are not recorded (no-grad) it gives back what only its
// own layers of this package have seen as soon as the next layer is done. What a
// [Func] or a layer of another package has seen lives as long as the input does.
// BatchNorm2d followed by ReLU is computed in one pass, with the same result;
// so is Conv2d followed by an evaluating BatchNorm2d in passes that are not
// recorded, with the same result up to rounding.
// (torch.nn.Sequential)
type Sequential struct {
	layers []Layer
}

// NewSequential chains layers; their names are "0", "1", ….
func NewSequential(layers ...Layer) *Sequential {
	wantLayers("NewSequential", layers)
	return &Sequential{layers}
}

// Append adds layers at the end.
func (s *Sequential) Append(layers ...Layer) {
	if s == nil {
		fail("Append", "the Sequential is nil; NewSequential makes one")
	}
	wantLayers("Append", layers)
	s.layers = append(s.layers, layers...)
}

// wantLayers panics if one of layers is nil.
func wantLayers(op string, layers []Layer) {
	for i, l := range layers {
		if isNil(l) {
			fail(op, "layer %d is nil (%s)", i, typeString(l))
		}
	}
}

// nested reports whether Sequentials are nested in l to more than the given depth, as
// they do where one contains itself.
func nested(l Layer, depth int) bool {
	s, ok := l.(*Sequential)
	if !ok || s == nil {
		return false
	}
	if depth == 0 {
		return true
	}
	for _, l := range s.layers {
		if nested(l, depth-1) {
			return true
		}
	}
	return false
}

// Layers returns the layers.
func (s *Sequential) Layers() []Layer { return s.layers }

// Parts lists the layers.
func (s *Sequential) Parts() []Part {
	parts := make([]Part, len(s.layers))
	for i, l := range s.layers {
		parts[i] = Child(strconv.Itoa(i), l)
	}
	return parts
}

// Forward applies all layers in turn.
func (s *Sequential) Forward(x *tensor.Tensor) *tensor.Tensor {
	switch {
	case s == nil:
		fail("Sequential", "the layer is nil")
	case x == nil:
		fail("Sequential", "the input is nil")
	case nested(s, maxDepth):
		fail("Sequential", "a Sequential contains itself, or they are nested more than %d deep", maxDepth)
	}
	at := 0
	trace, _ := x.Watched().(*Trace)
	depth := 0
	if trace != nil {
		depth = trace.begin(s)
	}
	defer func() {
		// An operation without parameters does not know where it is.
		if e := recover(); e != nil {
			if trace != nil {
				trace.frames = trace.frames[:depth]
			}
			switch err := e.(type) {
			case *tensor.Error:
				e = err.InLayer(strconv.Itoa(at))
			case runtime.Error:
				for i := at; i < min(at+3, len(s.layers)); i++ { // so many may be computed in one pass
					if l := s.layers[i]; isNil(l) {
						e = &tensor.Error{Op: "Sequential", Layer: strconv.Itoa(i), Err: fmt.Errorf("the layer is nil (%s)", typeString(l))}
						break
					}
				}
			}
			panic(e)
		}
	}()
	own := false // whether x was made here and only layers of this package have seen it
	for at < len(s.layers) {
		if trace != nil {
			trace.enter(depth, at)
		}
		y, library, next := s.fused(at, x)
		if y == nil {
			y, library, next = s.layers[at].Forward(x), keepsNothing(s.layers[at]), at+1
		}
		if y == nil {
			fail(typeName(s.layers[at]), "Forward returned nil")
		}
		if trace != nil {
			trace.leave(depth+1, y)
		}
		if y.SharesMemory(x) {
			own = own && library
		} else {
			if own && library && y.IsNoGrad() {
				friends.Release(x)
			}
			own = library
		}
		x, at = y, next
	}
	if trace != nil {
		trace.leave(depth, x)
	}
	return x
}

// fused feeds x through the layers from at on that are computed in one pass, and
// returns their result, whether they keep nothing of it, and the layer behind
// them. The result is nil if there are no such layers, and where x is watched, by
// somebody who wants to see each of them.
func (s *Sequential) fused(at int, x *tensor.Tensor) (y *tensor.Tensor, library bool, next int) {
	if x.Watched() != nil {
		return nil, false, 0
	}
	conv, _ := s.layers[at].(*Conv2d)
	if conv != nil {
		at++
	}
	if at == len(s.layers) {
		return nil, false, 0
	}
	norm, ok := s.layers[at].(*BatchNorm2d)
	if !ok {
		return nil, false, 0
	}
	at++
	relu := at < len(s.layers) && isReLU(s.layers[at])
	if relu {
		at++
	}
	switch {
	case conv == nil && relu:
		y = norm.forward(x, true)
	case conv != nil && x.IsNoGrad() && x.Dim() == 4 && norm.eval && norm.RunningMean != nil && conv.Weight != nil && conv.Weight.Dim() == 4 && norm.features() == conv.Weight.Size(0):
		y = tensor.Conv2dBatchNorm(x, conv.Weight, conv.Bias, norm.RunningMean, norm.RunningVar, norm.Weight, norm.Bias,
			conv.opts(), norm.opts(relu))
	}
	return y, true, at
}

func isReLU(l Layer) bool {
	switch l.(type) {
	case ReLU, *ReLU:
		return true
	}
	return false
}

// keepsNothing reports whether a layer is one of this package, which keep nothing
// of what passes through them.
func keepsNothing(l Layer) bool {
	if s, ok := l.(*Sequential); ok {
		for _, l := range s.layers {
			if !keepsNothing(l) {
				return false
			}
		}
		return true
	}
	return isLibrary(l)
}

// ModuleList is a list of modules, registered under "0", "1", …; it has no
// Forward of its own. (torch.nn.ModuleList)
type ModuleList []Module

// Parts lists the modules.
func (l ModuleList) Parts() []Part {
	parts := make([]Part, len(l))
	for i, m := range l {
		parts[i] = Child(strconv.Itoa(i), m)
	}
	return parts
}
