//go:build linux || darwin

package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to holds nothing up.
func TestImageFolderPipe(t *testing.T) {
	dir := t.TempDir()
	class := filepath.Join(dir, "a")
	writeFiles(t, class, map[string][]byte{"1.png": onePixel(t)})
	if err := syscall.Mkfifo(filepath.Join(class, "0.png"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("0.png", filepath.Join(class, "2.png")); err != nil {
		t.Fatal(err)
	}
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Note(), "1 image in 1 class; 2 other files left out: 2 that are no regular files"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// One that takes an image's place later does not either.
	if err := os.Rename(filepath.Join(class, "0.png"), f.Path(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Image(0); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v", err)
	}
}

// What cannot be read is named, once.
func TestImageFolderUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := t.TempDir()
	class := filepath.Join(dir, "a")
	writeFiles(t, class, map[string][]byte{"1.png": onePixel(t)})
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Path(0), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Image(0); err == nil || strings.Count(err.Error(), f.Path(0)) != 1 || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(class, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(class, 0o700)
	if _, err := NewImageFolder(dir, ImageFolderOpts{}); err == nil || !strings.Contains(err.Error(), class) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
}
