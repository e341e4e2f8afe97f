package trainer

import (
	"math"

	"github.com/wick-ml/wick/sched"
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

	loss, last *tensor.Tensor // Float64 scalars: the sum of the examples' losses, the last batch's loss; nil on the CPU
	correct    *tensor.Tensor // an Int64 scalar: examples whose class was predicted
	now        float64        // the last batch's loss on the CPU
}

// begin makes s what batches are added to.
func (m *meter) begin(s *Sums) { m.sums, m.begun, m.ahead = s, false, false }

// ready makes the tensors, on a device, before the first batch of a pass.
func (m *meter) ready(d *tensor.Device) {
	if m.begun || d == tensor.CPU {
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

// gather adds a batch, and waits for no GPU.
func (m *meter) gather(loss, output, labels *tensor.Tensor) tally {
	b := tally{examples: 1}
	if output.Dim() > 0 {
		b.examples = output.Size(0)
	}
	var predicted *tensor.Tensor // nil where labels are no classes
	if labels.DType() == tensor.Int64 && output.Dim() == 2 && labels.Dim() == 1 && labels.Len() == b.examples {
		predicted = output.Detach().ArgMax(1)
		b.labeled = labels.Len()
	}
	if m.loss == nil {
		m.now = loss.Item()
		m.sums.Loss += sched.Number(m.now * float64(b.examples))
		if predicted != nil {
			m.sums.Correct += tensor.CountEqual(predicted, labels)
		}
		return b
	}
	if loss = loss.Detach(); loss.Dim() > 0 {
		loss = loss.Reshape()
	}
	m.last.CopyFrom(loss)
	m.loss.AddInPlace(loss.ToDType(tensor.Float64).MulScalar(float64(b.examples)))
	if predicted != nil {
		m.correct.AddInPlace(predicted.Eq(labels).Sum())
	}
	return b
}

// gathered notes that a batch was gathered.
func (r *Run) gathered(m *meter, b tally) {
	m.sums.Total += b.examples
	m.sums.Labeled += b.labeled
	m.ahead = m.loss != nil
	r.loss, r.unread = m.now, m.last
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
