package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"
)

// report is a run: what -json writes.
type report struct {
	Date     time.Time         `json:"date"`
	Machine  string            `json:"machine"`
	Device   string            `json:"device,omitempty"` // a GPU
	Load     string            `json:"load,omitempty"`   // the system's load averages when the run began
	Go       string            `json:"go"`
	Versions map[string]string `json:"versions"`
	Against  []string          `json:"against"`         // what Wick is compared with
	Notes    []string          `json:"notes,omitempty"` // on what takes part there
	Threads  int               `json:"threads"`
	Rounds   int               `json:"rounds"`
	Compile  bool              `json:"compile"`
	Peak     machinePeak       `json:"peak"`
	Rows     []result          `json:"rows"`
	Means    []mean            `json:"means,omitempty"`
}

// result is a row of the table. Times are seconds of one step.
type result struct {
	Name     string    `json:"name"`
	Error    string    `json:"error,omitempty"`
	Wick     []float64 `json:"wick,omitempty"`
	Other    []float64 `json:"other,omitempty"` // of the other side's best variant
	Variant  string    `json:"variant"`         // the best
	Tried    []string  `json:"tried,omitempty"`
	Dropped  []string  `json:"dropped,omitempty"` // compiled variants that took no part, and why
	Note     string    `json:"note,omitempty"`
	RelError float64   `json:"relative_error"` // of Wick's results against the other side's, the largest of all tensors
	Threads  int       `json:"threads"`

	Flops  float64 `json:"flops,omitempty"` // of a step
	Bytes  float64 `json:"bytes,omitempty"`
	Images float64 `json:"images,omitempty"`
	// Of an operation, where times are of one and not of a step that makes many.
	Allocations float64 `json:"allocations,omitempty"`

	mean       string
	otherBuild bool // the other side is one
}

// mean is a geometric mean of ratios.
type mean struct {
	Name  string  `json:"name"`
	Rows  int     `json:"rows"`
	Ratio float64 `json:"ratio"`
}

// ratio is the other side's time over Wick's.
func (r result) ratio() float64 { return median(r.Other) / median(r.Wick) }

// otherBuild is what the other side of -against is called.
const otherBuild = "other build"

// spread says how far the ratios of the two sides' turns, each with the one next to
// it, lie apart: the second smallest and the second largest of five or more.
func (r result) spread() string {
	ratios := make([]float64, len(r.Wick))
	for i, t := range r.Wick {
		ratios[i] = r.Other[i] / t
	}
	slices.Sort(ratios)
	if len(ratios) > 4 {
		ratios = ratios[1 : len(ratios)-1]
	}
	return fmt.Sprintf("%.2f to %.2f", ratios[0], ratios[len(ratios)-1])
}

// rate is what Wick does in a second, with its unit.
func (r result) rate() string {
	t := median(r.Wick)
	switch {
	case r.Allocations > 0:
		return fmt.Sprintf("%.1f allocations", r.Allocations)
	case r.Images > 0:
		return three(r.Images/t) + " images/s"
	case r.Flops > 0:
		return fmt.Sprintf("%.0f GFLOP/s", r.Flops/t/1e9)
	case r.Bytes > 0:
		return fmt.Sprintf("%.1f GB/s", r.Bytes/t/1e9)
	}
	return ""
}

// three writes a number with three digits, and zeros behind them.
func three(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	return fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
}

// ofPeak is the part of the machine's peak that Wick reaches.
func (r result) ofPeak(p machinePeak, threads int) string {
	t := median(r.Wick)
	if strings.Contains(r.Name, "bf16") && p.Half > 0 {
		p.GFlops = p.Half
	}
	switch {
	case r.Threads != threads: // the peak is that of all threads
	case r.Flops > 0 && p.GFlops > 0:
		return fmt.Sprintf("%.0f %%", 100*r.Flops/t/1e9/p.GFlops)
	case r.Bytes > 0 && p.GBytes > 0:
		return fmt.Sprintf("%.0f %%", 100*r.Bytes/t/1e9/p.GBytes)
	}
	return ""
}

// columns returns the table's heads.
func (r *report) columns() []string {
	other := "the other"
	if len(r.Against) == 1 {
		other = r.Against[0]
	}
	last := other + "'s best"
	if other == otherBuild {
		last = "from turn to turn"
	}
	return []string{"", "Wick", other, other + "/Wick", "Wick's rate", "of peak", last}
}

func (r result) cells(p machinePeak, threads int) []string {
	if r.Error != "" {
		return []string{r.Name, "failed: " + r.Error}
	}
	last := r.Variant
	if r.otherBuild {
		last = r.spread()
	}
	return []string{r.Name, duration(median(r.Wick)), duration(median(r.Other)), fmt.Sprintf("%.2f", r.ratio()),
		r.rate(), r.ofPeak(p, threads), last}
}

