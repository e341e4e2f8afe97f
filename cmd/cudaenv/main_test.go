package main

import (
	"os"
	"path/filepath"
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
	usr := layout(t, "include/x86_64-linux-gnu/cudnn.h", "lib/x86_64-linux-gnu/libcudnn.so.9")
	packages := layout(t, "nvidia/cu13/include/cuda.h", "nvidia/cu13/include/crt/host_defines.h", "nvidia/cu13/lib/libcublas.so.13",
		"nvidia/cudnn/include/cudnn.h", "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9")
	jit := layout(t, "nvidia/cu13/include/cuda.h", "nvidia/cu13/include/crt/host_defines.h", "nvidia/cudnn_jit/include/cudnn.h", "nvidia/cudnn_jit/lib/libcudnn.so.9")
	spaced := filepath.Join(t.TempDir(), "my cuda")
	if err := os.Symlink(toolkit, spaced); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		dirs  []root
		flags string // behind the wrappers' folder
		rest  string
		err   string // in the error
	}{
		{"apt", []root{{dir: toolkit}, {dir: usr}}, " -I" + toolkit + "/include -I" + usr + "/include/x86_64-linux-gnu", "", ""},
		{"pip", wheels(packages), " -I" + packages + "/nvidia/cu13/include -I" + packages + "/nvidia/cudnn/include",
			"export CGO_LDFLAGS='-g -O2 -Wl,-rpath," + packages + "/nvidia/cudnn/lib -Wl,-rpath," + packages + "/nvidia/cu13/lib'\n", ""},
		{"cuDNN of pip", append([]root{{dir: toolkit}}, wheels(packages)...), " -I" + toolkit + "/include -I" + packages + "/nvidia/cudnn/include",
			"export CGO_LDFLAGS='-g -O2 -Wl,-rpath," + packages + "/nvidia/cudnn/lib'\n", ""},
		{"headers of pip", wheels(jit), " -I" + jit + "/nvidia/cu13/include -I" + jit + "/nvidia/cudnn_jit/include", "", ""},
		{"no cuDNN", []root{{dir: toolkit}}, "", "", "cudnn.h (cuDNN's header) is missing: apt install cudnn (NVIDIA's repository has it), or pip install nvidia-cudnn-cu13"},
		{"nothing", nil, "", "", "cuda.h (the driver's header) is missing"},
		{"a space", []root{{dir: spaced}, {dir: usr}}, "", "", "has a space or a quote in its name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := t.TempDir()
			var out strings.Builder
			err := run(&out, c.dirs, cache)
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
	got := roots(env, filepath.Join(t.TempDir(), "python"))
	want := []root{{dir: "/mine"}, {dir: "/usr/local/cuda"}, {dir: "/opt/cuda"}, {dir: "/usr"}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
