package datasets

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// numbers is a data set of n examples: x is its index and a random number, y its
// index. get, if set, does what a test wants before that.
type numbers struct {
	n   int
	get func(i int) error
}

func (d numbers) Len() int { return d.n }

func (d numbers) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if d.get != nil {
		if err := d.get(i); err != nil {
			return nil, nil, err
		}
	}
	return tensor.From([]float64{float64(i), r.Float64()}), tensor.From([]int{i}).Reshape(), nil
}

// filed is numbers whose examples lie in files.
type filed struct{ numbers }

func (filed) Path(i int) string { return fmt.Sprintf("dir/%d.png", i) }

// wantGoroutines waits until no more than n goroutines are left.
func wantGoroutines(t *testing.T, n int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines are left, want %d:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
}

// epoch collects what the loader yields.
func epoch(t *testing.T, l *DataLoader) (xs [][]float64, ys [][]int64) {
	t.Helper()
	for x, y := range l.All() {
		xs, ys = append(xs, x.Float64s()), append(ys, y.Ints())
	}
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	return xs, ys
}

func TestLoaderBatches(t *testing.T) {
	for _, tt := range []struct {
		name string
		l    *DataLoader
		want [][]int64
	}{
		{"in order", &DataLoader{BatchSize: 4}, [][]int64{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}},
		{"drop last", &DataLoader{BatchSize: 4, DropLast: true}, [][]int64{{0, 1, 2, 3}, {4, 5, 6, 7}}},
		{"exact", &DataLoader{BatchSize: 5, DropLast: true}, [][]int64{{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}}},
		{"larger than all", &DataLoader{BatchSize: 64}, [][]int64{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}},
		{"as large as an int", &DataLoader{BatchSize: math.MaxInt}, [][]int64{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}},
		{"sampler", &DataLoader{BatchSize: 2, Sampler: fixed{7, 7, 1}}, [][]int64{{7, 7}, {1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.l.Dataset = numbers{n: 10}
			if got := tt.l.Len(); got != len(tt.want) {
				t.Errorf("Len: got %d, want %d", got, len(tt.want))
			}
			xs, ys := epoch(t, tt.l)
			if diff := cmp.Diff(tt.want, ys); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(xs[0]) != 2*len(ys[0]) {
				t.Errorf("got %d numbers for %d examples", len(xs[0]), len(ys[0]))
			}
		})
	}
}

type fixed []int

func (f fixed) Len() int                 { return len(f) }
func (f fixed) Indices(*rand.Rand) []int { return f }

// A loop that starts inside an epoch yields the rest of it, with the same random
// numbers, and makes nothing else; the loop after it is whole.
func TestLoaderSetPosition(t *testing.T) {
	for _, tt := range []struct {
		name string
		l    *DataLoader
	}{
		{"shuffled", &DataLoader{BatchSize: 3, Shuffle: true, Workers: 2}},
		{"sampler", &DataLoader{BatchSize: 4, Sampler: fixed{7, 7, 1, 2, 9, 7, 0, 0, 3, 3}}},
		{"drop last", &DataLoader{BatchSize: 3, DropLast: true, Prefetch: 5, Workers: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got atomic.Int64
			l := tt.l
			l.Seed = 5
			l.Dataset = numbers{n: 10, get: func(int) error { got.Add(1); return nil }}
			l.SetEpoch(2)
			wantX, wantY := epoch(t, l)
			nextX, _ := epoch(t, l)
			for skip := range len(wantY) + 1 {
				got.Store(0)
				l.SetPosition(2, skip)
				xs, ys := epoch(t, l)
				if diff := cmp.Diff(wantX[skip:], xs, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("behind %d batches (-want +got):\n%s", skip, diff)
				}
				rest := 0
				for _, y := range wantY[skip:] {
					rest += len(y)
				}
				if len(ys) != len(wantY)-skip || int(got.Load()) != rest {
					t.Errorf("behind %d batches: got %d batches, %d examples were made; want %d and %d", skip, len(ys), got.Load(), len(wantY)-skip, rest)
				}
				if xs, _ := epoch(t, l); !cmp.Equal(nextX, xs) {
					t.Errorf("behind %d batches: the next epoch is %v, want %v", skip, xs, nextX)
				}
			}
			for _, skip := range []int{-1, len(wantY) + 1} {
				l.SetPosition(2, skip)
				for range l.All() {
					t.Errorf("behind %d batches: got a batch, want none", skip)
				}
				if err := l.Err(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("behind batch %d of an epoch of %d batches", skip, len(wantY))) {
					t.Errorf("behind %d batches: got error %v, want one that says how many the epoch has", skip, err)
				}
			}
		})
	}
}

// A repeated index of a sampler draws other numbers each time.
func TestLoaderSamplerRepeats(t *testing.T) {
	xs, _ := epoch(t, &DataLoader{Dataset: numbers{n: 9}, BatchSize: 3, Sampler: fixed{7, 7, 7}})
	if x := xs[0]; x[1] == x[3] || x[3] == x[5] {
		t.Errorf("got the random numbers %v, %v, %v, want different ones", x[1], x[3], x[5])
	}
}

func TestLoaderSameAtAnyWorkers(t *testing.T) {
	type run struct {
		X [][]float64
		Y [][]int64
	}
	var want []run
	for _, workers := range []int{0, 1, 2, 7, 40} {
		for _, prefetch := range []int{0, 1, 5} {
			l := &DataLoader{Dataset: numbers{n: 50}, BatchSize: 8, Shuffle: true, Seed: 3, Workers: workers, Prefetch: prefetch}
			var got []run
			for range 3 {
				x, y := epoch(t, l)
				got = append(got, run{x, y})
			}
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d workers, prefetch %d (-want +got):\n%s", workers, prefetch, diff)
			}
		}
	}
	all := slices.Concat(want[0].Y...)
	slices.Sort(all)
	for i, v := range all {
		if v != int64(i) {
			t.Fatalf("an epoch does not have each example once: %v", all)
		}
	}
	if cmp.Equal(want[0].Y, want[1].Y) {
		t.Error("two epochs have the same order")
	}
	other, _ := epoch(t, &DataLoader{Dataset: numbers{n: 50}, BatchSize: 8, Shuffle: true, Seed: 4})
	if cmp.Equal(other, want[0].X) {
		t.Error("another seed has the same batches")
	}
	// Resume at the third epoch.
	l := &DataLoader{Dataset: numbers{n: 50}, BatchSize: 8, Shuffle: true, Seed: 3}
	l.SetEpoch(2)
	x, _ := epoch(t, l)
	if diff := cmp.Diff(want[2].X, x); diff != "" {
		t.Errorf("after SetEpoch(2) (-want +got):\n%s", diff)
	}
	if l.Epoch() != 3 {
		t.Errorf("Epoch: got %d, want 3", l.Epoch())
	}
}

