//go:build !linux && !darwin

package logfiletest

import "testing"

// LimitFiles skips the test.
func LimitFiles(t *testing.T, size uint64) (restore func()) {
	t.Skipf("this system has no limit on the size of a file (%d bytes) to set", size)
	return nil
}
