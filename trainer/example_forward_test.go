package trainer_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// points are n points in the plane around four centres, and the numbers of these.
func points(n int, seed uint64) (x, centre *tensor.Tensor) {
	r := rand.New(rand.NewPCG(seed, 0))
	var xs []float32
	var classes []int64
	for range n {
		c := r.IntN(4)
		classes = append(classes, int64(c))
		xs = append(xs, float32(c%2*4-2)+float32(r.NormFloat64()), float32(c/2*4-2)+float32(r.NormFloat64()))
	}
	return tensor.From(xs, n, 2), tensor.From(classes)
}

// couples is a data set of two points each, and whether they are of one centre.
type couples struct{ x, centre *tensor.Tensor }

func (d couples) Len() int { return d.x.Size(0) }

func (d couples) Example(i int, r *rand.Rand) (datasets.Example, error) {
	j := r.IntN(d.Len()) // another partner each epoch
	return datasets.Example{
		Inputs:  []*tensor.Tensor{d.x.Select(0, i), d.x.Select(0, j)},
		Targets: []*tensor.Tensor{d.centre.Select(0, i).Eq(d.centre.Select(0, j))},
	}, nil
}

func siamese() trainer.Config {
	tensor.ManualSeed(1)
	embed := layers.NewSequential(layers.NewLinear(2, 8), layers.Tanh{}, layers.NewLinear(8, 2))
	near := func(p *trainer.Pass) *tensor.Tensor { return p.Outputs[0].LtScalar(0.5) }
	return trainer.Config{
		Module:    embed,
		Optimizer: optim.NewAdam(layers.Parameters(embed), 0.01),
		Train:     &datasets.DataLoader{Dataset: datasets.Multi(couples(pointSet(60, 1))), BatchSize: 16, Shuffle: true, Workers: 2},
		Test:      &datasets.DataLoader{Dataset: datasets.Multi(couples(pointSet(30, 2))), BatchSize: 8},
		Epochs:    4,
		Forward: func(b *datasets.Batch) trainer.Pass {
			d := embed.Forward(b.Inputs[0]).Sub(embed.Forward(b.Inputs[1])).Norm(2, 1)
			same := b.Targets[0].ToDType(tensor.Float32)
			apart := d.Neg().AddScalar(1).ClampMin(0) // a margin of 1 (Hadsell, Chopra, LeCun, 2006)
			loss := same.Mul(d.Mul(d)).Add(same.Neg().AddScalar(1).Mul(apart.Mul(apart))).Mean()
			return trainer.Pass{Loss: loss, Outputs: []*tensor.Tensor{d}}
		},
		Metrics: []trainer.Metric{{
			Name: "f1", Mode: sched.Max,
			Sums: func(b *datasets.Batch, p *trainer.Pass) *tensor.Tensor {
				return tensor.Stack(0, near(p).And(b.Targets[0]).Sum(), near(p).Sum(), b.Targets[0].Sum())
			},
			Value: func(s []float64) float64 { return 2 * s[0] / (s[1] + s[2]) },
		}},
		Monitor: "test_f1",
	}
}

func pointSet(n int, seed uint64) (d struct{ x, centre *tensor.Tensor }) {
	d.x, d.centre = points(n, seed)
	return d
}

// Two images of the same thing are to lie near each other, and others apart: a model
// that is applied to both, and a loss of the two outputs.
func ExampleConfig_siamese() {
	result, err := trainer.Fit(context.Background(), siamese())
	if err != nil {
		fmt.Println(err)
		return
	}
	first, last := result.History[0], result.History[3]
	fmt.Println(last.TrainLoss < first.TrainLoss, last.Own["test_f1"] > 0.5, result.BestEpoch > 0)
	// Output: true true true
}

// heads is a trunk with two heads: which centre, and how far from the origin.
type heads struct{ trunk, class, distance *layers.Linear }

func (n *heads) Parts() []layers.Part {
	return []layers.Part{layers.Child("trunk", n.trunk), layers.Child("class", n.class), layers.Child("distance", n.distance)}
}

