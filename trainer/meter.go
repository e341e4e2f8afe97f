package trainer

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// meter adds up what batches come to: on a GPU in tensors there, so that a step waits
// for nothing. The sums are read when somebody asks: for the progress line a few times
// a second, at an epoch's end and for checkpoints. Additions are those of a loop that
// reads each loss, in float64 and in the same order, and on the CPU they are just that.
type meter struct {
	sums  *Sums
	begun bool // the tensors have what sums had at the beginning
	ahead bool // they have more than sums

	totals                         *tensor.Tensor // Float64 [4], in which lie the next four; nil on the CPU
	loss, weight, correct, labeled *tensor.Tensor
	last                           *tensor.Tensor // a Float64 scalar: the last batch's loss
	now                            float64        // the last batch's loss on the CPU

	own       []tally // Metrics
	measuring string  // the metric whose function is running
}

// begin makes s what batches are added to.
func (m *meter) begin(s *Sums, own []tally) {
	m.sums, m.begun, m.ahead, m.own = s, false, false, own
}

// resumed goes on with an epoch of which so many batches are over. What was not
// measured from its beginning is not measured in it.
func (m *meter) resumed(batches int) {
	for i := range m.own {
		t := &m.own[i]
		t.void = batches > 0 && m.sums.Own[t.Name] == nil
	}
	for name := range m.sums.Own {
		if !slices.ContainsFunc(m.own, func(t tally) bool { return t.Name == name }) {
			delete(m.sums.Own, name)
		}
	}
}

// ready makes the tensors, on a device, before the first batch of a pass.
func (m *meter) ready(d *tensor.Device) {
	if m.begun || d == tensor.CPU {
		return
	}
	if m.totals == nil || m.totals.Device() != d {
		m.totals = tensor.Zeros(4).ToDType(tensor.Float64).To(d)
		m.last = tensor.Full(0).ToDType(tensor.Float64).To(d)
		for i, part := range []**tensor.Tensor{&m.loss, &m.weight, &m.correct, &m.labeled} {
			*part = m.totals.Select(0, i)
		}
	}
	m.loss.Fill(float64(m.sums.Loss))
	m.weight.Fill(m.sums.Weight)
	m.correct.Fill(float64(m.sums.Correct))
	m.labeled.Fill(float64(m.sums.Labeled))
	m.begun = true
}

// Weigher is a Loss whose terms may not weigh the same in each batch: labels that it
// ignores, weights of classes, images of several sizes. The losses of package layers
// are such. Fit weighs a batch as its terms say; of other losses each example weighs
// the same, and each label counts.
type Weigher interface {
	Loss
	Terms(output, target *tensor.Tensor) layers.Terms
}

// termsOf returns what a batch's loss is made of.
func termsOf(criterion Loss, output, labels *tensor.Tensor) layers.Terms {
	if w, ok := criterion.(Weigher); ok {
		return w.Terms(output, labels)
	}
	return layers.Terms{N: examplesOf(output)}
}

func examplesOf(output *tensor.Tensor) int {
	if output.Dim() == 0 {
		return 1
	}
	return output.Size(0)
}

// weightOf returns what terms weigh together, as a Float64 scalar or, where that is
// known without looking at labels, as a number.
func weightOf(t layers.Terms) (weight *tensor.Tensor, n float64) {
	switch {
	case t.Weight != nil:
		return t.Weight.Detach().Reshape().ToDType(tensor.Float64), 0
	case t.Counted != nil:
		return t.Counted.Sum().ToDType(tensor.Float64), 0
	}
	return nil, float64(t.N)
}

