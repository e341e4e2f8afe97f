// Cudaenv prints the environment that a build with the tag cuda needs: where the
// headers of CUDA and cuDNN are, behind the wrapper headers of internal/cuda/compat.
//
//	eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)"
//	go build -tags cuda ./...
//
// It finds what apt installed, what CUDA_HOME names, and the wheels of pip for the
// interpreter that -python names. For wheels it prints CGO_LDFLAGS too, which tell
// the program where to look for their libraries when it starts. What is missing is
// said on standard error; the exit status is 1 if that is a header.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/internal/cuda/compat"
)

func main() {
	python := flag.String("python", "python3", "the interpreter whose wheels are looked at")
	flag.Parse()
	dirs, err := roots(os.Getenv, *python)
	cache, cacheErr := os.UserCacheDir()
	if err = errors.Join(err, cacheErr); err == nil {
		err = run(os.Stdout, os.Stderr, dirs, filepath.Join(cache, "wick"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cudaenv:", err)
		os.Exit(1)
	}
}

// root is a folder in which CUDA may be installed.
type root struct {
	dir   string
	wheel bool // its libraries are where nobody looks
}

// roots lists where to look: what the user says, pip's places, apt's places. That
// there is no python3 is no error.
func roots(env func(string) string, python string) (dirs []root, err error) {
	for _, name := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if d := env(name); d != "" {
			dirs = append(dirs, root{dir: d})
		}
	}
	out, err := exec.Command(python, "-c", "import sys; print('\\n'.join(sys.path[1:]))").Output()
	if err != nil && python != "python3" {
		return nil, fmt.Errorf("the interpreter of -python %s does not run: %w", python, err)
	}
	for packages := range strings.Lines(string(out)) {
		dirs = append(dirs, wheels(strings.TrimSpace(packages))...)
	}
	return append(dirs, root{dir: "/usr/local/cuda"}, root{dir: "/opt/cuda"}, root{dir: "/usr"}), nil
}

// wheels lists the folders of NVIDIA's wheels among an interpreter's packages.
func wheels(packages string) (dirs []root) {
	found, _ := filepath.Glob(filepath.Join(packages, "nvidia", "*")) // the pattern is well formed
	for _, d := range found {
		dirs = append(dirs, root{d, true})
	}
	return dirs
}

// part is what has to be there, and what has it: the package of NVIDIA's apt
// repository (Debian's own are of CUDA 11 and too old), and the wheels for CUDA 12
// and 13.
type part struct {
	name, of, apt string
	wheels        [2]string
}

var headers = []part{
	{"cuda.h", "the driver's header", "cuda-toolkit", [2]string{"nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime"}},
	{"crt/host_defines.h", "which cudnn.h includes", "cuda-toolkit", [2]string{"nvidia-cuda-nvcc-cu12", "nvidia-cuda-crt"}},
	{"cudnn.h", "cuDNN's header", "cudnn", [2]string{"nvidia-cudnn-cu12", "nvidia-cudnn-cu13"}},
}

// libraries are looked for when the program starts. Where they are only in wheels,
// the program has to be told. cuDNN is found by a library that it opens itself and
// the wheel nvidia-cudnn-jit lacks: that has the headers and does not compute.
var libraries = []part{
	{"libcudnn_ops*.so.[89]", "cuDNN's library", "cudnn", [2]string{"nvidia-cudnn-cu12", "nvidia-cudnn-cu13"}},
	{"libcublas.so.1[23]", "cuBLAS's library", "cuda-toolkit", [2]string{"nvidia-cublas-cu12", "nvidia-cublas"}},
}

// run writes the environment to w, and what a program will lack where it runs to
// notes. The wrapper headers go into a folder of cache.
func run(w, notes io.Writer, dirs []root, cache string) error {
	var flags, rpaths, what []string
	var missing []part
	major := 13 // of the CUDA that is there in part
	for _, h := range headers {
		file, _ := find(dirs, h.name, "include", "include/x86_64-linux-gnu", "include/aarch64-linux-gnu", "targets/x86_64-linux/include", "targets/sbsa-linux/include")
		version, old := age(file)
		if h.name == "cuda.h" && version/1000 == 12 {
			major = 12
		}
		if file == "" {
			what = append(what, fmt.Sprintf("%s (%s) is missing", h.name, h.of))
		} else if old {
			what = append(what, file+" is too old, want CUDA 12 or 13 and cuDNN 8.9 or 9")
		} else {
			// The compiler looks in its own folders last of all, and -I would only change their order.
			if d := strings.TrimSuffix(file, "/"+h.name); d != "/usr/include" && !slices.Contains(flags, "-I"+d) {
				flags = append(flags, "-I"+d)
			}
			continue
		}
		missing = append(missing, h)
	}
	if missing != nil {
		return errors.New(strings.Join(append(what, install(missing, major)), "\ncudaenv: "))
	}
	for _, l := range libraries {
		file, wheel := find(dirs, l.name, "lib64", "lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
		if file == "" {
			fmt.Fprintf(notes, "cudaenv: %s is not here, which a program needs to compute, though not to be built\ncudaenv: %s\n", l.of, install([]part{l}, major))
		}
		if wheel {
			if r := "-Wl,-rpath," + filepath.Dir(file); !slices.Contains(rpaths, r) {
				rpaths = append(rpaths, r)
			}
		}
	}
	dir, err := wrappers(cache)
	if err != nil {
		return err
	}
	for _, f := range append(slices.Clone(flags), rpaths...) {
		if strings.ContainsAny(f, " \t\n\"'\\$`") {
			return fmt.Errorf("the folder %s has a space or a quote in its name, which cgo's flags cannot have; link to it under another name", f)
		}
	}
	fmt.Fprintf(w, "export CGO_CPPFLAGS='%s'\n", strings.Join(append([]string{"-I" + dir}, flags...), " "))
	if rpaths != nil {
		fmt.Fprintf(w, "export CGO_LDFLAGS='-g -O2 %s'\n", strings.Join(rpaths, " "))
	}
	return nil
}

// install says how parts are installed.
func install(parts []part, major int) string {
	var apt, pip []string
	for _, p := range parts {
		if !slices.Contains(apt, p.apt) {
			apt = append(apt, p.apt)
		}
		pip = append(pip, p.wheels[major-12])
	}
	return fmt.Sprintf("apt install %s (from NVIDIA's repository), or pip install %s", strings.Join(apt, " "), strings.Join(pip, " "))
}

// age reads the version that a header tells, 0 if it tells none, and whether Wick
// can be built with it.
func age(header string) (version int, old bool) {
	number := func(file, name string) int {
		b, _ := os.ReadFile(file) // a header that is not there tells no version
		if m := regexp.MustCompile(`(?m)^#define ` + name + ` (\d+)`).FindSubmatch(b); m != nil {
			n, _ := strconv.Atoi(string(m[1])) // digits
			return n
		}
		return 0
	}
	switch filepath.Base(header) {
	case "cuda.h":
		version = number(header, "CUDA_VERSION")
		return version, version != 0 && version < 12000
	case "cudnn.h":
		file := filepath.Join(filepath.Dir(header), "cudnn_version.h")
		version = number(file, "CUDNN_MAJOR")*1000 + number(file, "CUDNN_MINOR")*100
		return version, version != 0 && version < 8900
	}
	return 0, false
}

// find returns the first file of a name (or pattern) in the folders below dirs.
func find(dirs []root, name string, below ...string) (file string, wheel bool) {
	for _, d := range dirs {
		for _, b := range below {
			found, _ := filepath.Glob(filepath.Join(d.dir, b, name)) // all patterns are well formed
			if len(found) > 0 {
				return found[len(found)-1], d.wheel
			}
		}
	}
	return "", false
}

// wrappers writes the wrapper headers into a folder that is named by what they
// contain: go build looks at flags to see whether a package has to be built
// again, and not at headers.
func wrappers(cache string) (dir string, err error) {
	files, err := fs.Glob(compat.Headers, "*.h")
	if err != nil {
		return "", err
	}
	text := map[string][]byte{}
	sum := sha256.New()
	for _, f := range files {
		if text[f], err = compat.Headers.ReadFile(f); err != nil {
			return "", err
		}
		fmt.Fprintln(sum, f, len(text[f]))
		sum.Write(text[f])
	}
	dir = filepath.Join(cache, fmt.Sprintf("headers-%x", sum.Sum(nil)[:8]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for f, b := range text {
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}
