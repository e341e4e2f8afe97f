package wandb

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/internal/logfile/logfiletest"
	pw "github.com/wick-ml/wick/internal/protowire"
)

// split takes a file apart: the whole records and where each ends.
func split(t *testing.T, b []byte) (out [][]byte, ends []int) {
	t.Helper()
	const header = 7
	var record []byte
	for at := header; ; {
		left := blockSize - at%blockSize
		if left < headerSize {
			at += left
			continue
		}
		if at+headerSize > len(b) {
			return out, ends
		}
		n, kind := int(binary.LittleEndian.Uint16(b[at+4:])), b[at+6]
		if headerSize+n > left {
			t.Fatalf("byte %d: got a piece of %d bytes where the block has %d", at, headerSize+n, left)
		}
		if at+headerSize+n > len(b) {
			return out, ends
		}
		if got, want := binary.LittleEndian.Uint32(b[at:]), crc32.ChecksumIEEE(b[at+6:at+headerSize+n]); got != want {
			t.Fatalf("byte %d: got checksum %x, want %x", at, got, want)
		}
		if begins := kind == whole || kind == first; begins != (record == nil) {
			t.Fatalf("byte %d: got a piece of kind %d after %d bytes of its record", at, kind, len(record))
		}
		record = append(append(make([]byte, 0, 1+len(record)+n), record...), b[at+headerSize:at+headerSize+n]...)
		at += headerSize + n
		if kind == whole || kind == last {
			out, ends = append(out, record), append(ends, at)
			record = nil
		}
	}
}

// records decodes a file's whole records and says where each ends.
func records(t *testing.T, b []byte) (out []record, ends []int) {
	t.Helper()
	list, ends := split(t, b)
	for i, r := range list {
		if r[0] != 1<<3 {
			t.Fatalf("record %d: got %x, want its number first", i, r)
		}
		num, n := binary.Uvarint(r[1:])
		if num != uint64(i)+1 {
			t.Fatalf("record %d: got number %d, want %d", i, num, i+1)
		}
		r = r[1+n:]
		key, n := binary.Uvarint(r)
		r = r[n:]
		size, n := binary.Uvarint(r)
		if int(size) != len(r)-n {
			t.Fatalf("record %d: got a message of %d bytes, want %d", i, size, len(r)-n)
		}
		out = append(out, record{int(key >> 3), r[n:]})
	}
	return out, ends
}

// Records of all lengths around a block's end come back whole.
func TestPieces(t *testing.T) {
	for _, used := range []int{0, 7, blockSize - 8, blockSize - 7, blockSize - 6, blockSize - 1, blockSize} {
		for _, n := range []int{0, 1, 2, blockSize - 15, blockSize - 14, blockSize - 13, blockSize - 7, blockSize, 3 * blockSize} {
			for used%blockSize != 0 && used < 7 {
				used++
			}
			start := max(used, 7)
			b := make([]byte, 7)
			at := 7
			if fill := start - at - headerSize; fill >= 0 && start > 7 {
				b, at = pieces(b, at, make([]byte, fill))
			}
			r := make([]byte, n)
			for i := range r {
				r[i] = byte(i * 7)
			}
			b, at = pieces(b, at, r)
			b, at = pieces(b, at, []byte("after"))
			if got, want := at%blockSize, len(b)%blockSize; got != want {
				t.Errorf("%d bytes at %d: got %d bytes of the block used, want %d", n, used, got, want)
			}
			got, _ := split(t, b)
			if len(got) < 2 || string(got[len(got)-1]) != "after" || string(got[len(got)-2]) != string(r) {
				t.Errorf("%d bytes at %d: the record did not come back", n, used)
			}
		}
	}
}

