package optim

import (
	"fmt"

	"github.com/wick-ml/wick/tensor"
)

// ClipGradNorm scales the gradients of parameters so that the norm of all of
// them together is at most maxNorm, and returns the norm before, which waits
// until it is computed. Call it between Backward and Step. A gradient that has a
// history, because Backward created a graph, is not changed: the parameter gets a
// scaled copy without one. (torch.nn.utils.clip_grad_norm_)
func ClipGradNorm(params []*tensor.Tensor, maxNorm float64) float64 {
	return friends.ClipNorm(grads("ClipGradNorm", params), maxNorm)
}

// ClipGradValue clamps the elements of the gradients of parameters to [-limit,
// limit]. Call it between Backward and Step. Gradients that have a history are replaced,
// as by ClipGradNorm. (torch.nn.utils.clip_grad_value_)
func ClipGradValue(params []*tensor.Tensor, limit float64) {
	friends.ClipValue(grads("ClipGradValue", params), limit)
}

// grads returns the gradients of the parameters that have one, to be changed. A gradient
// with a history, which may still be used, is replaced by a copy without one.
func grads(op string, params []*tensor.Tensor) []*tensor.Tensor {
	var gs []*tensor.Tensor
	for i, p := range params {
		if p == nil {
			panic(&tensor.Error{Op: op, Err: fmt.Errorf("parameter %d is nil", i)})
		}
		g := p.Grad()
		if g == nil {
			continue
		}
		if !g.IsLeaf() {
			p.SetGrad(g.Detach())
			g = p.Grad()
		}
		gs = append(gs, g)
	}
	return gs
}
