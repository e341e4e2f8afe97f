package protowire

import (
	"encoding/hex"
	"fmt"
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

func TestReadFields(t *testing.T) {
	message := Bytes(Float(Double(String(Uint(nil, 1, 150), 2, "testing"), 16, 1.5), 4, -2), 5, nil)
	want := []Field{{Number: 1, Uint: 150}, {Number: 2, Bytes: []byte("testing")}, {Number: 16, Uint: 0x3ff8 << 48}, {Number: 4, Uint: 0xc0000000}, {Number: 5, Bytes: []byte{}}}
	got, err := Fields(message)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, error %v, want %v", got, err, want)
	}
	ends := map[int]bool{0: true, 3: true, 12: true, 22: true, 27: true, 29: true}
	for cut := range len(message) {
		if _, err := Fields(message[:cut]); (err == nil) != ends[cut] {
			t.Errorf("cut after %d bytes: got error %v", cut, err)
		}
	}
	for _, odd := range []string{"0b", "0affffffffffffffffff01", "0affffffffffffffff7f", "0880808080808080808080808001"} {
		b, err := hex.DecodeString(odd)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Fields(b); err == nil {
			t.Errorf("%s: got %v, want an error", odd, got)
		}
	}
}
