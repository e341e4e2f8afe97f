package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/trainer"
	"github.com/wick-ml/wick/trainer/plots"
)

// sweep is a number of runs that differ in some settings, each a process of its
// own, and their comparison.
type sweep struct {
	options
	varied []string // the flags of the grid and of the single runs, in the file's order
	runs   []*sweepRun

	mu       sync.Mutex // for what follows, the runs' states, stdout and the drawings
	compared bool
	drawing  error // of the last comparison
}

// sweepRun is a run of a sweep.
type sweepRun struct {
	name     string
	dir      string
	args     []string          // its flags
	settings map[string]string // all flags, as its config.json has them
	begun    bool              // there is something to go on with
	state    string            // "waiting", "running", "finished", "stopped: …", "interrupted", "failed: …"
}

// mostRuns limits a sweep, which is slow to write down and quick to multiply.
const mostRuns = 1000

// runSweep trains all runs of the file -sweep, -jobs of them at a time, and
// compares them. What a stopped sweep has finished is not done again, what it has
// begun is gone on with. A run that fails does not stop the others.
func runSweep(ctx context.Context, opts options) error {
	s, err := readSweep(opts)
	if err != nil {
		return err
	}
	if err := s.find(); err != nil {
		return err
	}
	if err := makeOut(opts); err != nil {
		return err
	}
	unlock, err := trainer.Lock(s.out)
	if err != nil {
		return err
	}
	defer unlock()
	if err := atomicfile.Clean(s.out); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	todo := 0
	for _, r := range s.runs {
		if r.state == "waiting" {
			todo++
		}
	}
	fmt.Fprintf(s.stdout, "%d runs, %d of them finished already, in %s\n", len(s.runs), len(s.runs)-todo, s.out)

	var env []string
	jobs := min(s.jobs, max(todo, 1))
	if os.Getenv("GOMAXPROCS") == "" { // each run gets its share of the processors
		env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/jobs)))
	}
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for ctx.Err() == nil {
				r := s.next()
				if r == nil {
					return
				}
				s.change(r, r.train(ctx, program, env))
			}
		})
	}
	workers.Wait()

	if !s.compared {
		s.compare()
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, row := range s.table() {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	fmt.Fprintln(s.stdout, "comparison:", filepath.Join(s.out, "comparison.html"))
	if ctx.Err() != nil {
		fmt.Fprintln(s.stdout, "interrupted; the same command goes on from here")
		return ctx.Err()
	}
	var failed []string
	for _, r := range s.runs {
		if strings.HasPrefix(r.state, "failed") {
			failed = append(failed, r.name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d runs failed (%s); the same command tries them again", len(failed), len(s.runs), strings.Join(failed, "; "))
	}
	return s.drawing
}

// find looks what there is of each run in its folder.
func (s *sweep) find() error {
	for _, r := range s.runs {
		r.dir, r.state = filepath.Join(s.out, r.name), "waiting"
		config, err := trainer.ReadRunConfig(r.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		for _, flag := range slices.Sorted(maps.Keys(r.settings)) {
			was, ok := config.Settings[flag]
			// The number of workers depends on the machine and changes no result; a
			// flag that the run does not know is younger than it.
			if ok && was != r.settings[flag] && flag != "workers" {
				return fmt.Errorf("%s: run %q has -%s %q and was begun with %q in %s; want the old setting, or another folder with -out", s.sweep, r.name, flag, r.settings[flag], was, r.dir)
			}
		}
		r.begun = true
		if !config.Finished.IsZero() {
			r.state = ended(config)
		}
	}
	return nil
}

func ended(config trainer.RunConfig) string {
	if config.Stopped != "" {
		return "stopped: " + config.Stopped
	}
	return "finished"
}

// next takes the first run that waits and shows that it begins, nil if none waits.
func (s *sweep) next() *sweepRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.state != "waiting" {
			continue
		}
		r.state = "running"
		if r.begun {
			fmt.Fprintf(s.stdout, "%s: goes on\n", r.name)
		} else {
			fmt.Fprintf(s.stdout, "%s: started\n", r.name)
		}
		return r
	}
	return nil
}

// change notes and shows how a run ended.
func (s *sweep) change(r *sweepRun, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.state = state
	if state == "finished" {
		b := sum(r.history())
		fmt.Fprintf(s.stdout, "%s: best test accuracy %s in epoch %d, %.1f s\n", r.name, percent(b.best), b.bestEpoch, b.seconds)
	} else {
		fmt.Fprintf(s.stdout, "%s: %s\n", r.name, state)
	}
	s.compare()
}

// train trains a run in a process of its own, whose output goes to output.log, and
// returns how it ended. When ctx is cancelled, the process gets an interrupt and
// half a minute to write its checkpoint. (Windows has no such signal for another
// process; there the terminal's Ctrl-C reaches all.)
func (r *sweepRun) train(ctx context.Context, program string, env []string) string {
	// The kernel ends the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args := append(r.args[:len(r.args):len(r.args)], "-out="+r.dir)
	if r.begun {
		args = []string{"-resume=" + r.dir}
	}
	err := os.MkdirAll(r.dir, 0o755)
	if err != nil {
		return "failed: " + err.Error()
	}
	path := filepath.Join(r.dir, "output.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return "failed: " + err.Error()
	}
	defer log.Close()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "failed: " + err.Error()
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err = cmd.Run()
	config, configErr := trainer.ReadRunConfig(r.dir)
	r.begun = configErr == nil
	switch {
	case r.begun && !config.Finished.IsZero() && err == nil:
		return ended(config)
	case ctx.Err() != nil:
		return "interrupted"
	case err == nil && configErr != nil:
		err = configErr
	case err == nil:
		err = errors.New("it ended before its last epoch")
	default:
		// The program's own sentence, if it came to one, is the last line.
		b, _ := io.ReadAll(io.NewSectionReader(log, start, math.MaxInt64-start))
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		if why, ok := strings.CutPrefix(lines[len(lines)-1], "cifar10: "); ok {
			err = errors.New(why)
		} else {
			err = fmt.Errorf("%w; see %s", err, path)
		}
	}
	return "failed: " + err.Error()
}

// history returns the run's epochs up to now, none if it has not begun.
func (r *sweepRun) history() []trainer.Metrics {
	h, _ := trainer.ReadMetrics(r.dir)
	return h
}

// summary is what a run came to. NaN stands for what was not measured.
type summary struct {
	epochs              int
	best                float64 // test accuracy
	bestEpoch           int
	trainLoss, testLoss float64 // of the last epoch
	seconds             float64
}

func sum(history []trainer.Metrics) summary {
	b := summary{epochs: len(history), best: math.NaN(), trainLoss: math.NaN(), testLoss: math.NaN()}
	for _, m := range history {
		if v := float64(m.TestAccuracy); v > b.best || math.IsNaN(b.best) && finite(v) {
			b.best, b.bestEpoch = v, m.Epoch
		}
		b.trainLoss, b.testLoss = float64(m.TrainLoss), float64(m.TestLoss)
		b.seconds += m.TrainSeconds + m.TestSeconds
	}
	return b
}

// table is what is shown of the runs. The whole of a long reason is in
// comparison.csv.
func (s *sweep) table() [][]string {
	rows := [][]string{{"run", "best test accuracy", "in epoch", "of", "train loss", "test loss", "seconds", "state"}}
	for _, r := range s.runs {
		state := []rune(r.state)
		if len(state) > 60 {
			state = append(state[:59], '…')
		}
		b := sum(r.history())
		row := []string{r.name, "–", "–", "–", "–", "–", "–", string(state)}
		if b.epochs > 0 {
			copy(row[1:], []string{percent(b.best), strconv.Itoa(b.bestEpoch), strconv.Itoa(b.epochs),
				fmt.Sprintf("%.4g", b.trainLoss), fmt.Sprintf("%.4g", b.testLoss), fmt.Sprintf("%.1f", b.seconds)})
		}
		rows = append(rows, row)
	}
	return rows
}

// reportTable is the table with links to the runs' reports, and the best run marked.
func (s *sweep) reportTable() plots.Table {
	rows := s.table()
	t := plots.Table{Head: rows[0]}
	best := -1
	for i, r := range s.runs {
		row := plots.Row{Cells: rows[i+1]}
		if _, err := os.Stat(filepath.Join(r.dir, "report.html")); err == nil {
			row.Link = "./" + url.PathEscape(r.name) + "/report.html"
		}
		t.Rows = append(t.Rows, row)
		if b := sum(r.history()).best; finite(b) && (best < 0 || b > sum(s.runs[best].history()).best) {
			best = i
		}
	}
	if best >= 0 {
		t.Rows[best].Best = true
	}
	return t
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*share)
}

// compare writes the comparison of all runs into the sweep's folder. One at a
// time may do so.
func (s *sweep) compare() {
	var runs []plots.Run
	var metrics []string // of the program's own
	records := [][]string{slices.Concat([]string{"name"}, s.varied,
		[]string{"trained_epochs", "best_test_accuracy", "best_epoch", "train_loss", "test_loss", "seconds", "state"})}
	for _, r := range s.runs {
		history := r.history()
		run := plots.Run{Name: r.name, Epochs: trainer.PlotEpochs(history)}
		runs = append(runs, run)
		for _, name := range plots.MetricNames(run.Epochs) {
			if !slices.Contains(metrics, name) {
				metrics = append(metrics, name)
			}
		}
		record := []string{r.name}
		for _, flag := range s.varied {
			record = append(record, r.settings[flag])
		}
		b := sum(history)
		bestEpoch := ""
		if b.bestEpoch > 0 {
			bestEpoch = strconv.Itoa(b.bestEpoch)
		}
		records = append(records, append(record, strconv.Itoa(b.epochs), field(b.best), bestEpoch, field(b.trainLoss), field(b.testLoss), field(b.seconds), r.state))
	}
	figures := []struct {
		name   string
		figure *plots.Figure
	}{
		{"best", plots.CompareBest(runs)},
		{"test_accuracy", plots.CompareAccuracy(runs)},
		{"test_loss", plots.CompareLoss(runs)},
		{"train_accuracy", plots.CompareTrainAccuracy(runs)},
		{"train_loss", plots.CompareTrainLoss(runs)},
	}
	report := plots.Report{Title: filepath.Base(s.out), Table: s.reportTable()}
	var errs []error
	for _, f := range figures {
		report.Figures = append(report.Figures, f.figure)
		for _, ext := range []string{".png", ".svg"} {
			errs = append(errs, f.figure.Save(filepath.Join(s.out, f.name+ext)))
		}
	}
	for _, name := range metrics {
		report.Figures = append(report.Figures, plots.CompareMetric(runs, name))
	}
	errs = append(errs, report.Save(filepath.Join(s.out, "comparison.html")))
	errs = append(errs, atomicfile.Write(filepath.Join(s.out, "comparison.csv"), func(w io.Writer) error {
		return csv.NewWriter(w).WriteAll(records)
	}))
	// One of them says what is wrong with the folder.
	s.compared, s.drawing = true, nil
	for _, err := range errs {
		if err != nil {
			s.drawing = err
			break
		}
	}
}

// field writes a number so that reading gives the same one, NaN as nothing.
func field(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// sweepFile is a sweep's file, which is JSON:
//
//	{
//	  "settings": {"epochs": 10, "model": [32, "M", 64, "M"]},
//	  "grid":     {"lr": [0.0001, 0.001], "batch": [32, 64]},
//	  "runs":     [{"lr": 0.1, "epochs": 5}]
//	}
//
// The settings hold for all runs, each combination of the grid's values is a run,
// and so is each element of runs.
type sweepFile struct {
	path string
	text []byte
}

// setting is a flag's value in the file.
type setting struct {
	flag, value string
	at          int // offset in the file
}

func (v setting) arg() string { return "-" + v.flag + "=" + v.value }

// node is a part of the file and its offset in it.
type node struct {
	raw json.RawMessage
	at  int
}

// errorf returns an error that names the file and the place in it.
func (f sweepFile) errorf(at int, format string, args ...any) error {
	before := f.text[:min(max(at, 0), len(f.text))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
	return fmt.Errorf("%s, line %d, column %d: %w", f.path, line, column, fmt.Errorf(format, args...))
}

// readSweep reads the file -sweep and checks all that it says, every run's flags
// included.
func readSweep(opts options) (*sweep, error) {
	b, err := os.ReadFile(opts.sweep)
	if err != nil {
		return nil, fmt.Errorf("-sweep: %w", err)
	}
	f := sweepFile{opts.sweep, b}
	var whole json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		at := 0
		if syntax := new(json.SyntaxError); errors.As(err, &syntax) {
			at = int(syntax.Offset) - 1
		}
		return nil, f.errorf(at, "%w", err)
	}
	type candidate struct {
		own []setting
		at  int
	}
	var common []setting
	var runs []candidate
	s := &sweep{options: opts}
	vary := func(flag string) {
		if !slices.Contains(s.varied, flag) {
			s.varied = append(s.varied, flag)
		}
	}
	err = f.members(node{b, 0}, "the file", func(key string, keyAt int, v node) error {
		switch key {
		case "settings":
			var err error
			common, err = f.settings(v, key)
			return err
		case "grid":
			combinations := [][]setting{nil}
			err := f.members(v, "grid", func(flag string, at int, list node) error {
				if err := f.checkFlag(flag, at); err != nil {
					return err
				}
				vary(flag)
				var values []setting
				if err := f.elements(list, "the grid's "+flag, func(v node) error {
					value, err := f.value(flag, v)
					values = append(values, setting{flag, value, v.at})
					return err
				}); err != nil {
					return err
				}
				if len(values) == 0 {
					return f.errorf(list.at, "the grid's list for %s is empty", flag)
				}
				if len(combinations)*len(values) > mostRuns {
					return f.errorf(at, "the grid has more than %d combinations", mostRuns)
				}
				var more [][]setting
				for _, c := range combinations {
					for _, v := range values {
						more = append(more, append(c[:len(c):len(c)], v))
					}
				}
				combinations = more
				return nil
			})
			if err != nil {
				return err
			}
			if len(combinations[0]) == 0 {
				return f.errorf(v.at, `the grid is empty, want flags and their values such as "lr": [0.001, 0.01]`)
			}
			for _, c := range combinations {
				runs = append(runs, candidate{c, v.at})
			}
			return nil
		case "runs":
			return f.elements(v, "runs", func(v node) error {
				own, err := f.settings(v, "a run")
				for _, o := range own {
					vary(o.flag)
				}
				runs = append(runs, candidate{own, v.at})
				return err
			})
		}
		return f.errorf(keyAt, "unknown %q, want settings, grid or runs", key)
	})
	switch {
	case err != nil:
		return nil, err
	case len(runs) == 0:
		return nil, f.errorf(0, "it has no run, want a grid or runs")
	case len(runs) > mostRuns:
		return nil, f.errorf(0, "it has %d runs, want %d or fewer", len(runs), mostRuns)
	}

	same, names := map[string]string{}, map[string]bool{}
	for _, c := range runs {
		all := slices.Concat(common, c.own)
		r := &sweepRun{}
		for _, v := range all {
			r.args = append(r.args, v.arg()) // a later one is stronger
		}
		parsed, err := parseFlags(r.args, io.Discard, io.Discard)
		if err != nil {
			at := c.at
			for _, v := range all { // the one to blame, unless it takes several
				if _, alone := parseFlags([]string{v.arg()}, io.Discard, io.Discard); alone != nil && alone.Error() == err.Error() {
					at = v.at
				}
			}
			return nil, f.errorf(at, "%w", err)
		}
		r.settings = parsed.settings
		r.name = runName(c.own, r.settings)
		everything := fmt.Sprint(r.settings) // in the order of the names
		if first, ok := same[everything]; ok {
			return nil, f.errorf(c.at, "the run %q is there already, as %q", r.name, first)
		}
		same[everything] = r.name
		if fold := strings.ToLower(r.name); names[fold] {
			r.name += fmt.Sprintf("~%.4x", sha256.Sum256([]byte(everything)))
		}
		names[strings.ToLower(r.name)] = true
		s.runs = append(s.runs, r)
	}
	return s, nil
}

// runName makes a folder's name of what a run does not share with all others. It
// depends on nothing else, so that runs keep their names when the file grows.
func runName(own []setting, settings map[string]string) string {
	var parts []string
	for _, v := range own {
		value := strings.Map(func(r rune) rune {
			switch {
			case r == '"' || r == '[' || r == ']' || r == ' ':
				return -1 // a list without them reads as well
			case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-", r):
				return r
			}
			return '-'
		}, settings[v.flag])
		parts = append(parts, v.flag+"="+strings.Trim(value, "."))
	}
	name := strings.Join(parts, ",")
	switch {
	case name == "":
		return "settings" // and nothing else
	case len(name) > 80:
		return fmt.Sprintf("%s~%.4x", name[:70], sha256.Sum256([]byte(name)))
	}
	return name
}

// settings reads an object of flags and their values.
func (f sweepFile) settings(n node, what string) (all []setting, err error) {
	err = f.members(n, what, func(flag string, at int, v node) error {
		if err := f.checkFlag(flag, at); err != nil {
			return err
		}
		value, err := f.value(flag, v)
		all = append(all, setting{flag, value, v.at})
		return err
	})
	return all, err
}

// checkFlag says whether a flag may stand in the file; whether there is one of
// this name, the program's parser knows.
func (f sweepFile) checkFlag(flag string, at int) error {
	switch {
	case flag == "" || strings.HasPrefix(flag, "-") || strings.Contains(flag, "="):
		return f.errorf(at, `%q is no flag's name, want one without the dash such as "lr"`, flag)
	case slices.Contains(invocation, flag) || flag == "help" || flag == "h":
		return f.errorf(at, "-%s does not describe a run, so it has no place here", flag)
	}
	return nil
}

// value is what a flag gets on the command line. A model's list stays JSON, any
// other becomes numbers with commas between them.
func (f sweepFile) value(flag string, n node) (string, error) {
	switch n.raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(n.raw, &s)
		if err == nil && strings.Contains(s, "\x00") {
			err = f.errorf(n.at, "%s has a zero byte, which no command line can hold", flag)
		}
		return s, err
	case '[':
		if flag == "model" {
			var b bytes.Buffer
			err := json.Compact(&b, n.raw)
			return b.String(), err
		}
		var parts []string
		err := f.elements(n, flag, func(v node) error {
			if v.raw[0] == '[' {
				return f.errorf(v.at, "%s is a list in a list, want numbers", flag)
			}
			s, err := f.value(flag, v)
			parts = append(parts, s)
			return err
		})
		return strings.Join(parts, ","), err
	case '{', 'n':
		return "", f.errorf(n.at, "%s is %.40s, want a number, a string, true, false or a list", flag, n.raw)
	}
	return string(n.raw), nil
}

// members calls do for each member of an object, in their order.
func (f sweepFile) members(n node, what string, do func(key string, keyAt int, v node) error) error {
	d := json.NewDecoder(bytes.NewReader(n.raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return f.errorf(n.at, "%s is %.40s, want an object {…}", what, bytes.TrimSpace(n.raw))
	}
	seen := map[string]bool{}
	for d.More() {
		start := int(d.InputOffset())
		t, err := d.Token()
		if err != nil {
			return f.errorf(n.at, "%w", err)
		}
		key, _ := t.(string) // the syntax was checked
		keyAt := n.at + start + bytes.IndexByte(n.raw[start:], '"')
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return f.errorf(n.at, "%w", err)
		}
		if seen[key] {
			return f.errorf(keyAt, "%q is there twice in %s", key, what)
		}
		seen[key] = true
		if err := do(key, keyAt, node{raw, n.at + int(d.InputOffset()) - len(raw)}); err != nil {
			return err
		}
	}
	return nil
}

// elements calls do for each element of a list.
func (f sweepFile) elements(n node, what string, do func(v node) error) error {
	d := json.NewDecoder(bytes.NewReader(n.raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return f.errorf(n.at, "%s is %.40s, want a list […]", what, bytes.TrimSpace(n.raw))
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return f.errorf(n.at, "%w", err)
		}
		if err := do(node{raw, n.at + int(d.InputOffset()) - len(raw)}); err != nil {
			return err
		}
	}
	return nil
}
