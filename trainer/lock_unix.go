//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package trainer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const lockGoes = true // an open file can be removed

func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		}
		return err
	}
}
