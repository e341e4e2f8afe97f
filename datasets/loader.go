package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wick-ml/wick/tensor"
)

// DataLoader makes batches of a data set's examples. Set the fields, then range
// over All, once for each epoch, and look at Err after the loop:
//
//	loader := &datasets.DataLoader{Dataset: set, BatchSize: 64, Shuffle: true}
//	for images, labels := range loader.All() {
//		…
//	}
//	if err := loader.Err(); err != nil { … }
//
// Where an example is more than an image and its label, range over Batches: see
// [Multi].
//
// Each batch opens a tensor.Scope, and what is computed from the batch belongs to
// it: all of that is released when the loop body ends, in whichever way.
// [tensor.Tensor.Keep] takes a tensor out.
//
// Worker goroutines make batches ahead of the loop. The batches depend on the
// seed and the epoch alone: the order comes from these two, and what an example
// and its transforms draw at random comes from these two and its index. (With a
// Sampler, which may name an index twice, from its place in the epoch too.) The
// number of workers changes nothing.
//
// A loader may be ranged over by one loop at a time; any number of loaders may
// share a data set. (torch.utils.data.DataLoader)
type DataLoader struct {
	Dataset   Dataset
	BatchSize int  // examples in a batch; the last batch has what is left
	Shuffle   bool // in another random order each epoch, otherwise in the data set's
	DropLast  bool // leave out a last batch that is not whole

	Device   *tensor.Device // where the batches are put; nil means tensor.CPU
	Workers  int            // goroutines that call Dataset.Get at once; 0 means 1
	Prefetch int            // batches made ahead of the loop; 0 means 2 a worker
	Seed     uint64         // of all that is random; 0 means the seed given to tensor.ManualSeed
	Sampler  Sampler        // which examples, in which order; nil means each once
	Collate  Collate        // makes a batch of examples; nil stacks them along a new first dimension

	// CollateBatch makes a batch of any number of tensors, in place of Collate.
	CollateBatch CollateBatch

	mu    sync.Mutex
	epoch int
	skip  int // batches of the next epoch that are left out
	err   error
}

// Sampler chooses the examples of an epoch. (torch.utils.data.Sampler)
type Sampler interface {
	Len() int                   // how many indices Indices returns
	Indices(r *rand.Rand) []int // of one epoch, drawn from r
}

// Collate makes a batch of the examples' tensors. The batch's tensors are
// released when the loop body that gets them ends, so they are new ones.
type Collate func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error)

// Len returns the number of batches in an epoch.
func (l *DataLoader) Len() int {
	if l.BatchSize < 1 || l.Dataset == nil {
		return 0
	}
	n := max(l.examples(), 0)
	if l.DropLast {
		return n / l.BatchSize
	}
	return batches(n, l.BatchSize)
}

// batches returns how many batches n examples make, of any size: the sum of both
// numbers may be too large for an int.
func batches(n, size int) int {
	if n%size == 0 {
		return n / size
	}
	return n/size + 1
}

func (l *DataLoader) examples() int {
	if l.Sampler != nil {
		return l.Sampler.Len()
	}
	return l.Dataset.Len()
}

// Epoch returns the number of the epoch that the next loop makes, from 0 on.
func (l *DataLoader) Epoch() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// SetEpoch sets the number of the epoch that the next loop makes, to go on with
// a run where it stopped.
func (l *DataLoader) SetEpoch(epoch int) { l.SetPosition(epoch, 0) }

// SetPosition makes the next loop start in an epoch behind its first so many
// batches, to go on with a run where it stopped; they are not made. What is left
// is what a whole loop over that epoch would have come to, down to the random
// numbers. Where nothing is left the loop ends at once. The loop after it is a
// whole epoch again. All reports through Err a number of batches that the epoch
// does not have.
func (l *DataLoader) SetPosition(epoch, batches int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch, l.skip = epoch, batches
}

