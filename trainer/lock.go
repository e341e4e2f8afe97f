package trainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockFile stands in a run's folder while a program trains into it. It is the
// operating system's lock on it that counts, which ends with the program, so that
// a file that a killed program left does no harm.
const lockFile = ".lock"

// errLocked says that another holds a lock.
var errLocked = errors.New("locked")

// Lock keeps other programs, and other calls of Lock and Fit, out of a run's folder
// until unlock is called or the program ends. Fit does so; a loop written by hand, or a
// program that writes beside runs, may. Where the file system has no locks, nobody is
// kept out.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("trainer: the run's folder: %w", err)
		}
		if err := lock(f); errors.Is(err, errLocked) {
			f.Close()
			return nil, fmt.Errorf("trainer: another program is training into %s; give another folder, or wait until it is done", dir)
		} else if err != nil {
			f.Close()
			os.Remove(path)
			return func() {}, nil
		}
		// Whoever had it may have removed the file since it was opened here.
		now, err := os.Stat(path)
		if mine, failed := f.Stat(); err == nil && failed == nil && os.SameFile(now, mine) {
			return func() {
				if lockGoes {
					os.Remove(path) // while it is locked, so that nobody else has the lock on it
				}
				f.Close()
			}, nil
		}
		f.Close()
	}
}
