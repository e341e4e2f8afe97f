package optim

import "github.com/wick-ml/wick/tensor"

// ClipGradNorm scales the gradients of parameters so that the norm of all of
// them together is at most maxNorm, and returns what the norm was, which waits
// until it is computed. Call it between Backward and Step.
// (torch.nn.utils.clip_grad_norm_)
func ClipGradNorm(params []*tensor.Tensor, maxNorm float64) float64 {
	return tensor.ClipNorm(grads(params), maxNorm)
}

// ClipGradValue clamps the elements of the gradients of parameters to [-limit,
// limit]. Call it between Backward and Step. (torch.nn.utils.clip_grad_value_)
func ClipGradValue(params []*tensor.Tensor, limit float64) {
	tensor.ClipValue(grads(params), limit)
}

// grads returns the gradients of the parameters that have one.
func grads(params []*tensor.Tensor) []*tensor.Tensor {
	var gs []*tensor.Tensor
	for _, p := range params {
		if g := p.Grad(); g != nil {
			gs = append(gs, g)
		}
	}
	return gs
}