func TestLoaderManualSeed(t *testing.T) {
	defer tensor.ManualSeed(0)
	order := func(seed uint64) [][]int64 {
		tensor.ManualSeed(seed)
		_, ys := epoch(t, &DataLoader{Dataset: numbers{n: 50}, BatchSize: 50, Shuffle: true})
		return ys
	}
	if !cmp.Equal(order(1), order(1)) || cmp.Equal(order(1), order(2)) {
		t.Error("without a Seed, the order does not follow tensor.ManualSeed")
	}
}

// Two loaders over one data set run at once, one of them without gradients.
func TestLoadersAtOnce(t *testing.T) {
	set := numbers{n: 100}
	a := &DataLoader{Dataset: set, BatchSize: 7, Shuffle: true, Workers: 3}
	b := &DataLoader{Dataset: set, BatchSize: 9, Workers: 2}
	var wg sync.WaitGroup
	for _, l := range []*DataLoader{a, b} {
		wg.Go(func() {
			for range 5 {
				n := 0
				for _, y := range autograd.NoGrad(l.All()) {
					n += y.Len()
				}
				if n != 100 || l.Err() != nil {
					t.Errorf("got %d examples, %v", n, l.Err())
				}
			}
		})
	}
	wg.Wait()
	for range a.All() {
		for range b.All() {
			break
		}
	}
	if err := errors.Join(a.Err(), b.Err()); err != nil {
		t.Error(err)
	}
}