func (n *heads) Forward(x *tensor.Tensor) (scores, distance *tensor.Tensor) {
	h := n.trunk.Forward(x).ReLU()
	return n.class.Forward(h), n.distance.Forward(h)
}

func multiTask() trainer.Config {
	tensor.ManualSeed(2)
	net := &heads{layers.NewLinear(2, 16), layers.NewLinear(16, 4), layers.NewLinear(16, 1)}
	loader := func(n int, seed uint64) *datasets.DataLoader {
		x, centre := points(n, seed)
		set, err := datasets.NewMultiTensors([]*tensor.Tensor{x}, []*tensor.Tensor{centre, x.Norm(2, 1).View(n, 1)})
		if err != nil {
			panic(err)
		}
		return &datasets.DataLoader{Dataset: set, BatchSize: 16, Shuffle: true}
	}
	class, distance := layers.CrossEntropyLoss{}, layers.MSELoss{}
	return trainer.Config{
		Module:    net,
		Optimizer: optim.NewAdam(layers.Parameters(net), 0.02),
		Train:     loader(100, 3), Test: loader(40, 4),
		Epochs: 4,
		Forward: func(b *datasets.Batch) trainer.Pass {
			scores, far := net.Forward(b.Inputs[0])
			a, c := class.Forward(scores, b.Targets[0]), distance.Forward(far, b.Targets[1])
			return trainer.Pass{
				Loss: a.Add(c.MulScalar(0.1)), Outputs: []*tensor.Tensor{scores, far, a, c},
				Scores: scores, Labels: b.Targets[0], // the accuracy is that of this head
			}
		},
		Metrics: []trainer.Metric{
			trainer.Mean("class loss", sched.Min, func(_ *datasets.Batch, p *trainer.Pass) (value, weight *tensor.Tensor) { return p.Outputs[2], nil }),
			trainer.Mean("distance loss", sched.Min, func(_ *datasets.Batch, p *trainer.Pass) (value, weight *tensor.Tensor) { return p.Outputs[3], nil }),
			{
				Name: "top2", Mode: sched.Max, TestOnly: true,
				Sums: func(b *datasets.Batch, p *trainer.Pass) *tensor.Tensor {
					_, best := p.Scores.TopK(2, 1, true)
					return tensor.Stack(0, best.Eq(p.Labels.Unsqueeze(1)).Sum(), tensor.From([]int64{int64(b.Len())}).Reshape())
				},
			},
		},
	}
}

// Two heads learn together; the loss is a sum, and each term of it is a metric.
func ExampleConfig_heads() {
	result, err := trainer.Fit(context.Background(), multiTask())
	if err != nil {
		fmt.Println(err)
		return
	}
	last := result.History[3]
	sum := last.Own["test_class loss"] + 0.1*last.Own["test_distance loss"]
	fmt.Println(math.Abs(float64(sum-last.TestLoss)) < 1e-6, last.TestAccuracy > 0.8, last.Own["test_top2"] > 0.9)
	// Output: true true true
}

// vae is a variational autoencoder (Kingma and Welling, 2013).
type vae struct{ encoder, decoder layers.Layer }

func (n *vae) Parts() []layers.Part {
	return []layers.Part{layers.Child("encoder", n.encoder), layers.Child("decoder", n.decoder)}
}

func (n *vae) Forward(x *tensor.Tensor) (again, mean, logVar *tensor.Tensor) {
	parts := n.encoder.Forward(x).Chunk(2, 1)
	mean, logVar = parts[0], parts[1]
	z := mean.Add(tensor.RandnLike(mean).Mul(logVar.MulScalar(0.5).Exp()))
	return n.decoder.Forward(z), mean, logVar
}

