package trainer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// The images that are shown are of all classes, also where the data are sorted by
// class.
func TestSamplesOfAllClasses(t *testing.T) {
	for _, tt := range []struct {
		classes, each int // examples of each class, sorted
		sorted        bool
		shown         int // images
		of            int // classes
	}{
		{2, 50, true, 20, 2},
		{10, 50, true, 20, 10},
		{10, 1, true, 10, 10},
		{3, 50, true, 20, 3},
		{7, 50, false, 20, 7},
		{20, 3, true, 20, 20},
		{37, 3, true, 37, 37},
		{1000, 2, true, 100, 100},
	} {
		t.Run(fmt.Sprint(tt.classes, " classes of ", tt.each), func(t *testing.T) {
			var names []string
			for c := range tt.classes {
				names = append(names, fmt.Sprint("class ", c))
			}
			var labels []int64
			for i := range tt.classes * tt.each {
				if tt.sorted {
					labels = append(labels, int64(i/tt.each))
				} else {
					labels = append(labels, int64(i%tt.classes))
				}
			}
			seen := newTested(names, nil)
			for batch := range slices.Chunk(labels, 16) {
				n := len(batch)
				output := tensor.OneHot(tensor.From(batch), tt.classes).ToDType(tensor.Float32)
				if err := seen.add(tensor.Zeros(n, 3, 2, 2), tensor.From(batch), output, nil); err != nil {
					t.Fatal(err)
				}
			}
			of := map[string]bool{}
			last := -1
			for _, s := range seen.samples() {
				of[s.Label] = true
				var at int
				if _, err := fmt.Sscanf(s.Name, "#%d", &at); err != nil || at <= last {
					t.Errorf("image %s comes after #%d, want the data's order", s.Name, last)
				}
				last = at
			}
			if got := len(seen.samples()); got != tt.shown || len(of) != tt.of {
				t.Errorf("got %d images of %d classes, want %d of %d", got, len(of), tt.shown, tt.of)
			}
		})
	}
}

// A setting that the report tells anyway is not told twice, and what is as it is by
// default is marked so.
func TestReportSettings(t *testing.T) {
	dir := t.TempDir()
	c := RunConfig{Model: "VGG", Parameters: 10, Device: "cpu", Seed: 3,
		Settings: map[string]string{"seed": "3", "device": "", "model": "VGG11", "lr": "0.1", "clip": "0"},
		Defaults: map[string]string{"seed": "1", "device": "", "model": "", "lr": "0.001", "clip": "0"}}
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range reportSettings(dir) {
		if _, ok := got[s.Name]; ok {
			t.Errorf("%s is there twice", s.Name)
		}
		got[s.Name] = s.Value
		if want := s.Name == "clip"; s.Default != want {
			t.Errorf("%s: as by default %v, want %v", s.Name, s.Default, want)
		}
	}
	for name, want := range map[string]string{"model": "VGG11 (VGG, 10 parameters)", "seed": "3", "device": "cpu", "lr": "0.1", "clip": "0"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}
