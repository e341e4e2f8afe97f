//go:build !linux && !darwin

package logfile

import "testing"

func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Skipf("this system has no limit on the size of a file (%d bytes) to set", size)
	return nil
}