func autoencoder() trainer.Config {
	tensor.ManualSeed(3)
	net := &vae{
		layers.NewSequential(layers.NewLinear(6, 12), layers.ReLU{}, layers.NewLinear(12, 4)),
		layers.NewSequential(layers.NewLinear(2, 12), layers.ReLU{}, layers.NewLinear(12, 6)),
	}
	loader := func(n int, seed uint64) *datasets.DataLoader {
		x, _ := points(n, seed)
		set, err := datasets.NewMultiTensors([]*tensor.Tensor{tensor.Cat(1, x, x.MulScalar(0.5), x.Neg())}, nil) // nothing is told of them
		if err != nil {
			panic(err)
		}
		return &datasets.DataLoader{Dataset: set, BatchSize: 24, Shuffle: true}
	}
	term := func(name string, i int) trainer.Metric {
		return trainer.Mean(name, sched.Min, func(_ *datasets.Batch, p *trainer.Pass) (value, weight *tensor.Tensor) { return p.Outputs[i], nil })
	}
	return trainer.Config{
		Module:    net,
		Optimizer: optim.NewAdam(layers.Parameters(net), 0.02),
		Train:     loader(100, 5), Test: loader(50, 6),
		Epochs: 4,
		Forward: func(b *datasets.Batch) trainer.Pass {
			x := b.Inputs[0]
			again, mean, logVar := net.Forward(x)
			n := float64(b.Len())
			d := again.Sub(x)
			reconstruction := d.Mul(d).Sum().DivScalar(n)
			kl := mean.Mul(mean).Add(logVar.Exp()).Sub(logVar).AddScalar(-1).Sum().MulScalar(0.5 / n)
			return trainer.Pass{Loss: reconstruction.Add(kl), Outputs: []*tensor.Tensor{reconstruction, kl}}
		},
		Metrics: []trainer.Metric{term("reconstruction", 0), term("kl", 1)},
		Monitor: "test_reconstruction",
	}
}

// What there is to be learned is the input itself, and the loss has two terms, which
// the records tell one by one.
func ExampleConfig_autoencoder() {
	result, err := trainer.Fit(context.Background(), autoencoder())
	if err != nil {
		fmt.Println(err)
		return
	}
	first, last := result.History[0], result.History[3]
	fmt.Println(last.Own["test_reconstruction"] < first.Own["test_reconstruction"], last.Own["test_kl"] > 0)
	// Output: true true
}

// sentences is a data set of words' numbers of different lengths, with a tag for each:
// whether the word before has a larger number.
type sentences [][]int64

func (s sentences) Len() int { return len(s) }

func (s sentences) Get(i int, _ *rand.Rand) (words, tags *tensor.Tensor, err error) {
	t := make([]int64, len(s[i]))
	for k := 1; k < len(t); k++ {
		if s[i][k-1] > s[i][k] {
			t[k] = 1
		}
	}
	return tensor.From(s[i]), tensor.From(t), nil
}

func text(n int, seed uint64) sentences {
	r := rand.New(rand.NewPCG(seed, 1))
	var all sentences
	for range n {
		s := make([]int64, 1+r.IntN(7))
		for k := range s {
			s[k] = r.Int64N(9) + 1 // 0 stands where there is no word
		}
		all = append(all, s)
	}
	return all
}

// padded makes sentences equally long: words with 0, tags with -100, which
// CrossEntropyLoss ignores.
func padded(examples []datasets.Example) (*datasets.Batch, error) {
	var words, tags []*tensor.Tensor
	for _, e := range examples {
		words, tags = append(words, e.Inputs[0]), append(tags, e.Targets[0])
	}
	w := datasets.PadSequence(words, 0)
	return &datasets.Batch{Inputs: []*tensor.Tensor{w, w.NeScalar(0)}, Targets: []*tensor.Tensor{datasets.PadSequence(tags, -100)}}, nil
}

// tagger tells of each word its tag, from it and the one before.
type tagger struct {
	words *layers.Embedding
	out   *layers.Linear
}

func (n *tagger) Parts() []layers.Part {
	return []layers.Part{layers.Child("words", n.words), layers.Child("out", n.out)}
}

