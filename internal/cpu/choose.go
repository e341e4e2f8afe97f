package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// pass is one of a convolution's products.
type pass int

const (
	forward pass = iota
	inputGrad
	weightGrad
)

// A convolver computes one pass of a convolution over two dimensions; only the method of
// that pass is called.
type convolver interface {
	name() string
	forward(dst, x, w, scale, bias backend.Array)
	inputGrad(dx, dy, w backend.Array)
	weightGrad(dw, dy, x backend.Array)
}

// convTypes are the element types of a pass's operands.
type convTypes struct {
	result, a, b backend.DType // a and b are multiplied
	floats       bool          // all, those of scale and bias too, are Float32 or BFloat16
}

// typesOf returns the types of a pass's operands: the result, the two that are multiplied, and
// others that may be absent.
func typesOf(result, a, b backend.Array, others ...backend.Array) convTypes {
	t := convTypes{result: result.DType(), a: a.DType(), b: b.DType()}
	t.floats = wideOrBFloat16(t.result) && wideOrBFloat16(t.a) && wideOrBFloat16(t.b)
	for _, o := range others {
		t.floats = t.floats && (o.None() || wideOrBFloat16(o.DType()))
	}
	return t
}

func wideOrBFloat16(t backend.DType) bool { return t == backend.Float32 || t == backend.BFloat16 }

// choose returns what computes a pass of a convolution, a fixed rule of the shape, the types, the
// precision and the kernels. The first of these that serves the shape does: AMX; for float32
// planes where they lie, if there are few channels; few inputs, or each channel on its own;
// Winograd's algorithm, where it saves time; the matrix product, which serves all. AMX and
// Winograd's algorithm read bfloat16 where it lies; for the others half precision is converted.
func (be *Backend) choose(g convGeom, p pass, t convTypes) convolver {
	half := be.convProductsOf(g, p, t.a, t.b)
	if half != nil {
		be = half
	}
	if t.floats {
		if tc := be.tileConvOf(g, p); tc != nil {
			return tc
		}
		if !planesServe(g) && !(p == inputGrad && fewInputs(g)) && !(p != inputGrad && depthwise(g)) {
			if wi := be.winogradFor(g, p); wi != nil {
				wi.relu = g.ReLU && p == forward
				return wi
			}
		}
	}
	if half != nil {
		wide := convTypes{result: backend.Float32, a: backend.Float32, b: backend.Float32, floats: true}
		return &widenedConv{be, be.choose(g, p, wide)}
	}
	if t.result == backend.Float64 {
		return chooseFor[float64](be, g, p)
	}
	if planesServe(g) {
		return &planesConv{be, g}
	}
	return chooseFor[float32](be, g, p)
}

// convProductsOf is productsOf for a pass of a convolution. Winograd's transforms of bfloat16
// factors would be rounded to bfloat16 once more, five times what the result's own rounding
// loses; at High they stay float32.
func (be *Backend) convProductsOf(g convGeom, p pass, a, b backend.DType) *Backend {
	half := be.productsOf(a, b)
	if half != nil && half.precision == backend.Medium && half.tileConvOf(g, p) == nil && half.winogradFor(g, p) != nil {
		half.precision = backend.High
	}
	return half
}

// chooseFor is the end of the rule, for T.
func chooseFor[T kernels.Float](be *Backend, g convGeom, p pass) convolver {
	c := productConv[T]{be, g}
	switch {
	case p == inputGrad && fewInputs(g):
		return &fewInputsConv[T]{c}
	case p != inputGrad && depthwise(g):
		return &depthwiseConv[T]{c}
	}
	return &c
}

// ConvAlgorithm names what computes a pass of a convolution of elements of one type: "forward",
// "inputGrad" or "weightGrad". It is for tests, for bench and for whoever looks for lost time.
func (be *Backend) ConvAlgorithm(g backend.ConvGeom, passName string, t backend.DType) string {
	p, ok := map[string]pass{"forward": forward, "inputGrad": inputGrad, "weightGrad": weightGrad}[passName]
	if !ok {
		panic("cpu: there is no pass " + passName + ", only forward, inputGrad and weightGrad")
	}
	types := convTypes{result: t, a: t, b: t, floats: wideOrBFloat16(t)}
	if plane, ok := g.Flat(); ok {
		return be.choose(planeOf(plane), p, types).name()
	}
	return "depth by " + be.choose(flat(g, g.N, g.Kernel[0]), p, types).name()
}

// widenedConv convolves arrays of half precision as float32 arrays.
type widenedConv struct {
	be *Backend
	convolver
}

func (c *widenedConv) forward(dst, x, w, scale, bias backend.Array) {
	c.be.half(func() { c.convolver.forward(dst, x, w, scale, bias) }, writes(&dst), reads(&x), reads(&w), reads(&scale), reads(&bias))
}

func (c *widenedConv) inputGrad(dx, dy, w backend.Array) {
	c.be.half(func() { c.convolver.inputGrad(dx, dy, w) }, writes(&dx), reads(&dy), reads(&w))
}

func (c *widenedConv) weightGrad(dw, dy, x backend.Array) {
	c.be.half(func() { c.convolver.weightGrad(dw, dy, x) }, writes(&dw), reads(&dy), reads(&x))
}
