package plots

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestViewer(t *testing.T) {
	for _, tt := range []struct {
		system string
		env    map[string]string
		want   []string
	}{
		{"linux", nil, nil},
		{"linux", map[string]string{"DISPLAY": ":0"}, []string{"xdg-open"}},
		{"linux", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, []string{"xdg-open"}},
		{"freebsd", map[string]string{"DISPLAY": ":0"}, []string{"xdg-open"}},
		{"darwin", nil, []string{"open"}},
		{"darwin", map[string]string{"SSH_CONNECTION": "a 1 b 2"}, nil},
		{"windows", nil, []string{"rundll32", "url.dll,FileProtocolHandler"}},
	} {
		if got := viewer(tt.system, func(name string) string { return tt.env[name] }); !slices.Equal(got, tt.want) {
			t.Errorf("%s with %v: got %q, want %q", tt.system, tt.env, got, tt.want)
		}
	}
}

func TestShow(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("would open a window: the viewer is not looked up in PATH alone here")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "-an image.png")
	if err := SavePNG(path, plain(2, 2, white)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("DISPLAY", "")
	if shown, err := Show(path); shown || err != nil {
		t.Errorf("no desktop: got %v, %v, want false", shown, err)
	}
	t.Setenv("DISPLAY", ":0")
	t.Setenv("PATH", filepath.Join(dir, "none"))
	if shown, err := Show(path); shown || err != nil {
		t.Errorf("no xdg-open: got %v, %v, want false", shown, err)
	}
	if shown, err := Show(filepath.Join(dir, "none.png")); shown || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.png") {
		t.Errorf("no such file: got %v, %v, want an error that names it", shown, err)
	}

	// A viewer that notes what it is given.
	seen := filepath.Join(dir, "seen")
	script := "#!/bin/sh\nprintf %s \"$1\" > \"" + seen + ".part\" && /bin/mv \"" + seen + ".part\" \"" + seen + "\"\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	if shown, err := Show("-an image.png"); !shown || err != nil {
		t.Fatalf("got %v, %v, want true", shown, err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got, err := os.ReadFile(seen); err == nil {
			if want, _ := filepath.EvalSymlinks(path); string(got) != path && string(got) != want {
				t.Errorf("the viewer was given %q, want %q", got, path)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("the viewer did not start within ten seconds")
		}
	}
}
