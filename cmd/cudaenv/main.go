// Cudaenv prints the environment that a build with the tag cuda needs: where the
// headers of CUDA and cuDNN are, behind the wrapper headers of internal/cuda/compat.
//
//	eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)"
//	go build -tags cuda ./...
//
// It finds what apt installed, what CUDA_HOME names, and the wheels of pip for the
// interpreter that -python names. For wheels it prints CGO_LDFLAGS too, which tell
// the program where to look for their libraries when it starts. What is missing is
// said on standard error, and the exit status is 1 then.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wick-ml/wick/internal/cuda/compat"
)

func main() {
	python := flag.String("python", "python3", "the interpreter whose wheels are looked at")
	flag.Parse()
	cache, err := os.UserCacheDir()
	if err == nil {
		err = run(os.Stdout, roots(os.Getenv, *python), filepath.Join(cache, "wick"))
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

// roots lists where to look: what the user says, pip's places, apt's places.
func roots(env func(string) string, python string) (dirs []root) {
	for _, name := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if d := env(name); d != "" {
			dirs = append(dirs, root{dir: d})
		}
	}
	out, err := exec.Command(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").Output()
	if err == nil {
		dirs = append(dirs, wheels(strings.TrimSpace(string(out)))...)
	}
	return append(dirs, root{dir: "/usr/local/cuda"}, root{dir: "/opt/cuda"}, root{dir: "/usr"})
}

// wheels lists the folders of NVIDIA's wheels among an interpreter's packages.
func wheels(packages string) (dirs []root) {
	found, _ := filepath.Glob(filepath.Join(packages, "nvidia", "*")) // the pattern is well formed
	for _, d := range found {
		dirs = append(dirs, root{d, true})
	}
	return dirs
}

// headers are what has to be there, and what has it: the package of NVIDIA's apt
// repository (Debian's own are of CUDA 11 and too old), and the wheel.
var headers = []struct{ name, of, apt, wheel string }{
	{"cuda.h", "the driver's header", "cuda-toolkit", "nvidia-cuda-runtime"},
	{"crt/host_defines.h", "which cudnn.h includes", "cuda-toolkit", "nvidia-cuda-crt"},
	{"cudnn.h", "cuDNN's header", "cudnn", "nvidia-cudnn-cu13"},
}

// libraries are looked for when the program starts. Where they are only in wheels,
// the program has to be told. cuDNN is found by a library that it opens itself and
// the wheel nvidia-cudnn-jit lacks: that has the headers and does not compute.
var libraries = []string{"libcudnn_ops*.so.[89]", "libcublas.so.1[23]"}

// run writes the environment. The wrapper headers go into a folder of cache.
func run(w io.Writer, dirs []root, cache string) error {
	var flags, rpaths, missing []string
	for _, h := range headers {
		file, _ := find(dirs, h.name, "include", "include/x86_64-linux-gnu", "include/aarch64-linux-gnu", "targets/x86_64-linux/include", "targets/sbsa-linux/include")
		if file == "" {
			missing = append(missing, fmt.Sprintf("%s (%s) is missing: apt install %s (NVIDIA's repository has it), or pip install %s", h.name, h.of, h.apt, h.wheel))
			continue
		}
		// The compiler looks in its own folders last of all, and -I would only change their order.
		if d := strings.TrimSuffix(file, "/"+h.name); d != "/usr/include" && !slices.Contains(flags, "-I"+d) {
			flags = append(flags, "-I"+d)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s", strings.Join(missing, "\ncudaenv: "))
	}
	for _, l := range libraries {
		if file, wheel := find(dirs, l, "lib64", "lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"); wheel {
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