// Err returns what ended the last loop before its time: nil where the epoch was
// gone through or the loop was left with break or return.
func (l *DataLoader) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *DataLoader) setErr(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// All returns the batches of one epoch as pairs, where examples are pairs. Each loop
// over it is the next epoch.
func (l *DataLoader) All() iter.Seq2[*tensor.Tensor, *tensor.Tensor] {
	return func(yield func(x, y *tensor.Tensor) bool) {
		l.loop(func(p *plan, skip int) error { return p.run(skip, yield) })
	}
}

// Batches returns the batches of one epoch, whatever number of tensors an example
// has. All that is said of All holds for it: order and random numbers, the memory of
// a step, Err. Each loop over either is the next epoch.
//
//	for b := range loader.Batches() {
//		output := model.Forward(b.Inputs[0], b.Inputs[1])
//		loss := criterion.Forward(output, b.Targets[0])
func (l *DataLoader) Batches() iter.Seq[*Batch] {
	return func(yield func(b *Batch) bool) {
		l.loop(func(p *plan, skip int) error {
			return p.each(skip, func(b *Batch) (bool, error) { return yield(b), nil })
		})
	}
}

// loop goes through an epoch, or what is left of it.
func (l *DataLoader) loop(run func(p *plan, skip int) error) {
	l.mu.Lock()
	epoch, skip := l.epoch, l.skip
	l.epoch, l.skip = l.epoch+1, 0
	l.err = nil
	l.mu.Unlock()
	p, err := l.plan(epoch)
	if err == nil && (skip < 0 || skip > p.batches) {
		err = fmt.Errorf("datasets: a start behind batch %d of an epoch of %d batches, want 0 to %d", skip, p.batches, p.batches)
	}
	if err == nil {
		err = run(p, skip)
	}
	l.setErr(err)
}

// plan is one epoch: what a loop needs of the loader, so that changing its fields
// in the loop changes the next epoch only.
type plan struct {
	dataset   Dataset
	collate   CollateBatch // nil stacks
	device    *tensor.Device
	order     []int
	batchSize int
	batches   int
	workers   int
	ahead     int // batches that are being made or wait for the loop
	seed      uint64
	byPlace   bool // random numbers depend on an example's place in the epoch too
	fill      fillFunc
	layout    layout
	values    *tensor.Tensor // layout's on the device; nil where the workers make the numbers
	stop      atomic.Bool
}

func (l *DataLoader) plan(epoch int) (*plan, error) {
	if l.Dataset == nil {
		return nil, errors.New("datasets: the loader has no Dataset")
	}
	if l.BatchSize < 1 {
		return nil, fmt.Errorf("datasets: a batch size of %d, want at least 1", l.BatchSize)
	}
	if err := wantEnd(l.Dataset, 0); err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	if l.Collate != nil && l.CollateBatch != nil {
		return nil, errors.New("datasets: the loader has both Collate and CollateBatch, want one of them")
	}
	if l.Workers < 0 || l.Prefetch < 0 {
		return nil, fmt.Errorf("datasets: %d workers and %d batches ahead, want at least 0, which means 1 and 2 a worker", l.Workers, l.Prefetch)
	}
	var n int
	var err error
	if thrown := catch(func() { n, err = lengthOf(l.Dataset) }); thrown != nil || err != nil {
		return nil, fmt.Errorf("datasets: %w", cmp.Or(thrown, err))
	}
	if n == 0 {
		return nil, errors.New("datasets: the data set is empty, want at least one example")
	}
	seed := l.Seed
	if seed == 0 {
		seed, _ = tensor.DefaultGenerator().State()
	}
	seed = mix(mix(seed) + uint64(epoch))
	r := rand.New(rand.NewPCG(seed, 0))
	p := &plan{
		dataset: l.Dataset, collate: l.CollateBatch, device: l.Device, batchSize: l.BatchSize, seed: seed,
		workers: max(l.Workers, 1), ahead: l.Prefetch, byPlace: l.Sampler != nil,
	}
	switch {
	case l.Sampler != nil && l.Shuffle:
		return nil, errors.New("datasets: the loader has both Shuffle and a Sampler, want one of them")
	case l.Sampler != nil:
		if err := catch(func() { p.order = l.Sampler.Indices(r) }); err != nil {
			return nil, fmt.Errorf("datasets: the sampler: %w", err)
		}
		if len(p.order) == 0 {
			return nil, errors.New("datasets: the sampler chose no example, want at least one")
		}
		for k, i := range p.order {
			if i < 0 || i >= n {
				return nil, fmt.Errorf("datasets: index %d of the sampler is %d, want 0 to %d", k, i, n-1)
			}
		}
	case l.Shuffle:
		p.order = r.Perm(n)
	default:
		p.order = make([]int, n)
		for i := range p.order {
			p.order[i] = i
		}
	}
	p.batches = batches(len(p.order), p.batchSize)
	if l.DropLast {
		p.batches = len(p.order) / p.batchSize
		if p.batches == 0 {
			return nil, fmt.Errorf("datasets: %d examples are no whole batch of %d, and DropLast leaves out any other", len(p.order), p.batchSize)
		}
	}
	if p.device == nil {
		p.device = tensor.CPU
	}
	p.workers = min(p.workers, p.batches)
	if p.ahead < 1 {
		p.ahead = 2 * p.workers
	}
	p.ahead = min(max(p.ahead, p.workers), p.batches)
	if l.Collate != nil {
		p.collate = l.Collate.pairs
	}
	if p.collate == nil {
		p.fill, p.layout = fuse(p.dataset)
	}
	return p, nil
}

// pairs is the CollateBatch of examples that are pairs.
func (c Collate) pairs(examples []Example) (*Batch, error) {
	xs, ys := make([]*tensor.Tensor, len(examples)), make([]*tensor.Tensor, len(examples))
	for k, e := range examples {
		var err error
		if xs[k], ys[k], err = pairOf(e, nil); err != nil {
			return nil, err
		}
	}
	x, y, err := c(xs, ys)
	if err != nil {
		return nil, err
	}
	if x == nil || y == nil {
		return nil, errors.New("Collate returned no tensor, want two")
	}
	return &Batch{Inputs: []*tensor.Tensor{x}, Targets: []*tensor.Tensor{y}}, nil
}

// batch is what a worker made.
type batch struct {
	*Batch
	moves *tensor.Tensor // if the input is bytes that CropMirrorNormalize is to make numbers of
	err   error
}

func (b batch) release() {
	b.Batch.release()
	if b.moves != nil {
		friends.Release(b.moves)
	}
}

// job asks a worker for a batch.
type job struct {
	number int
	done   chan batch // has room for the answer
}

// run makes the batches from number first on and yields them in order. When it
// returns, panics or ends with its goroutine, all workers have ended.
func (p *plan) run(first int, yield func(x, y *tensor.Tensor) bool) error {
	return p.each(first, func(b *Batch) (bool, error) {
		x, y, err := b.pair()
		return err == nil && yield(x, y), err
	})
}

// each is run for batches of any number of tensors.
func (p *plan) each(first int, body func(b *Batch) (more bool, err error)) error {
	if p.device != tensor.CPU && p.layout.values != nil {
		if err := tensor.Try(func() { p.values = upload(table(p.layout.values), p.device) }); err != nil {
			return err
		}
		defer friends.Release(p.values)
	}
	jobs := make(chan job, p.ahead)
	var workers sync.WaitGroup
	for range p.workers {
		workers.Go(func() { p.work(jobs) })
	}
	var waiting []chan batch // for the batches to come, in order
	defer func() {
		p.stop.Store(true)
		close(jobs)
		workers.Wait()
		for _, w := range waiting {
			select {
			case b := <-w:
				b.release() // made, and not wanted any more
			default:
			}
		}
	}()
	next := first
	for range p.batches - first {
		for next < p.batches && len(waiting) < p.ahead {
			done := make(chan batch, 1)
			waiting = append(waiting, done)
			jobs <- job{next, done}
			next++
		}
		b := <-waiting[0]
		waiting = waiting[1:]
		if b.err != nil {
			return b.err
		}
		more, err := p.step(b, body)
		if !more {
			return err
		}
	}
	return nil
}

// step runs the loop's body on one batch, in a scope of its own.
func (p *plan) step(b batch, body func(b *Batch) (more bool, err error)) (more bool, err error) {
	s := tensor.NewScope()
	defer s.Close()
	in := b.each(func(x *tensor.Tensor) *tensor.Tensor { return x.In(s) })
	if b.moves != nil {
		// Here and not in a worker, so that only the loop's goroutine computes on the device, and what is ahead is bytes.
		err := tensor.Try(func() {
			in.Inputs[0] = friends.CropMirrorNormalize(in.Inputs[0], b.moves.In(s), p.values, p.layout.shape[1], p.layout.shape[2])
		})
		if err != nil {
			return false, fmt.Errorf("datasets: making a batch: %w", err)
		}
		friends.Release(b.Inputs[0])
		friends.Release(b.moves)
	}
	return body(in)
}

// table returns what bytes become as a tensor.
func table(values [][256]float32) *tensor.Tensor {
	var all []float32
	for _, v := range values {
		all = append(all, v[:]...)
	}
	return tensor.From(all, len(values), 256)
}

// work answers jobs. One that ends with its goroutine (runtime.Goexit in the
// data set) is answered too: jobs are taken in order, so the loop stops there
// and misses nobody.
func (p *plan) work(jobs <-chan job) {
	source := rand.NewPCG(0, 0)
	w := &worker{plan: p, source: source, r: rand.New(source)}
	for j := range jobs {
		if p.stop.Load() {
			return
		}
		func() {
			b := batch{err: errors.New("the data set ended the goroutine that called it")}
			w.index = -1
			defer func() { // also where the goroutine ends
				if b.err != nil {
					b.release()
					b = batch{err: p.where(w.index, b.err)}
				}
				j.done <- b
			}()
			if err := catch(func() { b = w.batch(j.number) }); err != nil {
				b.err = err
			}
		}()
	}
}

// where says which example an error comes from, and in which file it lies.
func (p *plan) where(index int, err error) error {
	if index < 0 {
		return fmt.Errorf("datasets: making a batch: %w", ours{err})
	}
	err = ours{err}
	if f := pathOf(p.dataset, index); f != "" && !strings.Contains(err.Error(), f) {
		return fmt.Errorf("datasets: example %d (%s): %w", index, f, err)
	}
	return fmt.Errorf("datasets: example %d: %w", index, err)
}

// pathOf is fileOf for a data set that may have panicked.
func pathOf(d Dataset, i int) (p string) {
	_ = catch(func() { p = fileOf(d, i) }) // no file is no loss
	return p
}

// worker is what one goroutine uses again from batch to batch.
type worker struct {
	*plan
	source *rand.PCG
	r      *rand.Rand // draws from source
	index  int        // of the example that is being made, or -1
	floats []float32
	bytes  []byte
	moves  []int64
	labels []int64
}

var errStopped = errors.New("the loop has ended")

// seedFor makes r start from the example at a place in the epoch.
func (w *worker) seedFor(place int) {
	w.index = w.order[place]
	key := mix(uint64(w.index) + 1)
	if w.byPlace {
		key = mix(key + uint64(place) + 1)
	}
	w.source.Seed(w.seed, key)
}

func (w *worker) batch(number int) batch {
	lo := number * w.batchSize
	hi := min(lo+w.batchSize, len(w.order))
	var b batch
	if w.fill != nil {
		b = w.fast(lo, hi)
	} else {
		b.Batch, b.err = w.slow(lo, hi)
	}
	if b.err != nil {
		return b
	}
	w.index = -1
	b.examples = hi - lo
	return batch{Batch: b.upload(w.device), moves: upload(b.moves, w.device)}
}

// upload moves x, if there is one, to a device and gives its memory back.
func upload(x *tensor.Tensor, d *tensor.Device) *tensor.Tensor {
	if x == nil || x.Device() == d {
		return x
	}
	defer friends.Release(x)
	return x.To(d)
}

// fast has the data set write the examples into the batch.
func (w *worker) fast(lo, hi int) (b batch) {
	n, shape := hi-lo, w.layout.shape
	if w.values != nil {
		shape = w.layout.held
	}
	size := shape[0] * shape[1] * shape[2]
	if len(w.labels) < n {
		wantRoom(n, shape)
		w.labels = make([]int64, n)
		if w.values != nil {
			w.bytes, w.moves = make([]byte, n*size), make([]int64, 4*n)
		} else {
			w.floats = make([]float32, n*size)
		}
	}
	for k := range n {
		if w.stop.Load() {
			return batch{err: errStopped}
		}
		w.seedFor(lo + k)
		var s slot
		if w.values != nil {
			s.bytes, s.move = w.bytes[k*size:(k+1)*size], w.moves[4*k:4*(k+1)]
		} else {
			s.numbers = w.floats[k*size : (k+1)*size]
		}
		if w.labels[k], b.err = w.fill(s, w.index, w.r); b.err != nil {
			return b
		}
	}
	var x *tensor.Tensor
	if w.values != nil {
		x, b.moves = tensor.From(w.bytes[:n*size], n, shape[0], shape[1], shape[2]), tensor.From(w.moves[:4*n], n, 4)
	} else {
		x = tensor.From(w.floats[:n*size], n, shape[0], shape[1], shape[2])
	}
	b.Batch = &Batch{Inputs: []*tensor.Tensor{x}, Targets: []*tensor.Tensor{tensor.From(w.labels[:n])}}
	return b
}

// slow gets the examples one by one and puts them together.
func (w *worker) slow(lo, hi int) (*Batch, error) {
	examples := make([]Example, 0, hi-lo)
	set := AsMulti(w.dataset)
	for place := lo; place < hi; place++ {
		if w.stop.Load() {
			return nil, errStopped
		}
		w.seedFor(place)
		e, err := set.Example(w.index, w.r)
		if err == nil {
			err = check("the example has", e.Inputs, e.Targets)
		}
		if err != nil {
			return nil, err
		}
		examples = append(examples, e)
	}
	w.index = -1
	if w.collate == nil {
		b, which, err := stack(examples, w.order[lo:hi])
		if err != nil {
			w.index = which
		}
		return b, err
	}
	b, err := w.collate(examples)
	if err == nil && b == nil {
		err = errors.New("CollateBatch returned nil, want a batch")
	}
	if err == nil {
		err = check("CollateBatch returned", b.Inputs, b.Targets)
	}
	return b, err
}

// same says how x differs from the first of its batch.
func same(x, first *tensor.Tensor, index int) error {
	if !x.Shape().Equal(first.Shape()) || x.DType() != first.DType() {
		return fmt.Errorf("%s %v where example %d is %s %v, want one type and shape in a batch; Resize and RandomCrop make images equal, a Collate makes batches of others",
			x.DType(), x.Shape(), index, first.DType(), first.Shape())
	}
	return nil
}

// mix spreads a number over all 64 bits, so that seeds that differ little start
// streams that differ wholly (Steele, Lea, Flood, "Fast splittable pseudorandom
// number generators", 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