// gather adds a batch, and waits for no GPU.
func (m *meter) gather(p *Pass) {
	t, loss, labels := p.Terms, p.Loss, p.Labels
	if m.totals == nil && t.Counted != nil && int(t.Counted.Sum().Ints()[0]) == t.Counted.Len() {
		t.Counted = nil // all count, as nearly always, which spares the work with the mask
	}
	weight, w := weightOf(t)
	right, counted := rightOf(t, p.Scores, labels)
	if m.totals == nil {
		if weight != nil {
			w = weight.Item()
		}
		m.now = loss.Item()
		if w != 0 { // a mean of nothing is NaN
			sum := m.now
			if t.Reduction == tensor.ReduceMean {
				sum *= w
			}
			m.sums.Loss += jsonfloat.Float(sum)
			m.sums.Weight += w
		}
		if right != nil {
			m.sums.Correct += int(right.Sum().Ints()[0])
			m.sums.Labeled += labels.Len()
			if counted != nil {
				m.sums.Labeled += int(counted.Sum().Ints()[0]) - labels.Len()
			}
		}
		return
	}
	loss = loss.Detach().Reshape()
	m.last.CopyFrom(loss)
	sum := loss.ToDType(tensor.Float64)
	if weight == nil {
		if t.Reduction == tensor.ReduceMean {
			sum = sum.MulScalar(w)
		}
		m.loss.AddInPlace(sum)
		m.weight.AddScalarInPlace(w)
	} else {
		if t.Reduction == tensor.ReduceMean {
			sum = sum.Mul(weight)
		}
		m.loss.AddInPlace(sum.MaskedFill(weight.EqScalar(0), 0))
		m.weight.AddInPlace(weight)
	}
	if right != nil {
		m.correct.AddInPlace(right.Sum().ToDType(tensor.Float64))
		if counted == nil {
			m.labeled.AddScalarInPlace(float64(labels.Len()))
		} else {
			m.labeled.AddInPlace(counted.Sum().ToDType(tensor.Float64))
		}
	}
}

// rightOf returns which labels were predicted, and which count, nil meaning all. Where
// labels are no classes, right is nil.
func rightOf(t layers.Terms, output, labels *tensor.Tensor) (right, counted *tensor.Tensor) {
	if labels == nil || !areClasses(output, labels) {
		return nil, nil
	}
	right = output.Detach().ArgMax(1).Eq(labels)
	if t.Counted != nil {
		right = right.And(t.Counted)
	}
	return right, t.Counted
}

// areClasses reports whether labels are the numbers of classes that output has scores of.
func areClasses(output, labels *tensor.Tensor) bool {
	return labels.DType() == tensor.Int64 && output.Dim() >= 2 && output.Size(1) >= 2 &&
		labels.Shape().Equal(slices.Delete(slices.Clone(output.Shape()), 1, 2))
}

// gathered notes that a batch of so many examples was gathered.
func (r *Run) gathered(m *meter, examples int) {
	m.sums.Total += examples
	m.ahead = m.ahead || m.totals != nil
	r.loss, r.unread = m.now, m.last
}

// read waits for what was gathered and puts it into the sums.
func (m *meter) read() {
	if m.ahead {
		if m.totals != nil {
			v := m.totals.Float64s()
			m.sums.Loss, m.sums.Weight = jsonfloat.Float(v[0]), v[1]
			m.sums.Correct, m.sums.Labeled = int(v[2]), int(v[3])
		}
		m.readOwn()
		m.ahead = false
	}
}

// means returns the mean loss and the accuracy, NaN where nothing was counted.
func (s *Sums) means() (loss, accuracy jsonfloat.Float) {
	loss, accuracy = jsonfloat.Float(math.NaN()), jsonfloat.Float(math.NaN())
	if s.Weight != 0 {
		loss = s.Loss / jsonfloat.Float(s.Weight)
	}
	if s.Labeled > 0 {
		accuracy = jsonfloat.Float(float64(s.Correct) / float64(s.Labeled))
	}
	return loss, accuracy
}

// nothingCounts reports whether the last batch has no label that counts, so that its
// loss is the mean of nothing, NaN, which says nothing of the model.
func (r *Run) nothingCounts() bool {
	if r.pass == nil {
		return false
	}
	weight, n := weightOf(r.pass.Terms)
	if weight != nil {
		n = weight.Item()
	}
	return n == 0
}
