package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wick-ml/wick/internal/cuda"
	"github.com/wick-ml/wick/tensor"
)

// What a line says of its subject; none is of something that nobody needs here.
const (
	fine    = "ok"
	missing = "missing"
	wrong   = "wrong"
	none    = "-"
)

// line is one thing that was looked at. Advice is a sentence that says what to do.
type line struct{ Name, Status, Text, Advice string }

// bad reports whether it is a problem.
func (l line) bad() bool { return l.Status == missing || l.Status == wrong }

// doctor looks at the machine and writes what it finds. It returns whether all that should work does.
func doctor(w io.Writer) (ok bool) {
	report := cuda.Describe()
	p := &printer{w: w}
	p.heading(program(report))
	p.line(cpu("/"))
	p.line(compare(tensor.CPU, tensor.Float32))
	trains := "the CPU"
	if s := see("/"); report == nil {
		p.line(unused(s))
	} else {
		expected := report.Driver.Missing == "" || s.what != ""
		p.line(driver(report, s)...)
		for _, l := range libraries(report) {
			if !expected { // nothing would use them
				l.Status, l.Advice = none, ""
			}
			p.line(l)
		}
		var usable []string
		for i, g := range report.GPUs {
			p.line(describe(i, g))
			if g.Fault != nil || report.Driver.Version < oldest || report.DNN.Missing != "" || report.BLAS.Missing != "" {
				continue
			}
			lines := try(i, g)
			p.line(lines...)
			if !slices.ContainsFunc(lines, line.bad) {
				usable = append(usable, fmt.Sprintf("cuda:%d", i))
			}
		}
		if usable != nil {
			trains = strings.Join(usable, ", ")
		}
	}
	p.summary(trains)
	return p.problems == 0
}

// program says what was built, and how.
func program(r *cuda.Report) string {
	version, cgo := "(unknown version)", "off"
	tag := false
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(b.Deps, &b.Main) {
			if m.Path == "github.com/wick-ml/wick" && m.Version != "" {
				version = m.Version
			}
		}
		for _, s := range b.Settings {
			tag = tag || s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), "cuda")
			if s.Key == "CGO_ENABLED" && s.Value == "1" {
				cgo = "on"
			}
		}
	}
	with := "built without the tag cuda, cgo " + cgo
	if r != nil {
		with = fmt.Sprintf("built with the tag cuda and cgo, by the headers of CUDA %s and cuDNN %s", cudaVersion(r.HeaderCUDA), dnnVersion(r.HeaderDNN))
	} else if tag {
		with = "built with the tag cuda, which does nothing on " + runtime.GOOS
	}
	return fmt.Sprintf("Wick %s, %s %s/%s, %s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, with)
}

// cpu tells the processor, the memory and which kernels run.
func cpu(root string) line {
	var parts []string
	field := func(file, name string) string {
		b, _ := os.ReadFile(filepath.Join(root, "proc", file)) // only Linux has it
		if m := regexp.MustCompile(`(?m)^` + name + `\s*:\s*(.+)$`).FindSubmatch(b); m != nil {
			return string(m[1])
		}
		return ""
	}
	if name := field("cpuinfo", "model name"); name != "" {
		parts = append(parts, name)
	}
	cores := fmt.Sprintf("%d cores", runtime.NumCPU())
	if n := runtime.GOMAXPROCS(0); n != runtime.NumCPU() {
		cores = fmt.Sprintf("%d of %d cores", n, runtime.NumCPU())
	}
	parts = append(parts, cores)
	kib := func(name string) int64 {
		n, _ := strconv.ParseInt(strings.TrimSuffix(field("meminfo", name), " kB"), 10, 64)
		return n * 1024
	}
	if total := kib("MemTotal"); total > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s GiB of memory free", gib(kib("MemAvailable")), gib(total)))
	}
	return line{"CPU", fine, strings.Join(append(parts, "kernels "+tensor.CPUCapability()), ", "), ""}
}

// sight is what there is to be seen of an NVIDIA GPU without asking its driver.
type sight struct {
	what    string // "" if there is none
	release string // of the driver's module
	module  bool   // it is loaded
	wsl     bool
}