// wantReleased checks that x is gone.
func wantReleased(t *testing.T, name string, x *tensor.Tensor) {
	t.Helper()
	if tensor.Try(func() { x.Floats() }) == nil {
		t.Errorf("%s: the batch is still there after the loop body", name)
	}
}

func TestLoaderScope(t *testing.T) {
	before := runtime.NumGoroutine()
	l := &DataLoader{Dataset: numbers{n: 100}, BatchSize: 4, Workers: 3}
	var seen []*tensor.Tensor
	var kept *tensor.Tensor
	for x, y := range l.All() {
		if len(seen) > 0 {
			wantReleased(t, "next batch", seen[len(seen)-1])
		}
		derived := x.MulScalar(2)
		seen = append(seen, x, y, derived)
		kept = x.AddScalar(1).Keep()
	}
	for _, x := range seen {
		wantReleased(t, "end", x)
	}
	if got := kept.Float64s()[0]; got != 97 {
		t.Errorf("a kept tensor: got %v, want 97", got)
	}
	wantGoroutines(t, before)

	for x := range l.All() {
		seen = []*tensor.Tensor{x}
		break
	}
	wantReleased(t, "break", seen[0])
	wantGoroutines(t, before)

	func() {
		defer func() {
			if v := recover(); v != "body" {
				t.Errorf("recovered %v, want the body's panic", v)
			}
		}()
		for x := range l.All() {
			seen = []*tensor.Tensor{x}
			panic("body")
		}
	}()
	wantReleased(t, "panic", seen[0])
	wantGoroutines(t, before)

	done := make(chan bool)
	go func() {
		defer close(done)
		for x := range l.All() {
			seen = []*tensor.Tensor{x}
			runtime.Goexit()
		}
	}()
	<-done
	wantReleased(t, "Goexit", seen[0])
	wantGoroutines(t, before)

	func() {
		for x := range l.All() {
			seen = []*tensor.Tensor{x}
			return
		}
	}()
	wantReleased(t, "return", seen[0])
	if l.Err() != nil {
		t.Errorf("after return: got %v", l.Err())
	}
	wantGoroutines(t, before)
}

// What was made ahead of a loop that ends early goes back to the pool at once.
func TestLoaderReleasesWhatIsAhead(t *testing.T) {
	set := NewShapes(ShapesOpts{})
	live := func() int64 { return tensor.CPU.MemoryStats().Live }
	for range 2 { // what other tests have left goes now, and not in the loop
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		friends.Release(tensor.Zeros(1))
	}
	before := live()
	l := &DataLoader{Dataset: set, BatchSize: 16, Workers: 2, Prefetch: 8}
	for range l.All() {
		time.Sleep(20 * time.Millisecond) // for the workers to run ahead
		break
	}
	if got := live(); got != before {
		t.Errorf("%d bytes are live after the loop, want %d", got, before)
	}
}

