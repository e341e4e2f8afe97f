// Package safetensors reads and writes the safetensors file format: eight bytes
// with the length of a JSON header, the header with each tensor's name, type,
// shape and place, then the elements, row by row, little-endian.
// (https://huggingface.co/docs/safetensors, section Format)
//
// The reader takes every file for one from a stranger: what it does not
// understand completely is an error, and nothing is allocated that the file's own
// size does not justify.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"
)

// DType is the type of a tensor's elements, by the format's name for it.
type DType string

// The types of whole bytes. (The format also names some of 4 and 6 bits, which
// are not supported.)
const (
	Bool    DType = "BOOL"
	U8      DType = "U8"
	I8      DType = "I8"
	F8E5M2  DType = "F8_E5M2"
	F8E4M3  DType = "F8_E4M3"
	F8E8M0  DType = "F8_E8M0"
	F8E4M3U DType = "F8_E4M3FNUZ"
	F8E5M2U DType = "F8_E5M2FNUZ"
	I16     DType = "I16"
	U16     DType = "U16"
	F16     DType = "F16"
	BF16    DType = "BF16"
	I32     DType = "I32"
	U32     DType = "U32"
	F32     DType = "F32"
	I64     DType = "I64"
	U64     DType = "U64"
	F64     DType = "F64"
	C64     DType = "C64"
)

var sizes = map[DType]int{
	Bool: 1, U8: 1, I8: 1, F8E5M2: 1, F8E4M3: 1, F8E8M0: 1, F8E4M3U: 1, F8E5M2U: 1,
	I16: 2, U16: 2, F16: 2, BF16: 2, I32: 4, U32: 4, F32: 4, I64: 8, U64: 8, F64: 8, C64: 8,
}

// Size returns the bytes that one element takes, or 0 for a type that is not
// supported.
func (t DType) Size() int { return sizes[t] }

// MaxHeader is the most bytes that a header may have.
const MaxHeader = 100_000_000

// metadataKey is the one name that a tensor cannot have.
const metadataKey = "__metadata__"

// Info is what the header says of a tensor.
type Info struct {
	Name   string
	DType  DType
	Shape  []int
	Size   int64 // in bytes
	Offset int64 // of the elements, from the start of the file

	begin int64 // of the elements, from the end of the header
}

// Error says what is wrong with a file, or with what is to be written to one.
type Error struct {
	File   string // "" if it has no name
	Tensor string // "" if it is not about one tensor
	Offset int64  // where in the file, from its start; -1 if it is not about one place
	Err    error  // what was found and what would be right
}

func (e *Error) Error() string {
	s := "safetensors: "
	if e.File != "" {
		s += e.File + ": "
	}
	if e.Tensor != "" {
		s += "tensor " + short(e.Tensor) + ": "
	}
	s += e.Err.Error()
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// short quotes a text of the file for an error; a hostile one may be long.
func short(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%.120q… (%d bytes)", s, len(s))
	}
	return fmt.Sprintf("%q", s)
}

// shapeString prints a shape for an error; a hostile one may be long.
func shapeString(shape []int) string {
	if len(shape) > 16 {
		return fmt.Sprintf("%v… (%d dimensions)", shape[:16], len(shape))
	}
	return fmt.Sprint(shape)
}

// byteSize returns the bytes that the elements of a shape take.
func byteSize(t DType, shape []int) (int64, error) {
	if t.Size() == 0 {
		return 0, fmt.Errorf("the type %s is unknown", short(string(t)))
	}
	// A size of 0 counts as 1, so that the strides of the tensor do not overflow
	// either.
	bound, n := t.Size(), t.Size()
	for i, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("dimension %d has the negative size %d", i, d)
		}
		if d > 0 && bound > math.MaxInt/8/d {
			return 0, fmt.Errorf("the shape %s is too large for this machine", shapeString(shape))
		}
		bound *= max(d, 1)
		n *= d
	}
	return int64(n), nil
}

