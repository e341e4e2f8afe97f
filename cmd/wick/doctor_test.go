package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wick-ml/wick/internal/cuda"
)

// The tests start their own program as wick.
func TestMain(m *testing.M) {
	if os.Getenv("WICK_TEST_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// wick runs the program with more in its environment, and returns what it wrote with
// everything that differs between machines replaced.
func wick(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "WICK_TEST_PROGRAM=1"), env...)
	b, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if n := utf8.RuneCountInString(l); n > width && strings.ContainsRune(strings.TrimSpace(l), ' ') && !strings.HasPrefix(l, "    eval") {
			t.Errorf("%d columns, want at most %d: %s", n, width, l)
		}
	}
	return string(b), code
}

// flat is an output without its line breaks, errors and times.
func flat(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = regexp.MustCompile(`\d\.\de-\d\d`).ReplaceAllString(s, "E")
	return regexp.MustCompile(`\d+(\.\d)? (ms|s)\b`).ReplaceAllString(s, "T")
}

func TestLibraries(t *testing.T) {
	library := func(version, of int) cuda.Library { return cuda.Library{Path: "/lib", Version: version, CUDA: of} }
	absent := cuda.Library{Missing: "no such file"}
	for _, c := range []struct {
		name      string
		header    int
		driver    int
		dnn, blas cuda.Library
		want      [2]string // status and a part of the advice
	}{
		{"all of CUDA 13", 92700, 13000, library(92801, 13000), library(130100, 13010), [2]string{fine, fine}},
		{"all of CUDA 12 on a later driver", 92700, 13000, library(91002, 12090), library(120901, 12090), [2]string{fine, fine}},
		{"cuDNN 8.9", 8907, 12040, library(8907, 12020), library(120205, 12020), [2]string{fine, fine}},
		{"nothing", 92700, 13000, absent, absent, [2]string{
			missing + " Install cuDNN 9 for CUDA 13: apt install cudnn9-cuda-13 (NVIDIA's repository), or pip install nvidia-cudnn-cu13 and",
			missing + " Install cuBLAS for CUDA 13: apt install libcublas-13-0 (NVIDIA's repository), or pip install nvidia-cublas and"}},
		{"nothing on a driver for CUDA 12", 92700, 12080, absent, absent, [2]string{
			missing + " Install cuDNN 9 for CUDA 12: apt install cudnn9-cuda-12 (NVIDIA's repository), or pip install nvidia-cudnn-cu12 and",
			missing + " Install cuBLAS for CUDA 12: apt install libcublas-12-9 (NVIDIA's repository), or pip install nvidia-cublas-cu12 and"}},
		{"no cuDNN beside cuBLAS 12", 92700, 13000, absent, library(120901, 12090), [2]string{missing + " Install cuDNN 9 for CUDA 12", fine}},
		{"no cuDNN for headers of cuDNN 8", 8907, 13000, absent, library(120901, 12090), [2]string{missing + " Install cuDNN 8 for CUDA 12: apt install libcudnn8 (NVIDIA's repository), or pip install 'nvidia-cudnn-cu12<9'", fine}},
		{"another cuDNN than the headers'", 92700, 13000, library(8907, 12020), library(120205, 12020), [2]string{
			wrong + " This program was built by the headers of cuDNN 9, and this is cuDNN 8: build it again by headers of cuDNN 8, or let LD_LIBRARY_PATH name the folder of cuDNN 9.", fine}},
		{"the driver is older than both", 92700, 12080, library(92801, 13000), library(130100, 13010), [2]string{
			wrong + " This needs a driver for CUDA 13 or later (release 580): install one, or: install cuDNN 9 for CUDA 12: apt",
			wrong + " This needs a driver for CUDA 13 or later (release 580): install one, or: install cuBLAS for CUDA 12: apt"}},
		{"the driver is older than cuDNN", 92700, 12080, library(92801, 13000), library(120901, 12090), [2]string{wrong + " This needs a driver for CUDA 13", fine}},
		{"cuBLAS 12 beside cuDNN for 13", 92700, 13000, library(92801, 13000), library(120901, 12090), [2]string{
			fine, wrong + " cuDNN is for CUDA 13 and this is the cuBLAS of CUDA 12: install cuBLAS for CUDA 13: apt install libcublas-13-0"}},
		{"cuBLAS 13 beside cuDNN for 12", 92700, 13000, library(92801, 12090), library(130100, 13010), [2]string{
			fine, wrong + " cuDNN is for CUDA 12 and this is the cuBLAS of CUDA 13: install cuBLAS for CUDA 12: apt install libcublas-12-9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &cuda.Report{HeaderCUDA: 13000, HeaderDNN: c.header, Driver: library(c.driver, c.driver), DNN: c.dnn, BLAS: c.blas}
			for i, l := range libraries(r) {
				got := strings.TrimSpace(l.Status + " " + l.Advice)
				if got != c.want[i] && (l.Advice == "" || !strings.HasPrefix(got, c.want[i])) {
					t.Errorf("%s: got %q, want %q", l.Name, got, c.want[i])
				}
			}
		})
	}
}