// see looks for a GPU below a folder that has dev, proc and sys.
func see(root string) (s sight) {
	there := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	}
	if b, err := os.ReadFile(filepath.Join(root, "proc/driver/nvidia/version")); err == nil {
		s.module = true
		s.what = "the driver's module is loaded"
		if m := regexp.MustCompile(`Module.*?\s(\d+\.\d+(\.\d+)?)\s`).FindSubmatch(b); m != nil {
			s.release = string(m[1])
			s.what += ", release " + s.release
		}
		return s
	}
	if there("dev/nvidia0") {
		s.module = true
		s.what = "/dev/nvidia0 is there"
		return s
	}
	if there("dev/dxg") && there("usr/lib/wsl/lib/libcuda.so.1") {
		s.wsl = true
		s.what = "Windows lends its GPU"
		return s
	}
	devices, _ := filepath.Glob(filepath.Join(root, "sys/bus/pci/devices/*")) // the pattern is well formed
	for _, d := range devices {
		vendor, _ := os.ReadFile(filepath.Join(d, "vendor")) // a device that goes away is none
		class, _ := os.ReadFile(filepath.Join(d, "class"))
		if bytes.HasPrefix(vendor, []byte("0x10de")) && bytes.HasPrefix(class, []byte("0x03")) {
			s.what = "one is at PCI address " + filepath.Base(d)
			return s
		}
	}
	return s
}

// unused is what a program without CUDA says of a GPU.
func unused(s sight) line {
	if s.what == "" {
		return line{"GPU", none, "no NVIDIA GPU is to be seen", ""}
	}
	return line{"GPU", none, "there is an NVIDIA GPU (" + s.what + "), and this program was built without the tag cuda, which it needs to use it",
		"Build with it, once cudaenv finds the headers:\n" + `eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)"` + "\ngo run -mod=mod -tags cuda github.com/wick-ml/wick/cmd/wick doctor"}
}

// oldest is the first CUDA whose drivers take Wick's kernels.
const oldest = 12000

// driver says whether the driver is there and finds a GPU.
func driver(r *cuda.Report, s sight) []line {
	l := line{Name: "driver", Status: fine}
	if r.Driver.Missing != "" {
		l.Status, l.Text = missing, r.Driver.Missing
		switch {
		case s.module:
			l.Advice = "The driver is loaded (" + s.what + ") and its library is not here: start a container with --gpus all, or install the library of the same release, for example apt install libnvidia-compute-580."
		case s.wsl:
			l.Advice = "Windows has the driver: let LD_LIBRARY_PATH name /usr/lib/wsl/lib."
		case s.what != "":
			l.Advice = "There is an NVIDIA GPU (" + s.what + "): install its driver, for example apt install cuda-drivers from NVIDIA's repository, and start the machine again."
		default:
			l.Status = none
			l.Text = "no NVIDIA GPU is to be seen, nor a driver (" + l.Text + ")"
		}
		return []line{l}
	}
	l.Text = "for CUDA " + cudaVersion(r.Driver.Version)
	if s.release != "" {
		l.Text += ", release " + s.release
	}
	l.Text += ", " + r.Driver.Path
	if r.Driver.Version < oldest {
		l.Status = wrong
		l.Advice = fmt.Sprintf("Wick needs a driver for CUDA %s or later, which is release 525 or later: apt install cuda-drivers from NVIDIA's repository, and start the machine again.", cudaVersion(oldest))
	}
	lines := []line{l}
	if r.Fault != nil {
		g := line{Name: "GPU", Status: missing, Text: "the driver finds none: " + r.Fault.Error()}
		switch hidden, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); {
		case r.Code == 100 && set:
			g.Advice = fmt.Sprintf("CUDA_VISIBLE_DEVICES is %q, which may hide it: unset it and try again.", hidden)
		case r.Code == 100:
			g.Advice = "See whether nvidia-smi lists one; a container has to be started with --gpus all."
		case r.Code == 803 || r.Code == 804:
			g.Advice = "The driver's library and its module are of different releases: start the machine again, or take cuda-compat out of LD_LIBRARY_PATH."
		default:
			g.Advice = "See what nvidia-smi says and what dmesg says of NVRM; starting the machine again often helps."
		}
		lines = append(lines, g)
	}
	return lines
}