func TestLoaderErrors(t *testing.T) {
	bad := errors.New("bad pixel")
	failAt := func(at int, f func() error) func(i int) error {
		return func(i int) error {
			if i == at {
				return f()
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name    string
		l       *DataLoader
		batches int
		want    string
	}{
		{"no data set", &DataLoader{BatchSize: 1}, 0, "no Dataset"},
		{"empty", &DataLoader{Dataset: numbers{}, BatchSize: 1}, 0, "the data set is empty"},
		{"batch size", &DataLoader{Dataset: numbers{n: 3}}, 0, "a batch size of 0, want at least 1"},
		{"drop all", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, DropLast: true}, 0, "3 examples are no whole batch of 4"},
		{"sampler", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, Sampler: fixed{1, 3}}, 0, "index 1 of the sampler is 3, want 0 to 2"},
		{"empty sampler", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, Sampler: fixed{}}, 0, "chose no example"},
		{"sampler and shuffle", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, Sampler: fixed{1}, Shuffle: true}, 0, "both Shuffle and a Sampler"},
		{"error", &DataLoader{Dataset: numbers{10, failAt(5, func() error { return bad })}, BatchSize: 2}, 2, "datasets: example 5: bad pixel"},
		{"path", &DataLoader{Dataset: filed{numbers{10, failAt(5, func() error { return bad })}}, BatchSize: 2}, 2, "datasets: example 5 (dir/5.png): bad pixel"},
		{"path of a subset", &DataLoader{Dataset: &Subset{filed{numbers{10, failAt(5, func() error { return bad })}}, []int{5}}, BatchSize: 2}, 0, "example 0 (dir/5.png): bad pixel"},
		{"panic", &DataLoader{Dataset: filed{numbers{10, failAt(4, func() error { panic("oh") })}}, BatchSize: 2}, 2, "example 4 (dir/4.png): panic at "},
		{"runtime panic", &DataLoader{Dataset: numbers{10, failAt(4, func() error { return []error{}[len(t.Name())] })}, BatchSize: 2}, 2, "loader_test.go:"},
		{"goexit", &DataLoader{Dataset: numbers{10, failAt(4, func() error { runtime.Goexit(); return nil })}, BatchSize: 2}, 2, "example 4: the data set ended the goroutine"},
		{"tensor error", &DataLoader{Dataset: numbers{10, failAt(4, func() error { tensor.Zeros(2).View(3); return nil })}, BatchSize: 2}, 2, "example 4: tensor: View"},
		{"negative batch size", &DataLoader{Dataset: numbers{n: 3}, BatchSize: -2}, 0, "a batch size of -2, want at least 1"},
		{"negative length", &DataLoader{Dataset: numbers{n: -5}, BatchSize: 2}, 0, "(datasets.numbers) has the length -5, want 0 to 1073741824"},
		{"endless length", &DataLoader{Dataset: numbers{n: math.MaxInt}, BatchSize: 2}, 0, fmt.Sprintf("has the length %d, want 0 to 1073741824", math.MaxInt)},
		{"negative prefetch", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 2, Prefetch: -1}, 0, "-1 batches ahead, want at least 0"},
		{"negative index", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, Sampler: fixed{-1}}, 0, "index 0 of the sampler is -1, want 0 to 2"},
		{"panic in the sampler", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 4, Sampler: broken{}}, 0, "datasets: the sampler: panic at "},
		{"panic in Len", &DataLoader{Dataset: brokenLen{}, BatchSize: 4}, 0, "datasets: panic at "},
		{"nil in Concat", &DataLoader{Dataset: Concat{numbers{n: 3}, nil}, BatchSize: 4}, 0, "Concat: at 1 of 2: the data set is nil"},
		{"negative length in Concat", &DataLoader{Dataset: Concat{numbers{n: 3}, numbers{n: -1}}, BatchSize: 4}, 0, "Concat: at 1 of 2: the data set (datasets.numbers) has the length -1"},
		{"endless Concat", &DataLoader{Dataset: Concat{numbers{n: maxExamples}, numbers{n: 1}}, BatchSize: 4}, 0, "Concat: at 1 of 2: more than 1073741824 examples"},
		{"a Subset in itself", &DataLoader{Dataset: inItself(), BatchSize: 4}, 0, "the data set holds itself"},
		{"a Concat in itself", &DataLoader{Dataset: concatInItself(), BatchSize: 4}, 0, "the data set holds itself"},
		{"nil in a Subset", &DataLoader{Dataset: &Subset{nil, []int{0}}, BatchSize: 4}, 0, "Subset: the data set is nil"},
		{"negative subset index", &DataLoader{Dataset: &Subset{numbers{n: 3}, []int{-1}}, BatchSize: 1}, 0, "Subset: index 0 is -1, want 0 to 2"},
		{"panic in collate", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 2, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) { return xs[7], nil, nil }}, 0, "making a batch: panic at "},
		{"subset index", &DataLoader{Dataset: &Subset{numbers{n: 3}, []int{0, 9}}, BatchSize: 1}, 1, "datasets: example 1: Subset: index 1 is 9, want 0 to 2"},
		{"collate", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 2, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) { return nil, nil, bad }}, 0, "making a batch: bad pixel"},
		{"nil from collate", &DataLoader{Dataset: numbers{n: 3}, BatchSize: 2, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) { return xs[0], nil, nil }}, 0, "Collate returned no tensor"},
		{"shapes", &DataLoader{Dataset: ragged{}, BatchSize: 2}, 0, "example 1: float32 [3] where example 0 is float32 [2], want one type and shape"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			for _, workers := range []int{1, 4} {
				l := tt.l
				l.Workers = workers
				n := 0
				for range l.All() {
					n++
				}
				if err := l.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%d workers: got %v, want %q in it", workers, err, tt.want)
				}
				if n != tt.batches {
					t.Errorf("%d workers: got %d batches before the error, want %d", workers, n, tt.batches)
				}
			}
			wantGoroutines(t, before)
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		l := &DataLoader{Dataset: numbers{3, func(int) error { return bad }}, BatchSize: 1}
		for range l.All() {
			t.Error("got a batch")
		}
		if !errors.Is(l.Err(), bad) {
			t.Errorf("got %v, want it to wrap the data set's error", l.Err())
		}
		l.Dataset = numbers{n: 3}
		epoch(t, l)
	})
}

