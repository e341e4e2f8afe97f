package logfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/logfile/logfiletest"
)

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s: got %q, want %q", path, got, want)
	}
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one ", "one two ", "one two three"} {
		if err := l.Append([]byte([]string{"one ", "two ", "three"}[i])); err != nil {
			t.Fatal(err)
		}
		wantContent(t, path, want) // before any Sync or Close
	}
	if err := errors.Join(l.Sync(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("late")); !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), path) {
		t.Errorf("Append after Close: got %v, want os.ErrClosed with the file's name", err)
	}
	wantContent(t, path, "one two three")
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Create of a file that is there: got %v, want fs.ErrExist with the file's name", err)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one two thr"), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append([]byte("three")), l.Close()); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "one two three")
	if _, err := Open(path+"s", 0); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+"s") {
		t.Errorf("Open of a file that is not there: got %v, want fs.ErrNotExist with the file's name", err)
	}
}

func TestAppendFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Append([]byte("whole ")); err != nil {
		t.Fatal(err)
	}
	restore := logfiletest.LimitFiles(t, 10000)
	err = l.Append(bytes.Repeat([]byte("x"), 20000)) // half of it fits
	restore()
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Append beyond the limit: got %v, want an error with the file's name", err)
	}
	wantContent(t, path, "whole ")
	if err := l.Append([]byte("again")); err != nil {
		t.Errorf("Append after the failure is over: got %v, want none", err)
	}
	wantContent(t, path, "whole again")

	if err := l.Replace(6, []byte("again"), []byte("something longer")); err != nil || l.Size() != 22 {
		t.Errorf("Replace: got error %v and %d bytes, want 22", err, l.Size())
	}
	wantContent(t, path, "whole something longer")
	restore = logfiletest.LimitFiles(t, 10000)
	err = l.Replace(6, []byte("something longer"), bytes.Repeat([]byte("x"), 20000))
	restore()
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Replace beyond the limit: got %v, want an error with the file's name", err)
	}
	wantContent(t, path, "whole something longer")
}
