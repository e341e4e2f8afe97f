//go:build cuda && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/cuda"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

// TestDoctor runs it on the simulated driver, as it should be and with faults.
func TestDoctor(t *testing.T) {
	dir, err := sim.Build()
	if err != nil {
		t.Fatal(err)
	}
	// some is a folder with only these of the simulated libraries.
	some := func(names ...string) string {
		folder := t.TempDir()
		for _, n := range names {
			if err := os.Symlink(filepath.Join(dir, n), filepath.Join(folder, n)); err != nil {
				t.Fatal(err)
			}
		}
		return folder
	}
	// dies is a cuBLAS that does what NVIDIA's libraries do where one of their files is missing.
	dies := some("libcuda.so.1", "libcudnn.so.9")
	source := filepath.Join(dies, "cublas.cc")
	if err := os.WriteFile(source, []byte(`#include <cstdio>
#include <cstdlib>
extern "C" int cublasCreate_v2(void **) {
	fprintf(stderr, "Could not load library libcublasLt.so.13\n");
	abort();
}
extern "C" int cublasGetProperty(int what, int *v) {
	*v = what ? 0 : 12;
	return 0;
}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("g++", "-fPIC", "-shared", "-o", filepath.Join(dies, "libcublas.so.13"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// found are NVIDIA's own libraries, which are found where the simulated ones are not.
	r := cuda.Describe()
	found := map[string]cuda.Library{"driver": r.Driver, "cuDNN": r.DNN, "cuBLAS": r.BLAS}
	built, other := dnnMajor(r.HeaderDNN), "WICK_SIM_DNN=8907"
	if built == 8 {
		other = "WICK_SIM_DNN=92700"
	}
	const computed = "errors: convolution E, its gradients E and E, matrix product E; first T, then T"
	const gpu = "GPU 0 ok Simulated GPU, compute capability 9.0, 2.0 of 2.0 GiB free opening ok context, kernels, cuDNN and cuBLAS in T " +
		"float32 ok " + computed + " bfloat16 ok " + computed + " float16 ok " + computed + " "
	for _, c := range []struct {
		name, dir string
		env       string
		code      int
		want      []string
		absent    []string
	}{
		{"fine", dir, "", 0, []string{", built with the tag cuda and cgo, by the headers of CUDA 1", " CPU ok ", " driver ok for CUDA 13.0, ", " cuDNN ok ", " for CUDA 12.9, ", " cuBLAS ok 12.9.0, ", gpu, "All is well; this program trains on cuda:0."}, nil},
		{"two", dir, "WICK_SIM_DEVICES=2", 0, []string{gpu, strings.Replace(gpu, "GPU 0", "GPU 1", 1), "this program trains on cuda:0, cuda:1."}, nil},
		{"none", dir, "WICK_SIM_DEVICES=0", 1, []string{" GPU missing the driver finds none: cuInit: CUDA_ERROR_100 → See whether nvidia-smi lists one; ", "There is 1 problem; this program trains on the CPU."}, nil},
		{"old", dir, "WICK_SIM_DRIVER=11080", 1, []string{" driver wrong for CUDA 11.8, ", "→ Wick needs a driver for CUDA 12.0 or later", "There is 1 problem; this program trains on the CPU."}, nil},
		{"cuDNN of another major", dir, other, 1, []string{" cuDNN wrong ", fmt.Sprintf("→ This program was built by the headers of cuDNN %d, and this is cuDNN %d", built, 17-built), "There is 1 problem; "}, nil},
		{"cuDNN of another CUDA", dir, "WICK_SIM_DNN_CUDA=13000", 1, []string{" cuDNN ok ", " cuBLAS wrong 12.9.0, ", "→ cuDNN is for CUDA 13 and this is the cuBLAS of CUDA 12"}, nil},
		{"cuDNN too new", dir, "WICK_SIM_DRIVER=12080 WICK_SIM_DNN_CUDA=13000", 1, []string{" cuDNN wrong ", "→ This needs a driver for CUDA 13 or later (release 580)", "There is 1 problem; "}, nil},
		{"no cuDNN", some("libcuda.so.1", "libcublas.so.13"), "", 1, []string{" cuDNN missing libcudnn.so.9: cannot open shared object file: No such file or directory → Install cuDNN " + strconv.Itoa(built) + " for CUDA 12", "GPU 0 ok Simulated GPU", "There is 1 problem; this program trains on the CPU."}, []string{"cuDNN"}},
		{"only the driver", some("libcuda.so.1"), "", 1, []string{" cuDNN missing ", " cuBLAS missing ", "There are 2 problems; "}, []string{"cuDNN", "cuBLAS"}},
		{"no driver", some(), "", 0, []string{" driver - no NVIDIA GPU is to be seen, nor a driver (libcuda.so.1: ", " cuDNN - ", " cuBLAS - ", "All is well; this program trains on the CPU."}, []string{"driver"}},
		{"full", dir, "WICK_SIM_MEMORY=1000", 1, []string{" float32 wrong tensor: To: out of memory for [4 32 16 16]", "There is 1 problem; this program trains on the CPU."}, nil},
		{"lost", dir, "WICK_SIM_FAIL_AFTER=2", 1, []string{" float32 wrong ", "the device is lost to this process", "There is 1 problem; this program trains on the CPU."}, nil},
		{"a library that aborts", dies, "", 1, []string{" opening wrong computing on it ended with exit status 2: Could not load library libcublasLt.so.13 SIGABRT: abort → A library that does not fit", "There is 1 problem; this program trains on the CPU."}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.name == "no driver" && see("/").what != "" {
				t.Skip("this machine has a GPU")
			}
			for _, n := range c.absent {
				if found[n].Missing == "" {
					t.Skipf("this machine has a library of its own, %s", found[n].Path)
				}
			}
			env := append(sim.Env(dir), "LD_LIBRARY_PATH="+c.dir)
			out, code := wick(t, append(env, strings.Fields(c.env)...), "doctor")
			got := flat(out)
			if code != c.code {
				t.Errorf("got status %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}
