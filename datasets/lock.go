package datasets

import (
	"context"
	"os"
	"time"
)

// lock waits until it holds the lock file at path, within this process and
// across processes, and returns the function that gives it back and takes the
// file away.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		// The holder before us removed its file: what we hold may be a file
		// that has no name any more, on which nobody else will wait.
		if ok && sameFile(f, path) {
			return func() {
				if os.Remove(path) == nil {
					f.Close()
					return
				}
				f.Close()       // Windows removes no open file
				os.Remove(path) // fails if the next holder has it open, which will remove it
			}, nil
		}
		f.Close()
		if ok {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
