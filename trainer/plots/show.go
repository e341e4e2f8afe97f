package plots

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Show opens a file, an image or a report, with the desktop's own viewer and does
// not wait for it. Where there is no desktop (a server, a terminal over SSH, a
// container) it does nothing and returns false, so that the caller can print the
// path instead.
func Show(path string) (shown bool, err error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return false, fmt.Errorf("cannot show %s: %w", path, err)
	}
	if _, err := os.Stat(full); err != nil {
		return false, fmt.Errorf("cannot show %s: %w", path, err)
	}
	command := viewer(runtime.GOOS, os.Getenv)
	if command == nil {
		return false, nil
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return false, nil // a display without a desktop's tools
	}
	c := exec.Command(program, append(command[1:], full)...)
	if err := c.Start(); err != nil {
		return false, fmt.Errorf("cannot show %s: %w", path, err)
	}
	go c.Wait() // it is only collected; the viewer says itself what it does not like
	return true, nil
}

// viewer is the command that opens a file, nil where nobody would see it.
func viewer(system string, getenv func(string) string) []string {
	switch system {
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case "darwin":
		if getenv("SSH_CONNECTION") == "" {
			return []string{"open"}
		}
	default:
		if getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "" {
			return []string{"xdg-open"}
		}
	}
	return nil
}
