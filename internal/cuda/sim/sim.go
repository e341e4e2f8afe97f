//go:build !wasm

// Package sim builds the simulated driver: libraries with the names of NVIDIA's
// that compute on the host, for tests of package cuda on machines without a GPU. It
// needs g++, or the compiler that CXX names, and the headers of CUDA and cuDNN where
// CGO_CPPFLAGS says. The tests start themselves again through the command in
// WICK_EXEC, if there is one: for another processor that is its emulator.
package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// libraries are the libraries and what they are made of. Those behind the first
// call it.
var libraries = []struct{ name, source string }{
	{"libcuda.so.1", "driver.cc"},
	{"libcublas.so.13", "cublas.cc"},
	{"libcudnn.so.9", "cudnn.cc"},
}

// Main runs a package's tests on the simulated driver: it builds it and starts the
// tests again with it. With WICK_GPU=1 in the environment they run on the real
// one. Where the driver cannot be built the tests fail, for go test hides what those
// say that pass. With WICK_SIM_BUILD=1 the driver is only built, and its folder
// printed.
func Main(m *testing.M) {
	if os.Getenv("WICK_GPU") != "" || os.Getenv("WICK_SIM_KERNELS") != "" {
		os.Exit(m.Run())
	}
	dir, err := Build()
	if err != nil {
		fmt.Println("the simulated driver cannot be built (with WICK_GPU=1 the tests run on a GPU):", err)
		os.Exit(1)
	}
	if os.Getenv("WICK_SIM_BUILD") != "" {
		fmt.Println(dir)
		os.Exit(0)
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "LD_LIBRARY_PATH=") })
	env = append(env, Env(dir)...)
	args := self()
	path, err := exec.LookPath(args[0])
	if err == nil {
		err = syscall.Exec(path, append(args, os.Args[1:]...), env)
	}
	fmt.Println(err)
	os.Exit(1)
}

// self is the command that starts this program.
func self() []string { return append(strings.Fields(os.Getenv("WICK_EXEC")), os.Args[0]) }

// compiler is the command that compiles C++.
func compiler() []string {
	if c := strings.Fields(os.Getenv("CXX")); len(c) > 0 {
		return c
	}
	return []string{"g++"}
}

// Simulated tells whether the tests run on the simulated driver.
func Simulated() bool { return os.Getenv("WICK_SIM_KERNELS") != "" }

// Again runs a test again in a process of its own, with more in its environment, and
// returns true there. The test ends where it returns false. A real driver takes no
// such orders, so with one the test is skipped.
func Again(t *testing.T, env ...string) bool {
	t.Helper()
	const again = "WICK_SIM_AGAIN"
	if os.Getenv(again) == t.Name() {
		return true
	}
	if !Simulated() {
		t.Skip("this test needs the simulated driver")
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	args := append(self(), "-test.v", "-test.count=1", "-test.run="+pattern)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), again+"="+t.Name()), env...)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Errorf("with %v: %v\n%s", env, err, out)
	}
	return false
}

// Env is the environment in which programs find the simulated driver in dir.
func Env(dir string) []string {
	return []string{"LD_LIBRARY_PATH=" + dir, "WICK_SIM_KERNELS=" + filepath.Join(dir, "kernels.so")}
}

// Build builds the simulated driver, unless it is there already, and returns its
// folder in the user's cache.
func Build() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if os.Getenv("CGO_CPPFLAGS") == "" {
		return "", errors.New(`CGO_CPPFLAGS does not say where CUDA's headers are; eval "$(go run github.com/wick-ml/wick/cmd/cudaenv)" sets it`)
	}
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Dir(file)
	var sources []string
	for _, pattern := range []string{"src/*", "../kernels/*.cu", "../kernels/*.cuh"} {
		found, err := filepath.Glob(filepath.Join(here, pattern))
		if err != nil {
			return "", err
		}
		sources = append(sources, found...)
	}
	sum := sha256.New()
	for _, path := range sources {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, path, len(b))
		sum.Write(b)
	}
	fmt.Fprintln(sum, os.Getenv("CGO_CPPFLAGS"), compiler())
	dir := filepath.Join(cache, "wick", fmt.Sprintf("sim-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(filepath.Join(dir, "kernels.so")); err == nil {
		return dir, nil
	}
	// Packages are tested at the same time: each builds in a folder of its own, and the first to finish wins.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for i, l := range libraries {
		args := append(compiler(), "-std=c++17", "-O1", "-g", "-fPIC", "-shared", "-Wl,-soname,"+l.name)
		args = append(args, strings.Fields(os.Getenv("CGO_CPPFLAGS"))...)
		args = append(args, filepath.Join(here, "src", l.source), "-o", filepath.Join(tmp, l.name))
		if i > 0 {
			args = append(args, "-L"+tmp, "-l:"+libraries[0].name)
		}
		if err := run(args[0], args[1:]...); err != nil {
			return "", err
		}
	}
	kernels, err := filepath.Glob(filepath.Join(here, "../kernels/*.cu"))
	if err != nil {
		return "", err
	}
	if err := run("sh", slices.Concat([]string{filepath.Join(here, "src", "kernels.sh"), filepath.Join(tmp, "kernels.so")}, kernels)...); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "kernels.so")); there != nil {
			return "", err
		}
	}
	return dir, nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.Join(lines[:min(len(lines), 30)], []byte("\n")))
	}
	return nil
}
