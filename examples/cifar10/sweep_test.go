package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/trainer"
)

// What is wrong in a sweep's file is one sentence that names the place, before
// anything is written or run.
func TestWrongSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	many := "[" + strings.TrimSuffix(strings.Repeat("1,", 40), ",") + "]"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty file", ``, []string{"s.json, line 1, column 1: unexpected end of JSON input"}},
		{"cut", "{\"grid\": {\n  \"lr\": [1", []string{"line 2, column 10: unexpected end of JSON input"}},
		{"broken JSON", "{\"grid\": {\n  \"lr\": [0.1 0.2]}}", []string{"s.json, line 2, column 14: invalid character '0' after array element"}},
		{"after a letter of two bytes", "{\"größe\": {\n}]", []string{"line 2, column 2: invalid character ']'"}},
		{"text behind", "{\"runs\": [{}]}\n\nmore", []string{"line 3, column 1: invalid character 'm' after top-level value"}},
		{"a list", `[1]`, []string{"line 1, column 1: the file is [1], want an object"}},
		{"a list in a line of its own", "[]\n", []string{"line 1, column 1: the file is [], want an object"}},
		{"unknown key", "{\"runs\": [{}],\n \"gird\": {}}", []string{`line 2, column 2: unknown "gird", want settings, grid or runs`}},
		{"key twice", `{"runs": [{}], "runs": [{}]}`, []string{`column 16: "runs" is there twice in the file`}},
		{"setting twice", `{"settings": {"lr": 1, "epochs": 2, "lr": 2}, "runs": [{}]}`, []string{`column 37: "lr" is there twice in settings`}},
		{"grid twice", `{"grid": {"lr": [1], "lr": [2]}}`, []string{`column 22: "lr" is there twice in grid`}},
		{"nothing", `{}`, []string{"it has no run, want a grid or runs"}},
		{"settings alone", `{"settings": {"lr": 1}}`, []string{"it has no run"}},
		{"no runs", `{"runs": []}`, []string{"it has no run"}},
		{"empty grid", `{"grid": {}}`, []string{"column 10: the grid is empty"}},
		{"empty list", `{"grid": {"lr": []}}`, []string{"column 17: the grid's list for lr is empty"}},
		{"grid without list", `{"grid": {"lr": 0.1}}`, []string{"column 17: the grid's lr is 0.1, want a list"}},
		{"settings a list", `{"settings": [1], "runs": [{}]}`, []string{"column 14: settings is [1], want an object"}},
		{"runs an object", `{"runs": {"lr": 1}}`, []string{`runs is {"lr": 1}, want a list`}},
		{"a run that is none", `{"runs": [{}, 7]}`, []string{"column 15: a run is 7, want an object"}},
		{"null", `{"runs": [{"lr": null}]}`, []string{"column 18: lr is null, want a number"}},
		{"object", `{"runs": [{"lr": {"a": 1}}]}`, []string{`lr is {"a": 1}, want a number`}},
		{"list of lists", `{"runs": [{"milestones": [1, [2]]}]}`, []string{"column 30: milestones is a list in a list"}},
		{"zero byte", `{"runs": [{"data": "a\u0000b"}]}`, []string{"column 20: data has a zero byte"}},
		{"huge", `{"grid": {"lr": ` + many + `, "seed": ` + many + `}}`, []string{"the grid has more than 1000 combinations"}},
		{"unknown flag", `{"settings": {"epochs": 3, "rate": 1}, "grid": {"lr": [1]}}`, []string{"column 36: flag provided but not defined: -rate"}},
		{"unknown flag of the grid", `{"grid": {"rate": [1]}}`, []string{"column 20: flag provided but not defined: -rate"}},
		{"bad value of the grid", `{"grid": {"lr": [0.1,` + "\n" + ` -1]}}`, []string{"line 2, column 2: -lr -1: want a positive number"}},
		{"text for a number", `{"settings": {"epochs": "ten"}, "runs": [{}]}`, []string{`column 25: invalid value "ten" for flag -epochs`}},
		{"half an epoch", `{"runs": [{"epochs": 1.5}]}`, []string{`column 22: invalid value "1.5" for flag -epochs`}},
		{"model", `{"grid": {"model": [[4, "M", "M", "M", "M", "M"], [4, "X"]]}}`, []string{"column 51: -model [4,\"X\"]"}},
		{"model of another depth", `{"settings": {"model": [32, "M", 64, "M"]}, "grid": {"lr": [1, 2]}}`, []string{`s.json, line 1, column 24: -model [32,"M",64,"M"]: models: the configuration has 2 "M"s, want 5, which make 1×1 of images of 32×32 pixels`}},
		{"models of other depths", `{"settings": {"dataset": "folder", "size": 64}, "grid": {"model": ["VGG11"]}}`, []string{`-model VGG11: models: the configuration has 5 "M"s, want 6`, "64×64"}},
		{"a size for CIFAR-10", `{"settings": {"size": 64}, "runs": [{}]}`, []string{"-size 64: want 1 to 4096 with -dataset folder, 32 with others"}},
		{"model without its own list", `{"grid": {"model": [4, "M"]}}`, []string{"column 21: -model 4: want one of"}},
		{"out", `{"settings": {"out": "x"}, "runs": [{}]}`, []string{"column 15: -out does not describe a run"}},
		{"help", `{"runs": [{"help": true}]}`, []string{"column 12: -help does not describe a run"}},
		{"sweep", `{"grid": {"sweep": ["s.json"]}}`, []string{"column 11: -sweep does not describe a run"}},
		{"with dash", `{"runs": [{"-out": "x"}]}`, []string{`column 12: "-out" is no flag's name`}},
		{"with value", `{"runs": [{"out=x": "y"}]}`, []string{`"out=x" is no flag's name`}},
		{"a run twice", `{"grid": {"lr": [0.1, 0.2, 1e-1]}}`, []string{`the run "lr=0.1" is there already, as "lr=0.1"`}},
		{"the default twice", `{"runs": [{}, {"lr": 0.001}]}`, []string{`column 15: the run "lr=0.001" is there already, as "settings"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, "s.json", []byte(c.text))
			wrongSweep(t, []string{"-sweep", "s.json"}, c.want...)
		})
	}
	write(t, "good.json", []byte(`{"runs": [{}]}`))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-sweep", "none.json"}, "-sweep: open none.json"},
		{[]string{"-sweep", "."}, "-sweep: read ."},
		{[]string{"-sweep", ""}, "-sweep : want a file"},
		{[]string{"-sweep", "good.json", "-lr", "1", "-batch", "3"}, "-sweep and -batch: the settings of a sweep's runs stand in its file"},
		{[]string{"-sweep", "good.json", "-resume", "x"}, "-sweep and -resume"},
		{[]string{"-sweep", "good.json", "-jobs", "0"}, "-jobs 0: want 1 or more"},
		{[]string{"-jobs", "2"}, "-jobs without -sweep"},
		{[]string{"-sweep", "good.json", "-out", "good.json"}, "good.json"},
	} {
		wrongSweep(t, c.args, c.want)
	}
}

func wrongSweep(t *testing.T, args []string, want ...string) {
	t.Helper()
	before := files(t, ".")
	var stdout, stderr bytes.Buffer
	if code := program(t.Context(), args, &stdout, &stderr); code != 1 {
		t.Errorf("%q: exit code: got %d, want 1", args, code)
	}
	got := stderr.String()
	if strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "cifar10: ") || len(got) > 600 {
		t.Errorf("%q: got %q, want one sentence", args, got)
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q: got %q, want %q in it", args, got, w)
		}
	}
	if diff := cmp.Diff(before, files(t, ".")); diff != "" || stdout.Len() > 0 {
		t.Errorf("%q: wrote %q and the files (-before +after):\n%s", args, &stdout, diff)
	}
}

func TestReadSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	long := strings.Repeat("a", 100)
	write(t, "s.json", []byte(`{
		"runs": [
			{}, {"lr": 0.1, "epochs": 5}, {"data": "../A b/ü."}, {"data": "../a B/ö."}, {"data": "`+long+`1"}, {"data": "`+long+`2"},
			{"model": "VGG11", "download": true, "seed": 18446744073709551615, "milestones": [1, 20], "time-limit": "90m"}
		],
		"settings": {"epochs": 7, "model": [4, "M", "M", "M", "M", "M"]},
		"grid": {"lr": [1e-3, "0.10"], "model": [[8, "M", "M", "M", "M", "M"], [16,
			"M", "M", "M", "M", "M"]]}
	}`))
	s, err := readSweep(options{sweep: "s.json"})
	must(t, err)
	if got, want := strings.Join(s.varied, " "), "lr epochs data model download seed milestones time-limit"; got != want {
		t.Errorf("varied: got %q, want %q", got, want)
	}
	want := []struct{ name, args string }{
		{"settings", `-epochs=7 -model=[4,"M","M","M","M","M"]`},
		{"lr=0.1,epochs=5", `-epochs=7 -model=[4,"M","M","M","M","M"] -lr=0.1 -epochs=5`},
		{"data=-Ab--", `-epochs=7 -model=[4,"M","M","M","M","M"] -data=../A b/ü.`},
		{"data=-aB--~", `-epochs=7 -model=[4,"M","M","M","M","M"] -data=../a B/ö.`}, // not the same where case does not count
		{"data=" + strings.Repeat("a", 65) + "~", ""},
		{"data=" + strings.Repeat("a", 65) + "~", ""},
		{"model=VGG11,download=true,seed=18446744073709551615,milestones=1-20,ti~", `-epochs=7 -model=[4,"M","M","M","M","M"] -model=VGG11 -download=true -seed=18446744073709551615 -milestones=1,20 -time-limit=90m`},
		{"lr=0.001,model=8-M-M-M-M-M", `-epochs=7 -model=[4,"M","M","M","M","M"] -lr=1e-3 -model=[8,"M","M","M","M","M"]`},
		{"lr=0.001,model=16-M-M-M-M-M", `-epochs=7 -model=[4,"M","M","M","M","M"] -lr=1e-3 -model=[16,"M","M","M","M","M"]`},
		{"lr=0.1,model=8-M-M-M-M-M", `-epochs=7 -model=[4,"M","M","M","M","M"] -lr=0.10 -model=[8,"M","M","M","M","M"]`},
		{"lr=0.1,model=16-M-M-M-M-M", `-epochs=7 -model=[4,"M","M","M","M","M"] -lr=0.10 -model=[16,"M","M","M","M","M"]`},
	}
	if len(s.runs) != len(want) {
		t.Fatalf("got %d runs, want %d", len(s.runs), len(want))
	}
	names := map[string]bool{}
	for i, r := range s.runs {
		ok := r.name == want[i].name
		if strings.HasSuffix(want[i].name, "~") {
			ok = strings.HasPrefix(r.name, want[i].name) && len(r.name) == len(want[i].name)+8
		}
		if got := strings.Join(r.args, " "); !ok || got != want[i].args && want[i].args != "" {
			t.Errorf("run %d: got %q with %s, want %q with %s", i, r.name, got, want[i].name, want[i].args)
		}
		names[strings.ToLower(r.name)] = true
	}
	if len(names) != len(want) {
		t.Errorf("got %d names, want %d: %v", len(names), len(want), names)
	}
}

// The sweeps that come with the program are well.
func TestExperiments(t *testing.T) {
	paths, err := filepath.Glob("experiments/*.json")
	must(t, err)
	if len(paths) == 0 {
		t.Error("there are none")
	}
	for _, path := range paths {
		if s, err := readSweep(options{sweep: path}); err != nil || len(s.runs) < 2 {
			t.Errorf("got %v, want two runs or more", err)
		}
	}
}

// A sweep whose runs are this test's binary has runs that only look like some.
func init() {
	if os.Getenv("WICK_TEST_FAKE") != "" && !slices.Contains(os.Args, "-sweep") {
		os.Exit(fakeRun())
	}
}

// fakeRun leaves what a run leaves, ten milliseconds an epoch. With a learning rate
// above 1 it fails in its second epoch.
func fakeRun() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	opts, err := parseFlags(os.Args[1:], os.Stdout, os.Stderr)
	var past []trainer.Metrics
	config := trainer.RunConfig{Started: time.Now(), Settings: opts.settings, GOMAXPROCS: runtime.GOMAXPROCS(0)}
	if err == nil && opts.resume != "" {
		if config, err = trainer.ReadRunConfig(opts.out); err == nil {
			past, err = trainer.ReadMetrics(opts.out)
		}
	}
	var records *trainer.Records
	if err == nil {
		records, err = trainer.OpenRecords(opts.out, past, opts.resume != "", "test_f1")
	}
	if err == nil {
		err = config.Write(opts.out)
	}
	for epoch := len(past) + 1; epoch <= opts.epochs && err == nil; epoch++ {
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, "cifar10: interrupted")
			return 130
		case <-time.After(10 * time.Millisecond):
		}
		if epoch == 2 && opts.lr > 1 {
			err = errors.New("the loss is NaN")
			break
		}
		x := jsonfloat.Float(1 / float64(epoch))
		err = records.Append(trainer.Metrics{Epoch: epoch, LR: opts.lr, TrainLoss: x, TestLoss: 2 * x, TrainAccuracy: 1 - x, TestAccuracy: 0.9 - x/2, TrainSeconds: 1, TestSeconds: 0.5,
			Own: map[string]jsonfloat.Float{"test_f1": x / 3}})
	}
	if err == nil {
		config.Finished = time.Now()
		err = config.Write(opts.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cifar10:", err)
		return 1
	}
	return 0
}

// The program's own runs: one that goes well, one that does not.
func TestSweepTrains(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("WICK_TEST_PROGRAM", "1") // the children are this test's binary
	write(t, "s.json", []byte(`{"settings": {"dataset": "shapes", "limit": 20, "batch": 10, "epochs": 1, "model": `+smallCfg+`}, "grid": {"lr": [0.001, 1e30]}}`))
	var stdout, stderr bytes.Buffer
	if code := program(t.Context(), []string{"-sweep", "s.json", "-out", "out"}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "1 of 2 runs failed (lr=1e+30)") {
		t.Errorf("got exit code %d and %s, want 1 of 2 runs failed; %s", code, &stderr, &stdout)
	}
	for _, w := range []string{"lr=0.001: best test accuracy ", "lr=1e+30: failed: trainer: epoch 1, batch 2: the loss is NaN"} {
		if !strings.Contains(stdout.String(), w) {
			t.Errorf("got %q, want %q in it", &stdout, w)
		}
	}
	for _, name := range []string{"report.html", "best.safetensors", "output.log"} {
		if _, err := os.Stat(filepath.Join("out", "lr=0.001", name)); err != nil {
			t.Error(err)
		}
	}
}

// A sweep trains all runs, two at a time, goes on when one fails, compares them,
// and finds them finished the next time.
func TestSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("WICK_TEST_FAKE", "1")
	t.Setenv("GOMAXPROCS", "")
	write(t, "grid.json", []byte(`{"settings": {"epochs": 5}, "grid": {"lr": [0.001, 0.01]}, "runs": [{"lr": 1e30}, {"lr": 0.1, "epochs": 2}]}`))
	left := filepath.Join("logs", "grid", ".comparison.html.0123456789abcdef.tmp") // of one that was killed
	must(t, os.MkdirAll(filepath.Dir(left), 0o777))
	write(t, left, nil)
	names := []string{"lr=0.001", "lr=0.01", "lr=1e+30", "lr=0.1,epochs=2"}
	args := []string{"-sweep", "grid.json", "-jobs", "2"}
	var stdout, stderr bytes.Buffer
	if code := program(t.Context(), args, &stdout, &stderr); code != 1 {
		t.Errorf("exit code: got %d, want 1; %s", code, &stderr)
	}
	if got, want := stderr.String(), "cifar10: 1 of 4 runs failed (lr=1e+30); the same command tries them again\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat(left); err == nil {
		t.Errorf("%s is still there", left)
	}
	out := filepath.ToSlash(stdout.String())
	for _, w := range []string{"4 runs, 0 of them finished already, in logs/grid\n", "lr=0.01: best test accuracy 80.00 % in epoch 5, 7.5 s\n", "lr=1e+30: failed: the loss is NaN\n", "comparison: logs/grid/comparison.html\n"} {
		if !strings.Contains(out, w) {
			t.Errorf("got %q, want %q in it", out, w)
		}
	}
	var started []int
	for _, name := range names {
		started = append(started, strings.Index(out, name+": started\n"))
	}
	if !slices.IsSorted(started) || started[0] < 0 {
		t.Errorf("the runs started at %v of the output, want the file's order:\n%s", started, out)
	}
	// Two lines of starts before the first end, and never three runs at once.
	running, most := 0, 0
	for line := range strings.Lines(out[:strings.Index(out, "\nrun ")+1]) {
		if strings.HasSuffix(line, ": started\n") {
			running++
		} else if strings.HasPrefix(line, "lr=") {
			running--
		}
		most = max(most, running)
	}
	if most != 2 || running != 0 {
		t.Errorf("got %d runs at once and %d at the end, want 2 and 0:\n%s", most, running, out)
	}

	records := readCSV(t, "logs/grid/comparison.csv")
	if got, want := strings.Join(records[0], ","), "name,lr,epochs,trained_epochs,best_test_accuracy,best_epoch,train_loss,test_loss,seconds,state"; got != want {
		t.Errorf("got the columns %s, want %s", got, want)
	}
	for i, name := range names {
		config, err := trainer.ReadRunConfig(filepath.Join("logs/grid", name))
		must(t, err)
		if got, want := config.GOMAXPROCS, max(1, runtime.GOMAXPROCS(0)/2); got != want {
			t.Errorf("%s: got GOMAXPROCS %d, want %d", name, got, want)
		}
		h := history(t, filepath.Join("logs/grid", name))
		want := []string{name, config.Settings["lr"], config.Settings["epochs"], fmt.Sprint(len(h))}
		if got := records[i+1][:4]; !slices.Equal(got, want) || (name != "lr=1e+30") != (fmt.Sprint(len(h)) == config.Settings["epochs"]) {
			t.Errorf("got the record %q with %d epochs, want %q", got, len(h), want)
		}
	}
	if got := records[3]; !strings.HasPrefix(got[9], "failed: the loss is NaN") || got[3] != "1" {
		t.Errorf("got %q of the run that failed, want its reason and one epoch", got)
	}
	for _, name := range []string{"test_loss", "train_loss", "test_accuracy", "train_accuracy", "best"} {
		for _, ext := range []string{".png", ".svg"} {
			if info, err := os.Stat(filepath.Join("logs/grid", name+ext)); err != nil || info.Size() < 1000 {
				t.Errorf("%s%s: %v, want a drawing", name, ext, err)
			}
		}
	}
	html, err := os.ReadFile("logs/grid/comparison.html")
	must(t, err)
	for _, w := range []string{"<th>lr=0.1,epochs=2</th>", "<td>finished</td>", "failed: the loss is NaN", "Train accuracy", "Test f1", "<dt>best run</dt><dd>lr=0.001</dd>", "<dt>best test accuracy</dt><dd>80.00 %</dd>"} {
		if !bytes.Contains(html, []byte(w)) {
			t.Errorf("comparison.html has no %q", w)
		}
	}

	// Again: only what failed is tried. With other settings, nothing is.
	before := history(t, "logs/grid/lr=0.01")
	stdout.Reset()
	if code := program(t.Context(), args, &stdout, &stderr); code != 1 || !strings.Contains(stdout.String(), "4 runs, 3 of them finished already") || strings.Contains(stdout.String(), "lr=0.01: ") || !strings.Contains(stdout.String(), "lr=1e+30: goes on") {
		t.Errorf("again: got exit code %d and %q, want only lr=1e+30 tried", code, &stdout)
	}
	if diff := cmp.Diff(before, history(t, "logs/grid/lr=0.01")); diff != "" {
		t.Errorf("the finished run changed (-before +after):\n%s", diff)
	}
	write(t, "other.json", []byte(`{"settings": {"epochs": 3}, "grid": {"lr": [0.5, 0.01]}}`))
	wrongSweep(t, []string{"-sweep", "other.json", "-out", filepath.Join("logs", "grid")}, `other.json: run "lr=0.01" has -epochs "3" and was begun with "5" in `)
}

// A sweep that is stopped, by an interrupt or the hard way, goes on from there and
// comes to what the runs would have come to alone.
func TestSweepStopped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs the signals of Linux")
	}
	t.Chdir(t.TempDir())
	t.Setenv("WICK_TEST_PROGRAM", "1")
	t.Setenv("WICK_TEST_FAKE", "1")
	const epochs = 60
	write(t, "two.json", []byte(fmt.Sprintf(`{"settings": {"epochs": %d}, "grid": {"lr": [0.001, 0.01]}}`, epochs)))
	var output bytes.Buffer
	if code := program(t.Context(), []string{"-sweep", "two.json", "-jobs", "2", "-out", "whole"}, &output, &output); code != 0 {
		t.Fatalf("got exit code %d: %s", code, &output)
	}
	const last = "stopped/lr=0.01"
	for _, c := range []struct {
		name   string
		signal os.Signal
		after  int // epochs
		code   int
		want   []string
	}{
		{"interrupted", os.Interrupt, 2, 130, []string{"lr=0.01: started\n", "lr=0.01: interrupted\n", "the same command goes on from here"}},
		{"killed", os.Kill, 5, -1, []string{"lr=0.01: goes on\n"}},
	} {
		cmd := exec.Command(os.Args[0], "-sweep", "two.json", "-jobs", "2", "-out", "stopped")
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		must(t, cmd.Start())
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			if h, _ := trainer.ReadMetrics(last); len(h) >= c.after {
				break
			}
			if time.Now().After(deadline) {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // for the output
				t.Fatalf("%s: fewer than %d epochs: %s", c.name, c.after, &output)
			}
		}
		must(t, cmd.Process.Signal(c.signal))
		_ = cmd.Wait() // says what the exit code does
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s: got exit code %d and %s, want %d", c.name, code, &output, c.code)
		}
		for _, w := range c.want {
			if !strings.Contains(output.String(), w) {
				t.Errorf("%s: got %s, want %q in it", c.name, &output, w)
			}
		}
		time.Sleep(50 * time.Millisecond) // the kernel ends the children at about the same time
		before := history(t, last)
		time.Sleep(200 * time.Millisecond)
		if now := history(t, last); len(now) != len(before) || len(now) >= epochs {
			t.Errorf("%s: the run had %d epochs and has %d now, want it stopped before its last", c.name, len(before), len(now))
		}
	}
	output.Reset()
	if code := program(t.Context(), []string{"-sweep", "two.json", "-jobs", "2", "-out", "stopped"}, &output, &output); code != 0 || !strings.Contains(output.String(), "lr=0.01: goes on\n") {
		t.Errorf("going on: got exit code %d and %s", code, &output)
	}
	for _, dir := range []string{"lr=0.001", "lr=0.01"} {
		if diff := cmp.Diff(history(t, filepath.Join("whole", dir)), history(t, filepath.Join("stopped", dir))); diff != "" {
			t.Errorf("%s: stopped, it came to other numbers (-want +got):\n%s", dir, diff)
		}
	}

	// Cancelled before it begins, it starts nothing.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	output.Reset()
	if code := program(ctx, []string{"-sweep", "two.json", "-out", "never"}, &output, &output); code != 130 || strings.Contains(output.String(), "started") {
		t.Errorf("got exit code %d and %s, want 130 and no run", code, &output)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	must(t, err)
	return records
}