// libraries says whether cuDNN and cuBLAS are there, and fit the driver, each other
// and the headers that the program was built with.
func libraries(r *cuda.Report) []line {
	built := dnnMajor(r.HeaderDNN)
	major := 13 // of the CUDA to install: what the driver takes and the other library is for
	if v := r.Driver.Version; v != 0 && v < 13000 || built == 8 || r.DNN.CUDA/1000 == 12 || r.DNN.Missing != "" && r.BLAS.CUDA/1000 == 12 {
		major = 12
	}
	dnnApt, dnnWheel := fmt.Sprintf("cudnn9-cuda-%d", major), fmt.Sprintf("nvidia-cudnn-cu%d", major)
	if built == 8 {
		dnnApt, dnnWheel = "libcudnn8", "'nvidia-cudnn-cu12<9'"
	}
	blasApt, blasWheel := "libcublas-13-0", "nvidia-cublas"
	if major == 12 {
		blasApt, blasWheel = "libcublas-12-9", "nvidia-cublas-cu12"
	}
	install := func(what, apt, wheel string) string {
		return fmt.Sprintf("Install %s for CUDA %d: apt install %s (NVIDIA's repository), or pip install %s and build again with what cudaenv prints.", what, major, apt, wheel)
	}
	installDNN := install(fmt.Sprintf("cuDNN %d", built), dnnApt, dnnWheel)
	installBLAS := install("cuBLAS", blasApt, blasWheel)
	const elsewhere = " If it is there, let LD_LIBRARY_PATH name its folder."

	dnn := line{"cuDNN", fine, fmt.Sprintf("%s for CUDA %s, %s", dnnVersion(r.DNN.Version), cudaVersion(r.DNN.CUDA), r.DNN.Path), ""}
	if r.DNN.Missing != "" {
		dnn.Status, dnn.Text, dnn.Advice = missing, r.DNN.Missing, installDNN+elsewhere
	} else if got := dnnMajor(r.DNN.Version); got != built {
		dnn.Status = wrong
		dnn.Advice = fmt.Sprintf("This program was built by the headers of cuDNN %d, and this is cuDNN %d: build it again by headers of cuDNN %d, or let LD_LIBRARY_PATH name the folder of cuDNN %d.", built, got, got, built)
	} else if tooNew(r, r.DNN) {
		dnn.Status, dnn.Advice = wrong, driverFor(r.DNN.CUDA)+", or: "+lower(installDNN)
	}
	blas := line{"cuBLAS", fine, fmt.Sprintf("%d.%d.%d, %s", r.BLAS.Version/10000, r.BLAS.Version/100%100, r.BLAS.Version%100, r.BLAS.Path), ""}
	if r.BLAS.Missing != "" {
		blas.Status, blas.Text, blas.Advice = missing, r.BLAS.Missing, installBLAS+elsewhere
	} else if tooNew(r, r.BLAS) {
		blas.Status, blas.Advice = wrong, driverFor(r.BLAS.CUDA)+", or: "+lower(installBLAS)
	} else if dnn.Status == fine && r.DNN.CUDA/1000 != r.BLAS.CUDA/1000 {
		blas.Status = wrong
		blas.Advice = fmt.Sprintf("cuDNN is for CUDA %d and this is the cuBLAS of CUDA %d: %s", r.DNN.CUDA/1000, r.BLAS.CUDA/1000, lower(installBLAS))
	}
	return []line{dnn, blas}
}

// tooNew reports whether a library is for a CUDA whose major version the driver is
// older than. A driver that is too old for Wick has said so already.
func tooNew(r *cuda.Report, l cuda.Library) bool {
	return r.Driver.Version >= oldest && l.CUDA/1000 > r.Driver.Version/1000
}

// driverFor says which driver a library needs.
func driverFor(version int) string {
	s := fmt.Sprintf("This needs a driver for CUDA %d or later", version/1000)
	if version/1000 == 13 {
		s += " (release 580)"
	}
	return s + ": install one"
}

