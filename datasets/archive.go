package datasets

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// An archive of a data set is unpacked only up to these bounds, so that a file
// made to fill the disk does not.
const (
	maxUnpacked = 1 << 30
	maxEntries  = 10000
	maxName     = 255 // bytes; a folder in a folder in a folder … takes a long time to make
)

// unpack writes the regular files and folders of the tar.gz archive into dir,
// which exists. Links, devices and names that lead out of dir are refused.
// Errors name the archive and the entry. What was written stays on failure: the
// caller takes dir away.
func unpack(ctx context.Context, archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := unpackFrom(ctx, f, root); err != nil {
		if isPage(archive) {
			err = errors.New("not a gzip file but a web page")
		}
		return fmt.Errorf("datasets: %s: %w", archive, err)
	}
	return nil
}

func unpackFrom(ctx context.Context, r io.Reader, root *os.Root) error {
	zr, err := gzip.NewReader(r)
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	if err != nil {
		return fmt.Errorf("not a gzip file: %w", err)
	}
	tr := tar.NewReader(zr)
	left := int64(maxUnpacked)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// To the end of the gzip stream, where its checksum stands.
			if _, err := io.CopyN(io.Discard, zr, left); !errors.Is(err, io.EOF) {
				return fmt.Errorf("after the last entry: %w", tooLong(err))
			}
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if n > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if len(h.Name) > maxName {
			return fmt.Errorf("entry %d, %.40q…: a name of %d bytes, want at most %d", n, h.Name, len(h.Name), maxName)
		}
		if left, err = unpackEntry(tr, h, root, left); err != nil {
			return fmt.Errorf("entry %d, %q: %w", n, h.Name, err)
		}
	}
}

func tooLong(err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("unpacks to more than %d bytes", int64(maxUnpacked))
}

func unpackEntry(r io.Reader, h *tar.Header, root *os.Root, left int64) (int64, error) {
	name := filepath.FromSlash(path.Clean(h.Name))
	if strings.Contains(h.Name, `\`) || path.IsAbs(h.Name) || !filepath.IsLocal(name) {
		return left, errors.New("a name that leads out of the folder it is unpacked into")
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return left, root.MkdirAll(name, 0o755)
	case tar.TypeReg:
	case tar.TypeSymlink, tar.TypeLink:
		return left, fmt.Errorf("a link to %q, want only files and folders", h.Linkname)
	default:
		return left, fmt.Errorf("of tar type %q, want only files and folders", h.Typeflag)
	}
	if h.Size > left {
		return left, tooLong(nil)
	}
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return left, err
		}
	}
	w, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return left, err
	}
	n, err := io.Copy(w, r) // the tar reader gives h.Size bytes, no more
	return left - n, errors.Join(err, w.Close())
}