func inItself() Dataset {
	s := &Subset{Indices: []int{0}}
	s.Dataset = Concat{s}
	return s
}

func concatInItself() Dataset {
	c := Concat{numbers{n: 1}, nil}
	c[1] = c
	return c
}

// broken is a Sampler, brokenLen a Dataset, that panic.
type broken struct{}

func (broken) Len() int                   { return 3 }
func (broken) Indices(r *rand.Rand) []int { return []int{1}[3:] }

type brokenLen struct{ numbers }

func (brokenLen) Len() int { panic("no length") }

// A panic is reported where the code that is at fault has it, whoever calls it.
func TestLoaderPanics(t *testing.T) {
	var where string
	tr := transforms.Lambda(func(s transforms.Sample, r *rand.Rand) transforms.Sample {
		_, file, line, _ := runtime.Caller(0)
		where = fmt.Sprintf("%s:%d", file, line+2)
		panic("oh")
	})
	set, err := NewImages(make([]byte, 2), 1, 1, 1, []uint8{0, 0}, []string{"a"}, tr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{"1.png": onePixel(t)})
	folder, err := NewImageFolder(dir, ImageFolderOpts{Transform: tr})
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Dataset{"Images": set, "ImageFolder": folder, "Subset": Slice(set, 0, 1), "Concat": Concat{folder}} {
		l := &DataLoader{Dataset: d, BatchSize: 1}
		for range l.All() {
			t.Errorf("%s: got a batch", name)
		}
		var p *PanicError
		if !errors.As(l.Err(), &p) || p.Err.Error() != "oh" || !strings.Contains(l.Err().Error(), "example 0") {
			t.Fatalf("%s: got %v, want a *PanicError with oh and the example", name, l.Err())
		}
		if p.Where != where || !strings.Contains(l.Err().Error(), where) || !strings.Contains(string(p.Stack), "TestLoaderPanics") {
			t.Errorf("%s: got %v at %s, want %s, and the stack", name, l.Err(), p.Where, where)
		}
		// Without a loader it goes on, and still knows where it began.
		func() {
			defer func() {
				if q, ok := recover().(*PanicError); !ok || q.Where != p.Where {
					t.Errorf("%s: Get panics with %v, want %s", name, q, p.Where)
				}
			}()
			d.Get(0, nil)
		}()
	}
}

