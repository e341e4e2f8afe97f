package models_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/tensorfile"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
)

// A small file that describes a large model, alone or in a container, is refused
// before memory is taken for it.
func TestLoadAllocation(t *testing.T) {
	const vgg = `{"cfg":[4096,4096,"M"],"classes":10}`
	for _, c := range []struct{ name, model, config, want string }{
		{"wide", "VGG", vgg, "the configuration has 151171082 parameters, more than the 4 numbers of its file"},
		{"many classes", "VGG", `{"cfg":[1],"classes":1048576}`, "the configuration has 2097182 parameters"},
		{"contained", "Sequential", `[{"name":"VGG","config":` + vgg + `}]`, "151171082 parameters"},
		{"no numbers", "VGG", `{"cfg":[1e300],"classes":10}`, "entry 0"},
		{"no classes", "VGG", `{"cfg":[1],"classes":-1}`, "got -1 classes"},
		{"dropout", "VGG", `{"cfg":[1],"classes":1,"dropout":2}`, "got dropout 2"},
	} {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		err := tensorfile.Write(path, map[string]string{tensorfile.Prefix + "model": c.model, tensorfile.Prefix + "config": c.config},
			func(yield func(string, *tensor.Tensor) bool) { yield("x", tensor.Ones(4)) })
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = layers.Load[layers.Layer](path)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 256<<10 {
			t.Errorf("%s: reading took %d bytes, want less than 256 KB", c.name, got)
		}
	}
}

// Many small models in one container may not have more than the file either, and
// what a file holds whole is accepted.
func TestLoadContainedModels(t *testing.T) {
	m := layers.NewSequential(models.NewVGG(models.Cfg{2}, 3), models.NewVGG(models.Cfg{2}, 3))
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := layers.Save(path, m); err != nil {
		t.Fatal(err)
	}
	n, err := layers.Load[*layers.Sequential](path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hash(n), hash(m); got != want {
		t.Errorf("got the weights %s, want %s", got, want)
	}
	state, err := layers.ReadStateDict(path)
	if err != nil {
		t.Fatal(err)
	}
	_, config := m.Layers()[0].(*models.VGG).Config()
	one := fmt.Sprintf(`{"name":"VGG","config":%s}`, config)
	list := "[" + strings.Repeat(one+",", 9) + one + "]"
	if err := tensorfile.Write(path, map[string]string{tensorfile.Prefix + "model": "Sequential", tensorfile.Prefix + "config": list}, state); err != nil {
		t.Fatal(err)
	}
	if _, err := layers.Load[*layers.Sequential](path); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("ten models from a file of two: got error %v", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() > 1<<14 {
		t.Errorf("the file: got %v, %v, want a small one", fi, err)
	}
}