// File is a file that is being read.
type File struct {
	Tensors  []Info            // in the order of their data
	Metadata map[string]string // nil if there is none

	r    io.ReaderAt
	name string
}

// New reads and checks the header of a file of size bytes. name is the file's
// name for errors.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{r: r, name: name}
	if size < 8 {
		return nil, f.fail("", 0, "the file has %d bytes and is no safetensors file", size)
	}
	b, err := f.read("", 0, 8)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > MaxHeader {
		return nil, f.fail("", 0, "the header is said to have %d bytes, more than the format takes (%d); is it a safetensors file?", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, f.fail("", 0, "the header is said to have %d bytes, and the file has %d behind its length: it is cut short", n, size-8)
	}
	header, err := f.read("", 8, int64(n))
	if err != nil {
		return nil, err
	}
	data := 8 + int64(n)
	f.Tensors, f.Metadata, err = parseHeader(header, size-data)
	if err != nil {
		if e, ok := err.(*Error); ok {
			e.File = name
		}
		return nil, err
	}
	for i := range f.Tensors {
		f.Tensors[i].Offset = data + f.Tensors[i].begin
	}
	return f, nil
}

// Read returns the elements of one of f.Tensors, little-endian.
func (f *File) Read(t Info) ([]byte, error) { return f.read(t.Name, t.Offset, t.Size) }

func (f *File) read(tensor string, offset, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := f.r.ReadAt(b, offset); int64(got) < n {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, f.fail(tensor, offset+int64(got), "reading %d bytes: %w", n, err)
	}
	return b, nil
}

func (f *File) fail(tensor string, offset int64, format string, args ...any) error {
	return &Error{f.name, tensor, offset, fmt.Errorf(format, args...)}
}

// Tensor is one tensor to be written.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  func() ([]byte, error) // the elements, little-endian; called once by Write
}

// Write writes a file. metadata may be nil. Tensors of larger elements come
// first, otherwise in the order given, so that every tensor's elements are
// aligned, which some readers need.
func Write(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int { return b.DType.Size() - a.DType.Size() })
	infos, err := layout(tensors)
	if err != nil {
		return err
	}
	header, err := marshalHeader(metadata, infos)
	if err != nil {
		return &Error{Offset: -1, Err: err}
	}
	if err := writeAll(w, binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if err := writeAll(w, header); err != nil {
		return err
	}
	for i, t := range tensors {
		b, err := t.Data()
		if err == nil && int64(len(b)) != infos[i].Size {
			err = fmt.Errorf("got %d bytes, want %d for %s of shape %v", len(b), infos[i].Size, t.DType, t.Shape)
		}
		if err != nil {
			return &Error{Tensor: t.Name, Offset: -1, Err: err}
		}
		if err := writeAll(w, b); err != nil {
			return err
		}
	}
	return nil
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// layout checks the tensors and gives each its place.
func layout(tensors []Tensor) ([]Info, error) {
	infos := make([]Info, len(tensors))
	seen := make(map[string]bool, len(tensors))
	var end int64
	for i, t := range tensors {
		n, err := byteSize(t.DType, t.Shape)
		switch {
		case err != nil:
		case !utf8.ValidString(t.Name):
			err = fmt.Errorf("the name is not valid UTF-8")
		case t.Name == metadataKey:
			err = fmt.Errorf("the format keeps this name for itself")
		case seen[t.Name]:
			err = fmt.Errorf("the name comes twice")
		case end > math.MaxInt64-n:
			err = fmt.Errorf("the file would have more than %d bytes", int64(math.MaxInt64))
		}
		if err != nil {
			return nil, &Error{Tensor: t.Name, Offset: -1, Err: err}
		}
		seen[t.Name] = true
		infos[i] = Info{Name: t.Name, DType: t.DType, Shape: t.Shape, Size: n, begin: end}
		end += n
	}
	return infos, nil
}
