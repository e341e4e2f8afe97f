package trainer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Two runs at a time do not get the same folder, whether they resume or not; one
// after the other does.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	c := settings[0].config(t)
	c.Dir, c.Epochs = dir, 1
	var during []error
	c.Callbacks = []Callback{{Start: func(*Run) error {
		for _, resume := range []bool{false, true} {
			d := settings[0].config(t)
			d.Dir, d.Resume = dir, resume
			_, err := Fit(t.Context(), d)
			during = append(during, err)
		}
		return nil
	}}}
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, err := range during {
		if want := "trainer: another program is training into " + dir + "; give another folder, or wait until it is done"; err == nil || err.Error() != want {
			t.Errorf("a second run: got error %v, want %q", err, want)
		}
	}
	if left := slices.Contains(ls(t, dir), lockFile); left && lockGoes {
		t.Errorf("%s is left", lockFile)
	}
	d := settings[0].config(t)
	d.Dir, d.Resume, d.Epochs = dir, true, 2
	if r, err := Fit(t.Context(), d); err != nil || r.Epoch != 2 {
		t.Errorf("afterwards: got epoch %d, error %v, want 2", r.Epoch, err)
	}
	if _, err := Lock(filepath.Join(dir, "absent")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("no folder: got error %v, want one that names it", err)
	}
}
