package datasets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotDownloaded is wrapped by the error of a data set that is not there while
// nobody asked for a download (its Opts.Download).
var ErrNotDownloaded = errors.New("it is not there, and no download was asked for")

// published is a data set that its authors publish as a tar.gz archive: how it is called, and
// how it is read once it lies unpacked in a folder.
type published struct {
	name, opts string   // for messages: "CIFAR-10", "CIFAR10Opts"
	hidden     string   // what its lock and the folder that it is unpacked in are called
	folders    []string // of root that may hold it; the first is what the archive has
	load       func(root string) (*labelled, error)
}

// labelled is what the files of one part of a data set hold.
type labelled struct {
	pixels  []byte
	labels  []uint8
	classes []string
	note    string
}

// errNotThere says that a folder holds no layout of the data set.
var errNotThere = errors.New("no such data set")

// newFetch returns the fetch of a file that has the given MD5 sum.
func newFetch(url, path, md5 string, progress func(done, total int64)) *fetch {
	return &fetch{url: url, path: path, md5: md5, limit: 1 << 29, progress: progress, tries: 5, pause: time.Second, stall: time.Minute}
}

// open reads the data set, and fetches and unpacks the archive where that is wanted and needed.
// One program does so at a time; the others wait.
func (p *published) open(ctx context.Context, root string, download bool, f *fetch) (*labelled, error) {
	if d, err := p.load(root); !errors.Is(err, errNotThere) {
		return d, advised(err)
	}
	if _, err := p.wantArchive(root, download, f); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(ctx, root, p.hidden, p.name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// While we waited, somebody may have done the work.
	if d, err := p.load(root); !errors.Is(err, errNotThere) {
		return d, advised(err)
	}
	archive, err := p.wantArchive(root, download, f)
	if err != nil {
		return nil, err
	}
	var damage error
	if archive {
		d, err := p.unpack(ctx, root, f.path)
		if err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrPermission) {
			return d, err
		}
		if sum, err2 := md5File(f.path); err2 != nil || sum == f.md5 {
			return nil, err // the archive is what it should be
		}
		if damage = err; !download {
			return nil, fmt.Errorf("%w; remove that file, or have it fetched again with %s.Download", damage, p.opts)
		}
	}
	if err := f.run(ctx); err != nil {
		if damage != nil {
			err = fmt.Errorf("%w; and fetching it again: %w", damage, ours{err})
		}
		return nil, err
	}
	d, err := p.unpack(ctx, root, f.path)
	if err == nil && damage != nil {
		d.note = strings.TrimPrefix(d.note+"; ", "; ") + fmt.Sprintf("the archive that was there was damaged and was fetched again: %v", ours{damage})
	}
	return d, err
}

// wantArchive says whether the archive is there, and refuses to go on where there
// is no way to one.
func (p *published) wantArchive(root string, download bool, f *fetch) (bool, error) {
	info, err := os.Stat(f.path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("datasets: %s is no regular file, want the archive or nothing there", f.path)
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("datasets: %s cannot be read: %w", root, unnamed(err))
	case !download:
		return false, fmt.Errorf("datasets: no %s in %s, which has neither %s: %w; %s.Download fetches it", p.name, root, strings.Join(append(slices.Clone(p.folders), filepath.Base(f.path)), " nor "), ErrNotDownloaded, p.opts)
	}
	return false, nil
}

// batchError is a file of the data set that is not what it should be.
type batchError struct {
	path string
	err  error
}

func (e *batchError) Error() string { return fmt.Sprintf("datasets: %s: %v", e.path, e.err) }
func (e *batchError) Unwrap() error { return e.err }

// advised adds to the error of a broken file what to do.
func advised(err error) error {
	if e, ok := errors.AsType[*batchError](err); ok {
		return fmt.Errorf("%w; remove its folder, %s, to have it unpacked or downloaded again", err, filepath.Dir(e.path))
	}
	return err
}

// unpack unpacks the archive beside itself. The folder appears under its
// name only when it is whole and its images have been read.
func (p *published) unpack(ctx context.Context, root, archive string) (*labelled, error) {
	// Whoever made this folder was killed: we hold the lock.
	tmp := filepath.Join(root, "."+p.hidden+".unpacking")
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := unpack(ctx, archive, tmp); err != nil {
		return nil, err
	}
	d, err := p.load(tmp)
	if errors.Is(err, errNotThere) {
		return nil, fmt.Errorf("datasets: %s: holds no folder %s", archive, p.folders[0])
	}
	if err != nil {
		return nil, fmt.Errorf("datasets: %s: %w", archive, ours{err})
	}
	if err := os.Rename(filepath.Join(tmp, p.folders[0]), filepath.Join(root, p.folders[0])); err != nil {
		return nil, err
	}
	d.note = strings.ReplaceAll(d.note, tmp, root)
	return d, nil
}

// lockFolder makes the folder root, waits until no other program writes the data set there, and
// returns the function that ends that and takes the folder away if it is still empty.
func lockFolder(ctx context.Context, root, hidden, name string) (unlock func(), err error) {
	for tries := 0; ; tries++ {
		undo, err := makeDir(root)
		if err == nil {
			var free func()
			if free, err = lock(ctx, filepath.Join(root, "."+hidden+".lock")); err == nil {
				return func() { free(); undo() }, nil
			}
			undo()
			switch {
			case ctx.Err() != nil:
				return nil, fmt.Errorf("datasets: waiting for another program that unpacks %s in %s: %w", name, root, err)
			case !goneWith(err) || tries == 100:
				return nil, fmt.Errorf("datasets: nothing can be written in %s, where %s is to be unpacked: %w", root, name, unnamed(err))
			}
		} else if !goneWith(err) || tries == 100 || ctx.Err() != nil {
			return nil, fmt.Errorf("datasets: the folder %s cannot be made: %w", root, err)
		}
	}
}

// goneWith says whether the folder went with a program that we waited for in vain.
func goneWith(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) }
