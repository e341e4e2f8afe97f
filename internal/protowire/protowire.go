// Package protowire appends fields to protocol-buffer messages and reads them, as
// much of the encoding as the logs of package trainer need. A message is the bytes of its
// fields; one inside another is a field of bytes.
// (https://protobuf.dev/programming-guides/encoding)
package protowire

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
)

const (
	varint  = 0
	fixed64 = 1
	length  = 2
	fixed32 = 5
)

func key(b []byte, field, kind int) []byte {
	return binary.AppendUvarint(b, uint64(field)<<3|uint64(kind))
}

// Uint appends a field of type uint64, uint32, bool (0 or 1) or an enum.
func Uint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(key(b, field, varint), v)
}

// Int appends a field of type int64 or int32.
func Int(b []byte, field int, v int64) []byte { return Uint(b, field, uint64(v)) }

// Double appends a field of type double.
func Double(b []byte, field int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(key(b, field, fixed64), math.Float64bits(v))
}

// Float appends a field of type float.
func Float(b []byte, field int, v float32) []byte {
	return binary.LittleEndian.AppendUint32(key(b, field, fixed32), math.Float32bits(v))
}

// Doubles appends a packed field of type repeated double; an empty one is left out.
func Doubles(b []byte, field int, v []float64) []byte {
	if len(v) == 0 {
		return b
	}
	b = binary.AppendUvarint(key(b, field, length), uint64(8*len(v)))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// Bytes appends a field of type bytes or a message.
func Bytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(key(b, field, length), uint64(len(v)))
	return append(b, v...)
}

// String appends a field of type string. Readers refuse a whole message for one
// string that is not UTF-8, so bytes that are not become U+FFFD.
func String(b []byte, field int, v string) []byte {
	v = strings.ToValidUTF8(v, "\uFFFD")
	b = binary.AppendUvarint(key(b, field, length), uint64(len(v)))
	return append(b, v...)
}

// Field is a field of a message: a number, or the bytes of what has a length.
type Field struct {
	Number int
	Uint   uint64
	Bytes  []byte
}

// Fields returns the fields of a message in their order.
func Fields(b []byte) ([]Field, error) {
	var out []Field
	for len(b) > 0 {
		k, n := binary.Uvarint(b)
		if n <= 0 {
			return out, errFields
		}
		b = b[n:]
		f := Field{Number: int(k >> 3)}
		switch kind := k & 7; {
		case kind == varint:
			if f.Uint, n = binary.Uvarint(b); n <= 0 {
				return out, errFields
			}
			b = b[n:]
		case kind == fixed64 && len(b) >= 8:
			f.Uint, b = binary.LittleEndian.Uint64(b), b[8:]
		case kind == fixed32 && len(b) >= 4:
			f.Uint, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
		case kind == length:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return out, errFields
			}
			f.Bytes, b = b[n:n+int(size)], b[n+int(size):]
		default:
			return out, errFields
		}
		out = append(out, f)
	}
	return out, nil
}

var errFields = errors.New("the message is damaged")
