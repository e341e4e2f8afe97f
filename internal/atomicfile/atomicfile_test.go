package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// wantFile checks a file's contents and that its folder holds nothing else than
// the given names.
func wantFile(t *testing.T, path, want string, others ...string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
	}
	wantFolder(t, filepath.Dir(path), append(others, filepath.Base(path))...)
}

func wantFolder(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("the folder holds %v, want %q", entries, names)
	}
}

func TestWriteNewAndReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, s := range []string{"first", "the second", ""} {
		if err := Write(path, text(s)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, s)
	}
}

func TestWriteFails(t *testing.T) {
	boom := errors.New("boom")
	writes := map[string]func(io.Writer) error{
		"at once":      func(io.Writer) error { return boom },
		"in the midst": func(w io.Writer) error { io.WriteString(w, "half"); return boom },
		"file closed":  func(w io.Writer) error { return w.(*os.File).Close() },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a")
			err := Write(path, write)
			if err == nil || name != "file closed" && err != boom {
				t.Errorf("got %v, want %v", err, boom)
			}
			wantFolder(t, dir)
			if err := Write(path, text("old")); err != nil {
				t.Fatal(err)
			}
			if err := Write(path, write); err == nil {
				t.Error("got no error, want one")
			}
			wantFile(t, path, "old")
		})
	}
}

func TestWritePanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, text("old")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if e := recover(); e != "boom" {
				t.Errorf("got panic %v, want boom", e)
			}
		}()
		Write(path, func(w io.Writer) error { io.WriteString(w, "half"); panic("boom") })
	}()
	wantFile(t, path, "old")
}

func TestWriteWhere(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "none", "a"), text("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("into no folder: got %v, want %v", err, os.ErrNotExist)
	}
	if err := Write(dir, text("x")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("onto a folder: got %v, want a sentence", err)
	}
	if err := Write("", text("x")); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("onto no name: got %v, want a sentence", err)
	}
	if err := Write(filepath.Join(dir, "none", "a"), text("x")); err == nil || !strings.Contains(err.Error(), filepath.Join("none", "a")+":") {
		t.Errorf("into no folder: got %v, want the path that was given", err)
	}
	wantFolder(t, dir)

	t.Chdir(dir)
	if err := Write("a", text("x")); err != nil {
		t.Error(err)
	}
	wantFile(t, "a", "x")
	long := strings.Repeat("n", 250)
	if err := Write(long, text("y")); err != nil {
		t.Error(err)
	}
	wantFile(t, long, "y", "a")
}

func TestWritePermissionsAndLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has neither permission bits nor links for everyone")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	plain, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	mode := func(path string) os.FileMode {
		t.Helper()
		s, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return s.Mode()
	}
	if err := Write(path, text("x")); err != nil {
		t.Fatal(err)
	}
	if got, want := mode(path), mode(plain.Name()); got != want {
		t.Errorf("new file: got mode %v, want %v as os.Create gives", got, want)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, text("through the link")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "through the link", "plain", "link")
	if got := mode(path); got != 0o640 {
		t.Errorf("replaced file: got mode %v, want -rw-r-----", got)
	}
	if got := mode(link).Type(); got != os.ModeSymlink {
		t.Errorf("the link: got mode %v, want a link", got)
	}

	// Links to what is not there yet, and round in a circle.
	first, second, circle := filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "circle")
	for at, to := range map[string]string{first: "second", second: filepath.Join(dir, "new"), circle: "circle"} {
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(first, text("made")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(dir, "new"), "made", "a", "circle", "first", "link", "plain", "second")
	if mode(first).Type() != os.ModeSymlink || mode(second).Type() != os.ModeSymlink {
		t.Error("a link to what was not there has been replaced")
	}
	if err := Write(circle, text("x")); err == nil || mode(circle).Type() != os.ModeSymlink {
		t.Errorf("a circle: got %v, want an error", err)
	}
}

// Readers find one whole version or another while writers race.
func TestWriteConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	versions := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<15)}
	if err := Write(path, text(versions[0])); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, v := range versions {
		wg.Go(func() {
			for range 20 {
				if err := Write(path, text(v)); err != nil {
					t.Error(err)
				}
				got, err := os.ReadFile(path)
				if err != nil || string(got) != versions[0] && string(got) != versions[1] {
					t.Errorf("got %d bytes, %v, want one of the versions", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	wantFolder(t, filepath.Dir(path), "a")
}

func TestLink(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := Link(a, b); err == nil {
		t.Error("a link to nothing: got no error")
	}
	for _, s := range []string{"first", "second"} {
		if err := Write(a, text(s)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time to itself
			if err := Link(a, b); err != nil {
				t.Fatal(err)
			}
			wantFile(t, b, s, "a")
		}
	}
}

// Clean knows the names of all temporary files, and no other ones.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	mine := []string{"a", ".a.tmp", "a.0123456789abcdef.tmp", ".a.0123456789abcde.tmp", ".a.0123456789ABCDEF.tmp", ".0123456789abcdef.tmp"}
	for _, name := range mine {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"report.html", "x", ".hidden", "two words", strings.Repeat("ü", 120), "line\nend"} {
		f, err := create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	wantFolder(t, dir, mine...)
	if err := Clean(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got error %v", err)
	}
}
