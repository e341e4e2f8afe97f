package trainer

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// silent is a loss of a user's, which says nothing of its terms.
type silent struct{}

func (silent) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.CrossEntropy(output, target, tensor.CrossEntropyOpts{})
}

// An epoch's loss is what the loss, with the reduction Mean, makes of all examples in
// one batch, and its accuracy that of the labels that count, in training and testing:
// whatever does not count, and whichever batches there are. The rate is 0, so that the
// model stays as it is.
func TestWeighs(t *testing.T) {
	class := func(i int) *int { return &i }
	weights := tensor.From([]float32{0.5, 2, 0, 1})
	const n = 10 // in batches of 4
	labels := tensor.From([]int64{-100, -100, -100, -100, 3, 1, -100, 0, 2, 3})
	pixels := make([]int64, n*2*3)
	for i := range pixels {
		pixels[i] = int64(i % 4)
		if i < 4*2*3 || i%5 == 0 {
			pixels[i] = -100
		}
	}
	tensor.ManualSeed(5)
	probabilities, numbers := tensor.Randn(n, 4).Softmax(1), tensor.Randn(n, 4)
	for _, tt := range []struct {
		name        string
		loss, whole Loss // whole has the reduction Mean
		labels      *tensor.Tensor
		counted     int  // labels; 0: none are classes
		ignores3    bool // in place of -100
	}{
		{"ignored by default", layers.CrossEntropyLoss{}, nil, labels, 5, false},
		{"an IgnoreIndex of one's own", layers.CrossEntropyLoss{IgnoreIndex: class(3)}, nil, tensor.From([]int64{3, 1, 2, 3, 3, 3, 3, 3, 0, 3}), 3, true},
		{"none ignored", layers.CrossEntropyLoss{}, nil, tensor.From([]int64{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}), n, false},
		{"weights", layers.CrossEntropyLoss{Weight: weights}, nil, labels, 5, false},
		{"label smoothing", layers.CrossEntropyLoss{LabelSmoothing: 0.1, Weight: weights}, nil, labels, 5, false},
		{"sum", layers.CrossEntropyLoss{Reduction: tensor.ReduceSum}, layers.CrossEntropyLoss{}, labels, 5, false},
		{"sum with weights", layers.CrossEntropyLoss{Reduction: tensor.ReduceSum, Weight: weights}, layers.CrossEntropyLoss{Weight: weights}, labels, 5, false},
		{"probabilities", layers.CrossEntropyLoss{Weight: weights}, nil, probabilities, 0, false},
		{"sum of probabilities", layers.CrossEntropyLoss{Reduction: tensor.ReduceSum}, layers.CrossEntropyLoss{}, probabilities, 0, false},
		{"segmentation", layers.CrossEntropyLoss{}, nil, tensor.From(pixels).View(n, 2, 3), 29, false},
		{"segmentation with weights", layers.CrossEntropyLoss{Weight: weights}, nil, tensor.From(pixels).View(n, 2, 3), 29, false},
		{"NLL", layers.NLLLoss{}, nil, labels, 5, false},
		{"NLL, sum with weights", layers.NLLLoss{Reduction: tensor.ReduceSum, Weight: weights}, layers.NLLLoss{Weight: weights}, labels, 5, false},
		{"MSE", layers.MSELoss{}, nil, numbers, 0, false},
		{"sum of MSE", layers.MSELoss{Reduction: tensor.ReduceSum}, layers.MSELoss{}, numbers, 0, false},
		{"sum of L1", layers.L1Loss{Reduction: tensor.ReduceSum}, layers.L1Loss{}, numbers, 0, false},
		{"sum of SmoothL1", layers.SmoothL1Loss{Reduction: tensor.ReduceSum}, layers.SmoothL1Loss{}, numbers, 0, false},
		{"sum of Huber", layers.HuberLoss{Reduction: tensor.ReduceSum}, layers.HuberLoss{}, numbers, 0, false},
		{"BCE with weights", layers.BCEWithLogitsLoss{Weight: tensor.Full(3)}, nil, probabilities, 0, false},
		{"sum of BCE", layers.BCEWithLogitsLoss{Reduction: tensor.ReduceSum}, layers.BCEWithLogitsLoss{}, probabilities, 0, false},
		{"a loss of one's own", silent{}, nil, tensor.From([]int64{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}), n, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.whole == nil {
				tt.whole = tt.loss
			}
			tensor.ManualSeed(6)
			x, model := tensor.Randn(n, 5), layers.NewSequential(layers.NewLinear(5, 4))
			if tt.labels.Dim() == 3 {
				x, model = tensor.Randn(n, 5, 2, 3), layers.NewSequential(layers.NewConv2d(5, 4, 1))
			}
			set, err := datasets.NewTensors(x, tt.labels)
			if err != nil {
				t.Fatal(err)
			}
			output := model.Forward(x.NoGrad())
			wantLoss, wantAccuracy := tt.whole.Forward(output, tt.labels).Item(), math.NaN()
			if tt.counted > 0 {
				right := 0
				predicted := output.ArgMax(1).Ints()
				for i, label := range tt.labels.Ints() {
					if label == predicted[i] && !(tt.ignores3 && label == 3) {
						right++
					}
				}
				wantAccuracy = float64(right) / float64(tt.counted)
			}
			result, err := Fit(t.Context(), Config{
				Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0), Loss: tt.loss, Epochs: 2,
				Train: &datasets.DataLoader{Dataset: set, BatchSize: 4}, Test: &datasets.DataLoader{Dataset: set, BatchSize: 4},
				Callbacks: []Callback{NaNStop(), LogSteps(1), {Scalars: func(r *Run, v map[string]float64) {
					if loss, ok := v["step/loss"]; ok && math.IsNaN(loss) {
						t.Errorf("step %d: step/loss is NaN", r.Step)
					}
				}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range result.History {
				for name, v := range map[string][2]float64{
					"train loss": {float64(m.TrainLoss), wantLoss}, "test loss": {float64(m.TestLoss), wantLoss},
					"train accuracy": {float64(m.TrainAccuracy), wantAccuracy}, "test accuracy": {float64(m.TestAccuracy), wantAccuracy},
				} {
					got, want := v[0], v[1]
					if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-6*math.Abs(want) {
						t.Errorf("epoch %d: %s: got %v, want %v", m.Epoch, name, got, want)
					}
				}
			}
		})
	}
}

// An epoch in which nothing counts has no loss and no accuracy, and spoils neither the
// weights nor what is shown of it.
func TestWeighsNothing(t *testing.T) {
	model := layers.NewLinear(5, 4)
	before := model.Weight.Detach().Clone()
	set, err := datasets.NewTensors(tensor.Randn(6, 5), tensor.From([]int64{-100, -100, -100, -100, -100, -100}))
	if err != nil {
		t.Fatal(err)
	}
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 4}
	c := Config{Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 1), Loss: layers.CrossEntropyLoss{}, Epochs: 1, Train: loader, Test: loader, Callbacks: []Callback{NaNStop()}}
	r, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{float64(r.History[0].TrainLoss), float64(r.History[0].TestLoss), float64(r.History[0].TrainAccuracy), float64(r.History[0].TestAccuracy)} {
		if !math.IsNaN(v) {
			t.Errorf("got %v among %+v, want nothing measured", v, r.History[0])
		}
	}
	if tensor.CountEqual(before, model.Weight.Detach()) != before.Len() {
		t.Errorf("the weights changed: %v", model.Weight)
	}
	if points, _, err := FindLR(t.Context(), c, FindLROpts{Steps: 5}); err != nil || len(points) > 0 {
		t.Errorf("FindLR: got %d points, error %v, want none", len(points), err)
	}
}