// The records of the Python package's own datastore for the same values, read with
// testdata/reference.py, are the same messages.
func TestReference(t *testing.T) {
	want, err := os.ReadFile("testdata/reference.txt")
	check(t, err)
	dir := t.TempDir()
	now := time.UnixMilli(1700000000250)
	r, err := initRun(dir, Opts{ID: "abc", Entity: "team", Project: "p", Group: "g", Name: "n", Notes: "hi", Tags: []string{"t", "u"},
		Config: []byte(`{"nest": {"a": 1}, "lr": 0.1, "model": "vgg"}`)}, func() time.Time { return now })
	check(t, err)
	now = now.Add(1500 * time.Millisecond)
	check(t, r.Log(map[string]float64{"loss": 0.5, "acc": 1e-7}, 0), r.Log(map[string]float64{"loss": 0.25}, 300))
	check(t, r.SetSummary(map[string]float64{"best": 0.25}), r.Finish(3))
	b, err := os.ReadFile(filepath.Join(r.Dir(), "run-abc.wandb"))
	check(t, err)
	if got, want := hex.EncodeToString(b[:7]), "3a572642e1be00"; got != want {
		t.Errorf("header: got %s, want %s", got, want)
	}
	list, _ := split(t, b)
	host, err := os.Hostname()
	check(t, err)
	var got strings.Builder
	for _, r := range list {
		// The host's name is this machine's.
		s := strings.Replace(string(r), string(pw.String(nil, 13, host)), "", 1)
		if cut := len(r) - len(s); cut > 0 {
			// So the run's length, in two bytes after number and key, is less.
			size, n := binary.Uvarint([]byte(s[4:]))
			s = s[:4] + string(binary.AppendUvarint(nil, size-uint64(cut))) + s[4+n:]
		}
		fmt.Fprintf(&got, "%x\n", s)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	occupied := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(occupied, nil, 0o666))
	for _, c := range []struct {
		name, dir string
		opts      Opts
		want      string
	}{
		{"a folder that is a file", occupied, Opts{}, occupied},
		{"an ID with a slash", t.TempDir(), Opts{ID: "a/b"}, `"a/b"`},
		{"a config that is a list", t.TempDir(), Opts{Config: []byte(`[1]`)}, `"[1]"`},
		{"a config that is null", t.TempDir(), Opts{Config: []byte(`null`)}, `"null"`},
		{"a config that is cut", t.TempDir(), Opts{Config: []byte(`{"a":`)}, "JSON object"},
	} {
		if _, err := Init(c.dir, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %s", c.name, err, c.want)
		}
	}
	r, err := Init(t.TempDir())
	check(t, err)
	path := filepath.Join(r.Dir(), "run-"+r.ID()+".wandb")
	check(t, r.Log(nil, 3), r.Log(nil, 3))
	empty := image.NewGray(image.Rect(0, 0, 0, 1))
	for name, err := range map[string]error{
		"step 2 after step 3":  r.Log(nil, 2),
		"step -1 after step 3": r.LogImage("x", picture(), -1),
	} {
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that says so with the file's name", name, err)
		}
	}
	if err := r.LogImage("x", empty, 4); err == nil || !strings.Contains(err.Error(), "LogImage x") {
		t.Errorf("an image without pixels: got %v, want an error with the key", err)
	}
	if m, err := filepath.Glob(filepath.Join(r.Dir(), "files", "media", "images", "*")); err != nil || len(m) > 0 {
		t.Errorf("after refused images: got the files %q (%v), want none", m, err)
	}
	check(t, r.LogImage("../a b/ü", picture(), 4))
	if m, err := filepath.Glob(filepath.Join(r.Dir(), "files", "media", "images", "___a_b___4_*.png")); err != nil || len(m) != 1 {
		t.Errorf("an image with an odd key: got the files %q (%v), want one", m, err)
	}
	check(t, r.Flush(), r.Finish(0))
	for name, err := range map[string]error{"Log": r.Log(nil, 9), "Flush": r.Flush(), "Finish": r.Finish(0)} {
		if !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s after Finish: got %v, want os.ErrClosed with the file's name", name, err)
		}
	}
}

// What a full disk refuses is taken off whole, and the run goes on.
func TestFullDisk(t *testing.T) {
	r, err := Init(t.TempDir())
	check(t, err)
	check(t, r.Log(map[string]float64{"loss": 1}, 0))
	before, err := os.ReadFile(r.log.path)
	check(t, err)
	wide := map[string]float64{}
	for i := range 2000 {
		wide[fmt.Sprintf("wide/%0100d", i)] = 1
	}
	restore := logfiletest.LimitFiles(t, 100_000) // a row takes more
	err = r.Log(wide, 1)
	restore()
	if err == nil || !strings.Contains(err.Error(), r.log.path) {
		t.Errorf("got %v, want an error with the file's name", err)
	}
	after, err := os.ReadFile(r.log.path)
	check(t, err)
	if string(after) != string(before) {
		t.Errorf("got a file of %d bytes after the failure, want the %d from before", len(after), len(before))
	}
	check(t, r.Log(wide, 1), r.Finish(0))
	b, err := os.ReadFile(r.log.path)
	check(t, err)
	if list, ends := records(t, b); len(list) != 7 || ends[6] != len(b) {
		t.Errorf("got %d whole records to byte %v of %d, want 7 to the end", len(list), ends, len(b))
	}
}

func TestConcurrent(t *testing.T) {
	r, err := Init(t.TempDir())
	check(t, err)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				if err := r.Log(map[string]float64{fmt.Sprintf("%0500d", 50*g+i): 1}, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	check(t, r.Finish(0))
	b, err := os.ReadFile(r.log.path)
	check(t, err)
	list, _ := records(t, b)
	rows := slices.DeleteFunc(list, func(r record) bool { return r.field != recordHistory })
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want that of step 0", len(rows))
	}
	if _, values, err := readRow(rows[0].message); err != nil || len(values) != 200 {
		t.Errorf("got %d values, error %v, want 200", len(values), err)
	}
}