// As many workers as one likes are no more than there are batches.
func TestLoaderHugeNumbers(t *testing.T) {
	l := &DataLoader{Dataset: numbers{n: 10}, BatchSize: math.MaxInt, Workers: math.MaxInt, Prefetch: math.MaxInt}
	n := 0
	for x := range l.All() {
		n += x.Size(0)
	}
	if l.Err() != nil || n != 10 || l.Len() != 1 {
		t.Errorf("got %d examples in %d batches and %v, want 10 in 1", n, l.Len(), l.Err())
	}
	l.BatchSize = 3
	n = 0
	for x := range l.All() {
		n += x.Size(0)
	}
	if l.Err() != nil || n != 10 {
		t.Errorf("got %d examples and %v, want 10", n, l.Err())
	}
	if got := (&DataLoader{Dataset: numbers{n: -5}, BatchSize: 2}).Len(); got != 0 {
		t.Errorf("a negative length makes %d batches, want 0", got)
	}
}

// A batch that cannot fit is an error before Go ends the program for it.
func TestLoaderNoRoom(t *testing.T) {
	set, err := NewImages(make([]byte, 5000), 1, 1, 1, make([]uint8, 5000), []string{"a"}, transforms.Compose(transforms.CenterCrop(13000), transforms.ToTensor()))
	if err != nil {
		t.Fatal(err)
	}
	l := &DataLoader{Dataset: set, BatchSize: 5000}
	for range l.All() {
		t.Error("got a batch")
	}
	if err := l.Err(); !errors.Is(err, tensor.ErrOutOfMemory) || !strings.Contains(err.Error(), "[5000 1 13000 13000]") {
		t.Errorf("got %v, want that there is no room for 3 TB", err)
	}
}

type ragged struct{}

func (ragged) Len() int { return 4 }
func (ragged) Get(i int, _ *rand.Rand) (x, y *tensor.Tensor, err error) {
	return tensor.Zeros(2 + i), tensor.From([]int{0}).Reshape(), nil
}

func TestLoaderCollate(t *testing.T) {
	l := &DataLoader{Dataset: ragged{}, BatchSize: 3, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) {
		return tensor.Cat(0, xs...), tensor.Stack(0, ys...), nil
	}}
	var sizes []int
	for x, y := range l.All() {
		sizes = append(sizes, x.Len(), y.Len())
	}
	if want := []int{9, 3, 5, 1}; !slices.Equal(sizes, want) || l.Err() != nil {
		t.Errorf("got %v, %v, want %v", sizes, l.Err(), want)
	}
}

// At most Workers calls of Get run at once, and no more than Prefetch batches
// are made ahead.
func TestLoaderAhead(t *testing.T) {
	var inside, most, made atomic.Int32
	set := numbers{200, func(int) error {
		most.Store(max(most.Load(), inside.Add(1)))
		time.Sleep(100 * time.Microsecond)
		inside.Add(-1)
		made.Add(1)
		return nil
	}}
	l := &DataLoader{Dataset: set, BatchSize: 5, Workers: 2, Prefetch: 3}
	taken := int32(0)
	for range l.All() {
		taken += 5
		time.Sleep(2 * time.Millisecond)
		if ahead := made.Load() - taken; ahead > 15 {
			t.Errorf("%d examples ahead of the loop, want at most 15", ahead)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d calls of Get at once, want at most 2", most.Load())
	}
}

// The one pass into the batch gives what the examples one by one give.
func TestLoaderFastIsSlow(t *testing.T) {
	tr := transforms.Compose(transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor(),
		transforms.Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26}))
	whole := NewShapes(ShapesOpts{Transform: tr})
	sets, err := RandomSplit(whole, []int{500, 1500}, 1)
	if err != nil {
		t.Fatal(err)
	}
	fast := Concat{sets[0], &Subset{whole, []int{3, 1999, 0}}}
	if fill, l := fast.fuse(); fill == nil || l.shape != [3]int{3, 32, 32} {
		t.Fatal("the fast way is not taken")
	}
	slow := notFused{fast}
	a := &DataLoader{Dataset: fast, BatchSize: 60, Shuffle: true, Workers: 2, Seed: 5}
	b := &DataLoader{Dataset: slow, BatchSize: 60, Shuffle: true, Workers: 2, Seed: 5}
	var want []*tensor.Tensor
	for x, y := range b.All() {
		want = append(want, x.Keep(), y.Keep())
	}
	for x, y := range a.All() {
		if !x.Shape().Equal(want[0].Shape()) || !slices.Equal(x.Floats(), want[0].Floats()) {
			t.Fatal("the images differ")
		}
		if y.DType() != tensor.Int64 || !y.Shape().Equal(want[1].Shape()) || !slices.Equal(y.Ints(), want[1].Ints()) {
			t.Fatal("the labels differ")
		}
		want = want[2:]
	}
	if err := errors.Join(a.Err(), b.Err()); err != nil || len(want) != 0 {
		t.Errorf("%d batches are missing, %v", len(want)/2, err)
	}
}

