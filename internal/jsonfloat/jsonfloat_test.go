package jsonfloat

import (
	"encoding/json"
	"math"
	"testing"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		n    Float
		json string
	}{
		{Float(math.Inf(1)), `"+Inf"`}, {Float(math.Inf(-1)), `"-Inf"`},
		{0.1, "0.1"}, {5e-324, "5e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
	} {
		b, err := json.Marshal(c.n)
		if err != nil || string(b) != c.json {
			t.Errorf("%v: got %s and %v, want %s", c.n, b, err, c.json)
		}
		var back Float
		if err := json.Unmarshal(b, &back); err != nil || back != c.n {
			t.Errorf("%s: got %v and %v, want %v", b, back, err, c.n)
		}
	}
	var n Float
	if b, err := json.Marshal(Float(math.NaN())); err != nil || json.Unmarshal(b, &n) != nil || !math.IsNaN(float64(n)) {
		t.Errorf("NaN: got %s, %v and back %v, want NaN", b, err, n)
	}
	if err := json.Unmarshal([]byte(`"best"`), &n); err == nil {
		t.Error(`"best": got no error, want one`)
	}
}
