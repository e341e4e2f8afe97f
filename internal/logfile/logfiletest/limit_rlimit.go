//go:build linux || darwin

// Package logfiletest fills the disk for tests of package logfile and its users.
package logfiletest

import (
	"os/signal"
	"syscall"
	"testing"
)

// LimitFiles makes this process's writes beyond the given size of any file fail
// after what fits, as on a full disk, until restore is called. Where the system has
// no such limit the test is skipped.
func LimitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	now := old
	now.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}
