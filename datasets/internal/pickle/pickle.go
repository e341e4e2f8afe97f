// Package pickle reads the few Python pickles that data sets are published as:
// dicts, lists, tuples, strings, numbers and uint8 NumPy arrays, written with
// protocols 0 to 4. A pickle is a program for a stack machine; this reader runs
// only the instructions that build such values and refuses every other one, so
// nothing in a file can call into the program or make it loop. What it
// allocates is bounded by the length of the file, and byte arrays are windows
// on the input.
//
// The format: Python's Lib/pickletools.py documents each instruction.
package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Value is one of None, Bool, Int, Float, Text, Bytes, *List, Tuple, *Dict and
// *Array.
type Value interface{ pyName() string }

type (
	// None is Python's None.
	None struct{}
	// Bool is a bool.
	Bool bool
	// Int is an int that fits 64 bits.
	Int int64
	// Float is a float.
	Float float64
	// Text is a unicode string, in UTF-8.
	Text []byte
	// Bytes is a byte string; also what Python 2 called str.
	Bytes []byte
	// List is a list.
	List struct{ Items []Value }
	// Tuple is a tuple.
	Tuple []Value
	// Dict is a dict, in the order in which it was filled.
	Dict struct{ Keys, Values []Value }
	// Array is a NumPy array of uint8 in C order.
	Array struct {
		Shape []int
		Data  []byte // a window on the file, unless the file held it encoded
	}

	global struct{ module, name string } // a class or function that is named, never called
	mark   struct{}
	dtype  struct{} // numpy.dtype('u1')
)

func (None) pyName() string   { return "None" }
func (Bool) pyName() string   { return "bool" }
func (Int) pyName() string    { return "int" }
func (Float) pyName() string  { return "float" }
func (Text) pyName() string   { return "str" }
func (Bytes) pyName() string  { return "bytes" }
func (*List) pyName() string  { return "list" }
func (Tuple) pyName() string  { return "tuple" }
func (*Dict) pyName() string  { return "dict" }
func (*Array) pyName() string { return "ndarray" }

func (g global) pyName() string { return g.module + "." + g.name }
func (mark) pyName() string     { return "mark" }
func (dtype) pyName() string    { return "dtype" }

// Name returns what Python calls the type of v.
func Name(v Value) string {
	if v == nil {
		return "nothing"
	}
	return v.pyName()
}

// Get returns the value whose key is the string key, or nil. A key that was
// set twice has its last value.
func (d *Dict) Get(key string) Value {
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if s, ok := String(d.Keys[i]); ok && s == key {
			return d.Values[i]
		}
	}
	return nil
}

// String returns the text of a Text or Bytes.
func String(v Value) (string, bool) {
	switch s := v.(type) {
	case Text:
		return string(s), true
	case Bytes:
		return string(s), true
	}
	return "", false
}

// Error says which instruction of a pickle was refused and where it stands.
type Error struct {
	Offset int  // of the instruction, in bytes from the start
	Op     byte // the instruction
	Reason string
}

func (e *Error) Error() string {
	op := fmt.Sprintf("%#02x", e.Op)
	if e.Op > ' ' && e.Op < 0x7f {
		op = strconv.QuoteRune(rune(e.Op))
	}
	return fmt.Sprintf("pickle: opcode %s at offset %d: %s", op, e.Offset, e.Reason)
}

// A value on the stack costs about this many bytes, its own memory and its
// share of slices that grow by doubling included.
const valueCost = 96

type machine struct {
	data   []byte
	pos    int
	stack  []Value
	marks  []int // positions of mark in stack
	memo   map[uint32]Value
	budget int // bytes that may still be allocated
}

// fail carries a refusal out of the instruction that found it.
type fail string

// Read returns the value that the pickle in data holds. Bytes after its end are
// ignored, as Python does. The result may share memory with data.
func Read(data []byte) (v Value, err error) {
	// A batch of images has a few small values for each image of thousands
	// of bytes; a file that asks for more than twice its length is not data.
	m := &machine{data: data, memo: map[uint32]Value{}, budget: 2*len(data) + 1<<20}
	start := 0
	defer func() {
		if r := recover(); r != nil {
			reason, ok := r.(fail)
			if !ok {
				panic(r)
			}
			e := &Error{Offset: start, Reason: string(reason)}
			if start < len(data) {
				e.Op = data[start]
			}
			v, err = nil, e
		}
	}()
	for {
		start = m.pos
		if m.pos >= len(data) {
			panic(fail("the file ends before the pickle does"))
		}
		op := data[m.pos]
		m.pos++
		if op == '.' {
			v := m.pop()
			switch v.(type) {
			case global, dtype:
				panic(fail("the pickle holds a " + v.pyName() + ", want plain data"))
			}
			return v, nil
		}
		m.step(op)
	}
}

