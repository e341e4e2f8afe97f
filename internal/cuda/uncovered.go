//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// covered is the geometry whose input ends where the last window may reach. A
// transposed convolution with dilation may have output padding beyond that, which
// cuDNN, where an input's size and padding have to give the result's, refuses.
func covered(g backend.ConvGeom) backend.ConvGeom {
	most := func(size, windows, stride, dilation, kernel, pad int) int {
		return min(size, windows*max(1, stride)+max(1, dilation)*(kernel-1)-2*pad)
	}
	for d := range g.In {
		g.In[d] = most(g.In[d], g.Out[d], g.Stride[d], g.Dilation[d], g.Kernel[d], g.Pad[d])
	}
	return g
}

// convolveCovered is convolve with an input of which only a part, whose geometry is
// part, takes part: the rest of its gradient is 0.
func (be *Backend) convolveCovered(p pass, x, w, y backend.Array, exact bool, g, part backend.ConvGeom) {
	var t temporaries
	defer be.release(&t)
	cut := be.temporary(&t, x.DType(), g.N*g.C*volume(part.In))
	window := backend.StridedGeom{
		Shape:   append([]int{g.N * g.C}, part.In[:]...),
		Strides: []int{volume(g.In), g.In[1] * g.In[2], g.In[2], 1},
	}
	if p != inputGrad {
		be.Strided(cut, x, window)
	}
	be.convolve(p, cut, w, y, backend.Array{}, exact, part)
	if p == inputGrad {
		be.set(address(x), 0, x.Len*x.DType().Size())
		be.StridedWrite(x, cut, window)
	}
}
