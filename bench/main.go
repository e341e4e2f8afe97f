// Command bench measures Wick side by side with PyTorch on this machine: the
// two take turns, step by step, in one run, and the table shows medians and
// their ratio. Both start from the same weights and see the same pictures, and
// the losses are compared before anything is timed.
//
//	python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.15.0 numpy
//	go run ./bench -python /tmp/torch/bin/python
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	python := flag.String("python", "python3", "interpreter that has torch and numpy")
	script := flag.String("script", "bench/pytorch.py", "PyTorch's side")
	model := flag.String("model", "VGG16", "model by name")
	batch := flag.Int("batch", 64, "pictures a step")
	rounds := flag.Int("rounds", 9, "timed turns of each side")
	threads := flag.Int("threads", runtime.NumCPU(), "threads of each side")
	flag.Parse()
	if *batch < 1 || *rounds < 1 || *threads < 1 {
		log.Fatal("-batch, -rounds and -threads take 1 or more")
	}
	runtime.GOMAXPROCS(*threads)
	if err := run(*python, *script, *model, *batch, *rounds, *threads); err != nil {
		log.Fatal(err)
	}
}

// row is one comparison.
type row struct {
	name string
	wick func()
}

func run(python, script, model string, batch, rounds, threads int) error {
	cfg, ok := models.Cfgs[model]
	if !ok {
		return fmt.Errorf("no model is called %q; known are %q", model, models.Names())
	}
	tensor.ManualSeed(1)
	m := models.NewVGG(cfg, 10)
	images := tensor.Rand(batch, 3, 32, 32)
	labels := tensor.RandInt(0, 10, batch)
	criterion := layers.CrossEntropyLoss{}
	optimizer := optim.NewAdam(layers.Parameters(m), 0.001)

	dir, err := os.MkdirTemp("", "wick-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := export(dir, m, images, labels); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"cfg": cfg, "batch": batch, "threads": threads, "dir": dir})
	if err != nil {
		return err
	}
	other, err := start(python, script, string(config))
	if err != nil {
		return err
	}
	defer other.stop()

	var loss float64
	train := func() {
		s := tensor.NewScope()
		defer s.Close()
		optimizer.ZeroGrad()
		l := criterion.Forward(m.Forward(tensor.From(images.Floats(), batch, 3, 32, 32).In(s)), labels)
		l.Backward()
		optimizer.Step()
		loss = l.Item()
	}
	rows := []row{
		{"train", func() { layers.Train(m); train() }},
		{"evaluate", func() {
			layers.Eval(m)
			s := tensor.NewScope()
			defer s.Close()
			loss = criterion.Forward(m.Forward(tensor.From(images.Floats(), batch, 3, 32, 32).In(s).NoGrad()), labels).Item()
		}},
	}

	fmt.Printf("%s, batch %d, %d threads; %s, %s; PyTorch %s\n", model, batch, threads, processor(), runtime.Version(), other.version)
	// The first steps warm up, and must agree.
	for i := range 2 {
		rows[0].wick()
		_, theirs, err := other.turn("train")
		if err != nil {
			return err
		}
		fmt.Printf("loss of step %d: Wick %.5f, PyTorch %.5f\n", i+1, loss, theirs)
		if tolerance := 0.01 * math.Abs(theirs); !(math.Abs(loss-theirs) <= tolerance) {
			return errors.New("the losses differ by more than 1 %: the two do not compute the same")
		}
	}
	fmt.Printf("\n%-10s %14s %14s %10s %10s %8s\n", "", "Wick", "PyTorch", "Wick", "PyTorch", "ratio")
	for _, r := range rows {
		r.wick()
		if _, _, err := other.turn(r.name); err != nil {
			return err
		}
		var ours, theirs []float64
		for range rounds {
			start := time.Now()
			r.wick()
			ours = append(ours, time.Since(start).Seconds())
			seconds, _, err := other.turn(r.name)
			if err != nil {
				return err
			}
			theirs = append(theirs, seconds)
		}
		a, b := median(ours), median(theirs)
		fmt.Printf("%-10s %11.0f ms %11.0f ms %6.0f i/s %6.0f i/s %7.2fx\n", r.name, 1000*a, 1000*b, float64(batch)/a, float64(batch)/b, a/b)
	}
	fmt.Println("\nmedians; i/s are images a second; ratio is Wick's time over PyTorch's (below 1: Wick is faster)")
	return nil
}

// export writes the weights and the batch for PyTorch's side: raw numbers, in
// the state dict's order.
func export(dir string, m layers.Module, images, labels *tensor.Tensor) error {
	f, err := os.Create(filepath.Join(dir, "weights"))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, t := range layers.StateDict(m) {
		if _, err := f.Write(t.Raw()); err != nil {
			return err
		}
	}
	return errors.Join(f.Close(),
		os.WriteFile(filepath.Join(dir, "images"), images.Raw(), 0o600),
		os.WriteFile(filepath.Join(dir, "labels"), labels.Raw(), 0o600))
}

// pytorch is PyTorch's side: a process that takes a turn when told to.
type pytorch struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	version string
}

func start(python, script, config string) (*pytorch, error) {
	cmd := exec.Command(python, script, config)
	cmd.Stderr = os.Stderr
	// Threads that wait their turn must not spin: the other side is being timed.
	cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive", "KMP_BLOCKTIME=0")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w (-python names an interpreter with torch and numpy)", python, err)
	}
	p := &pytorch{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if !p.out.Scan() {
		return nil, fmt.Errorf("%s %s ended before it was ready (-python names an interpreter with torch and numpy)", python, script)
	}
	p.version = p.out.Text()
	return p, nil
}

// turn has PyTorch make one step and returns the seconds it took and the loss.
func (p *pytorch) turn(what string) (seconds, loss float64, err error) {
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return 0, 0, err
	}
	if !p.out.Scan() {
		return 0, 0, errors.New("PyTorch's side ended")
	}
	if _, err := fmt.Sscan(p.out.Text(), &seconds, &loss); err != nil {
		return 0, 0, fmt.Errorf("PyTorch's side said %q: %w", p.out.Text(), err)
	}
	return seconds, loss, nil
}

func (p *pytorch) stop() {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		log.Print(err)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// processor names the machine's processor where the system tells.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			}
		}
	}
	return runtime.GOARCH
}