func (m *machine) step(op byte) {
	switch op {
	case 0x80: // PROTO
		if v := m.bytes(1)[0]; v > 4 {
			panic(fail(fmt.Sprintf("protocol %d, want 0 to 4", v)))
		}
	case 0x95: // FRAME
		m.bytes(8)

	case 'N':
		m.push(None{})
	case 0x88:
		m.push(Bool(true))
	case 0x89:
		m.push(Bool(false))
	case 'I': // INT; 00 and 01 are how protocol 0 spells the bools
		switch s := string(m.line()); s {
		case "00":
			m.push(Bool(false))
		case "01":
			m.push(Bool(true))
		default:
			m.push(parseInt(s))
		}
	case 'L': // LONG
		m.push(parseInt(string(bytes.TrimSuffix(m.line(), []byte("L")))))
	case 'J':
		m.push(Int(int32(binary.LittleEndian.Uint32(m.bytes(4)))))
	case 'K':
		m.push(Int(m.bytes(1)[0]))
	case 'M':
		m.push(Int(binary.LittleEndian.Uint16(m.bytes(2))))
	case 0x8a: // LONG1
		m.push(twosComplement(m.bytes(int(m.bytes(1)[0]))))
	case 'F':
		f, err := strconv.ParseFloat(string(m.line()), 64)
		if err != nil {
			panic(fail("not a float"))
		}
		m.push(Float(f))
	case 'G':
		m.push(Float(math.Float64frombits(binary.BigEndian.Uint64(m.bytes(8)))))

	case 'S':
		m.push(m.quoted())
	case 'U', 'C':
		m.push(Bytes(m.bytes(int(m.bytes(1)[0]))))
	case 'T', 'B':
		m.push(Bytes(m.bytes(m.length(4))))
	case 0x8e:
		m.push(Bytes(m.bytes(m.length(8))))
	case 'V':
		m.push(m.rawUnicode())
	case 0x8c:
		m.push(Text(m.bytes(int(m.bytes(1)[0]))))
	case 'X':
		m.push(Text(m.bytes(m.length(4))))
	case 0x8d:
		m.push(Text(m.bytes(m.length(8))))

	case '(':
		m.marks = append(m.marks, len(m.stack))
		m.push(mark{})
	case '0':
		if _, ok := m.popAny().(mark); ok {
			m.marks = m.marks[:len(m.marks)-1]
		}
	case '1':
		m.toMark()
	case '2':
		m.push(m.top())

	case ']':
		m.push(&List{})
	case 'l':
		m.push(&List{Items: m.toMark()})
	case 'a':
		v := m.pop()
		l := m.list()
		l.Items = append(l.Items, v)
	case 'e':
		vs := m.toMark()
		l := m.list()
		l.Items = append(l.Items, vs...)
	case ')':
		m.push(Tuple{})
	case 't':
		m.push(Tuple(m.toMark()))
	case 0x85, 0x86, 0x87: // TUPLE1, 2, 3
		t := make(Tuple, op-0x84)
		for i := len(t) - 1; i >= 0; i-- {
			t[i] = m.pop()
		}
		m.push(t)
	case '}':
		m.push(&Dict{})
	case 'd':
		d := &Dict{}
		d.set(m.toMark())
		m.push(d)
	case 's':
		v := m.pop()
		k := m.pop()
		m.dict().set([]Value{k, v})
	case 'u':
		kv := m.toMark()
		m.dict().set(kv)

	case 'p':
		m.put(parseIndex(m.line()))
	case 'q':
		m.put(uint32(m.bytes(1)[0]))
	case 'r':
		m.put(binary.LittleEndian.Uint32(m.bytes(4)))
	case 0x94: // MEMOIZE
		m.put(uint32(len(m.memo)))
	case 'g':
		m.get(parseIndex(m.line()))
	case 'h':
		m.get(uint32(m.bytes(1)[0]))
	case 'j':
		m.get(binary.LittleEndian.Uint32(m.bytes(4)))

	case 'c':
		module := m.line()
		m.global(string(module), string(m.line()))
	case 0x93: // STACK_GLOBAL
		name, ok := String(m.pop())
		module, ok2 := String(m.pop())
		if !ok || !ok2 {
			panic(fail("a class is named by something that is not a string"))
		}
		m.global(module, name)
	case 'R':
		m.reduce()
	case 'b':
		m.build()
	default:
		panic(fail("not an instruction that plain data and uint8 arrays need"))
	}
}

func (m *machine) spend(n int) {
	if m.budget -= n; m.budget < 0 {
		panic(fail(fmt.Sprintf("more values than a file of %d bytes needs", len(m.data))))
	}
}

func (m *machine) push(v Value) {
	m.spend(valueCost)
	m.stack = append(m.stack, v)
}

