package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// raw makes a file of a header and data.
func raw(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func open(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b)), "x.safetensors") }

func given(name string, t DType, data string, shape ...int) Tensor {
	return Tensor{name, t, shape, func() ([]byte, error) { return []byte(data), nil }}
}

func TestHeader(t *testing.T) {
	entry := func(name, dtype, shape, offsets string) string {
		return fmt.Sprintf(`"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%s]}`, name, dtype, shape, offsets)
	}
	tests := []struct {
		name string
		file []byte
		want string // in the error; "" for none
	}{
		{"no tensors", raw(`{}`, ""), ""},
		{"padding", raw("{}   ", ""), ""},
		{"one", raw(`{`+entry("a", "U8", "2", "0,2")+`}`, "xy"), ""},
		{"spaces", raw(`{ "a" : {"shape":[ 2 ], "data_offsets":[ 0 , 2 ], "dtype":"U8" } } `, "xy"), ""},
		{"scalar", raw(`{`+entry("a", "F32", "", "0,4")+`}`, "abcd"), ""},
		{"two in any order", raw(`{`+entry("a", "U8", "2", "1,3")+`,`+entry("b", "BOOL", "1", "0,1")+`}`, "xyz"), ""},
		{"empty tensors", raw(`{`+entry("a", "F32", "0,3", "2,2")+`,`+entry("b", "U8", "2", "0,2")+`,`+entry("c", "F64", "0", "0,0")+`}`, "xy"), ""},
		{"metadata", raw(`{"__metadata__":{"a":"b","c":""}}`, ""), ""},
		{"empty metadata", raw(`{"__metadata__":{}}`, ""), ""},

		{"empty file", nil, "0 bytes and is no safetensors file"},
		{"seven bytes", make([]byte, 7), "7 bytes and is no safetensors file"},
		{"no header", make([]byte, 8), "does not begin with {"},
		{"huge header", append(binary.LittleEndian.AppendUint64(nil, 1<<63+5), "{}"...), "more than the format takes (100000000)"},
		{"header above limit", append(binary.LittleEndian.AppendUint64(nil, MaxHeader+1), "{}"...), "more than the format takes (100000000)"},
		{"header above file", append(binary.LittleEndian.AppendUint64(nil, MaxHeader), "{}"...), "the file has 2 behind its length: it is cut short"},
		{"header one above file", append(binary.LittleEndian.AppendUint64(nil, 3), "{}"...), "it is cut short"},
		{"leading space", raw(" {}", ""), "does not begin with {"},
		{"list", raw("[]", ""), "does not begin with {"},
		{"not UTF-8", raw("{\"\xff\":1}", ""), "not valid UTF-8"},
		{"not JSON", raw("{a}", ""), "not JSON"},
		{"unclosed", raw(`{"__metadata__":{`, ""), "not JSON"},
		{"comma", raw(`{"__metadata__":{},}`, ""), "not JSON"},
		{"two values", raw(`{}{}`, ""), "goes on after"},
		{"zero padding", raw("{}\x00", ""), "goes on after"},
		{"metadata number", raw(`{"__metadata__":{"a":1}}`, ""), "want a string"},
		{"metadata null", raw(`{"__metadata__":null}`, ""), `want "{"`},
		{"metadata twice", raw(`{"__metadata__":{},"__metadata__":{}}`, ""), "twice"},
		{"metadata key twice", raw(`{"__metadata__":{"a":"","a":""}}`, ""), "twice"},
		{"tensor twice", raw(`{`+entry("a", "U8", "1", "0,1")+`,`+entry("a", "U8", "1", "1,2")+`}`, "xy"), "twice"},
		{"tensor twice, escaped", raw(`{`+entry("a", "U8", "1", "0,1")+`,`+entry(`\u0061`, "U8", "1", "1,2")+`}`, "xy"), "twice"},
		{"tensor is a string", raw(`{"a":"b"}`, ""), `want "{"`},
		{"field twice", raw(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "x"), "twice"},
		{"field in another case", raw(`{"a":{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "x"), `the key "Dtype"`},
		{"field missing", raw(`{"a":{"dtype":"U8","shape":[1]}}`, ""), "missing"},
		{"field null", raw(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, "x"), `want "["`},
		{"unknown type", raw(`{`+entry("a", "F31", "1", "0,1")+`}`, "x"), `type "F31" is unknown`},
		{"type in another case", raw(`{`+entry("a", "f32", "1", "0,4")+`}`, "abcd"), `type "f32" is unknown`},
		{"negative size", raw(`{`+entry("a", "U8", "-1", "0,1")+`}`, "x"), "whole number"},
		{"fraction", raw(`{`+entry("a", "U8", "1.0", "0,1")+`}`, "x"), "whole number"},
		{"exponent", raw(`{`+entry("a", "U8", "1e0", "0,1")+`}`, "x"), "whole number"},
		{"string size", raw(`{`+entry("a", "U8", `"1"`, "0,1")+`}`, "x"), "want a number"},
		{"nested size", raw(`{`+entry("a", "U8", `[1]`, "0,1")+`}`, "x"), "want a number"},
		{"overflowing size", raw(`{`+entry("a", "U8", "4294967296,4294967296", "0,0")+`}`, ""), "too large"},
		{"overflowing size times element", raw(`{`+entry("a", "F64", "2305843009213693952", "0,0")+`}`, ""), "too large"},
		{"overflowing size with 0", raw(`{`+entry("a", "U8", "0,4294967296,4294967296", "0,0")+`}`, ""), "too large"},
		{"size above int64", raw(`{`+entry("a", "U8", "18446744073709551617", "0,1")+`}`, "x"), "whole number"},
		{"offset above int64", raw(`{`+entry("a", "U8", "1", "18446744073709551616,18446744073709551617")+`}`, "x"), "whole number"},
		{"one offset", raw(`{`+entry("a", "U8", "1", "0")+`}`, "x"), "got 1 data_offsets"},
		{"three offsets", raw(`{`+entry("a", "U8", "1", "0,1,1")+`}`, "x"), "got 3 data_offsets"},
		{"offsets reversed", raw(`{`+entry("a", "U8", "1", "1,0")+`}`, "x"), "does not fit"},
		{"shape too large", raw(`{`+entry("a", "F32", "1,2", "0,4")+`}`, "abcd"), "F32 of shape [1 2], which takes 8 bytes"},
		{"shape too small", raw(`{`+entry("a", "F32", "1", "0,8")+`}`, "abcdefgh"), "which takes 4 bytes"},
		{"hole in front", raw(`{`+entry("a", "U8", "1", "1,2")+`}`, "xy"), "leaves a hole"},
		{"hole", raw(`{`+entry("a", "U8", "1", "0,1")+`,`+entry("b", "U8", "1", "2,3")+`}`, "xyz"), `tensor "b": the data [2 3] leaves a hole`},
		{"hole by an empty tensor", raw(`{`+entry("a", "U8", "1", "0,1")+`,`+entry("b", "U8", "0", "2,2")+`}`, "x"), "leaves a hole"},
		{"overlap", raw(`{`+entry("a", "U8", "2", "0,2")+`,`+entry("b", "U8", "2", "1,3")+`}`, "xyz"), "overlaps"},
		{"same data", raw(`{`+entry("a", "U8", "2", "0,2")+`,`+entry("b", "U8", "2", "0,2")+`}`, "xy"), "overlaps"},
		{"far away", raw(`{`+entry("a", "U8", "1", "9223372036854775806,9223372036854775807")+`}`, "x"), "leaves a hole"},
		{"data cut short", raw(`{`+entry("a", "U8", "3", "0,3")+`}`, "xy"), "cut short"},
		{"data left over", raw(`{`+entry("a", "U8", "1", "0,1")+`}`, "xy"), "the tensors take 1 bytes, and the file has 2"},
		{"long name", raw(`{"`+strings.Repeat("n", 1000)+`":1}`, ""), "(1000 bytes)"},
		{"many dimensions", raw(`{`+entry("a", "U8", strings.Repeat("1,", 999)+"1", "0,2")+`}`, "xy"), "(1000 dimensions)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := open(tt.file)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				for _, info := range f.Tensors {
					if b, err := f.Read(info); err != nil || int64(len(b)) != info.Size {
						t.Errorf("%s: got %d bytes, %v, want %d", info.Name, len(b), err, info.Size)
					}
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || e.File != "x.safetensors" {
				t.Errorf("got %v, want an *Error with %q", err, tt.want)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes, want less", len(err.Error()))
			}
		})
	}
}

func TestErrorNamesPlace(t *testing.T) {
	_, err := open(raw(`{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}`, "x"))
	want := `safetensors: x.safetensors: tensor "a": got "true", want a number (at byte 40)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestPythonFile(t *testing.T) {
	r, err := os.Open("testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stat, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(r, stat.Size(), "python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"format": "pt", "note": "ä \" \\ \n"}; !maps.Equal(f.Metadata, want) {
		t.Errorf("metadata: got %q, want %q", f.Metadata, want)
	}
	le := func(v any) string {
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := map[string]struct {
		dtype DType
		shape []int
		data  string
	}{
		"weight":            {F32, []int{2, 3}, le([]float32{0, .25, .5, .75, 1, 1.25})},
		"scalar":            {F64, []int{}, le(2.5)},
		"half":              {F16, []int{5}, le([]uint16{0x3c00, 0xb800, 0x7bff, 1, 0x7c00})},
		"brain":             {BF16, []int{2, 1}, le([]uint16{0x3f80, 0xc049})},
		"count":             {I64, []int{}, le(int64(-7))},
		"short":             {I16, []int{2}, le([]int16{-300, 300})},
		"int":               {I32, []int{1}, le(int32(-70000))},
		"signed":            {I8, []int{2}, "\x80\x7f"},
		"bytes":             {U8, []int{2}, "\x00\xff"},
		"mask":              {Bool, []int{3}, "\x01\x00\x01"},
		"empty":             {F32, []int{0, 3}, ""},
		"naïve \"key\"/<&>": {F32, []int{1}, le(float32(1))},
	}
	if len(f.Tensors) != len(want) {
		t.Errorf("got %d tensors, want %d", len(f.Tensors), len(want))
	}
	for _, info := range f.Tensors {
		w := want[info.Name]
		b, err := f.Read(info)
		if err != nil || info.DType != w.dtype || !slices.Equal(info.Shape, w.shape) || string(b) != w.data {
			t.Errorf("%s: got %s %v %q, %v, want %s %v %q", info.Name, info.DType, info.Shape, b, err, w.dtype, w.shape, w.data)
		}
	}
}

func TestWrite(t *testing.T) {
	metadata := map[string]string{"b": "<&>\"\\\n\u2028", "a": ""}
	tensors := []Tensor{
		given("mask", Bool, "\x01\x00", 2),
		given("w", F32, "abcdefgh", 1, 2),
		given("n", I64, "12345678"),
		given("none", F64, "", 0, 5),
		given("v <\"é\">", F32, "ijkl", 1),
	}
	var b bytes.Buffer
	if err := Write(&b, metadata, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(f.Metadata, metadata) {
		t.Errorf("metadata: got %q, want %q", f.Metadata, metadata)
	}
	var names []string
	for _, info := range f.Tensors {
		names = append(names, info.Name)
		if info.Offset%int64(info.DType.Size()) != 0 {
			t.Errorf("%s is at byte %d, want a multiple of %d", info.Name, info.Offset, info.DType.Size())
		}
		i := slices.IndexFunc(tensors, func(t Tensor) bool { return t.Name == info.Name })
		want, _ := tensors[i].Data()
		got, err := f.Read(info)
		if err != nil || !bytes.Equal(got, want) || !slices.Equal(info.Shape, tensors[i].Shape) || info.DType != tensors[i].DType {
			t.Errorf("%s: got %v %q, %v, want %q", info.Name, info, got, err, want)
		}
	}
	// Empty ones come first of those at one place.
	if want := []string{"n", "none", "w", "v <\"é\">", "mask"}; !slices.Equal(names, want) {
		t.Errorf("got the order %q, want %q", names, want)
	}

	// What was written is the same for the same tensors.
	var again bytes.Buffer
	if err := Write(&again, metadata, tensors); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("a second file differs from the first, %v", err)
	}
}

func TestWriteErrors(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		metadata map[string]string
		tensors  []Tensor
		want     string
	}{
		"reserved name":  {nil, []Tensor{given("__metadata__", U8, "x", 1)}, "keeps this name"},
		"name twice":     {nil, []Tensor{given("a", U8, "x", 1), given("a", F32, "abcd", 1)}, "twice"},
		"name not UTF-8": {nil, []Tensor{given("a\xff", U8, "x", 1)}, "not valid UTF-8"},
		"metadata":       {map[string]string{"a": "\xff"}, nil, "not valid UTF-8"},
		"metadata key":   {map[string]string{"\xff": "a"}, nil, "not valid UTF-8"},
		"type":           {nil, []Tensor{given("a", "F31", "x", 1)}, `type "F31" is unknown`},
		"negative size":  {nil, []Tensor{given("a", U8, "x", -1)}, "negative size -1"},
		"large size":     {nil, []Tensor{given("a", U8, "x", 1<<20, 1<<20, 1<<24)}, "too large"},
		"data too long":  {nil, []Tensor{given("a", U8, "xyz", 2)}, "got 3 bytes, want 2"},
		"data too short": {nil, []Tensor{given("a", F32, "xyz", 1)}, "got 3 bytes, want 4"},
		"data fails":     {nil, []Tensor{{"a", U8, nil, func() ([]byte, error) { return nil, boom }}}, "boom"},
		"header":         {map[string]string{"a": strings.Repeat("x", MaxHeader)}, nil, "more bytes than the format takes (100000000)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Write(io.Discard, tt.metadata, tt.tensors)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an *Error with %q", err, tt.want)
			}
		})
	}
}

// limited fails after n bytes.
type limited struct{ n int }

var errFull = errors.New("disk full")

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.n {
		return l.n, errFull
	}
	l.n -= len(b)
	return len(b), nil
}

