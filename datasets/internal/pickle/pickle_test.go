package pickle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testFile(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadProtocols(t *testing.T) {
	want := &Array{Shape: []int{2, 6}, Data: []byte{0, 1, 10, 127, 128, 255, 92, 39, 34, 13, 9, 200}}
	for _, name := range []string{"batch.p0", "batch.p1", "batch.p2", "batch.p3", "batch.p4", "batch.py2"} {
		t.Run(name, func(t *testing.T) {
			v, err := Read(testFile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			d, ok := v.(*Dict)
			if !ok {
				t.Fatalf("got a %s, want a dict", Name(v))
			}
			if diff := cmp.Diff(Value(want), d.Get("data")); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Value(&List{[]Value{Int(6), Int(9)}}), d.Get("labels")); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if name == "batch.py2" {
				return
			}
			if got, _ := String(d.Get("filenames").(*List).Items[1]); got != "b\\é\n€.png" {
				t.Errorf("file name: got %q", got)
			}
			more := Value(Tuple{Bool(true), Bool(false), None{}, Int(-1), Int(70000), Int(1 << 40), Float(1.5),
				&List{}, Tuple{}, &Dict{}, Bytes("\x00\xff\n")})
			if diff := cmp.Diff(more, d.Get("more"), cmp.Transformer("empty", func(t Tuple) []Value { return append([]Value{None{}}, t...) })); diff != "" {
				t.Errorf("more (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadValues(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Value
	}{
		{"quotes", `S'a\'\\\x41\n'` + "\n.", Bytes("a'\\A\n")},
		{"long", "\x8a\x02\x00\x80.", Int(-32768)},
		{"no bytes", "\x8a\x00.", Int(0)},
		{"eight bytes", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\xff.", Int(-1)},
		{"text long", "L-12L\n.", Int(-12)},
		{"float", "F1e3\n.", Float(1000)},
		{"pop to mark", "K\x07(K\x01K\x021.", Int(7)},
		{"pop", "K\x07K\x010.", Int(7)},
		{"dup", "K\x072\x86.", Tuple{Int(7), Int(7)}},
		{"key set twice", "}(U\x01aK\x01U\x01aK\x02u.", &Dict{[]Value{Bytes("a"), Bytes("a")}, []Value{Int(1), Int(2)}}},
		{"what follows is ignored", "N.garbage", None{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		offset   int
		want     string // part of the message
	}{
		{"empty", "", 0, "ends before"},
		{"no end", "\x80\x02}", 3, "ends before"},
		{"protocol 5", "\x80\x05N.", 0, "protocol 5"},
		{"os.system", "cos\nsystem\n(S'true'\ntR.", 0, `names "os.system"`},
		{"stack global", "\x8c\x02os\x8c\x06system\x93.", 12, `names "os.system"`},
		{"builtins", "c__builtin__\neval\n.", 0, "__builtin__.eval"},
		{"call of ndarray", "cnumpy\nndarray\n)R.", 16, "calls numpy.ndarray"},
		{"object", "(ios\nsystem\n.", 1, "not an instruction"},
		{"persistent id", "Pabc\n.", 0, "not an instruction"},
		{"bare function", "cnumpy\ndtype\n.", 13, "want plain data"},
		{"string past the end", "U\x05ab.", 0, "wants 5 bytes"},
		{"huge string", "T\xff\xff\xff\xffab.", 0, "wants 4294967295 bytes"},
		{"huge bytes", "\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", 0, "wants 18446744073709551615 bytes"},
		{"empty stack", ".", 0, "the stack is empty"},
		{"append to none", "NK\x01a.", 3, "appended to a None"},
		{"no mark", "]K\x01e.", 3, "no mark"},
		{"odd dict", "}(K\x01u.", 4, "a key without a value"},
		{"memo", "h\x07.", 0, "memo 7 was never set"},
		{"mark as value", "(.", 1, "above the mark"},
		{"float64 array", "cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R.", 22, `type "f8", want uint8`},
		{"big integer", "\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01.", 0, "more than 64 bits"},
		{"self-append bomb", "]" + strings.Repeat("2", 1<<16) + ".", 0, "more values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read([]byte(tt.in))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(err.Error(), tt.want) || tt.offset != e.Offset && tt.offset != 0 {
				t.Errorf("got %q at offset %d, want %q at offset %d", err, e.Offset, tt.want, tt.offset)
			}
		})
	}
}

func TestReadRefusesShape(t *testing.T) {
	good := testFile(t, "batch.py2")
	for _, tt := range []struct{ name, from, to, want string }{
		{"too many rows", "K\x02K\x06\x86", "K\x03K\x06\x86", "takes 18 bytes, the file has 12"},
		{"overflow", "K\x02K\x06\x86", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", "does not fit the file"},
		{"negative", "K\x02K\x06\x86", "J\xff\xff\xff\xffK\x06\x86", "does not fit the file"},
		{"fortran", "tb\x89T", "tb\x88T", "Fortran"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := bytes.Replace(good, []byte(tt.from), []byte(tt.to), 1)
			if _, err := Read(bad); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Every prefix and every file with one byte changed gives a value or an *Error.
func TestReadDamaged(t *testing.T) {
	for _, name := range []string{"batch.p0", "batch.p2", "batch.p4", "batch.py2"} {
		good := testFile(t, name)
		check := func(b []byte) {
			if _, err := Read(b); err != nil {
				var e *Error
				if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(b) {
					t.Fatalf("%s: got %v, want an *Error inside the file", name, err)
				}
			}
		}
		for i := range good {
			check(good[:i])
			for _, x := range []byte{0, 1, 0x7f, 0x80, 0xff, '(', '.', 'R', 'b'} {
				b := bytes.Clone(good)
				b[i] = x
				check(b)
			}
		}
	}
}

func TestReadAllocation(t *testing.T) {
	for _, op := range []string{"(", "]", "}", "N", ")", "(t", "]\x94", "K\x00\x85", "]2a"} {
		data := []byte(strings.Repeat(op, 4<<20/len(op)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(data)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%q: got no error", op)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 4*uint64(len(data)) {
			t.Errorf("%q: allocated %d bytes for a file of %d", op, got, len(data))
		}
	}
}

// A file of a few bytes that speaks of millions takes no memory for them.
func TestReadAllocationOfSmallFiles(t *testing.T) {
	const most = "\xff\xff\xff\x7f"
	const most8 = most + "\x00\x00\x00\x00"
	for name, data := range map[string]string{
		"BINSTRING":        "T" + most + "abc",
		"BINBYTES":         "B" + most + "abc",
		"BINBYTES8":        "\x8e" + most8 + "abc",
		"BINUNICODE":       "X" + most + "abc",
		"BINUNICODE8":      "\x8d" + most8 + "abc",
		"BYTEARRAY8":       "\x96" + most8 + "abc",
		"LONG4":            "\x8b" + most + "abc",
		"FRAME":            "\x80\x04\x95" + most8 + "abc",
		"LONG_BINPUT":      "Nr" + most + ".",
		"PUT":              "Np2000000000\n.",
		"LONG_BINGET":      "j" + most + ".",
		"GET":              "g2000000000\n.",
		"a long number":    "I" + strings.Repeat("9", 90) + "\n.",
		"an array":         "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(J" + most + "J" + most + "tS'b'\ntR.",
		"nested tuples":    strings.Repeat("(", 99) + ".",
		"memo of a memo":   "]\x94" + strings.Repeat("2a", 40) + ".",
		"nothing at all":   "",
		"no opcode at all": "\xff\xff\xff\xff",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read([]byte(data))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%s: allocated %d bytes for a file of %d (%v)", name, got, len(data), err)
		}
		// These are complete; the array is one that was never given its contents.
		complete := []string{"LONG_BINPUT", "PUT", "a long number", "an array", "memo of a memo"}
		if err == nil && !slices.Contains(complete, name) {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"batch.p0", "batch.p1", "batch.p2", "batch.p3", "batch.p4", "batch.py2"} {
		f.Add(testFile(f, name))
	}
	f.Add([]byte("cos\nsystem\n(S'true'\ntR."))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Read(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			return
		}
		if v == nil {
			t.Fatal("got neither a value nor an error")
		}
		if a, ok := v.(*Array); ok && a.Shape != nil {
			n := 1
			for _, d := range a.Shape {
				n *= d
			}
			if n != len(a.Data) {
				t.Fatalf("got shape %v for %d bytes", a.Shape, len(a.Data))
			}
		}
	})
}
