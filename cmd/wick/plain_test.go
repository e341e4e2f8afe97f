//go:build !cuda || !linux

package main

import (
	"strings"
	"testing"
)

// Without the tag cuda there is nothing that has to work but the CPU.
func TestDoctor(t *testing.T) {
	out, code := wick(t, nil, "doctor")
	got := flat(out)
	if code != 0 {
		t.Errorf("got status %d, want 0", code)
	}
	for _, want := range []string{", built without the tag cuda, cgo o", " CPU ok ", " float32 ok errors: convolution E, its gradients E and E, matrix product E; first T, then T ", " GPU - ", "All is well; this program trains on the CPU."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