func TestWriterFails(t *testing.T) {
	tensors := []Tensor{given("a", U8, "xyz", 3)}
	var whole bytes.Buffer
	if err := Write(&whole, nil, tensors); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if err := Write(&limited{n}, nil, tensors); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: got %v, want %v", n, err, errFull)
		}
	}
}

// A file that shrinks or fails after New is an error of Read.
func TestReadFails(t *testing.T) {
	b := raw(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, "xyz")
	for n := range len(b) {
		if _, err := New(bytes.NewReader(b[:n]), int64(n), "x"); err == nil {
			t.Errorf("cut at %d: got no error, want one", n)
		}
		f, err := New(bytes.NewReader(b[:n]), int64(len(b)), "x")
		if err == nil {
			_, err = f.Read(f.Tensors[0])
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("gone from %d: got %v, want %v", n, err, io.ErrUnexpectedEOF)
		}
	}
}

// A file of a few bytes that speaks of millions takes no memory for them.
func TestAllocationOfSmallFiles(t *testing.T) {
	header := func(n uint64, rest string) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), rest...) }
	for name, b := range map[string][]byte{
		"a header of 100 MB":       header(100_000_000, `{"a":{"dtype":"F32"`),
		"a header of 90 MB":        header(90_000_000, `{}`),
		"a header of 2⁶³ bytes":    header(1<<63, `{}`),
		"a header of 2⁶⁴-1 bytes":  header(1<<64-1, `{}`),
		"a large tensor":           raw(`{"a":{"dtype":"F32","shape":[1000000,1000],"data_offsets":[0,4000000000]}}`, "abcd"),
		"sizes that overflow":      raw(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, ""),
		"a tensor without numbers": raw(`{"a":{"dtype":"U8","shape":[0,9007199254740991],"data_offsets":[0,0]}}`, ""),
		"nested lists":             raw(`{"a":`+strings.Repeat("[", 80), ""),
		"nested objects":           raw(strings.Repeat(`{"a":`, 18), ""),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := open(b)
		if err == nil {
			for _, x := range f.Tensors {
				_, err = f.Read(x)
			}
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%s: allocated %d bytes for a file of %d (%v)", name, got, len(b), err)
		}
		if err == nil && name != "a tensor without numbers" {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzNew(f *testing.F) {
	f.Add(raw(`{"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}  `, "abcdefghi"))
	f.Add(raw(`{"a":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}}`, ""))
	f.Add(raw(`{}`, ""))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x80{}"))
	python, err := os.ReadFile("testdata/python.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(python)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := open(b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %T, want *Error", err)
			}
			return
		}
		// What is accepted covers the data without holes and survives a round trip.
		var tensors []Tensor
		var total int64
		for _, info := range file.Tensors {
			data, err := file.Read(info)
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size
			tensors = append(tensors, Tensor{info.Name, info.DType, info.Shape, func() ([]byte, error) { return data, nil }})
		}
		if n := binary.LittleEndian.Uint64(b); 8+int64(n)+total != int64(len(b)) {
			t.Fatalf("the header has %d bytes, the tensors %d, the file %d", n, total, len(b))
		}
		var out bytes.Buffer
		if err := Write(&out, file.Metadata, tensors); err != nil {
			t.Fatal(err)
		}
		again, err := open(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(again.Metadata, file.Metadata) || len(again.Tensors) != len(file.Tensors) {
			t.Fatalf("got %v, want %v", again, file)
		}
		for _, info := range again.Tensors {
			i := slices.IndexFunc(tensors, func(t Tensor) bool { return t.Name == info.Name })
			got, err := again.Read(info)
			want, _ := tensors[i].Data()
			if err != nil || !bytes.Equal(got, want) || !slices.Equal(info.Shape, tensors[i].Shape) {
				t.Fatalf("%s: got %v %q, %v, want %q", info.Name, info, got, err, want)
			}
		}
	})
}
