// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Write makes or replaces the file path with what write writes. The data goes to
// a temporary file in the same folder, which is flushed to the disk and then
// renamed, so that whoever opens path, at any time and after any crash, finds the
// old file or the whole new one. If something fails, or write panics, the
// temporary file is removed and path stays as it was. A write of one's own error
// comes back as it is.
//
// A new file gets the permissions that os.Create gives; one that is replaced
// hands on its own. A symbolic link stays one: what it points to is replaced.
func Write(path string, write func(w io.Writer) error) (err error) {
	if path == "" {
		return errors.New("the path of the file to write is empty")
	}
	path = followed(path)
	old, err := os.Stat(path)
	switch {
	case err == nil && !old.Mode().IsRegular():
		return fmt.Errorf("%s is there and not a regular file (%s), so it cannot be replaced", path, old.Mode().Type())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := create(path)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			f.Close() // a second time at worst
			os.Remove(f.Name())
		}
	}()
	if old != nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil && !unsupported(err) {
			return err
		}
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	done = true
	return syncFolder(filepath.Dir(path))
}

// followed returns what a path of symbolic links leads to, whether that is there or
// not.
func followed(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	to := path
	for range 40 { // Linux follows no more
		next, err := os.Readlink(to)
		if err != nil {
			return to
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(to), next)
		}
		to = next
	}
	return path // a loop, which os.Stat names
}

// Link makes or replaces the file path with a link to the file old in the same file
// system, at once. Where there are no links it is an error, and path stays as it was.
func Link(old, path string) error {
	name := temporary(path)
	if err := os.Link(old, name); err != nil {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		os.Remove(name)
		return err
	}
	os.Remove(name) // where both were the same file already, a rename does nothing
	return syncFolder(filepath.Dir(path))
}

// temporaries are the names that temporary gives: ".NAME.0123456789abcdef.tmp".
var temporaries = regexp.MustCompile(`(?s)^\..+\.[0-9a-f]{16}\.tmp$`)

// temporary returns a name for a file that is to become path.
func temporary(path string) string {
	dir, base := filepath.Split(path)
	if len(base) > 100 {
		base = strings.ToValidUTF8(base[:100], "") // file systems limit names to about 255 bytes
	}
	return fmt.Sprintf("%s.%s.%016x.tmp", dir, base, rand.Uint64())
}

// Clean removes from a folder what calls of Write and Link have left there that were
// killed: regular files with names that no others have. Nothing may write into the
// folder meanwhile.
func Clean(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if temporaries.MatchString(e.Name()) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// create makes a temporary file beside path. It is os.CreateTemp but for the
// permissions, which are those of an ordinary new file under the user's umask.
func create(path string) (*os.File, error) {
	for range 1000 {
		f, err := os.OpenFile(temporary(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if e, ok := err.(*fs.PathError); ok && !errors.Is(err, fs.ErrExist) {
			return nil, &fs.PathError{Op: "create", Path: path, Err: e.Err} // nobody knows the temporary name
		}
		if err == nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("no free name for a temporary file beside %s", path)
}

// syncFolder makes the rename durable, where the system knows how to: not every
// one can open or flush a folder, and a folder may be writable but not readable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !unsupported(err) {
		return err
	}
	return nil
}

func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid)
}
