package tensorboard

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	pw "github.com/wick-ml/wick/internal/protowire"
	"github.com/wick-ml/wick/tensor"
)

// AddHistogram adds the distribution of a tensor's elements, such as a parameter
// or its gradient, in bins whose limits grow by a tenth from 1e-12 to 1e20 on both
// sides of zero. Elements beyond the limits count in the outermost bins. NaN and
// infinities are left out of everything (PyTorch refuses them); if nothing is
// left, an empty histogram is written. A tensor without elements is an error.
func (w *Writer) AddHistogram(tag string, x *tensor.Tensor, step int) error {
	if err := checkStep("AddHistogram "+tag, step); err != nil {
		return err
	}
	if x.Len() == 0 {
		return fmt.Errorf("tensorboard: AddHistogram %s: got a tensor %v, which has no elements", tag, x.Shape())
	}
	var h histogram
	if x.DType() == tensor.Float32 {
		h = count32(x.Floats())
	} else {
		h = count(x.Float64s())
	}
	return w.add(step, summary(tag, pw.Bytes(nil, valueHisto, h.proto())))
}

// histogram is tensorboard.HistogramProto.
type histogram struct {
	min, max, n, sum, sumSquares float64
	limits, counts               []float64 // right limits of the bins
}

// count sorts values into the bins.
func count(values []float64) histogram {
	bins := binning()
	counts := make([]int, len(bins.edges)-1)
	h := histogram{min: math.Inf(1), max: math.Inf(-1)}
	for _, x := range values {
		if x-x != 0 { // NaN or infinite
			continue
		}
		counts[bins.find(x)]++
		h.min = min(h.min, x)
		h.max = max(h.max, x)
		h.n++
		h.sum += x
		h.sumSquares += x * x
	}
	h.fill(counts)
	return h
}

// count32 is count for float32, several times faster: a model has millions. Its
// parts are added in their order, so that the sums do not depend on who counted
// which.
func count32(values []float32) histogram {
	const size = 1 << 16
	bins := binning()
	parts := make([]histogram, (len(values)+size-1)/size)
	counts := make([]int, len(bins.edges)-1)
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		wg.Go(func() {
			own := make([]int, len(counts))
			for {
				i := int(next.Add(1)) - 1
				if i >= len(parts) {
					break
				}
				parts[i] = bins.count32(values[i*size:min((i+1)*size, len(values))], own)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, n := range own {
				counts[i] += n
			}
		})
	}
	wg.Wait()
	h := histogram{min: math.Inf(1), max: math.Inf(-1)}
	for _, p := range parts {
		h.min, h.max = min(h.min, p.min), max(h.max, p.max)
		h.n += p.n
		h.sum += p.sum
		h.sumSquares += p.sumSquares
	}
	h.fill(counts)
	return h
}

func (b *bins) count32(values []float32, counts []int) histogram {
	lowest, highest := float32(math.Inf(1)), float32(math.Inf(-1))
	n, sum, sumSquares := 0, 0.0, 0.0
	for _, v := range values {
		bits := math.Float32bits(v)
		const exponent = 0x7f800000
		if bits&exponent == exponent { // NaN or infinite
			continue
		}
		x := float64(v)
		c := &b.cells[bits>>16]
		i := c.bin
		if v >= c.next {
			i++
		}
		counts[i]++
		if v < lowest {
			lowest = v
		}
		if v > highest {
			highest = v
		}
		n++
		sum += x
		sumSquares += x * x
	}
	return histogram{min: float64(lowest), max: float64(highest), n: float64(n), sum: sum, sumSquares: sumSquares}
}

// fill keeps the bins from the one left of the first that is not empty (its right
// limit is the first one's left limit) to the last that is not empty. Empty bins in
// a row become one, as in TensorFlow
// (tensorflow/core/lib/histogram/histogram.cc), which halves what a weight takes.
func (h *histogram) fill(counts []int) {
	if h.n == 0 {
		*h = histogram{limits: []float64{0}, counts: []float64{0}}
		return
	}
	edges := binning().edges
	first := slices.IndexFunc(counts, func(c int) bool { return c > 0 })
	last := len(counts) - 1
	for counts[last] == 0 {
		last--
	}
	h.limits, h.counts = []float64{edges[first]}, []float64{0}
	for i := first; i <= last; i++ {
		if n := len(h.counts) - 1; counts[i] == 0 && h.counts[n] == 0 {
			h.limits[n] = edges[i+1]
			continue
		}
		h.limits = append(h.limits, edges[i+1])
		h.counts = append(h.counts, float64(counts[i]))
	}
}

// proto omits zeros, which are a field's default, as other writers do.
func (h histogram) proto() []byte {
	var b []byte
	for i, v := range []float64{h.min, h.max, h.n, h.sum, h.sumSquares} {
		if v != 0 {
			b = pw.Double(b, i+1, v)
		}
	}
	return pw.Doubles(pw.Doubles(b, 6, h.limits), 7, h.counts)
}

// bins are SummaryWriter's default ones: bin i holds edges[i] ≤ x < edges[i+1].
type bins struct {
	edges []float64
	start [1 << 15]uint16 // of an absolute value's upper bits: the bin of the least such value
	zero  int             // the index of the edge 0

	// Of a float32's upper bits: the bin of the least such value, and where the next
	// bin begins, in which the others may be, since the steps (at most 1/128) are
	// smaller than bins.
	cells [1 << 16]cell
}

type cell struct {
	bin  int32
	next float32 // the least float32 of the next bin; infinite if there is none
}

// binning makes the bins once.
var binning = sync.OnceValue(func() *bins {
	var right []float64
	for v := 1e-12; v < 1e20; v *= 1.1 {
		right = append(right, v)
	}
	b := &bins{zero: len(right)}
	for _, v := range slices.Backward(right) {
		b.edges = append(b.edges, -v)
	}
	b.edges = append(append(b.edges, 0), right...)
	for i := range b.start {
		b.start[i] = uint16(b.search(math.Float64frombits(uint64(i) << 48)))
	}
	for i := range b.cells {
		least := uint32(i) << 16
		if i >= 1<<15 { // negative: the largest in size
			least |= 0xffff
		}
		if v := float64(math.Float32frombits(least)); v-v == 0 {
			bin := b.find(v)
			next := float32(math.Inf(1))
			if bin+2 < len(b.edges) {
				if next = float32(b.edges[bin+1]); float64(next) < b.edges[bin+1] {
					next = math.Nextafter32(next, float32(math.Inf(1)))
				}
			}
			b.cells[i] = cell{int32(bin), next}
		}
	}
	return b
})

// search returns the bin of x ≥ 0.
func (b *bins) search(x float64) int {
	i, found := slices.BinarySearch(b.edges, x)
	if !found {
		i--
	}
	return min(max(i, 0), len(b.edges)-2)
}

// find returns the bin of a finite x. The table leads to the bin or to the one
// before it, since the table's steps (at most 1/16) are smaller than the bins'.
func (b *bins) find(x float64) int {
	a := math.Abs(x)
	i := int(b.start[math.Float64bits(a)>>48])
	for i < len(b.edges)-2 && b.edges[i+1] <= a {
		i++
	}
	if x >= 0 {
		return i
	}
	// Mirrored, except that a bin's left edge belongs to it.
	j := 2*b.zero - 1 - i
	if b.edges[i] == a {
		j++
	}
	return max(j, 0)
}
