package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// layout makes empty files below a folder and returns it.
func layout(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	toolkit := layout(t, "include/cuda.h", "include/crt/host_defines.h", "lib64/libcublas.so.13")
	usr := layout(t, "include/x86_64-linux-gnu/cudnn.h", "lib/x86_64-linux-gnu/libcudnn.so.9", "lib/x86_64-linux-gnu/libcudnn_ops.so.9")
	packages := layout(t, "nvidia/cu13/include/cuda.h", "nvidia/cu13/include/crt/host_defines.h", "nvidia/cu13/lib/libcublas.so.13",
		"nvidia/cudnn/include/cudnn.h", "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9")
	jit := layout(t, "nvidia/cu13/include/cuda.h", "nvidia/cu13/include/crt/host_defines.h", "nvidia/cudnn_jit/include/cudnn.h", "nvidia/cudnn_jit/lib/libcudnn.so.9")
	cuda12 := layout(t, "include/cuda.h", "include/crt/host_defines.h")
	old := layout(t, "include/cuda.h", "include/crt/host_defines.h", "include/cudnn.h")
	for file, text := range map[string]string{cuda12 + "/include/cuda.h": "#define CUDA_VERSION 12090\n", old + "/include/cuda.h": "/* CUDA */\n#define CUDA_VERSION 11080\n",
		old + "/include/cudnn_version.h": "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 5\n"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const noDNN = "cudaenv: cuDNN's library is not here, which a program needs to compute, though not to be built\ncudaenv: apt install cudnn (from NVIDIA's repository), or pip install nvidia-cudnn-cu13\n"
	const noBLAS = "cudaenv: cuBLAS's library is not here, which a program needs to compute, though not to be built\ncudaenv: apt install cuda-toolkit (from NVIDIA's repository), or pip install nvidia-cublas\n"
	spaced := filepath.Join(t.TempDir(), "my cuda")
	if err := os.Symlink(toolkit, spaced); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		dirs  []root
		flags string // behind the wrappers' folder
		rest  string
		notes string
		err   string // in the error
	}{
		{"apt", []root{{dir: toolkit}, {dir: usr}}, " -I" + toolkit + "/include -I" + usr + "/include/x86_64-linux-gnu", "", "", ""},
		{"pip", wheels(packages), " -I" + packages + "/nvidia/cu13/include -I" + packages + "/nvidia/cudnn/include",
			"export CGO_LDFLAGS='-g -O2 -Wl,-rpath," + packages + "/nvidia/cudnn/lib -Wl,-rpath," + packages + "/nvidia/cu13/lib'\n", "", ""},
		{"cuDNN of pip", append([]root{{dir: toolkit}}, wheels(packages)...), " -I" + toolkit + "/include -I" + packages + "/nvidia/cudnn/include",
			"export CGO_LDFLAGS='-g -O2 -Wl,-rpath," + packages + "/nvidia/cudnn/lib'\n", "", ""},
		{"headers of pip", wheels(jit), " -I" + jit + "/nvidia/cu13/include -I" + jit + "/nvidia/cudnn_jit/include", "", noDNN + noBLAS, ""},
		{"no cuBLAS", []root{{dir: cuda12}, {dir: usr}}, " -I" + cuda12 + "/include -I" + usr + "/include/x86_64-linux-gnu", "", strings.Replace(noBLAS, "cublas", "cublas-cu12", 1), ""},
		{"no cuDNN", []root{{dir: toolkit}}, "", "", "", "cudnn.h (cuDNN's header) is missing\ncudaenv: apt install cudnn (from NVIDIA's repository), or pip install nvidia-cudnn-cu13"},
		{"no cuDNN beside CUDA 12", []root{{dir: cuda12}}, "", "", "", "is missing\ncudaenv: apt install cudnn (from NVIDIA's repository), or pip install nvidia-cudnn-cu12"},
		{"nothing", nil, "", "", "", "cuda.h (the driver's header) is missing\ncudaenv: crt/host_defines.h (which cudnn.h includes) is missing\ncudaenv: cudnn.h (cuDNN's header) is missing\n" +
			"cudaenv: apt install cuda-toolkit cudnn (from NVIDIA's repository), or pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cudnn-cu13"},
		{"too old", []root{{dir: old}}, "", "", "", old + "/include/cuda.h is too old, want CUDA 12 or 13 and cuDNN 8.9 or 9\ncudaenv: " + old + "/include/cudnn.h is too old"},
		{"a space", []root{{dir: spaced}, {dir: usr}}, "", "", "", "has a space or a quote in its name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := t.TempDir()
			var out, notes strings.Builder
			err := run(&out, &notes, c.dirs, cache)
			if notes.String() != c.notes {
				t.Errorf("got the notes %q, want %q", notes.String(), c.notes)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || out.Len() != 0 {
					t.Errorf("got %q and %v, want nothing and an error with %q", out.String(), err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			dir, err := wrappers(cache)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := out.String(), "export CGO_CPPFLAGS='-I"+dir+c.flags+"'\n"+c.rest; got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			for _, h := range []string{"cuda.h", "cudnn.h"} {
				if b, err := os.ReadFile(filepath.Join(dir, h)); err != nil || !strings.Contains(string(b), "#include_next <"+h+">") {
					t.Errorf("%s: got %q, %v, want a header that includes the next one", h, b, err)
				}
			}
		})
	}
}

func TestRoots(t *testing.T) {
	env := func(name string) string {
		if name == "CUDA_HOME" {
			return "/mine"
		}
		return ""
	}
	t.Setenv("PATH", t.TempDir()) // without a python3
	got, err := roots(env, "python3")
	want := []root{{dir: "/mine"}, {dir: "/usr/local/cuda"}, {dir: "/opt/cuda"}, {dir: "/usr"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := roots(env, "mine/python"); err == nil || !strings.HasPrefix(err.Error(), "the interpreter of -python mine/python does not run: ") {
		t.Errorf("got %v, %v, want an error that says that there is no such interpreter", got, err)
	}
}

// An interpreter's wheels are found wherever it looks for packages.
func TestPython(t *testing.T) {
	packages := layout(t, "nvidia/cu13/include/cuda.h")
	python := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(python, []byte("#!/bin/sh\necho /nowhere\necho "+packages+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the script that stands for an interpreter does not run on Windows")
	}
	got, err := roots(func(string) string { return "" }, python)
	if want := (root{packages + "/nvidia/cu13", true}); err != nil || len(got) == 0 || got[0] != want {
		t.Errorf("got %v, %v, want %v first", got, err, want)
	}
}