func (n *tagger) Forward(words, mask *tensor.Tensor) *tensor.Tensor {
	h := n.words.Forward(words).Mul(mask.Unsqueeze(2).ToDType(tensor.Float32)) // [N L 8]
	before := tensor.Cat(1, tensor.Zeros(h.Size(0), 1, 8), h.Narrow(1, 0, h.Size(1)-1))
	return n.out.Forward(tensor.Cat(2, before, h)).Transpose(1, 2) // [N tags L]
}

func tagging() trainer.Config {
	tensor.ManualSeed(4)
	net := &tagger{layers.NewEmbedding(10, 8), layers.NewLinear(16, 2)}
	criterion := layers.CrossEntropyLoss{}
	perplexity := trainer.Mean("perplexity", sched.Min, func(b *datasets.Batch, p *trainer.Pass) (value, weight *tensor.Tensor) {
		return p.Loss, b.Inputs[1].Sum() // a word weighs as any other, however long its sentence is
	})
	perplexity.Value = func(s []float64) float64 { return math.Exp(s[0] / s[1]) }
	return trainer.Config{
		Module:    net,
		Optimizer: optim.NewAdam(layers.Parameters(net), 0.05),
		Train:     &datasets.DataLoader{Dataset: text(120, 1), BatchSize: 10, Shuffle: true, CollateBatch: padded},
		Test:      &datasets.DataLoader{Dataset: text(50, 2), BatchSize: 7, CollateBatch: padded},
		Epochs:    4,
		Forward: func(b *datasets.Batch) trainer.Pass {
			scores, tags := net.Forward(b.Inputs[0], b.Inputs[1]), b.Targets[0]
			return trainer.Pass{
				Loss: criterion.Forward(scores, tags), Terms: criterion.Terms(scores, tags), // the loss counts words, not sentences
				Scores: scores, Labels: tags,
			}
		},
		Metrics: []trainer.Metric{perplexity},
		Monitor: "test_perplexity",
	}
}

// Sentences of different lengths are padded by the loader's CollateBatch. What was
// added counts neither in the loss nor in the accuracy nor in the perplexity.
func ExampleConfig_sequences() {
	result, err := trainer.Fit(context.Background(), tagging())
	if err != nil {
		fmt.Println(err)
		return
	}
	last := result.History[3]
	fmt.Println(last.TestAccuracy > 0.8, math.Abs(float64(last.Own["test_perplexity"])-math.Exp(float64(last.TestLoss))) < 1e-12)
	// Output: true true
}

func distillation() trainer.Config {
	tensor.ManualSeed(5)
	teacher := layers.NewSequential(layers.NewLinear(2, 32), layers.ReLU{}, layers.NewLinear(32, 4))
	student := layers.NewLinear(2, 4)
	layers.Eval(teacher)
	x, centre := points(90, 7)
	set, err := datasets.NewTensors(x, centre)
	if err != nil {
		panic(err)
	}
	const temperature = 2.0
	criterion := layers.CrossEntropyLoss{}
	return trainer.Config{
		Model:     student,
		Optimizer: optim.NewSGD(layers.Parameters(student), 0.1),
		Train:     &datasets.DataLoader{Dataset: set, BatchSize: 20, Shuffle: true},
		Epochs:    3,
		Forward: func(b *datasets.Batch) trainer.Pass {
			x, labels := b.Inputs[0], b.Targets[0]
			known := teacher.Forward(x.NoGrad()).Detach().DivScalar(temperature).Softmax(1)
			scores := student.Forward(x)
			soft := known.Mul(scores.DivScalar(temperature).LogSoftmax(1)).Sum(1).Mean().Neg()
			return trainer.Pass{Loss: criterion.Forward(scores, labels).Add(soft), Scores: scores, Labels: labels}
		},
	}
}

// A student learns from labels and from a teacher, whose weights nobody changes.
func ExampleConfig_distillation() {
	result, err := trainer.Fit(context.Background(), distillation())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.History[2].TrainLoss < result.History[0].TrainLoss, result.History[2].TrainAccuracy > 0.5)
	// Output: true true
}