// duration writes seconds with three digits.
func duration(s float64) string {
	unit := "s"
	switch {
	case s < 1e-6:
		s, unit = s*1e9, "ns"
	case s < 1e-3:
		s, unit = s*1e6, "µs"
	case s < 1:
		s, unit = s*1e3, "ms"
	}
	switch {
	case s < 10:
		return fmt.Sprintf("%.2f %s", s, unit)
	case s < 100:
		return fmt.Sprintf("%.1f %s", s, unit)
	}
	return fmt.Sprintf("%.0f %s", s, unit)
}

// line writes cells as a line of the table on the terminal.
func line(cells []string) string {
	if len(cells) < 3 {
		return fmt.Sprintf("%-32s %s", cells[0], strings.Join(cells[1:], " "))
	}
	s := fmt.Sprintf("%-32s %10s %10s %14s %16s %8s  %s", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6])
	return strings.TrimRight(s, " ")
}

// geometricMeans returns the means over two rows or more that share one. Those of "conv/forward"
// share "conv/forward" and "conv".
func geometricMeans(rows []result) []mean {
	var means []mean
	for _, r := range rows {
		if r.mean == "" || r.Error != "" {
			continue
		}
		names := []string{r.mean}
		if group, _, deeper := strings.Cut(r.mean, "/"); deeper {
			names = append(names, group)
		}
		for _, name := range names {
			i := slices.IndexFunc(means, func(m mean) bool { return m.Name == name })
			if i < 0 {
				i = len(means)
				means = append(means, mean{Name: name})
			}
			means[i].Rows++
			means[i].Ratio += math.Log(r.ratio())
		}
	}
	means = slices.DeleteFunc(means, func(m mean) bool { return m.Rows == 1 })
	for i := range means {
		means[i].Ratio = math.Exp(means[i].Ratio / float64(means[i].Rows))
	}
	slices.SortStableFunc(means, func(a, b mean) int { return cmp.Compare(a.Name, b.Name) })
	return means
}

// head says what was compared, where.
func (r *report) head() []string {
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	where := r.Machine
	if r.Device != "" {
		where = r.Device + " of " + where
	}
	lines := []string{
		where,
		fmt.Sprintf("%s; %s; %d threads each; medians of %d turns; %s",
			r.Go, strings.Join(versions, ", "), r.Threads, r.Rounds, r.Date.Format("2006-01-02 15:04 MST")),
	}
	if r.Load != "" {
		lines = append(lines, "load averages at the start: "+r.Load)
	}
	return lines
}

// foot explains the table.
func (r *report) foot() []string {
	ratio := r.columns()[3]
	if r.Device != "" {
		return append(r.gpuFoot(ratio), r.notes()...)
	}
	precision := "All is in float32."
	if slices.ContainsFunc(r.Rows, func(row result) bool { return strings.Contains(row.Name, "-bf16/") }) {
		precision = "All is in float32 but rows with bf16 in their name, where both sides compute in bfloat16 what gains by it (autocast)."
	}
	lines := []string{ratio + " is the other side's time over Wick's: above 1, Wick is faster. " + precision}
	peak := fmt.Sprintf("Peak, the best of a measurement before the first row and one after each: a copy in memory moves %.1f GB/s (read and written)", r.Peak.GBytes)
	if r.Peak.GFlops > 0 {
		peak += fmt.Sprintf(", float32 multiply-adds in registers make %.0f GFLOP/s", r.Peak.GFlops)
	} else {
		peak += "; that of multiply-adds is not measured on this kind of machine"
	}
	peak += ". The part of it is that of operations where a row has some to count, as the plain algorithm does them, so that Winograd's may exceed 100 %; otherwise that of bytes, each tensor read and written once, so that what stays in the caches may. It is the peak of all threads, so that rows on one have no part of it."
	lines = append(append(lines, peak), r.scaling()...)
	return append(lines, r.notes()...)
}

// gpuFoot explains the table of a GPU.
func (r *report) gpuFoot(ratio string) []string {
	return []string{
		ratio + " is PyTorch's time over Wick's: above 1, Wick is faster. Both wait for the GPU only at the end of a turn of many steps, not for each loss. Products of float32 numbers take TF32 on both sides; in rows with bf16 in their name both compute in bfloat16 what gains by it (autocast). Both measure the algorithms of convolutions and take the fastest (cudnn.benchmark), but for rows that end in heuristic. Rows that end in captured are whole steps as CUDA graphs: Wick's by Capture, PyTorch's by torch.cuda.graph and torch.compile. Rows of host are the program's own time for a step, without waiting for the GPU: an addition of two small tensors, a training step, one that is replayed.",
		fmt.Sprintf("Peak, as PyTorch reaches it: a copy in memory moves %.0f GB/s (read and written), a product of large matrices makes %.0f GFLOP/s with TF32 and %.0f in bfloat16. The part of it is that of operations where a row has some to count, as the plain algorithm does them; otherwise that of bytes, each tensor read and written once. Tensors of rows that count bytes are four times as large as on the CPU, so that the GPU's cache does not hold them.", r.Peak.GBytes, r.Peak.GFlops, r.Peak.Half),
	}
}