func TestDriver(t *testing.T) {
	library := cuda.Library{Path: "/lib/libcuda.so.1", Version: 13000, CUDA: 13000}
	absent := cuda.Library{Missing: "no such file"}
	for _, c := range []struct {
		name   string
		report cuda.Report
		sight  sight
		hidden string
		want   []string // status, a part of the text and a part of the advice
	}{
		{"fine", cuda.Report{Driver: library}, sight{what: "…", release: "580.159", module: true}, "", []string{fine, "for CUDA 13.0, release 580.159, /lib/libcuda.so.1", ""}},
		{"too old", cuda.Report{Driver: cuda.Library{Version: 11080}}, sight{}, "", []string{wrong, "for CUDA 11.8", "Wick needs a driver for CUDA 12.0 or later, which is release 525 or later"}},
		{"no GPU", cuda.Report{Driver: absent}, sight{}, "", []string{none, "no NVIDIA GPU is to be seen, nor a driver (no such file)", ""}},
		{"a container", cuda.Report{Driver: absent}, sight{what: "/dev/nvidia0 is there", module: true}, "", []string{missing, "no such file", "start a container with --gpus all"}},
		{"a GPU without a driver", cuda.Report{Driver: absent}, sight{what: "one is at PCI address 0000:01:00.0"}, "", []string{missing, "no such file", "There is an NVIDIA GPU (one is at PCI address 0000:01:00.0): install its driver, for example apt install cuda-drivers"}},
		{"Windows", cuda.Report{Driver: absent}, sight{what: "Windows lends its GPU", wsl: true}, "", []string{missing, "no such file", "let LD_LIBRARY_PATH name /usr/lib/wsl/lib"}},
		{"hidden", cuda.Report{Driver: library, Fault: errors.New("CUDA_ERROR_NO_DEVICE"), Code: 100}, sight{}, "-1", []string{missing, "the driver finds none: CUDA_ERROR_NO_DEVICE", `CUDA_VISIBLE_DEVICES is "-1", which may hide it`}},
		{"two releases", cuda.Report{Driver: library, Fault: errors.New("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"), Code: 803}, sight{}, "", []string{missing, "MISMATCH", "start the machine again"}},
		{"unknown", cuda.Report{Driver: library, Fault: errors.New("CUDA_ERROR_UNKNOWN"), Code: 999}, sight{}, "", []string{missing, "UNKNOWN", "what dmesg says of NVRM"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.hidden != "" {
				t.Setenv("CUDA_VISIBLE_DEVICES", c.hidden)
			}
			lines := driver(&c.report, c.sight)
			l := lines[len(lines)-1]
			if l.Status != c.want[0] || !strings.Contains(l.Text, c.want[1]) || !strings.Contains(l.Advice, c.want[2]) || (l.Advice == "") != (c.want[2] == "") {
				t.Errorf("got %+v, want %q", l, c.want)
			}
		})
	}
}

