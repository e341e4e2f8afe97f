package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/tensor"
)

// standIn names the environment variable that makes of this program a stand-in for PyTorch's side.
const standIn = "WICK_BENCH_STAND_IN"

func TestMain(m *testing.M) {
	if how := os.Getenv(standIn); how == "serve" {
		if err := serve(os.Stdin, os.Stdout, os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	} else if how != "" {
		if err := pretend(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// pretend is PyTorch's side for the rows relu/forward. It has three variants: one
// that is slower, one that is right, and one that cannot be compiled.
func pretend(how string) error {
	var config struct{ Dir string }
	if err := json.Unmarshal([]byte(os.Args[len(os.Args)-1]), &config); err != nil {
		return err
	}
	if how == "mute" {
		return nil
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{Versions: map[string]string{"torch": "9.9"}, Note: "stands in"}); err != nil {
		return err
	}
	var row spec
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var c command
		if err := errors.Join(err, json.Unmarshal(line, &c)); err != nil {
			return err
		}
		var a answer
		switch {
		case c.Do == "setup" && c.Row.Op != "relu":
			a.Error = "no row is called " + c.Row.Op
		case c.Do == "setup":
			row = *c.Row
			a.Variants = []string{"contiguous", "channels_last", "compiled"}
		case c.Do == "check" && c.Variant == 2:
			a.Dropped = "no compiler"
		case c.Do == "check":
			if how == "dies" {
				return nil
			}
			f := row.Tensors[0]
			raw, err := os.ReadFile(f.File)
			if err != nil {
				return err
			}
			x := tensor.Zeros(f.Shape...)
			x.SetRaw(raw)
			if y := x.ReLU(); how == "wrong" {
				x = y.AddScalar(0.01)
			} else {
				x = y
			}
			f.File = filepath.Join(config.Dir, "result")
			if err := os.WriteFile(f.File, x.Raw(), 0o600); err != nil {
				return err
			}
			a.Tensors = []file{f}
		case c.Do == "time":
			a.Seconds = float64(c.Steps) * []float64{1, 0.5}[c.Variant]
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		name, how, run string
		want           []string // in the table
		err            string   // in the error
	}{
		{"all is well", "well", "^relu/forward$", []string{"torch 9.9", "relu/forward ", "500 ms", "channels_last", "1 threads each", "relu/forward: compiled: no compiler"}, ""},
		{"other numbers", "wrong", "^relu/forward$", []string{"failed: the two do not compute the same (contiguous): the relative error of result 0, [2 4 4 4], is 0.0"}, "1 of 1 rows failed"},
		{"an unknown row", "well", "^(relu/forward|sum/all)$", []string{"sum/all ", "failed: PyTorch's side: no row is called sum", "500 ms"}, "1 of 2 rows failed"},
		{"it ends early", "dies", "^relu/forward$", []string{"failed: PyTorch's side ended"}, "1 of 1 rows failed"},
		{"it does not start", "mute", "^relu/forward$", nil, "was not ready: PyTorch's side ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(standIn, tt.how)
			o := options{
				others: []program{{"PyTorch", []string{self}}}, run: tt.run, rounds: 3, threads: 1, compile: true, tiny: true, copied: 1 << 16,
				json: filepath.Join(dir, "r.json"), markdown: filepath.Join(dir, "r.md"),
			}
			chosen, err := choose(rows(0, false), tt.run)
			if err != nil {
				t.Fatal(err)
			}
			before := runtime.GOMAXPROCS(0)
			var table bytes.Buffer
			err = run(&table, o, chosen)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got the error %v, want one with %q", err, tt.err)
			}
			for _, want := range tt.want {
				if !strings.Contains(table.String(), want) {
					t.Errorf("got the table\n%s\nwant %q in it", &table, want)
				}
			}
			if after := runtime.GOMAXPROCS(0); after != before {
				t.Errorf("got GOMAXPROCS %d afterwards, want %d", after, before)
			}
			if tt.how != "well" {
				return
			}
			var r report
			b, err := os.ReadFile(o.json)
			if err := errors.Join(err, json.Unmarshal(b, &r)); err != nil {
				t.Fatal(err)
			}
			got := r.Rows[0]
			if diff := cmp.Diff([]float64{0.5, 0.5, 0.5}, got.Other); diff != "" || len(got.Wick) != 3 || got.Variant != "channels_last" {
				t.Errorf("got the row %+v, want 3 turns of each side, PyTorch's 0.5 with channels_last", got)
			}
			if b, err := os.ReadFile(o.markdown); err != nil || !strings.Contains(string(b), "| relu/forward | ") {
				t.Errorf("got the Markdown %q and the error %v, want the row relu/forward", b, err)
			}
		})
	}
}

// TestRows runs every row on Wick's side, small.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows(10, false) {
		t.Run(r.name, func(t *testing.T) {
			if seen[r.name] {
				t.Error("the name stands twice")
			}
			seen[r.name] = true
			tensor.ManualSeed(1)
			w, err := r.make(size{tiny: true, dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			found, err := w.results()
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				t.Error("got no results, want some to compare")
			}
			for i, x := range found {
				if x.Len() == 0 || x.ToDType(tensor.Float32).IsFinite().All().Item() != 1 {
					t.Errorf("got %v as result %d, want finite numbers", x, i)
				}
			}
			w.step(false)
			if again := w.step(true); w.check == nil && len(again)*max(w.checks, 1) != len(found) {
				t.Errorf("got %d results of a later step, %d of the first", len(again), len(found))
			}
			if w.flops+w.bytes+w.images+float64(w.calls) <= 0 {
				t.Error("got neither operations nor bytes nor images nor calls to count")
			}
		})
	}
}

// TestEpochOfFiles makes an epoch of images that are there already.
func TestEpochOfFiles(t *testing.T) {
	data := t.TempDir()
	if err := makeCIFAR10(data, 20); err != nil {
		t.Fatal(err)
	}
	s := size{tiny: true, dir: t.TempDir(), data: data}
	w, err := tutorial(s, 20)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := w.check(); err != nil || len(found) != 1 || found[0].Len() != 2 {
		t.Errorf("got %v and the error %v, want the losses of two steps", found, err)
	}
	w.warm()
	if losses := w.step(true)[0]; losses.Len() != 2 {
		t.Errorf("got %d steps of 5 images, want 2 for 10 images", losses.Len())
	}
	if _, err := os.Stat(filepath.Join(s.dir, "model.safetensors")); err != nil {
		t.Errorf("the model was not saved: %v", err)
	}
	s.tiny = false
	if _, err := tutorial(s, 25); err == nil || !strings.Contains(err.Error(), "-epoch 25: "+data+" has 20 images, want 25") {
		t.Errorf("got the error %v, want one that says how many images are there", err)
	}
}

// TestPyTorch compares what all rows compute with the real PyTorch.
func TestPyTorch(t *testing.T) {
	python := os.Getenv("WICK_TORCH")
	if python == "" {
		t.Skip("WICK_TORCH does not name an interpreter with torch, torchvision and numpy")
	}
	var table bytes.Buffer
	o := options{others: []program{{"PyTorch", []string{python, "pytorch.py"}}}, rounds: 1, threads: 2, tiny: true, copied: 1 << 16}
	if err := run(&table, o, rows(10, false)); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
}

// TestPeers compares with GoMLX and Gorgonia, whose modules are a large download.
func TestPeers(t *testing.T) {
	if os.Getenv("WICK_PEERS") == "" {
		t.Skip("WICK_PEERS is not set, which would let this test build bench/peers (180 MB from the module proxy)")
	}
	chosen, err := choose(rows(0, false), "^vgg16/(train|evaluate)/8$")
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	o := options{others: goLibraries("peers"), rounds: 1, threads: 2, tiny: true, copied: 1 << 16}
	if err := run(&table, o, chosen); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
	for _, want := range []string{"vgg16/train/8, GoMLX ", "vgg16/evaluate/8, Gorgonia ", "the other/Wick", "\nGoMLX: its backend in pure Go", "gorgonia.org/gorgonia v0.9"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got the table\n%s\nwant %q in it", &table, want)
		}
	}
}

