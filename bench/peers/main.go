// Command peers is the other side of bench for deep-learning libraries in Go: it
// does what bench/pytorch.py does, for the net of the tutorial. The first
// argument names the library, the second is bench's: {"dir": …}.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"
)

// row is what bench tells of a row, as far as it is needed here: the net, the
// tensors of its state dict in PyTorch's order, the images and their labels.
type row struct {
	Op   string `json:"op"`
	Args struct {
		Cfg   []any  `json:"cfg"` // widths, and "M" for max pooling
		Train bool   `json:"train"`
		DType string `json:"dtype"`
	} `json:"args"`
	Threads int    `json:"threads"`
	Tensors []file `json:"tensors"`
}

type file struct {
	File  string `json:"file"`
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

type command struct {
	Do      string `json:"do"`
	Row     *row   `json:"row"`
	Variant int    `json:"variant"`
	Checks  int    `json:"checks"`
	Steps   int    `json:"steps"`
}

type answer struct {
	Error    string            `json:"error,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
	Note     string            `json:"note,omitempty"`
	Variants []string          `json:"variants,omitempty"`
	Tensors  []file            `json:"tensors,omitempty"`
	Seconds  float64           `json:"seconds"`
}

// net is the tutorial's VGG with its first weights, a batch, and what to do with them.
type net struct {
	blocks   []block
	linear   array // [classes, channels]
	bias     array
	images   array   // [n, 3, 32, 32]
	labels   []int64 // [n]
	train    bool
	channels int // behind the last convolution
}

// block is a convolution of 3×3 taps, BatchNorm, ReLU, and perhaps max pooling of 2×2.
type block struct {
	weight, bias                 array // of the convolution: [out, in, 3, 3], [out]
	scale, shift, mean, variance array // of BatchNorm: [out]
	in, out                      int
	pool                         bool
}

type array struct {
	shape  []int
	values []float32
}

// BatchNorm's and Adam's numbers are PyTorch's defaults.
const (
	momentum = 0.1
	epsilon  = 1e-5
	rate     = 0.001
)

// step trains on the batch and returns the loss, or evaluates it and returns the outputs.
type step func() (array, error)

// library is one that takes part, with the ways in which it does.
type library struct {
	module, note string
	variants     []variant
}

type variant struct {
	name string
	make func(n *net) (step, error)
}

var libraries = map[string]library{
	"gomlx": {
		"github.com/gomlx/gomlx",
		"its backend in pure Go (simplego), with its best of Convolve and of one matrix product over unfolded pixels. " +
			"Since that backend lacks BatchNorm, Reverse and Pad, and the gradient of max pooling, these are put together from its other operations.",
		[]variant{{"Convolve", gomlxConvolve}, {"unfolded", gomlxUnfold}},
	},
	"gorgonia": {
		"gorgonia.org/gorgonia",
		"its tape machine, without CUDA. BatchNorm in evaluation is a factor and a summand for each channel, since its own operation gives other numbers there.",
		[]variant{{"", gorgonia}},
	},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("peers: ")
	if len(os.Args) != 3 {
		log.Fatal("want the name of a library and the configuration; bench -peers runs this program")
	}
	library, ok := libraries[os.Args[1]]
	if !ok {
		log.Fatalf("got the library %q, want gomlx or gorgonia", os.Args[1])
	}
	var config struct{ Dir string }
	if err := json.Unmarshal([]byte(os.Args[2]), &config); err != nil {
		log.Fatal(err)
	}
	// What libraries print must not come between the answers.
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	if err := serve(os.Stdin, out, config.Dir, library); err != nil {
		log.Fatal(err)
	}
}

func serve(commands io.Reader, out *json.Encoder, dir string, l library) error {
	if err := out.Encode(answer{Versions: versions(l.module), Note: l.note}); err != nil {
		return err
	}
	in := bufio.NewReader(commands)
	var n *net
	var steps []step // of the variants, once they were checked
	do := func(c command) (a answer, err error) {
		if c.Do == "setup" {
			if c.Row.Op != "classifier" || c.Row.Args.DType != "" {
				return a, fmt.Errorf("only the rows vgg16/… in float32 are here, got %s %s", c.Row.Op, c.Row.Args.DType)
			}
			runtime.GOMAXPROCS(c.Row.Threads)
			steps = make([]step, len(l.variants))
			for _, v := range l.variants {
				a.Variants = append(a.Variants, v.name)
			}
			n, err = read(c.Row)
			return a, err
		}
		if c.Variant < 0 || c.Variant >= len(steps) {
			return a, fmt.Errorf("got the variant %d of %d", c.Variant, len(steps))
		}
		switch c.Do {
		case "check":
			if steps[c.Variant], err = l.variants[c.Variant].make(n); err != nil {
				return a, err
			}
			return check(steps[c.Variant], c.Checks, dir)
		case "time":
			start := time.Now()
			for range c.Steps {
				if _, err := steps[c.Variant](); err != nil {
					return a, err
				}
			}
			a.Seconds = time.Since(start).Seconds()
			return a, nil
		}
		return a, fmt.Errorf("no command is called %s", c.Do)
	}
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var c command
		if err := errors.Join(err, json.Unmarshal(line, &c)); err != nil {
			return err
		}
		a, err := try(func() (answer, error) { return do(c) })
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// try makes an error of a panic.
func try(f func() (answer, error)) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			log.Printf("%v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// versions returns that of the library.
func versions(module string) map[string]string {
	found := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				found[module] = m.Version
			}
		}
	}
	return found
}

// check makes the first steps and writes what they compute to files.
func check(current step, checks int, dir string) (answer, error) {
	var a answer
	for i := range checks {
		found, err := current()
		if err != nil {
			return a, err
		}
		f := file{filepath.Join(dir, fmt.Sprintf("result%d", i)), found.shape, "float32"}
		raw := make([]byte, 4*len(found.values))
		for i, v := range found.values {
			binary.NativeEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		}
		if err := os.WriteFile(f.File, raw, 0o600); err != nil {
			return a, err
		}
		a.Tensors = append(a.Tensors, f)
	}
	return a, nil
}

// read makes the net of a row and its files.
func read(r *row) (*net, error) {
	at := 0
	raw := func(dtype string) ([]byte, []int, error) {
		if at == len(r.Tensors) {
			return nil, nil, fmt.Errorf("got %d tensors, want more", at)
		}
		f := r.Tensors[at]
		at++
		if f.DType != dtype {
			return nil, nil, fmt.Errorf("tensor %d is %s, want %s", at-1, f.DType, dtype)
		}
		b, err := os.ReadFile(f.File)
		return b, f.Shape, err
	}
	var failed error
	next := func() array {
		b, shape, err := raw("float32")
		failed = errors.Join(failed, err)
		a := array{shape: shape, values: make([]float32, len(b)/4)}
		for i := range a.values {
			a.values[i] = math.Float32frombits(binary.NativeEndian.Uint32(b[4*i:]))
		}
		return a
	}
	count := func() []int64 {
		b, _, err := raw("int64")
		failed = errors.Join(failed, err)
		v := make([]int64, len(b)/8)
		for i := range v {
			v[i] = int64(binary.NativeEndian.Uint64(b[8*i:]))
		}
		return v
	}
	n := &net{train: r.Args.Train, channels: 3}
	for _, c := range r.Args.Cfg {
		if width, ok := c.(float64); ok {
			n.blocks = append(n.blocks, block{
				in: n.channels, out: int(width),
				weight: next(), bias: next(), scale: next(), shift: next(), mean: next(), variance: next(),
			})
			count() // num_batches_tracked
			n.channels = int(width)
			continue
		}
		n.blocks[len(n.blocks)-1].pool = true
	}
	n.linear, n.bias, n.images, n.labels = next(), next(), next(), count()
	if failed == nil && at != len(r.Tensors) {
		failed = fmt.Errorf("got %d tensors, want %d", len(r.Tensors), at)
	}
	return n, failed
}