// notes are what is to be said of the other side, and of rows.
func (r *report) notes() (lines []string) {
	for _, row := range r.Rows {
		if row.Note != "" {
			lines = append(lines, row.Name+": "+row.Note)
		}
	}
	lines = append(lines, r.Notes...)
	if !slices.Contains(r.Against, "PyTorch") {
		return lines
	}
	compiled, best := 0, 0
	var dropped []string
	for _, row := range r.Rows {
		if slices.ContainsFunc(row.Tried, isCompiled) {
			compiled++
		}
		if isCompiled(row.Variant) {
			best++
		}
		for _, d := range row.Dropped {
			dropped = append(dropped, row.Name+": "+d)
		}
	}
	tried := "PyTorch took part with its best of contiguous and channels_last tensors where a row has images, and with all forms of its optimizers"
	if r.Compile {
		tried += fmt.Sprintf("; torch.compile was tried too, ran in %d rows and was the best in %d", compiled, best)
	} else {
		tried += "; torch.compile was not tried (-compile does)"
	}
	return append(append(lines, tried+"."), dropped...)
}

// oneThread ends the names of rows that run on one thread; the rows without it run
// the same on all.
const oneThread = "/one-thread"

// scaling says how much all threads gain over one, in the rows that ran with both.
func (r *report) scaling() (lines []string) {
	for _, all := range r.Rows {
		i := slices.IndexFunc(r.Rows, func(one result) bool { return one.Name == all.Name+oneThread })
		if i < 0 || all.Error != "" || r.Rows[i].Error != "" || all.Threads == 1 {
			continue
		}
		one := r.Rows[i]
		gain := func(one, all []float64) string {
			g := median(one) / median(all)
			return fmt.Sprintf("%.2f times (%.0f %%)", g, 100*g/float64(r.Threads))
		}
		lines = append(lines, fmt.Sprintf("From 1 to %d threads %s gains %s with Wick, %s with %s.",
			r.Threads, all.Name, gain(one.Wick, all.Wick), gain(one.Other, all.Other), strings.Join(r.Against, ", ")))
	}
	return lines
}

func isCompiled(variant string) bool { return strings.Contains(variant, "compiled") }

// markdown writes the report as for a page of docs.
func (r *report) markdown(w io.Writer) error {
	var b strings.Builder
	columns := r.columns()
	fmt.Fprintf(&b, "%s\n\n", strings.Join(r.head(), "; "))
	fmt.Fprintf(&b, "| %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)-2)+"---|")
	for _, row := range r.Rows {
		cells := row.cells(r.Peak, r.Threads)
		for len(cells) < len(columns) {
			cells = append(cells, "")
		}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	for _, m := range r.Means {
		fmt.Fprintf(&b, "| geometric mean of %d: %s | | | %.2f | | | |\n", m.Rows, m.Name, m.Ratio)
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(r.foot(), "\n\n"))
	_, err := io.WriteString(w, b.String())
	return err
}

// median returns the middle of v, or of an even number the mean of the two in the
// middle; NaN of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// machine describes the processor: its name where the system tells, the cores
// that the program may use, and what it can do of what matters here.
func machine() string {
	name := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if model, ok := strings.CutPrefix(line, "model name"); ok {
				name = strings.TrimSpace(strings.TrimLeft(model, "\t :"))
				break
			}
		}
	}
	var can []string
	for _, a := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"AVX-512", cpu.X86.HasAVX512F}, {"AVX-512 VNNI", cpu.X86.HasAVX512VNNI},
		{"AVX-512 BF16", cpu.X86.HasAVX512BF16}, {"AMX", cpu.X86.HasAMXTile}, {"AMX BF16", cpu.X86.HasAMXBF16},
		{"NEON", cpu.ARM64.HasASIMD}, {"SVE", cpu.ARM64.HasSVE},
	} {
		if a.has {
			can = append(can, a.name)
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", name, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, strings.Join(can, " "))
}

// load returns the load averages where the system tells.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); err == nil && len(f) >= 3 {
		return strings.Join(f[:3], " ")
	}
	return ""
}
