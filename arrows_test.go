package wick

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/wick-ml/wick/"

// arrows lists, for each package, which packages of this module it may import
// (in its own code, not in tests). Imports point down only.
var arrows = map[string][]string{
	"internal/expr":                {},
	"internal/backend":             {"internal/expr"},
	"internal/mem":                 {},
	"internal/atomicfile":          {},
	"internal/safetensors":         {},
	"internal/backend/backendtest": {"internal/backend", "internal/expr"},
	"internal/cpu/kernels":         {},
	"internal/cpu/kernels/asmtest": {},
	"internal/cpu":                 {"internal/cpu/kernels", "internal/backend", "internal/expr", "internal/mem"},
	"internal/cuda":                {"internal/backend", "internal/expr", "internal/mem", "internal/cuda/dl"},
	"internal/cuda/dl":             {},
	"internal/cuda/compat":         {},
	"internal/cuda/sim":            {},
	"cmd/cudaenv":                  {"internal/cuda/compat"},
	"cmd/wick":                     {"tensor", "internal/cuda"},
	"autograd":                     {},
	"internal/ops":                 {"autograd", "internal/backend"},
	"internal/friend":              {"autograd", "internal/backend", "internal/ops"},
	"tensor":                       {"autograd", "internal/ops", "internal/friend", "internal/backend", "internal/cpu", "internal/cuda", "internal/expr"},
	"internal/tensorfile":          {"tensor", "internal/atomicfile", "internal/safetensors"},
	"autograd/gradcheck":           {"autograd", "tensor"},
	"internal/jsonfloat":           {},
	"sched":                        {"internal/jsonfloat"},
	"optim":                        {"internal/friend", "tensor", "internal/backend", "internal/expr"},
	"layers/inits":                 {"tensor"},
	"layers":                       {"autograd", "internal/friend", "internal/ops", "tensor", "layers/inits", "internal/tensorfile"},
	"datasets/internal/jpeg":       {},
	"datasets/internal/pickle":     {},
	"datasets/internal/pil":        {},
	"datasets/transforms":          {"tensor"},
	"datasets":                     {"internal/friend", "tensor", "datasets/transforms", "datasets/internal/jpeg", "datasets/internal/pickle", "datasets/internal/pil", "internal/atomicfile"},
	"models":                       {"tensor", "layers"},
	"internal/graph":               {"autograd", "tensor", "layers", "internal/friend", "internal/ops"},
	"internal/logfile":             {},
	"internal/logfile/logfiletest": {},
	"internal/protowire":           {},
	"trainer/tensorboard":          {"tensor", "layers", "internal/logfile", "internal/protowire"},
	"trainer/wandb":                {"internal/logfile", "internal/protowire"},
	"trainer":                      {"internal/friend", "autograd", "tensor", "layers", "optim", "sched", "datasets", "internal/atomicfile", "internal/tensorfile", "trainer/plots", "trainer/tensorboard", "trainer/wandb", "internal/jsonfloat"},
	"trainer/plots":                {"tensor", "internal/atomicfile"},
	"examples/tutorial":            {"tensor", "autograd", "layers", "optim", "sched", "datasets", "datasets/transforms", "models", "trainer/plots"},
	"examples/cifar10":             {"tensor", "autograd", "layers", "optim", "sched", "datasets", "datasets/transforms", "models", "internal/atomicfile", "trainer", "trainer/plots", "trainer/wandb"},
	"bench":                        {"internal/friend", "tensor", "autograd", "layers", "models", "optim", "sched", "datasets", "datasets/transforms", "internal/atomicfile"},
	"docs":                         {},
	"":                             {},
}

func TestArrows(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testArrows(t, "") })
	// The files of CUDA are for Linux, and in C in part; neither is needed to list them.
	t.Run("cuda", func(t *testing.T) {
		t.Setenv("GOOS", "linux")
		t.Setenv("CGO_ENABLED", "1")
		testArrows(t, "cuda")
	})
}

func testArrows(t *testing.T, tags string) {
	out, err := exec.Command("go", "list", "-tags="+tags, "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath+"/", module)
		name = strings.TrimSuffix(name, "/")
		allowed, ok := arrows[name]
		if !ok {
			t.Errorf("package %q is not in the table of arrows", name)
			continue
		}
		core := !strings.HasPrefix(name, "examples/") && name != "bench"
		plots := name == "trainer/plots"
		gpu := name == "internal/cuda" && tags == "cuda"
		for _, i := range p.Imports {
			switch {
			case strings.HasPrefix(i, module):
				if !slices.Contains(allowed, strings.TrimPrefix(i, module)) {
					t.Errorf("%s imports %s, which no arrow allows", name, i)
				}
			case strings.Contains(strings.SplitN(i, "/", 2)[0], "."):
				if core && !strings.HasPrefix(i, "golang.org/x/") && !(plots && strings.HasPrefix(i, "gonum.org/v1/plot")) && !(gpu && strings.HasPrefix(i, "gorgonia.org/cu")) {
					t.Errorf("%s imports %s; core packages depend on the standard library and golang.org/x only", name, i)
				}
			}
		}
	}
}
