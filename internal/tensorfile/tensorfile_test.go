package tensorfile

import (
	"encoding/binary"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func one(name string, t *tensor.Tensor) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) { yield(name, t) }
}

func TestWiden(t *testing.T) {
	for name, tt := range map[string]struct {
		in   []byte
		want []int64
	}{
		"I8":  {[]byte{0x80, 0xff, 0x7f}, []int64{-128, -1, 127}},
		"I16": {[]byte{0, 0x80, 0xff, 0x7f}, []int64{-32768, 32767}},
		"I32": {[]byte{0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f}, []int64{math.MinInt32, math.MaxInt32}},
		"U16": {[]byte{0xff, 0xff}, []int64{65535}},
		"U32": {[]byte{0xff, 0xff, 0xff, 0xff}, []int64{math.MaxUint32}},
	} {
		for dtype, c := range conversions {
			if string(dtype) != name {
				continue
			}
			b := c.widen(tt.in)
			got := make([]int64, len(b)/8)
			for i := range got {
				got[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: got %v, want %v", name, got, tt.want)
			}
		}
	}
}

func TestSwap(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	swap(b, 4)
	if want := []byte{4, 3, 2, 1, 8, 7, 6, 5}; !slices.Equal(b, want) {
		t.Errorf("got %v, want %v", b, want)
	}
}

// A tensor that changes between its checksum and its writing is an error.
func TestChangedWhileWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	x := tensor.Ones(2)
	changing := func(yield func(string, *tensor.Tensor) bool) {
		if yield("x", x) {
			x.Fill(2)
		}
	}
	err := Write(path, nil, changing)
	if want := `safetensors: ` + path + `: tensor "x": it was changed while it was written`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("got the files %v, %v, want none", entries, err)
	}
}

func TestMetadata(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	metadata := map[string]string{"epoch": "3", "wick.optimizer": `{"lr": 0.1}`, "wick.format": "mine"}
	x := tensor.From([]int64{1, -2}).View(2, 1)
	if err := Write(path, metadata, one("x", x)); err != nil {
		t.Fatal(err)
	}
	if len(metadata) != 3 {
		t.Errorf("the caller's metadata was changed: %v", metadata)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for k, want := range map[string]string{"epoch": "3", "wick.optimizer": `{"lr": 0.1}`, "wick.format": "1"} {
		if got := f.Metadata[k]; got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
	entries, err := f.Tensors()
	if err != nil || len(entries) != 1 || entries[0].Name != "x" || !entries[0].Tensor.Shape().Equal(x.Shape()) || !slices.Equal(entries[0].Tensor.Ints(), x.Ints()) {
		t.Errorf("got %v, %v, want x", entries, err)
	}
}

// A file that shrinks after Open is an error that names the tensor.
func TestShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, nil, one("x", tensor.Ones(100))); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, f.st.Tensors[0].Offset+8); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensors(); err == nil || !strings.Contains(err.Error(), `tensor "x": reading 400 bytes`) {
		t.Errorf("got %v, want an error", err)
	}
}

// Whatever a file holds, reading it ends with tensors or an error.
func FuzzTensors(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	for _, x := range []*tensor.Tensor{tensor.Ones(2, 3), tensor.From([]bool{true, false}), tensor.Zeros(0, 4), tensor.Ones().ToDType(tensor.Int64)} {
		if err := Write(path, map[string]string{"a": "b"}, one("x", x)); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, entry := range []string{
		`"dtype":"F16","shape":[1,2],"data_offsets":[0,4]`, `"dtype":"I8","shape":[4],"data_offsets":[0,4]`, `"dtype":"U32","shape":[],"data_offsets":[0,4]`,
		`"dtype":"F64","shape":[0,1125899906842624],"data_offsets":[0,0]`, `"dtype":"C64","shape":[0],"data_offsets":[0,0]`,
	} {
		header := `{"x":{` + entry + `}}`
		b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		f.Add(b)
		f.Add(append(b, 1, 2, 3, 4))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		entries, err := file.Tensors()
		if err != nil {
			return
		}
		for i, info := range file.st.Tensors {
			if x := entries[i].Tensor; entries[i].Name != info.Name || !slices.Equal(x.Shape(), info.Shape) {
				t.Errorf("%q: got %s %v, want %s %v", info.Name, x.DType(), x.Shape(), info.DType, info.Shape)
			}
		}
	})
}
