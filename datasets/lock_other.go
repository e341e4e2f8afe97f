//go:build (!unix && !windows) || solaris || aix

package datasets

import (
	"errors"
	"os"
)

// tryLock refuses where the standard library has no file lock that ends with
// its holder.
func tryLock(f *os.File) (bool, error) {
	return false, &os.PathError{Op: "lock", Path: f.Name(), Err: errors.ErrUnsupported}
}
