package main

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// small makes a net of two blocks, the same each time.
func small(train bool) *net {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(scale float64, shape ...int) array {
		a := array{shape: shape}
		size := 1
		for _, d := range shape {
			size *= d
		}
		for range size {
			a.values = append(a.values, float32(scale*r.NormFloat64()))
		}
		return a
	}
	made := func(in, out int) block {
		variance := random(1, out)
		for i, v := range variance.values {
			variance.values[i] = 1 + v*v
		}
		return block{
			in: in, out: out, pool: true, weight: random(0.3, out, in, 3, 3), bias: random(0.1, out),
			scale: random(1, out), shift: random(1, out), mean: random(1, out), variance: variance,
		}
	}
	return &net{
		blocks: []block{made(3, 4), made(4, 5)}, channels: 5, train: train,
		linear: random(1, 10, 5), bias: random(1, 10), images: random(1, 2, 3, 4, 4), labels: []int64{3, 7},
	}
}

// TestLibraries lets all variants of all libraries compute the same, three times.
func TestLibraries(t *testing.T) {
	for _, train := range []bool{false, true} {
		var want [][]float32
		for _, name := range []string{"gomlx", "gorgonia"} {
			for _, v := range libraries[name].variants {
				step, err := v.make(small(train))
				if err != nil {
					t.Fatalf("%s %s: %v", name, v.name, err)
				}
				for i := range 3 {
					got, err := step()
					if err != nil {
						t.Fatalf("%s %s, step %d: %v", name, v.name, i, err)
					}
					if size := map[bool]int{true: 1, false: 20}[train]; len(got.values) != size {
						t.Fatalf("%s %s, step %d: got %d values, want %d", name, v.name, i, len(got.values), size)
					}
					if len(want) <= i {
						want = append(want, got.values)
					}
					for j, x := range got.values {
						if y := want[i][j]; !(math.Abs(float64(x-y)) <= 1e-4*max(1, math.Abs(float64(y)))) {
							t.Errorf("%s %s, training %v, step %d: got %v, want %v", name, v.name, train, i, got.values, want[i])
							break
						}
					}
				}
			}
		}
		if train && !(want[2][0] < want[0][0]) {
			t.Errorf("got the losses %v, want them to fall", want)
		}
	}
}

func TestServe(t *testing.T) {
	for _, tt := range []struct{ command, want string }{
		{`{"do": "setup", "row": {"op": "relu", "threads": 1}}`, "only the rows vgg16/… in float32 are here, got relu"},
		{`{"do": "setup", "row": {"op": "classifier", "args": {"cfg": [4], "dtype": "bfloat16"}, "threads": 1}}`, "got classifier bfloat16"},
		{`{"do": "setup", "row": {"op": "classifier", "args": {"cfg": [4]}, "threads": 1}}`, "got 0 tensors, want more"},
		{`{"do": "time", "steps": 1}`, "got the variant 0 of 0"},
	} {
		var out bytes.Buffer
		if err := serve(strings.NewReader(tt.command+"\n"), json.NewEncoder(&out), t.TempDir(), libraries["gorgonia"]); err != nil {
			t.Errorf("%s: %v", tt.command, err)
		}
		hello, reply, _ := strings.Cut(out.String(), "\n")
		if !strings.Contains(hello, "tape machine") {
			t.Errorf("got %q first, want the note", hello)
		}
		if !strings.Contains(reply, tt.want) {
			t.Errorf("%s: got %q, want %q in it", tt.command, reply, tt.want)
		}
	}
}

func TestPermuted(t *testing.T) {
	got := permuted(array{[]int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, 1, 0)
	for i, want := range []float32{1, 4, 2, 5, 3, 6} {
		if got.values[i] != want {
			t.Fatalf("got %v, want the transpose", got)
		}
	}
}
