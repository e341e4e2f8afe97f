//go:build unix && !solaris && !aix

package datasets

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock on f, or reports that somebody else holds it. The
// system gives the lock back when its holder ends, however it ends, so a lock
// file that a killed program left behind locks nobody out.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}