// TestSides has two other sides in one table.
func TestSides(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(standIn, "well")
	chosen, err := choose(rows(0, false), "^relu/forward$")
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	o := options{others: []program{{"Ann", []string{self}}, {"Bob", []string{self}}}, rounds: 2, threads: 1, tiny: true, copied: 1 << 16}
	if err := run(&table, o, chosen); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"relu/forward, Ann ", "relu/forward, Bob ", " the other/Wick ", "\nAnn: stands in\nBob: stands in\n"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got the table\n%s\nwant %q in it", &table, want)
		}
	}
	if strings.Contains(table.String(), "PyTorch") {
		t.Errorf("got the table\n%s\nwant no word of PyTorch, which took no part", &table)
	}
}

// TestAgainst has another build of bench as the other side, for all rows.
func TestAgainst(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(standIn, "serve")
	all := rows(0, false)
	var table bytes.Buffer
	o := options{others: []program{{otherBuild, []string{self, "-serve"}}}, rounds: 2, threads: 1, tiny: true, copied: 1 << 16}
	if err := run(&table, o, append(all, row{name: "new", make: func(size) (*work, error) {
		return function(size{}, "", args{}, nil, plus, tensor.Ones(1), tensor.Ones(1)), nil
	}})); err == nil || err.Error() != fmt.Sprintf("1 of %d rows failed", len(all)+1) {
		t.Errorf("got the error %v, want one for the row that the other build does not have\n%s", err, &table)
	}
	for _, want := range []string{"other build/Wick", "from turn to turn", " to ", "failed: other build's side: no row is called new"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got the table\n%s\nwant %q in it", &table, want)
		}
	}
}

