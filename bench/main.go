// Command bench measures Wick side by side with PyTorch on this machine: the two
// take turns, step by step, in one run, and the table shows medians and their
// ratio. Both start from the same weights and see the same inputs, and what they
// compute is compared before anything is timed. With -peers the other side is not
// PyTorch but GoMLX and Gorgonia, as far as they run the same net; with -against it
// is another build of this program, such as one from before a change.
//
//	python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.15.0 torchvision numpy
//	go run ./bench -python /tmp/torch/bin/python              # all rows but the slowest
//	go run ./bench -python /tmp/torch/bin/python -run vgg16   # those whose names match, the slowest too
//	go run ./bench -against /tmp/before -rounds 15            # another build of this program instead of PyTorch
//	go run ./bench -peers                                     # minutes: the peers are slow
//	go run -tags cuda ./bench -device cuda                    # on a GPU, -compile with torch.compile's CUDA graphs
//	go run ./bench -list
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/tensor"
)

// options are the command line's.
type options struct {
	others          []program // what Wick is compared with
	run             string
	rounds, threads int
	epoch           int
	data            string
	compile         bool
	json, markdown  string
	tiny            bool // rows so small that a test runs them
	device          *tensor.Device
	torchDevice     string
	copied          int // bytes that the copy of memory has, by which the peak is measured
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	o := options{copied: 128 << 20} // far more than the caches hold
	python := flag.String("python", "python3", "interpreter that has torch, torchvision and numpy")
	against := flag.String("against", "", "compare with this other build of bench (go build -o FILE ./bench at another commit) instead of PyTorch: what is called Wick is this one")
	serving := flag.Bool("serve", false, "be the other side of -against")
	peers := flag.Bool("peers", false, "compare with GoMLX and Gorgonia (bench/peers) instead of PyTorch, in rows vgg16/…; those with 8 images if -run names none")
	flag.StringVar(&o.run, "run", "", "run the rows whose names match this regular expression, the slowest too")
	flag.IntVar(&o.rounds, "rounds", 7, "timed turns of each side")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	flag.IntVar(&o.epoch, "epoch", 0, "add the row epoch/vgg16, an epoch of the tutorial on so many images a turn")
	flag.StringVar(&o.data, "data", "", "folder with cifar-10-batches-py, whose images the row epoch/vgg16 takes; otherwise they are made up")
	flag.BoolVar(&o.compile, "compile", false, "let torch.compile take part (needs a C++ compiler, and minutes)")
	flag.StringVar(&o.json, "json", "", "write all times to this file")
	flag.StringVar(&o.markdown, "markdown", "", "write the table to this file, as Markdown")
	device := flag.String("device", "cpu", "where both sides compute: cpu, cuda or cuda:N; a GPU needs go run -tags cuda (docs/cuda.md)")
	flag.StringVar(&o.torchDevice, "torch-device", "", "where PyTorch computes, if not on -device")
	flag.BoolVar(&o.tiny, "tiny", false, "make the rows so small that they say nothing about speed, to see that all runs")
	list := flag.Bool("list", false, "print the names of the rows and end")
	flag.Parse()
	if *serving {
		if err := serve(os.Stdin, os.Stdout, flag.Arg(0)); err != nil {
			log.Fatal(err)
		}
		return
	}
	if flag.NArg() > 0 {
		log.Fatalf("got %q behind the flags, want nothing", flag.Args())
	}
	var err error
	if o.device, err = deviceOf(*device); err != nil {
		log.Fatal(err)
	}
	o.torchDevice = cmp.Or(o.torchDevice, *device)
	if o.gpu() && *peers {
		log.Fatal("-peers and -device: the other libraries in Go compute on the CPU, want one of the two")
	}
	o.others = []program{{"PyTorch", []string{*python, "bench/pytorch.py"}}}
	if *against != "" && *peers {
		log.Fatal("-against and -peers: got both, want one of the two")
	}
	if *against != "" {
		o.others = []program{{otherBuild, []string{*against, "-serve"}}}
	}
	if *peers {
		o.others = goLibraries("bench/peers")
		o.run = cmp.Or(o.run, "^vgg16/(train|evaluate)/8$")
	}
	if o.rounds < 1 || o.threads < 1 || o.epoch < 0 {
		log.Fatal("-rounds and -threads take 1 or more, -epoch 0 or more")
	}
	chosen, err := choose(rows(o.epoch, o.gpu()), o.run)
	if err != nil {
		log.Fatal(err)
	}
	if *list {
		for _, r := range rows(max(o.epoch, 1), o.gpu()) {
			note := ""
			switch {
			case r.slow:
				note = "  (only if -run matches it)"
			case strings.HasPrefix(r.name, "epoch/"):
				note = "  (only with -epoch)"
			}
			fmt.Println(r.name + note)
		}
		return
	}
	if err := run(os.Stdout, o, chosen); err != nil {
		log.Fatal(err)
	}
}

