package protowire

import (
	"encoding/hex"
	"testing"
)

// The wanted bytes are those of the examples in the encoding's description and of
// Python's protobuf for messages with the same fields.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"uint", Uint(nil, 1, 150), "089601"},
		{"uint 0", Uint(nil, 1, 0), "0800"},
		{"negative int", Int(nil, 2, -2), "10feffffffffffffffff01"},
		{"field of two bytes", Uint(nil, 16, 1), "800101"},
		{"double", Double(nil, 1, 1.5), "09000000000000f83f"},
		{"float", Float(nil, 2, -2), "15000000c0"},
		{"doubles", Doubles(nil, 6, []float64{1, 0}), "3210000000000000f03f0000000000000000"},
		{"no doubles", Doubles(nil, 6, nil), ""},
		{"bytes", Bytes(nil, 3, Uint(nil, 1, 150)), "1a03089601"},
		{"string", String(nil, 2, "testing"), "120774657374696e67"},
		{"string that is not UTF-8", String(nil, 2, "a\xffb"), "120561efbfbd62"},
		{"after another", String(Uint(nil, 1, 1), 2, ""), "08011200"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