// lower makes a sentence the continuation of another.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// describe tells what a GPU is.
func describe(i int, g cuda.GPU) line {
	l := line{Name: fmt.Sprintf("GPU %d", i), Status: fine, Text: fmt.Sprintf("%s, compute capability %d.%d, %s of %s GiB free", g.Name, g.Capability[0], g.Capability[1], gib(g.Free), gib(g.Total))}
	switch {
	case g.Fault != nil:
		l.Status = wrong
		l.Text = g.Fault.Error()
		l.Advice = "See what nvidia-smi says of this GPU: another program may hold it exclusively or all its memory, or it may need a reset."
	case g.Capability[0] < 7:
		l.Status = wrong
		l.Advice = "Wick's kernels need compute capability 7.0 (Volta) or later: train on the CPU of this machine, or on another GPU."
	}
	return l
}

// try computes on a GPU, in a process of its own: libraries that do not fit may end
// theirs, or never return.
func try(i int, g cuda.GPU) []line {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return []line{{"  opening", wrong, err.Error(), ""}}
	}
	args := []string{"check", fmt.Sprintf("--device=%d", i)}
	if g.Capability[0] < 8 {
		args = append(args, "--narrow")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	err = cmd.Run()
	var lines []line
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &lines)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		words, _, _ := strings.Cut(diagnostics.String(), "\nPC=") // where Go says at length where it was
		said := strings.Fields(words)
		text := "computing on it ended with " + err.Error()
		if len(said) > 0 {
			text += ": " + strings.Join(said[:min(len(said), 60)], " ")
		}
		return []line{{"  opening", wrong, text, "A library that does not fit the others does this: cuDNN's and cuBLAS's files have to be of one installation, and nothing older may be named by LD_LIBRARY_PATH."}}
	}
	return lines
}

// cudaVersion writes 12040 as 12.4.
func cudaVersion(v int) string {
	if v == 0 {
		return "of unknown version"
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
}

// dnnMajor is the first part of cuDNN's version, whose number has another place from 9 on.
func dnnMajor(v int) int {
	if v >= 90000 {
		return v / 10000
	}
	return v / 1000
}

// dnnVersion writes 8907 as 8.9.7, and 90100 as 9.1.0.
func dnnVersion(v int) string {
	if v >= 90000 {
		return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
	}
	return fmt.Sprintf("%d.%d.%d", v/1000, v/100%10, v%100)
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<30)) }

// printer writes lines for a terminal of 80 columns.
type printer struct {
	w        io.Writer
	problems int
}

// The columns of a line: its name, its status, and its text from here on.
const (
	nameWidth = 12
	textFrom  = nameWidth + 9
	width     = 80
)

func (p *printer) heading(s string) { fmt.Fprintf(p.w, "%s\n\n", wrap(s, 0)) }

func (p *printer) line(lines ...line) {
	for _, l := range lines {
		fmt.Fprintf(p.w, "%-*s%-*s%s\n", nameWidth, l.Name, textFrom-nameWidth, l.Status, wrap(l.Text, textFrom))
		if l.bad() {
			p.problems++
		}
		if l.Advice != "" {
			// What follows the sentence are commands, which are not broken.
			sentence, commands, _ := strings.Cut(l.Advice, "\n")
			fmt.Fprintf(p.w, "%*s→ %s\n", textFrom-2, "", wrap(sentence, textFrom))
			if commands != "" {
				fmt.Fprintf(p.w, "\n    %s\n\n", strings.ReplaceAll(commands, "\n", "\n    "))
			}
		}
	}
}

func (p *printer) summary(trains string) {
	s := "All is well"
	if p.problems == 1 {
		s = "There is 1 problem"
	} else if p.problems > 1 {
		s = fmt.Sprintf("There are %d problems", p.problems)
	}
	fmt.Fprintf(p.w, "\n%s; this program trains on %s.\n", s, trains)
}

// wrap breaks a text into lines behind a margin, whose first line begins there already.
func wrap(s string, margin int) string {
	var b strings.Builder
	at := margin
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		if i > 0 && at+1+n > width {
			b.WriteString("\n" + strings.Repeat(" ", margin))
			at = margin
		} else if i > 0 {
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
