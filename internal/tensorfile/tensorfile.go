// Package tensorfile keeps named tensors and a few strings in a safetensors file:
// a model's weights, an optimizer's state. What it writes carries checksums, so
// that a flipped bit is found; what other programs wrote is read too.
package tensorfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/internal/safetensors"
	"github.com/wick-ml/wick/tensor"
)

// Keys of the metadata. All of Wick's begin with Prefix.
const (
	Prefix = "wick."

	ModelKey  = Prefix + "model"  // the registered name of a whole model
	ConfigKey = Prefix + "config" // and its config, JSON

	// Beside begins the names of tensors that lie in a model's file but are not
	// the model's: those of an optimizer in a checkpoint. No key of a state dict
	// has it, as these are names of Go and PyTorch.
	Beside = Prefix + "checkpoint/"

	// What Write adds.
	formatKey = Prefix + "format" // the version of what this package writes
	format    = "1"

	// crcKey holds a JSON object with the CRC-32C of each tensor's bytes in hex, and
	// under headerName (which no tensor can be called) that of what the header
	// says, without crcKey itself.
	crcKey     = Prefix + "crc32c"
	headerName = "__metadata__"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

// Write makes or replaces the file path with tensors and metadata, atomically
// (see package atomicfile). Keys of metadata that Write adds itself ("wick.format",
// "wick.crc32c") are overwritten. One tensor at a time is in memory, and each is
// read twice, first for its checksum; one that changes between is an error.
func Write(path string, metadata map[string]string, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return write(path, metadata, tensors, func(f func(w io.Writer) error) error { return atomicfile.Write(path, f) })
}

// WriteTo is Write to a writer, which has a part of the file after an error.
func WriteTo(w io.Writer, metadata map[string]string, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return write("", metadata, tensors, func(f func(w io.Writer) error) error { return f(w) })
}

func write(path string, metadata map[string]string, tensors iter.Seq2[string, *tensor.Tensor], to func(func(w io.Writer) error) error) error {
	var list []safetensors.Tensor
	crcs := map[string]string{}
	for name, t := range tensors {
		dtype, ok := formatTypes[t.DType()]
		if !ok {
			return &safetensors.Error{File: path, Tensor: name, Offset: -1, Err: fmt.Errorf("%s cannot be written", t.DType())}
		}
		crc := checksum(littleEndian(t))
		crcs[name] = crc
		list = append(list, safetensors.Tensor{Name: name, DType: dtype, Shape: t.Shape(), Data: func() ([]byte, error) {
			b := littleEndian(t)
			if checksum(b) != crc {
				return nil, fmt.Errorf("it was changed while it was written; save when nothing trains the model")
			}
			return b, nil
		}})
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[formatKey] = format
	infos := make([]safetensors.Info, len(list))
	for i, t := range list {
		infos[i] = safetensors.Info{Name: t.Name, DType: t.DType, Shape: t.Shape}
	}
	crcs[headerName] = headerChecksum(metadata, infos)
	b, err := json.Marshal(crcs)
	if err != nil {
		return err // not reached: strings can be written
	}
	metadata[crcKey] = string(b)
	err = to(func(w io.Writer) error { return safetensors.Write(w, metadata, list) })
	if e, ok := err.(*safetensors.Error); ok {
		e.File = path
	}
	return err
}

// headerChecksum is the checksum of all that a header says but for the order of
// its entries, its checksums and its offsets (which follow from the rest: see the
// strictness of package safetensors).
func headerChecksum(metadata map[string]string, infos []safetensors.Info) string {
	h := crc32.New(castagnoli)
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		if k != crcKey {
			fmt.Fprintf(h, "%q %q\n", k, metadata[k])
		}
	}
	infos = slices.Clone(infos)
	slices.SortFunc(infos, func(a, b safetensors.Info) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range infos {
		fmt.Fprintf(h, "%q %s %v\n", t.Name, t.DType, t.Shape)
	}
	return fmt.Sprintf("%08x", h.Sum32())
}

// File is an open file.
type File struct {
	Metadata map[string]string // nil if there is none

	path string
	file io.Closer
	st   *safetensors.File
	crcs map[string]string // nil in files of other programs
}

// Open opens a file and checks its header, with its checksum if it has one.
// Errors name the path.
func Open(path string) (f *File, err error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	stat, err := r.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, &safetensors.Error{File: path, Offset: -1, Err: fmt.Errorf("it is not a regular file (%s)", stat.Mode().Type())}
	}
	return open(r, r, stat.Size(), path)
}

// Read is Open for what a reader has to its end, which is kept in memory. It takes
// no more of that than there is to read. Errors name the file name, if there is one.
func Read(r io.Reader, name string) (*File, error) {
	if r == nil {
		return nil, &safetensors.Error{File: name, Offset: -1, Err: errors.New("the reader is nil")}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return open(bytes.NewReader(b), io.NopCloser(nil), int64(len(b)), name)
}

func open(r io.ReaderAt, closer io.Closer, size int64, name string) (*File, error) {
	if err := foreign(r, name); err != nil {
		return nil, err
	}
	st, err := safetensors.New(r, size, name)
	if err != nil {
		return nil, err
	}
	f := &File{Metadata: st.Metadata, path: name, file: closer, st: st}
	return f, f.readChecksums()
}

// foreign returns an error for files of other formats that models come in, by how
// they begin.
func foreign(r io.ReaderAt, name string) error {
	b := make([]byte, 64)
	n, _ := r.ReadAt(b, 0) // what cannot be read is for others to say
	var is string
	switch b = b[:n]; {
	case n > 8 && b[8] == '{': // where a header of safetensors begins, whatever its length looks like
		return nil
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		is = "a zip archive, as torch.save writes"
	case len(b) > 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5:
		is = "a pickle, as torch.save wrote before PyTorch 1.6"
	case bytes.HasPrefix(b, []byte("\x89HDF")):
		is = "an HDF5 file, as Keras writes"
	case bytes.HasPrefix(b, []byte("GGUF")):
		is = "a GGUF file"
	case bytes.HasPrefix(b, []byte("version https://git-lfs")):
		return &safetensors.Error{File: name, Offset: -1, Err: errors.New(
			"it is a pointer of Git LFS, not the file itself; git lfs pull fetches that")}
	case bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(b)), []byte("<!doctype html")), bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(b)), []byte("<html")):
		return &safetensors.Error{File: name, Offset: -1, Err: errors.New(
			"it is a web page, not a safetensors file; a server may have sent it in the file's place")}
	default:
		return nil
	}
	return &safetensors.Error{File: name, Offset: -1, Err: fmt.Errorf(
		"it is %s, not a safetensors file; in Python, safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") writes one, which ReadStateDict of package layers reads", is)}
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// readChecksums reads the checksums and checks the header's.
func (f *File) readChecksums() error {
	ours := false
	for k := range f.Metadata {
		ours = ours || strings.HasPrefix(k, Prefix)
	}
	if !ours {
		return nil
	}
	if v, ok := f.Metadata[formatKey]; !ok {
		return f.fail("the metadata has no %s, though it has other keys of Wick: it is damaged", formatKey)
	} else if v != format {
		return f.fail("the metadata's %s is %.60q, and this version of Wick reads %q", formatKey, v, format)
	}
	if err := json.Unmarshal([]byte(f.Metadata[crcKey]), &f.crcs); err != nil {
		return f.fail("the metadata's %s is missing or damaged: %w", crcKey, err)
	}
	if got, want := f.crcs[headerName], headerChecksum(f.Metadata, f.st.Tensors); got != want {
		return f.fail("the header is damaged: its CRC-32C is %s, and %.60q is noted", want, got)
	}
	if len(f.crcs)-1 != len(f.st.Tensors) {
		return f.fail("the metadata's %s is damaged: it has %d tensors, the file %d", crcKey, len(f.crcs)-1, len(f.st.Tensors))
	}
	return nil
}

func (f *File) fail(format string, args ...any) error {
	return &safetensors.Error{File: f.path, Offset: -1, Err: fmt.Errorf(format, args...)}
}

// Tensors reads all tensors, to the CPU and in the order of the file, and checks
// them against their checksums.
//
// Integers of types that tensors do not have (I8, I16, I32, U16 and U32) come as
// Int64. What is left (F8, C64, U64) is an error.
func (f *File) Tensors() ([]Entry, error) {
	entries := make([]Entry, len(f.st.Tensors))
	for i, info := range f.st.Tensors {
		t, err := f.read(info)
		if err != nil {
			return nil, err
		}
		entries[i] = Entry{info.Name, t}
	}
	return entries, nil
}

// Entry is a tensor of a file.
type Entry struct {
	Name   string
	Tensor *tensor.Tensor
}

func (f *File) read(info safetensors.Info) (*tensor.Tensor, error) {
	fail := func(format string, args ...any) (*tensor.Tensor, error) {
		return nil, &safetensors.Error{File: f.path, Tensor: info.Name, Offset: info.Offset, Err: fmt.Errorf(format, args...)}
	}
	c, ok := conversions[info.DType]
	if !ok {
		return fail("the type %s is not supported", info.DType)
	}
	b, err := f.st.Read(info)
	if err != nil {
		return nil, err
	}
	if f.crcs != nil {
		if got, want := f.crcs[info.Name], checksum(b); got != want {
			return fail("the data is damaged: its CRC-32C is %s, and %.60q is noted", want, got)
		}
	}
	if info.DType == safetensors.Bool {
		if i := slices.IndexFunc(b, func(v byte) bool { return v > 1 }); i >= 0 {
			return fail("element %d of the BOOL data is %d, want 0 or 1", i, b[i])
		}
	}
	if c.widen != nil {
		b = c.widen(b)
	}
	toNative(b, c.dtype.Size())
	t := tensor.Zeros(info.Shape...).ToDType(c.dtype)
	t.SetRaw(b)
	return t, nil
}

// formatTypes are the format's names of the types that tensors have.
var formatTypes = map[tensor.DType]safetensors.DType{
	tensor.Float32: safetensors.F32, tensor.Float64: safetensors.F64, tensor.Int64: safetensors.I64,
	tensor.Uint8: safetensors.U8, tensor.Bool: safetensors.Bool, tensor.BFloat16: safetensors.BF16, tensor.Float16: safetensors.F16,
}

// conversions are what the format's types become. widen turns little-endian
// elements into those of dtype.
var conversions = map[safetensors.DType]struct {
	dtype tensor.DType
	widen func([]byte) []byte
}{
	safetensors.F32:  {tensor.Float32, nil},
	safetensors.F64:  {tensor.Float64, nil},
	safetensors.I64:  {tensor.Int64, nil},
	safetensors.U8:   {tensor.Uint8, nil},
	safetensors.Bool: {tensor.Bool, nil},
	safetensors.F16:  {tensor.Float16, nil},
	safetensors.BF16: {tensor.BFloat16, nil},
	safetensors.I8:   {tensor.Int64, widen(1, 8, func(to, from []byte) { le.PutUint64(to, uint64(int8(from[0]))) })},
	safetensors.I16:  {tensor.Int64, widen(2, 8, func(to, from []byte) { le.PutUint64(to, uint64(int16(le.Uint16(from)))) })},
	safetensors.I32:  {tensor.Int64, widen(4, 8, func(to, from []byte) { le.PutUint64(to, uint64(int32(le.Uint32(from)))) })},
	safetensors.U16:  {tensor.Int64, widen(2, 8, func(to, from []byte) { le.PutUint64(to, uint64(le.Uint16(from))) })},
	safetensors.U32:  {tensor.Int64, widen(4, 8, func(to, from []byte) { le.PutUint64(to, uint64(le.Uint32(from))) })},
}

var le = binary.LittleEndian

func widen(from, to int, one func(to, from []byte)) func([]byte) []byte {
	return func(b []byte) []byte {
		out := make([]byte, len(b)/from*to)
		for i := 0; i < len(b)/from; i++ {
			one(out[i*to:(i+1)*to], b[i*from:(i+1)*from])
		}
		return out
	}
}

// littleEndian returns the elements of a tensor as the format wants them.
func littleEndian(t *tensor.Tensor) []byte {
	b := t.Detach().Raw()
	toNative(b, t.DType().Size())
	return b
}

// toNative turns elements of size bytes from little-endian into the machine's
// order, or back.
func toNative(b []byte, size int) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		swap(b, size)
	}
}

func swap(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		slices.Reverse(b[:size])
	}
}
