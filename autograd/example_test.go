package autograd_test

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/tensor"
)

// The numbers of these examples are PyTorch's; see testdata/examples.py.

// example returns a leaf of the given shape with numbers that look random.
func example(dims ...int) *tensor.Tensor {
	n := tensor.Shape(dims).Len()
	return tensor.Arange(0, float64(n), 1).MulScalar(2).AddScalar(1).Sin().Reshape(dims...).Detach().SetRequiresGrad(true)
}

// The gradient penalty of a Wasserstein GAN: the critic's slope between real and made
// images is to have the length 1. (Gulrajani et al., Improved Training of Wasserstein
// GANs, 2017)
func ExampleGrad_gradientPenalty() {
	w1, w2 := example(3, 2), example(1, 3)
	critic := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Linear(tensor.Linear(x, w1, nil).Tanh(), w2, nil)
	}
	realOnes, madeUp := tensor.From([]float32{1, 2, -1, 0.5}, 2, 2), tensor.From([]float32{0, -1, 2, 1}, 2, 2)
	x := realOnes.LerpTensor(madeUp, tensor.From([]float32{0.25, 0.75}, 2, 1)).SetRequiresGrad(true)

	slope := autograd.Grad(critic(x).Sum(), []*tensor.Tensor{x}, autograd.GradOpts{CreateGraph: true})[0]
	penalty := slope.Norm(2, 1).SubScalar(1).Square().Mean()
	penalty.Backward()
	fmt.Printf("%.4f\n", penalty.Item())
	fmt.Println(w1.Grad())
	fmt.Println(w2.Grad())
	// Output:
	// 0.0795
	// tensor([[ 0.0232, -0.1153],
	//         [-0.0053, -0.0527],
	//         [-0.1868, -0.1207]])
	// tensor([[-0.0539, -0.2254,  0.1984]])
}

// The product of a function's Hessian and a vector, without the Hessian: the gradient of
// the gradient's product with the vector.
func ExampleGrad_hessianVectorProduct() {
	x := tensor.From([]float64{1.2, 1, 0.8}).SetRequiresGrad(true)
	v := tensor.From([]float64{1, 0, -1})
	a, b := x.Narrow(0, 0, 2), x.Narrow(0, 1, 2) // Rosenbrock's function
	f := b.Sub(a.Square()).Square().MulScalar(100).Add(a.RSubScalar(1).Square()).Sum()

	g := autograd.Grad(f, []*tensor.Tensor{x}, autograd.GradOpts{CreateGraph: true})[0]
	hv := autograd.Grad(g.Mul(v).Sum(), []*tensor.Tensor{x})[0]
	fmt.Println(g.Detach())
	fmt.Println(hv)
	// Output:
	// tensor([211.6000,  -8.0000, -40.0000], dtype=float64)
	// tensor([1330.,  -80., -200.], dtype=float64)
}

// Hypot returns √(a²+b²), element by element: an operation of one's own, which computes
// with numbers, and its gradient, which computes with operations that are recorded.
func Hypot(a, b *tensor.Tensor) *tensor.Tensor {
	lengths, y := a.Float64s(), b.Float64s() // copies
	for i, x := range lengths {
		lengths[i] = math.Hypot(x, y[i])
	}
	out := tensor.From(lengths, a.Shape()...)
	return autograd.Record(autograd.Named("Hypot"), out, []*tensor.Tensor{a, b}, func(g *tensor.Tensor) []*tensor.Tensor {
		g = g.Div(Hypot(a, b)) // recorded itself, so that this gradient has one
		return []*tensor.Tensor{g.Mul(a), g.Mul(b)}
	}, a, b)
}

// An operation of one's own with its gradient, and the gradient of that. (torch.autograd.Function)
func ExampleRecord() {
	a := tensor.From([]float64{3, 5, 8}).SetRequiresGrad(true)
	b := tensor.From([]float64{4, 12, 15}).SetRequiresGrad(true)
	length := Hypot(a, b)
	fmt.Println(length.Detach(), length.Node().Op().Name())

	grads := autograd.Grad(length.Sum(), []*tensor.Tensor{a, b}, autograd.GradOpts{CreateGraph: true})
	fmt.Println(grads[0].Detach())
	fmt.Println(grads[1].Detach())
	grads[0].Sum().Backward()
	fmt.Println(a.Grad()) // b²/length³
	fmt.Println(b.Grad()) // -a·b/length³

	hypot := func(in []*tensor.Tensor) *tensor.Tensor { return Hypot(in[0], in[1]) }
	fmt.Println(gradcheck.CheckGradGrad(hypot, []*tensor.Tensor{a, b}, gradcheck.Opts{})) // against numeric gradients
	// Output:
	// tensor([ 5., 13., 17.], dtype=float64) Hypot
	// tensor([0.6000, 0.3846, 0.4706], dtype=float64)
	// tensor([0.8000, 0.9231, 0.8824], dtype=float64)
	// tensor([0.1280, 0.0655, 0.0458], dtype=float64)
	// tensor([-0.0960, -0.0273, -0.0244], dtype=float64)
	// <nil>
}

// A step of MAML: weights are judged by what they are after a step of gradient descent on
// other examples, and the gradient goes through that step. (Finn, Abbeel and Levine,
// Model-Agnostic Meta-Learning, 2017)
func ExampleGrad_learningToLearn() {
	w := tensor.From([]float32{0.5, -0.5}).SetRequiresGrad(true)
	loss := func(w, x, y *tensor.Tensor) *tensor.Tensor { return tensor.MSELoss(x.MatMul(w), y, tensor.ReduceMean) }
	support, query := tensor.From([]float32{1, 2, 3, 1}, 2, 2), tensor.From([]float32{2, 0, 1, 1}, 2, 2)

	inner := loss(w, support, tensor.From([]float32{1, 2}))
	g := autograd.Grad(inner, []*tensor.Tensor{w}, autograd.GradOpts{CreateGraph: true})[0]
	outer := loss(w.Sub(g.MulScalar(0.1)), query, tensor.From([]float32{1, 1}))
	outer.Backward()
	fmt.Printf("%.4f %v\n", outer.Item(), w.Grad())
	// Output: 0.4163 tensor([ 0.0750, -0.9000])
}

// A network as the solution of a differential equation, here of u″ = -u: the loss has the
// network's second derivative by its input, and a gradient by its weights. (Raissi,
// Perdikaris and Karniadakis, Physics-informed neural networks, 2019)
func ExampleGrad_differentialEquation() {
	w1, w2 := example(8, 1), example(1, 8)
	x := tensor.From([]float32{-1, 0, 0.5}, 3, 1).SetRequiresGrad(true)
	derivative := func(u *tensor.Tensor) *tensor.Tensor {
		return autograd.Grad(u.Sum(), []*tensor.Tensor{x}, autograd.GradOpts{CreateGraph: true})[0]
	}

	u := tensor.Linear(tensor.Linear(x, w1, nil).Tanh(), w2, nil)
	uxx := derivative(derivative(u))
	residual := uxx.Add(u).Square().Mean()
	residual.Backward()
	fmt.Println(uxx.Detach().Flatten(0))
	fmt.Printf("%.4f\n", residual.Item())
	fmt.Println(w1.Grad().Flatten(0))
	// Output:
	// tensor([ 2.1849,  0.0000, -2.1302])
	// 0.3435
	// tensor([-0.0286,  0.0658, -0.0769, -0.0680,  0.0374, -0.1269,  0.0336, -0.0667])
}
