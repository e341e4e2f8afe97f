package trainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func init() {
	// The child saves a checkpoint, and another one when files may not grow to
	// its size any more.
	children["full"] = func(dir string) error {
		last := filepath.Join(dir, lastFile)
		if err := (&Snapshot{Model: weights(1)}).saveAll(Position{Step: 1}, last); err != nil {
			return err
		}
		signal.Ignore(syscall.SIGXFSZ)
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		limit.Cur = 100_000
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		f := &fit{Run: Run{Config: &Config{Dir: dir}, Position: Position{Step: 2}}, snapshot: &Snapshot{Model: weights(2)}}
		err := f.save()
		if !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("saving a file that is too large: got error %w, want EFBIG", err)
		}
		fmt.Println(err)
		return nil
	}
}

// Where there is no room for a checkpoint the one before stays whole, nothing is
// left over, and the error says so. (The limit on a file's size takes the place of
// a full disk: both make a write fail half way.)
func TestNoRoom(t *testing.T) {
	dir := t.TempDir()
	cmd, out := child(t, "full", dir)
	said, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, want := range []string{"trainer: saving " + filepath.Join(dir, lastFile), "file too large", lastFile + " is still the checkpoint before, whole\n"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("got %q, want it to say %q", said, want)
		}
	}
	if got := fmt.Sprint(ls(t, dir)); got != "[last.safetensors]" {
		t.Errorf("got the files %s, want the checkpoint alone", got)
	}
	m := weights(0)
	at, err := (&Snapshot{Model: m}).Load(filepath.Join(dir, lastFile))
	if err != nil || at.Step != 1 || m.Weight.Amin().Item() != 1 {
		t.Errorf("got step %d, error %v, want the first checkpoint", at.Step, err)
	}
}

// The disk that has no room at all, as /dev/full plays it for records.
func TestRecordsNoRoom(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRecords(dir, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, csvFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(Metrics{Epoch: 1}); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Errorf("got error %v, want one that names %s and says that there is no space", err, path)
	}
}