// Images without a label that counts are neither shown nor counted.
func TestPicturesIgnored(t *testing.T) {
	tensor.ManualSeed(1)
	set, err := datasets.NewTensors(tensor.Rand(8, 3, 8, 8), tensor.From([]int64{0, 1, -100, -100, 2, 3, 0, -100}))
	if err != nil {
		t.Fatal(err)
	}
	m := layers.NewSequential(layers.Flatten{}, layers.NewLinear(192, 4))
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 3}
	classes := []string{"a", "b", "c", "d"}
	c := Config{Model: m, Optimizer: optim.NewSGD(layers.Parameters(m), 0.1), Loss: layers.CrossEntropyLoss{}, Train: loader, Test: loader, Epochs: 1, Dir: t.TempDir(), Callbacks: []Callback{Predictions(classes)}}
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) > 0 {
		t.Fatalf("got error %v, warnings %v", err, r.Warnings)
	}
	if err := Report(t.TempDir(), m, loader, classes, r.History); err != nil {
		t.Errorf("Report: %v", err)
	}
	seen := newTested(classes, nil)
	for x, y := range loader.All() {
		output := m.Forward(x)
		if err := seen.add(x, y, output, termsOf(c.Loss, output, y).Counted); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, row := range seen.confusion.Counts {
		for _, count := range row {
			n += count
		}
	}
	if shown := len(seen.samples()); n != 5 || shown != 5 {
		t.Errorf("%d predictions are counted and %d shown, want 5", n, shown)
	}
}