// top returns the value on top, which may not be a mark.
func (m *machine) top() Value {
	if len(m.stack) == 0 {
		panic(fail("the stack is empty"))
	}
	v := m.stack[len(m.stack)-1]
	if _, ok := v.(mark); ok {
		panic(fail("a value is missing above the mark"))
	}
	return v
}

func (m *machine) pop() Value {
	v := m.top()
	m.stack = m.stack[:len(m.stack)-1]
	return v
}

func (m *machine) popAny() Value {
	if len(m.stack) == 0 {
		panic(fail("the stack is empty"))
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v
}

// toMark takes all values above the last mark, and the mark.
func (m *machine) toMark() []Value {
	if len(m.marks) == 0 {
		panic(fail("no mark on the stack"))
	}
	at := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	vs := append([]Value(nil), m.stack[at+1:]...)
	m.stack = m.stack[:at]
	return vs
}

func (m *machine) list() *List {
	l, ok := m.top().(*List)
	if !ok {
		panic(fail("items are appended to a " + m.top().pyName()))
	}
	return l
}

func (m *machine) dict() *Dict {
	d, ok := m.top().(*Dict)
	if !ok {
		panic(fail("items are set in a " + m.top().pyName()))
	}
	return d
}

func (d *Dict) set(kv []Value) {
	if len(kv)%2 != 0 {
		panic(fail("a key without a value"))
	}
	for i := 0; i < len(kv); i += 2 {
		d.Keys = append(d.Keys, kv[i])
		d.Values = append(d.Values, kv[i+1])
	}
}

func (m *machine) put(i uint32) {
	v := m.top()
	m.spend(valueCost)
	m.memo[i] = v
}

func (m *machine) get(i uint32) {
	v, ok := m.memo[i]
	if !ok {
		panic(fail(fmt.Sprintf("memo %d was never set", i)))
	}
	m.push(v)
}

// bytes takes the next n bytes of the file.
func (m *machine) bytes(n int) []byte {
	if n > len(m.data)-m.pos {
		panic(fail(fmt.Sprintf("wants %d bytes, the file has %d more", n, len(m.data)-m.pos)))
	}
	b := m.data[m.pos : m.pos+n : m.pos+n]
	m.pos += n
	return b
}

// length takes a byte count of size bytes.
func (m *machine) length(size int) int {
	var n uint64
	for i, b := range m.bytes(size) {
		n |= uint64(b) << (8 * i)
	}
	if n > uint64(len(m.data)) {
		panic(fail(fmt.Sprintf("wants %d bytes, the whole file has %d", n, len(m.data))))
	}
	return int(n)
}

// line takes the bytes up to the next line feed, and the line feed.
func (m *machine) line() []byte {
	i := bytes.IndexByte(m.data[m.pos:], '\n')
	if i < 0 {
		panic(fail("a line without an end"))
	}
	b := m.data[m.pos : m.pos+i]
	m.pos += i + 1
	return b
}

func parseInt(s string) Int {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(fail("not an integer of 64 bits"))
	}
	return Int(n)
}

func parseIndex(line []byte) uint32 {
	n, err := strconv.ParseUint(string(line), 10, 32)
	if err != nil {
		panic(fail("not a memo index"))
	}
	return uint32(n)
}

// twosComplement reads a little-endian number of up to 8 bytes.
func twosComplement(b []byte) Int {
	if len(b) > 8 {
		panic(fail("an integer of more than 64 bits"))
	}
	var n int64
	for i, x := range b {
		n |= int64(x) << (8 * i)
	}
	if k := len(b); k > 0 && k < 8 && b[k-1] >= 0x80 {
		n -= 1 << (8 * k)
	}
	return Int(n)
}

// quoted reads protocol 0's byte string: the repr of a Python 2 str.
func (m *machine) quoted() Bytes {
	s := m.line()
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
		panic(fail("a string without its quotes"))
	}
	s = s[1 : len(s)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return Bytes(s)
	}
	m.spend(len(s))
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			panic(fail("a string ends inside an escape"))
		}
		switch s[i] {
		case '\\', '\'', '"':
			out = append(out, s[i])
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'x':
			out = append(out, byte(hex(s[i+1:], 2)))
			i += 2
		default:
			panic(fail("an escape that Python's repr does not write"))
		}
	}
	return out
}

// rawUnicode reads protocol 0's text: Latin-1 with \uXXXX and \UXXXXXXXX.
func (m *machine) rawUnicode() Text {
	s := m.line()
	m.spend(2 * len(s))
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == 'u':
			out = utf8.AppendRune(out, hex(s[i+2:], 4))
			i += 5
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == 'U':
			out = utf8.AppendRune(out, hex(s[i+2:], 8))
			i += 9
		default:
			out = utf8.AppendRune(out, rune(s[i]))
		}
	}
	return out
}