// gpu tells whether Wick computes on a GPU.
func (o options) gpu() bool { return o.device != nil && o.device != tensor.CPU }

// deviceOf returns the device of a name.
func deviceOf(name string) (*tensor.Device, error) {
	number, isCUDA := strings.CutPrefix(name, "cuda")
	if name == "cpu" {
		return tensor.CPU, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(cmp.Or(number, ":0"), ":"))
	if !isCUDA || err != nil || n < 0 {
		return nil, fmt.Errorf("-device %s: want cpu, cuda or cuda:N", name)
	}
	d, err := tensor.CUDA(n)
	if err != nil {
		return nil, fmt.Errorf("-device %s: %w", name, err)
	}
	return d, nil
}

// goLibraries are the other deep-learning libraries in Go; dir is peers', a module of its own.
func goLibraries(dir string) []program {
	return []program{
		{"GoMLX", []string{"go", "-C", dir, "run", ".", "gomlx"}},
		{"Gorgonia", []string{"go", "-C", dir, "run", ".", "gorgonia"}},
	}
}

// choose returns the rows that match an expression; without one, all but the slow ones.
func choose(all []row, expression string) ([]row, error) {
	match, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var chosen []row
	for _, r := range all {
		if expression == "" && !r.slow || expression != "" && match.MatchString(r.name) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-run %q matches no row; -list prints them", expression)
	}
	return chosen, nil
}