// TestWarm has a step that is made only to be timed: what comes before is its short form.
func TestWarm(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(standIn, "well")
	warmed, made := 0, 0
	long := row{name: "long", make: func(s size) (*work, error) {
		w := function(s, "relu", args{}, nil, func(in []*tensor.Tensor) *tensor.Tensor { return in[0].ReLU() }, tensor.Randn(2, 4))
		step := w.step
		w.check = func() ([]*tensor.Tensor, error) { return step(true), nil }
		w.warm = func() { warmed++ }
		w.step = func(bool) []*tensor.Tensor { made++; return nil }
		return w, nil
	}}
	o := options{others: []program{{"PyTorch", []string{self}}}, rounds: 3, threads: 1, copied: 1 << 16}
	if err := run(io.Discard, o, []row{long}); err != nil {
		t.Fatal(err)
	}
	if warmed != 1 || made != 3 {
		t.Errorf("got %d short forms and %d steps, want 1 and 3", warmed, made)
	}
}

func TestChoose(t *testing.T) {
	all := []row{{name: "a/fast"}, {name: "a/slow", slow: true}, {name: "b"}}
	for _, tt := range []struct {
		expression, want string
		err              string
	}{
		{"", "a/fast b", ""},
		{"^a/", "a/fast a/slow", ""},
		{"slow|b", "a/slow b", ""},
		{"c", "", `-run "c" matches no row`},
		{"(", "", "-run: error parsing regexp"},
	} {
		chosen, err := choose(all, tt.expression)
		var names []string
		for _, r := range chosen {
			names = append(names, r.name)
		}
		if got := strings.Join(names, " "); got != tt.want || tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: got %q and %v, want %q and %q", tt.expression, got, err, tt.want, tt.err)
		}
	}
}