// notFused hides the fast way, and goes the slowest: by image.Image.
type notFused struct{ Concat }

func (n notFused) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	d, i := n.find(i)
	s := d.(*Subset)
	p := s.Dataset.(*Shapes)
	i = s.Indices[i]
	x, err = apply(p.transform, transforms.Sample{Image: p.Image(i)}, r)
	return x, scalar(int64(p.Label(i))), err
}

func (n notFused) fuse() (fillFunc, layout) { return nil, layout{} }

func BenchmarkLoader(b *testing.B) {
	for _, tt := range []struct {
		name string
		tr   transforms.Transform
	}{
		{"flip", transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())},
		{"crop,flip,normalize", transforms.Compose(transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor(),
			transforms.Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26}))},
		{"erasing", transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor(), transforms.RandomErasing(0.5, transforms.ErasingOpts{}))},
		{"one by one", transforms.Compose(transforms.ToTensor(), transforms.RandomHorizontalFlip(0.5))},
	} {
		set := NewShapes(ShapesOpts{Train: true, Transform: tt.tr})
		b.Run(tt.name, func(b *testing.B) {
			l := &DataLoader{Dataset: set, BatchSize: 64, Shuffle: true}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				for x := range l.All() {
					n += x.Size(0)
				}
			}
			if l.Err() != nil {
				b.Fatal(l.Err())
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

func ExampleDataLoader() {
	augment := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	set := NewShapes(ShapesOpts{Transform: augment})
	loader := &DataLoader{Dataset: set, BatchSize: 64, Shuffle: true}
	fmt.Println(loader.Len(), "batches")
	for images, labels := range loader.All() {
		fmt.Println(images.Shape(), labels.Shape(), labels.DType())
		break
	}
	if err := loader.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 32 batches
	// [64 3 32 32] [64] int64
}

// Examples may be views, of any strides.
func TestLoaderOfViews(t *testing.T) {
	memory := tensor.Arange(0, 48, 1).ToDType(tensor.Float32).View(4, 2, 6)
	xs, ys := memory.Permute(2, 0, 1), memory.Select(1, 1).T().Narrow(1, 0, 2)
	set, err := NewTensors(xs, ys)
	if err != nil {
		t.Fatal(err)
	}
	loader := &DataLoader{Dataset: set, BatchSize: 4}
	at := 0
	for x, y := range loader.All() {
		n := x.Size(0)
		if !slices.Equal(x.Floats(), xs.Narrow(0, at, n).Floats()) || !slices.Equal(y.Floats(), ys.Narrow(0, at, n).Floats()) {
			t.Errorf("batch at %d: got %v, %v", at, x, y)
		}
		x.Permute(1, 2, 0).Fill(0) // a batch's own memory
		at += n
	}
	if at != 6 || loader.Err() != nil || memory.Sum().Item() != 48*47/2 {
		t.Errorf("got %d examples, error %v, memory %v", at, loader.Err(), memory)
	}
}