// run measures the rows and writes the table to w, row by row.
func run(w io.Writer, o options, chosen []row) error {
	dir, err := os.MkdirTemp("", "wick-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var others []*side
	r := &report{
		Date: time.Now(), Machine: machine(), Load: load(), Go: runtime.Version(), Versions: map[string]string{},
		Threads: o.threads, Rounds: o.rounds, Compile: o.compile,
	}
	for _, p := range o.others {
		other, err := start(dir, o.torchDevice, p)
		if err != nil {
			return err
		}
		defer other.stop()
		others = append(others, other)
		r.Against = append(r.Against, other.name)
		maps.Copy(r.Versions, other.versions)
		if other.note != "" {
			r.Notes = append(r.Notes, other.name+": "+other.note)
		}
	}

	var peak *peakMeter
	if o.gpu() {
		// What the other side's copy and product reach is the measure of both.
		if r.Peak, err = others[0].peak(o.tiny); err != nil {
			return err
		}
		r.Device = o.device.String()
		o.device.SetFloat32Precision(tensor.High)
	} else {
		peak = newPeakMeter(o.threads, o.copied)
	}
	fmt.Fprintf(w, "%s\n\n%s\n", strings.Join(r.head(), "\n"), line(r.columns()))
	failed := 0
	for _, row := range chosen {
		for _, other := range others {
			found := compare(row, o, other, dir)
			if len(others) > 1 {
				found.Name += ", " + other.name
			}
			if peak != nil {
				peak.measure()
				r.Peak = peak.best
			}
			if found.Error != "" {
				failed++
			}
			r.Rows = append(r.Rows, found)
			fmt.Fprintln(w, line(found.cells(r.Peak, o.threads)))
		}
	}
	r.Means = geometricMeans(r.Rows)
	for i, m := range r.Means {
		if i == 0 {
			fmt.Fprintln(w, "\ngeometric means of "+r.columns()[3])
		}
		fmt.Fprintf(w, "%-32s %10s %10s %13.2f\n", m.Name, fmt.Sprintf("%d rows", m.Rows), "", m.Ratio)
	}
	fmt.Fprintln(w, "\n"+strings.Join(r.foot(), "\n"))
	if o.json != "" {
		if err := atomicfile.Write(o.json, func(f io.Writer) error {
			e := json.NewEncoder(f)
			e.SetIndent("", "  ")
			return e.Encode(r)
		}); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		if err := atomicfile.Write(o.markdown, func(f io.Writer) error { return r.markdown(f) }); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rows failed", failed, len(r.Rows))
	}
	return nil
}

// variant is one of the ways in which the other side takes part.
type variant struct {
	index int
	name  string
	warm  float64 // seconds of a step while it warmed up
	times []float64
}

// compare makes a row, compares what both sides compute, and times them.
func compare(r row, o options, other *side, dir string) result {
	found := result{Name: r.name, mean: r.mean, otherBuild: other.name == otherBuild}
	if err := measure(&found, r, o, other, dir); err != nil {
		found.Error = err.Error()
	}
	return found
}

// ready makes the row's work, the same each time.
func (r row) ready(s size) (w *work, err error) {
	tensor.ManualSeed(1)
	if s.gpu() {
		s.device.SetBenchmark(true) // as PyTorch's side, but for rows that say otherwise
	}
	wrong := tensor.Try(func() { w, err = r.make(s) })
	return w, errors.Join(err, wrong)
}

func measure(found *result, r row, o options, other *side, dir string) error {
	dir, err := os.MkdirTemp(dir, "row")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	work, err := r.ready(size{tiny: o.tiny, dir: dir, data: o.data, device: o.device})
	if err != nil {
		return err
	}
	if work.close != nil {
		defer work.close()
	}
	found.Threads, found.Flops, found.Bytes, found.Images = o.threads, work.flops, work.bytes, work.images
	if work.threads > 0 {
		found.Threads = work.threads
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(found.Threads))

	s := work.spec
	s.Name, s.Tiny = r.name, o.tiny
	s.Threads, s.Compile, s.Host = found.Threads, o.compile && (!o.gpu() || s.Args.Captured), work.host > 0
	if found.Tried, err = other.setup(s, work.tensors); err != nil {
		return err
	}
	// The first steps warm up, and must agree.
	var ours []*tensor.Tensor
	if wrong := tensor.Try(func() { ours, err = work.results() }); err != nil || wrong != nil {
		return errors.Join(err, wrong)
	}
	var variants []*variant
	for i, name := range found.Tried {
		theirs, dropped, err := other.check(i, max(work.checks, 1))
		if err != nil {
			return err
		}
		if dropped != "" {
			found.Dropped = append(found.Dropped, name+": "+dropped)
			continue
		}
		worst, err := agree(ours, theirs, work.tolerance)
		if err != nil {
			return fmt.Errorf("the two do not compute the same (%s): %w", orDefault(name), err)
		}
		found.RelError = max(found.RelError, worst)
		variants = append(variants, &variant{index: i, name: name})
	}
	found.Tried = slices.DeleteFunc(found.Tried, func(name string) bool {
		return !slices.ContainsFunc(variants, func(v *variant) bool { return v.name == name })
	})
	if len(variants) == 0 {
		return fmt.Errorf("no variant of %s takes part", other.name)
	}
	if wrong := tensor.Try(func() { err = turns(found, work, o, other, variants) }); err != nil || wrong != nil {
		return errors.Join(err, wrong)
	}
	if work.captured != nil {
		if err := work.captured(); err != nil {
			found.Note = "not captured: " + err.Error()
		}
	}
	return nil
}

// A turn takes as many steps as fill minTurn, since a clock is not exact and the
// first step of a turn finds the caches full of the other side's numbers; one
// step if that is longer. Where one side is far slower than the other, its turn
// takes maxTurn at most.
const minTurn, maxTurn = 0.02, 0.5

// turns times both sides in turns.
func turns(found *result, w *work, o options, other *side, variants []*variant) error {
	wait := waiter(o.device)
	ours := func(steps int) float64 { return w.time(steps, wait) }
	if w.captured != nil {
		for range 5 { // the first are made as they are, and noted
			w.step(false)
		}
	}
	runtime.GC() // of what comparing left
	fastest, warm := 0.0, w.warm != nil
	if warm {
		w.warm()
	} else {
		fastest = min(ours(1), ours(1))
	}
	slowest := fastest
	for _, v := range variants {
		v.warm = math.Inf(1)
		for range 2 {
			t, err := other.time(v.index, 1, warm)
			if err != nil {
				return err
			}
			v.warm = min(v.warm, t)
			if t > maxTurn {
				break
			}
		}
		fastest, slowest = min(fastest, v.warm), max(slowest, v.warm)
	}
	steps := int(max(1, min(math.Ceil(minTurn/max(fastest, 1e-9)), maxTurn/max(slowest, 1e-9))))
	switch {
	case o.tiny || warm:
		steps = 1
	case w.host > 0:
		steps = w.host // more would wait for room in the queue
	}
	// Variants that are behind by more than chance take no part in the rounds; where
	// a step is long, only the best does.
	limit, behind := math.Inf(1), 1.1
	if warm {
		behind = 1
	}
	for _, v := range variants {
		if steps > 1 {
			t, err := other.time(v.index, steps, false)
			if err != nil {
				return err
			}
			v.warm = min(v.warm, t)
		}
		limit = min(limit, behind*v.warm)
	}
	variants = slices.DeleteFunc(variants, func(v *variant) bool { return v.warm > limit })
	for range o.rounds {
		found.Wick = append(found.Wick, ours(steps))
		for _, v := range variants {
			t, err := other.time(v.index, steps, false)
			if err != nil {
				return err
			}
			v.times = append(v.times, t)
		}
	}
	best := slices.MinFunc(variants, func(a, b *variant) int {
		return cmp.Compare(median(a.times), median(b.times))
	})
	found.Other, found.Variant = best.times, best.name
	if w.calls > 0 {
		for i := range found.Wick {
			found.Wick[i] /= float64(w.calls)
			found.Other[i] /= float64(w.calls)
		}
		found.Allocations = w.allocations()
	}
	return nil
}

// agree compares the results of both sides: shapes, and of each tensor the
// relative error (L2), whose largest it returns. tolerance 0 means 1e-5.
func agree(ours, theirs []*tensor.Tensor, tolerance float64) (worst float64, err error) {
	if tolerance == 0 {
		tolerance = 1e-5
	}
	if len(ours) != len(theirs) {
		return 0, fmt.Errorf("got %d results of Wick, %d of the other side", len(ours), len(theirs))
	}
	for i, x := range ours {
		y := theirs[i]
		if x.Len() != y.Len() || x.Dim() > 0 && y.Dim() > 0 && !x.Shape().Equal(y.Shape()) {
			return 0, fmt.Errorf("result %d is %v, the other side's %v", i, x.Shape(), y.Shape())
		}
		a, b := x.ToDType(tensor.Float64).Float64s(), y.ToDType(tensor.Float64).Float64s()
		var difference, norm float64
		for j := range a {
			difference += (a[j] - b[j]) * (a[j] - b[j])
			norm += b[j] * b[j]
		}
		e := math.Sqrt(difference)
		if norm > 0 {
			e /= math.Sqrt(norm)
		}
		if !(e <= tolerance) {
			return e, fmt.Errorf("the relative error of result %d, %v, is %.2g, want at most %.2g", i, x.Shape(), e, tolerance)
		}
		worst = max(worst, e)
	}
	return worst, nil
}

func orDefault(variant string) string {
	if variant == "" {
		return "as it is"
	}
	return variant
}
