package trainer

import (
	"math"

	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// meter adds up what batches come to, in tensors on their device, so that a step
// waits for no GPU. The sums are read when somebody asks: for the progress line a few
// times a second, at an epoch's end and for checkpoints. Additions are those of a loop
// that reads each loss, in float64 and in the same order.
type meter struct {
	sums  *Sums
	begun bool // the tensors have what sums had at the beginning
	ahead bool // they have more than sums

	loss, last *tensor.Tensor // Float64 scalars: the sum of the examples' losses, the last batch's loss
	correct    *tensor.Tensor // an Int64 scalar: examples whose class was predicted
}

// begin makes s what batches are added to.
func (m *meter) begin(s *Sums) { m.sums, m.begun, m.ahead = s, false, false }

// ready makes the tensors, on a device, before the first batch of a pass.
func (m *meter) ready(d *tensor.Device) {
	if m.begun {
		return
	}
	if m.loss == nil || m.loss.Device() != d {
		scalar := func(t tensor.DType) *tensor.Tensor { return tensor.Full(0).ToDType(t).To(d) }
		m.loss, m.last, m.correct = scalar(tensor.Float64), scalar(tensor.Float64), scalar(tensor.Int64)
	}
	m.loss.Fill(float64(m.sums.Loss))
	m.correct.Fill(float64(m.sums.Correct))
	m.begun = true
}

// tally is what is known of a batch without its numbers.
type tally struct{ examples, labeled int }

// gather adds a batch to the tensors, and waits for nothing.
func (m *meter) gather(loss, output, labels *tensor.Tensor) tally {
	b := tally{examples: 1}
	if output.Dim() > 0 {
		b.examples = output.Size(0)
	}
	if loss = loss.Detach(); loss.Dim() > 0 {
		loss = loss.Reshape()
	}
	m.last.CopyFrom(loss)
	m.loss.AddInPlace(loss.ToDType(tensor.Float64).MulScalar(float64(b.examples)))
	if labels.DType() == tensor.Int64 && output.Dim() == 2 && labels.Dim() == 1 && labels.Len() == b.examples {
		m.correct.AddInPlace(output.Detach().ArgMax(1).Eq(labels).Sum())
		b.labeled = labels.Len()
	}
	return b
}

// count notes that a batch was gathered.
func (m *meter) count(b tally) {
	m.sums.Total += b.examples
	m.sums.Labeled += b.labeled
	m.ahead = true
}

// read waits for what was gathered and puts it into the sums.
func (m *meter) read() {
	if m.ahead {
		m.sums.Loss = sched.Number(m.loss.Item())
		m.sums.Correct = int(m.correct.Ints()[0])
		m.ahead = false
	}
}

// means returns the mean loss and the accuracy, NaN where nothing was counted.
func (s *Sums) means() (loss, accuracy sched.Number) {
	loss, accuracy = sched.Number(math.NaN()), sched.Number(math.NaN())
	if s.Total > 0 {
		loss = s.Loss / sched.Number(s.Total)
	}
	if s.Labeled > 0 {
		accuracy = sched.Number(float64(s.Correct) / float64(s.Labeled))
	}
	return loss, accuracy
}