func TestAgree(t *testing.T) {
	x := tensor.From([]float32{3, 4})
	for _, tt := range []struct {
		name      string
		ours      []*tensor.Tensor
		theirs    []*tensor.Tensor
		tolerance float64
		want      float64
		err       string
	}{
		{"the same", []*tensor.Tensor{x}, []*tensor.Tensor{x}, 0, 0, ""},
		{"within", []*tensor.Tensor{x}, []*tensor.Tensor{tensor.From([]float32{3, 5})}, 0.2, 1 / math.Sqrt(34), ""},
		{"beyond", []*tensor.Tensor{x}, []*tensor.Tensor{tensor.From([]float32{3, 5})}, 0.1, 0, "is 0.17, want at most 0.1"},
		{"NaN", []*tensor.Tensor{tensor.From([]float32{3, float32(math.NaN())})}, []*tensor.Tensor{x}, 1, 0, "is NaN"},
		{"shapes", []*tensor.Tensor{x}, []*tensor.Tensor{tensor.Zeros(3)}, 1, 0, "result 0 is [2], the other side's [3]"},
		{"numbers", []*tensor.Tensor{x}, nil, 1, 0, "got 1 results of Wick, 0 of the other side"},
		{"whole numbers", []*tensor.Tensor{tensor.From([]int{1, 2})}, []*tensor.Tensor{tensor.From([]int{1, 3})}, 0, 0, "relative error"},
	} {
		got, err := agree(tt.ours, tt.theirs, tt.tolerance)
		if tt.err == "" && (err != nil || math.Abs(got-tt.want) > 1e-9) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: got %v and %v, want %v and %q", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestTable(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("the median of %v: got %v, want %v", tt.v, got, tt.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing: got %v, want NaN", got)
	}
	for s, want := range map[float64]string{2e-6: "2.00 µs", 0.0123: "12.3 ms", 0.846: "846 ms", 3.4: "3.40 s", 61: "61.0 s"} {
		if got := duration(s); got != want {
			t.Errorf("%v s: got %q, want %q", s, got, want)
		}
	}
	rows := []result{
		{Name: "a", Wick: []float64{1, 1, 9}, Other: []float64{2, 2, 2}, Flops: 5e9, Threads: 2, mean: "conv/forward"},
		{Name: "b", Wick: []float64{2}, Other: []float64{1}, Bytes: 4e9, Threads: 2, mean: "conv/backward"},
		{Name: "c", Wick: []float64{0.01}, Other: []float64{0.08}, Images: 2345, Threads: 1, mean: "conv/forward", Variant: "fused"},
		{Name: "d", Error: "it broke", mean: "conv/forward"},
	}
	p := machinePeak{GFlops: 10, GBytes: 8}
	var got [][]string
	for _, r := range rows {
		got = append(got, r.cells(p, 2))
	}
	want := [][]string{
		{"a", "1.00 s", "2.00 s", "2.00", "5 GFLOP/s", "50 %", ""},
		{"b", "2.00 s", "1.00 s", "0.50", "2.0 GB/s", "25 %", ""},
		{"c", "10.0 ms", "80.0 ms", "8.00", "235000 images/s", "", "fused"},
		{"d", "failed: it broke"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	means := geometricMeans(rows)
	for i := range means {
		means[i].Ratio = math.Round(means[i].Ratio*1e6) / 1e6
	}
	if diff := cmp.Diff([]mean{{"conv", 3, 2}, {"conv/forward", 2, 4}}, means); diff != "" {
		t.Errorf("means (-want +got):\n%s", diff)
	}
}

func TestScaling(t *testing.T) {
	r := report{Threads: 2, Against: []string{"PyTorch"}, Rows: []result{
		{Name: "a", Threads: 2, Wick: []float64{1}, Other: []float64{2}},
		{Name: "a/one-thread", Threads: 1, Wick: []float64{1.5}, Other: []float64{4}},
		{Name: "b", Threads: 2, Wick: []float64{1}, Other: []float64{2}},
		{Name: "c", Threads: 2, Error: "it broke"},
		{Name: "c/one-thread", Threads: 1, Wick: []float64{1}, Other: []float64{2}},
	}}
	want := []string{"From 1 to 2 threads a gains 1.50 times (75 %) with Wick, 2.00 times (100 %) with PyTorch."}
	if diff := cmp.Diff(want, r.scaling()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Threads, r.Rows[0].Threads = 1, 1
	if got := r.scaling(); len(got) != 0 {
		t.Errorf("on one thread: got %q, want nothing", got)
	}
}

func TestPeak(t *testing.T) {
	p := newPeakMeter(2, 1<<20).best
	if !(p.GBytes > 0) {
		t.Errorf("got a copy of %v GB/s, want more than 0", p.GBytes)
	}
	if multiplyAdds(1) > 0 && !(p.GFlops > 1) {
		t.Errorf("got multiply-adds of %v GFLOP/s, want more than 1", p.GFlops)
	}
}

// TestDevice runs the rows of a GPU on the device that WICK_BENCH_DEVICE names,
// small, against the real PyTorch on the CPU.
func TestDevice(t *testing.T) {
	python, name := os.Getenv("WICK_TORCH"), os.Getenv("WICK_BENCH_DEVICE")
	if python == "" || name == "" {
		t.Skip("WICK_TORCH does not name an interpreter with torch, torchvision and numpy, or WICK_BENCH_DEVICE no device such as cuda")
	}
	d, err := deviceOf(name)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	o := options{others: []program{{"PyTorch", []string{python, "pytorch.py"}}}, rounds: 1, threads: 2, tiny: true, device: d, torchDevice: "cpu"}
	if err := run(&table, o, rows(10, true)); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
	for _, want := range []string{"cuda:0 of ", "host/replay ", "vgg16/train/64/captured ", "gemm/bf16-4096 ", "Peak, as PyTorch reaches it"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got the table\n%s\nwant %q in it", &table, want)
		}
	}
	t.Log(&table)
}

func TestDeviceOf(t *testing.T) {
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cudax", "mps"} {
		if d, err := deviceOf(name); err == nil || !strings.Contains(err.Error(), "want cpu, cuda or cuda:N") {
			t.Errorf("%q: got %v and %v, want an error that says what would fit", name, d, err)
		}
	}
	if d, err := deviceOf("cpu"); err != nil || d != tensor.CPU {
		t.Errorf("got %v and %v for cpu, want the CPU", d, err)
	}
	if _, err := deviceOf("cuda:99"); err == nil || !strings.HasPrefix(err.Error(), "-device cuda:99: tensor: cuda:99: ") {
		t.Errorf("got %v for cuda:99, want an error that says why there is none", err)
	}
}