// Whatever the file ends with, Resume leaves the rows up to the step and logging
// goes on behind them as if nothing had been in between.
func TestResume(t *testing.T) {
	stands := func() time.Time { return time.UnixMilli(1700000000250) }
	log := func(r *Run, from, to int) {
		for step := from; step <= to; step++ {
			check(t, r.Log(map[string]float64{strings.Repeat("long", 3000): 1, "loss": float64(step)}, step),
				r.LogImage("image", picture(), step), r.SetSummary(map[string]float64{"best": float64(step)}))
		}
	}
	make := func(dir string, steps int) *Run {
		r, err := initRun(dir, Opts{ID: "run"}, stands)
		check(t, err)
		log(r, 1, steps)
		return r
	}
	want := make(t.TempDir(), 6)
	check(t, want.Finish(0))
	wantBytes, err := os.ReadFile(want.log.path)
	check(t, err)
	for _, tt := range []struct {
		name string
		end  func(r *Run)
		step int
	}{
		{"killed", func(*Run) {}, 3},
		{"finished", func(r *Run) { check(t, r.Finish(1)) }, 3},
		{"finished, after the last step", func(r *Run) { check(t, r.Finish(1)) }, 5},
		{"before the first step", func(*Run) {}, 0},
		{"a cut record", func(r *Run) {
			check(t, r.log.file.Close())
			stat, err := os.Stat(r.log.path)
			check(t, err)
			check(t, os.Truncate(r.log.path, stat.Size()-11))
		}, 4},
		{"uploaded", func(r *Run) { check(t, os.WriteFile(r.log.path+".synced", nil, 0o666)) }, 2},
	} {
		r := make(t.TempDir(), 5)
		tt.end(r)
		again, err := Resume(r.Dir(), tt.step)
		check(t, err)
		if again.ID() != "run" || again.Dir() != r.Dir() || !again.started.Equal(stands()) {
			t.Errorf("%s: got ID %q, folder %s, started %v", tt.name, again.ID(), again.Dir(), again.started)
		}
		again.now = stands
		if tt.step > 0 { // the last step's row again: it takes its own place
			check(t, again.Log(map[string]float64{"loss": float64(tt.step)}, tt.step))
		}
		log(again, tt.step+1, 6)
		check(t, again.Finish(0))
		if got, err := os.ReadFile(r.log.path); err != nil || !bytes.Equal(got, wantBytes) {
			t.Errorf("%s: the file differs from that of a run that was never stopped (%v)", tt.name, err)
		}
		if _, err := os.Stat(r.log.path + ".synced"); err == nil {
			t.Errorf("%s: wandb still takes it for uploaded", tt.name)
		}
	}

	dir := t.TempDir()
	if _, err := Resume(dir, 1); err == nil || !strings.Contains(err.Error(), dir+" has no file run-") {
		t.Errorf("an empty folder: got error %v", err)
	}
	check(t, os.WriteFile(filepath.Join(dir, "run-x.wandb"), []byte("nothing of the kind"), 0o666))
	if _, err := Resume(dir, 1); err == nil || !strings.Contains(err.Error(), "run-x.wandb is no run's file") {
		t.Errorf("another file: got error %v", err)
	}
}

// A file that was cut at any byte, or overwritten from there on, is gone on with after
// its whole records, or an error names it; what is logged then can be read.
func TestResumeCut(t *testing.T) {
	dir := t.TempDir()
	run, err := Init(dir, Opts{ID: "x", Config: []byte(`{"lr": 0.1}`)})
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 3; step++ {
		if err := errors.Join(run.Log(map[string]float64{"loss": 1 / float64(step)}, step), run.SetSummary(map[string]float64{"best": 1})); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Finish(0); err != nil {
		t.Fatal(err)
	}
	path := run.log.path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begun := 0
	for n := range len(b) + 1 {
		for _, behind := range []int{0, 1, 100} {
			if err := os.WriteFile(path, append(b[:n:n], bytes.Repeat([]byte{0xFE}, behind)...), 0o666); err != nil {
				t.Fatal(err)
			}
			again, err := Resume(run.dir, 2)
			if err != nil {
				if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") || n == len(b) {
					t.Errorf("%d of %d bytes, %d behind: got error %v, want one that names the file", n, len(b), behind, err)
				}
				continue
			}
			begun++
			if err := errors.Join(again.Log(map[string]float64{"loss": 9}, 3), again.Finish(0)); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			list, ok := read(got)
			if last, err := list[len(list)-1].decode(); !ok || err != nil || last.field != recordExit || list[len(list)-1].end != len(got) {
				t.Errorf("%d of %d bytes, %d behind: the file is not whole", n, len(b), behind)
			}
		}
	}
	if begun == 0 {
		t.Error("nothing was gone on with")
	}
}