func TestSee(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  sight
	}{
		{"nothing", nil, sight{}},
		{"another vendor", map[string]string{"sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n", "sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n"}, sight{}},
		{"sound of an NVIDIA card", map[string]string{"sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n", "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n"}, sight{}},
		{"no driver", map[string]string{"sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n", "sys/bus/pci/devices/0000:01:00.0/class": "0x030200\n"}, sight{what: "one is at PCI address 0000:01:00.0"}},
		{"a container", map[string]string{"dev/nvidia0": ""}, sight{what: "/dev/nvidia0 is there", module: true}},
		{"a driver", map[string]string{"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.06  Wed Jun 26 06:46:07 UTC 2024\nGCC version: …\n"},
			sight{what: "the driver's module is loaded, release 535.183.06", release: "535.183.06", module: true}},
		{"an open driver", map[string]string{"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159  Release Build\n", "dev/nvidia0": ""},
			sight{what: "the driver's module is loaded, release 580.159", release: "580.159", module: true}},
		{"Windows", map[string]string{"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""}, sight{what: "Windows lends its GPU", wsl: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got := see(root)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			l := unused(got)
			if told := strings.Contains(l.Advice, "\ngo run -mod=mod -tags cuda "); told != (got.what != "") || l.bad() {
				t.Errorf("without the tag: got %+v, want how to build, and no problem", l)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		gpu  cuda.GPU
		want line
	}{
		{cuda.GPU{Name: "NVIDIA H100", Capability: [2]int{9, 0}, Free: 77 << 30, Total: 80 << 30}, line{"GPU 1", fine, "NVIDIA H100, compute capability 9.0, 77.0 of 80.0 GiB free", ""}},
		{cuda.GPU{Name: "GTX 1080", Capability: [2]int{6, 1}, Total: 8 << 30}, line{"GPU 1", wrong, "GTX 1080, compute capability 6.1, 0.0 of 8.0 GiB free", "Wick's kernels need compute capability 7.0 (Volta) or later: train on the CPU of this machine, or on another GPU."}},
	} {
		if got := describe(1, c.gpu); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	if l := describe(0, cuda.GPU{Fault: errors.New("device 0: CUDA_ERROR_DEVICE_UNAVAILABLE")}); l.Status != wrong || l.Text != "device 0: CUDA_ERROR_DEVICE_UNAVAILABLE" || l.Advice == "" {
		t.Errorf("got %+v, want what the driver says and what to do", l)
	}
}

func TestVersions(t *testing.T) {
	for got, want := range map[string]string{cudaVersion(12040): "12.4", cudaVersion(13000): "13.0", cudaVersion(0): "of unknown version",
		dnnVersion(8907): "8.9.7", dnnVersion(90100): "9.1.0", dnnVersion(92804): "9.28.4"} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestPrinter shows how lines look in a terminal.
func TestPrinter(t *testing.T) {
	var b bytes.Buffer
	p := &printer{w: &b}
	p.heading("Wick v1.0.0, go1.26.0 linux/amd64, built with the tag cuda and cgo, by the headers of CUDA 13.0 and cuDNN 9.1.0")
	p.line(line{"CPU", fine, "two cores", ""}, line{"cuDNN", missing, "libcudnn.so.9: cannot open shared object file: No such file or directory", "Install cuDNN 9 for CUDA 13: apt install cudnn9-cuda-13, or this and that."},
		line{"GPU", none, "one", "Build:\neval one\ngo run two"})
	p.summary("the CPU")
	want := `Wick v1.0.0, go1.26.0 linux/amd64, built with the tag cuda and cgo, by the
headers of CUDA 13.0 and cuDNN 9.1.0

CPU         ok       two cores
cuDNN       missing  libcudnn.so.9: cannot open shared object file: No such file
                     or directory
                   → Install cuDNN 9 for CUDA 13: apt install cudnn9-cuda-13, or
                     this and that.
GPU         -        one
                   → Build:

    eval one
    go run two


There is 1 problem; this program trains on the CPU.
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUsage(t *testing.T) {
	for _, help := range []string{"--help", "-h", "help"} {
		if out, code := wick(t, nil, help); code != 0 || !strings.Contains(out, "doctor") || strings.Contains(out, "check") {
			t.Errorf("wick %s: got status %d and\n%s\nwant doctor and nothing that is not for users", help, code, out)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "Usage:"},
		{[]string{"dokter"}, `there is no command "dokter"; want doctor`},
		{[]string{"doctor", "me"}, `unexpected argument "me"; want none`},
		{[]string{"doctor", "-fast"}, "flag provided but not defined: -fast"},
		{[]string{"check", "-device", "first"}, "invalid value"},
	} {
		if out, code := wick(t, nil, c.args...); code != 2 || !strings.Contains(out, c.want) {
			t.Errorf("wick %q: got status %d and\n%s\nwant status 2 and %q", c.args, code, out, c.want)
		}
	}
}