func hex(s []byte, digits int) rune {
	if len(s) < digits {
		panic(fail("a string ends inside an escape"))
	}
	n, err := strconv.ParseUint(string(s[:digits]), 16, 32)
	if err != nil || n > utf8.MaxRune {
		panic(fail("an escape that is not a character"))
	}
	return rune(n)
}

// global pushes the name of one of the four things that the pickle of a uint8
// array names. NumPy 2 calls its core _core.
func (m *machine) global(module, name string) {
	if module == "numpy._core.multiarray" {
		module = "numpy.core.multiarray"
	}
	g := global{module, name}
	switch g {
	case reconstruct, ndarray, dtypeClass, encode:
		m.spend(len(module) + len(name))
		m.push(g)
	default:
		panic(fail(fmt.Sprintf("names %q, which plain data and uint8 arrays do not need", module+"."+name)))
	}
}

var (
	reconstruct = global{"numpy.core.multiarray", "_reconstruct"}
	ndarray     = global{"numpy", "ndarray"}
	dtypeClass  = global{"numpy", "dtype"}
	encode      = global{"_codecs", "encode"} // how Python 3 writes bytes with protocols 0 to 2
)

func (m *machine) reduce() {
	args, ok := m.pop().(Tuple)
	if !ok {
		panic(fail("arguments that are not a tuple"))
	}
	f, ok := m.pop().(global)
	if !ok {
		panic(fail("calls something that is not a function"))
	}
	switch f {
	case reconstruct: // (ndarray, (0,), b'b')
		if len(args) != 3 || args[0] != ndarray {
			panic(fail("an array of a class other than numpy.ndarray"))
		}
		m.push(&Array{})
	case dtypeClass: // ('u1', False, True)
		if len(args) == 0 {
			panic(fail("a dtype without its name"))
		}
		if s, ok := String(args[0]); !ok || s != "u1" && s != "uint8" && s != "|u1" {
			panic(fail(fmt.Sprintf("an array of type %q, want uint8", s)))
		}
		m.push(dtype{})
	case encode: // ('…', 'latin1')
		if len(args) != 2 {
			panic(fail("an encoding without its arguments"))
		}
		s, ok := args[0].(Text)
		if codec, ok2 := String(args[1]); !ok || !ok2 || codec != "latin1" {
			panic(fail("an encoding other than that of a text to latin1"))
		}
		m.spend(len(s))
		out := make([]byte, 0, len(s))
		for len(s) > 0 {
			r, n := utf8.DecodeRune(s)
			if r > 0xff || r == utf8.RuneError {
				panic(fail("a character that latin1 does not have"))
			}
			out = append(out, byte(r))
			s = s[n:]
		}
		m.push(Bytes(out))
	default:
		panic(fail("calls " + f.pyName() + ", which is not a function that builds data"))
	}
}

func (m *machine) build() {
	state, ok := m.pop().(Tuple)
	if !ok {
		panic(fail("a state that is not a tuple"))
	}
	switch v := m.top().(type) {
	case dtype: // (3, '|', None, None, None, -1, -1, 0): how a uint8 has no byte order and no fields
		if len(state) < 8 || state[4] != (None{}) {
			panic(fail("a dtype with fields, want plain uint8"))
		}
	case *Array: // (1, shape, dtype, fortran order, bytes)
		m.buildArray(v, state)
	default:
		panic(fail("sets the state of a " + v.pyName()))
	}
}

func (m *machine) buildArray(a *Array, state Tuple) {
	if a.Shape != nil {
		panic(fail("an array is built twice"))
	}
	if len(state) != 5 {
		panic(fail(fmt.Sprintf("an array's state of %d parts, want 5", len(state))))
	}
	shape, ok := state[1].(Tuple)
	if !ok || len(shape) == 0 || len(shape) > 32 {
		panic(fail("an array without a shape"))
	}
	if _, ok := state[2].(dtype); !ok {
		panic(fail("an array of type " + Name(state[2]) + ", want uint8"))
	}
	if f := state[3]; f != Bool(false) && f != Int(0) {
		panic(fail("an array in Fortran order, want C order"))
	}
	data, ok := state[4].(Bytes)
	if !ok {
		panic(fail("an array's elements are a " + Name(state[4]) + ", want bytes"))
	}
	m.spend(8 * len(shape))
	dims, n := make([]int, len(shape)), 1
	for i, d := range shape {
		d, ok := d.(Int)
		if !ok || d < 0 || d > Int(len(m.data)) || n > 0 && d > Int(len(m.data)/n) {
			panic(fail("an array's shape does not fit the file"))
		}
		dims[i] = int(d)
		n *= int(d)
	}
	if n != len(data) {
		panic(fail(fmt.Sprintf("an array of shape %v takes %d bytes, the file has %d for it", dims, n, len(data))))
	}
	a.Shape, a.Data = dims, data
}
