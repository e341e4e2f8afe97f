//go:build cuda && linux

package cuda

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

// open returns a backend of its own on device 0.
func open(t *testing.T) *Backend {
	t.Helper()
	be, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return be.(*Backend)
}

// emptied has the driver get back what a test of many sizes leaves in be's pools: the
// simulated one has a bound for the number of blocks.
func emptied(be *Backend) {
	runtime.GC()
	time.Sleep(50 * time.Millisecond) // cleanups run in goroutines of their own, some time after
	blocks := be.uploads.takeLost()
	be.wait()
	be.uploads.put(blocks)
	be.uploads.pool.Empty()
	be.pool.Empty()
}

// used is what all programs hold of the device's memory.
func used(be *Backend) int64 {
	free, total := be.memory()
	return total - free
}

func TestPoolReuses(t *testing.T) {
	be := open(t)
	a := be.NewBuffer(backend.Float32, 1000).(*buffer)
	at, taken := a.memory, be.MemoryStats().Taken
	be.Free(a)
	if s := be.MemoryStats(); s.Live != 0 || s.Cached != 4000 {
		t.Errorf("after Free: got %+v, want nothing live and 4000 bytes cached", s)
	}
	b := be.NewBuffer(backend.Int64, 500).(*buffer)
	if s := be.MemoryStats(); b.memory != at || s.Taken != taken || s.Live != 4000 || s.Cached != 0 {
		t.Errorf("a buffer of the same size: got block %#x and %+v, want block %#x again", b.memory, s, at)
	}
	be.Free(b)
	be.Free(b) // does nothing
	if s := be.MemoryStats(); s.Live != 0 || s.Cached != 4000 {
		t.Errorf("after the second Free: got %+v, want 4000 bytes cached", s)
	}
}

// TestNothingLeaks asks the driver what is left when all buffers have been given back.
func TestNothingLeaks(t *testing.T) {
	be := open(t)
	work := func(n int) {
		a, b := be.NewBuffer(backend.Float32, n), be.NewBuffer(backend.Float64, n)
		x, y := backend.Array{Buffer: a, Len: n}, backend.Array{Buffer: b, Len: n}
		be.Fill(x, 1)
		be.Copy(y, x)
		be.scratch(n, func(p pointer) { be.set(p, 0, n) })
		be.Free(a)
		be.Free(b)
	}
	pages := int64(0) // what a driver hands out at once, in which small blocks lie
	if !sim.Simulated() {
		pages = 4 << 20
		work(50) // loads the kernels
		be.wait()
		be.pool.Empty()
	}
	before := used(be)
	for n := range 50 {
		work(n)
	}
	s := be.MemoryStats()
	if got := used(be) - before; s.Live != 0 || got < s.Cached-pages || got > s.Cached+pages {
		t.Errorf("got %d bytes of the device and %+v, want nothing live and what is cached", got, s)
	}
	be.wait()
	be.pool.Empty()
	if got := used(be) - before; got > pages {
		t.Errorf("%d bytes of the device are left of an empty pool", got)
	}
}

func TestOutOfMemory(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_MEMORY=1000000") {
		return
	}
	be := open(t)
	own := used(be)
	// What is cached is given back where it is in the way.
	be.Free(be.NewBuffer(backend.Uint8, 600_000))
	b := be.NewBuffer(backend.Uint8, 700_000)
	if got := used(be) - own; got != 700_000 {
		t.Errorf("got %d bytes of the device, want only the last 700000", got)
	}
	// There is no room for a second one, and the first is still in use.
	err := panicOf(func() { be.NewBuffer(backend.Uint8, 400_000) })
	var full *backend.MemoryError
	if !errors.As(err, &full) {
		t.Fatalf("got %v, want a *backend.MemoryError", err)
	}
	if full.Bytes != 400_000 || full.Free != 300_000-own || full.Total != 1_000_000 || full.Stats.Live != 700_000 {
		t.Errorf("got %+v, want 400000 bytes asked for, 300000 of 1000000 free, 700000 live", full)
	}
	if s := be.MemoryStats(); s.Live != 700_000 || s.Peak != 700_000 {
		t.Errorf("what was refused is on the books: %+v", s)
	}
	runtime.KeepAlive(b)
	// Now nobody refers to the first: the collector finds it.
	b = be.NewBuffer(backend.Uint8, 800_000)
	if s := be.MemoryStats(); s.Live != 800_000 {
		t.Errorf("got %+v, want the 800000 bytes of the last buffer", s)
	}
	be.Free(b)
}

func TestLostDevice(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_FAIL_AFTER=2") {
		return
	}
	be := open(t)
	a := backend.Array{Buffer: be.NewBuffer(backend.Float32, 10), Len: 10}
	for range 2 {
		be.Fill(a, 1)
	}
	b := make([]byte, 40)
	be.Read(b, a)
	be.Fill(a, 2) // it goes into the stream, and nobody knows yet
	err := panicOf(func() { be.Read(b, a) })
	var failed backend.DeviceError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "cuMemcpyDtoHAsync: ") || !strings.HasSuffix(err.Error(), "the device is lost to this process, which has to be started again") {
		t.Errorf("got %v, want a backend.DeviceError that names the call and says what to do", err)
	}
	be.Free(a.Buffer) // makes no call
}

// TestIndexFault holds the record of bad indices to what programs see of it.
func TestIndexFault(t *testing.T) {
	be := open(t)
	put := func(index ...int64) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(backend.Int64, len(index)), Len: len(index)}
		be.Write(a, bytesOf(index))
		return a
	}
	x, dst := put(5, 6, 7), put(0, 0, 0, 0)
	pick := func(name string, index ...int64) {
		if err := be.IndexSelect(dst, x, put(index...), backend.IndexGeom{Outer: 1, N: 3, M: 4, Inner: 1}, user(name)); err != nil {
			t.Errorf("IndexSelect: got %v at once, want it later", err)
		}
	}
	read := func() (got [4]int64, err error) {
		err = panicOf(func() { be.Read(bytesOf(got[:]), dst) })
		return got, err
	}
	pick("first", 0, 1, 2, 0)
	pick("second", 2, 9, -4, 1)
	if got, err := read(); got != [4]int64{7, 0, 0, 6} || err == nil || err.Error() != "second: index 9 at position 1 is out of range, want 0 to 2" {
		t.Errorf("got %v, %v, want 0 at the bad indices and the first of them", got, err)
	}
	if _, err := read(); err != nil {
		t.Errorf("the second Read panics with %v, want it told once", err)
	}
	// A later call of the same use does not replace what an earlier one met, and any Read tells.
	pick("second", 0, 0, 3, 0)
	pick("second", 4, 0, 0, 0)
	other := put(1)
	if err := panicOf(func() { be.Read(make([]byte, 8), other) }); err == nil || err.Error() != "second: index 3 at position 2 is out of range, want 0 to 2" {
		t.Errorf("got %v, want the first call's index", err)
	}
	// An operation without results checks its index all the same.
	none := backend.Array{Buffer: dst.Buffer}
	if err := be.IndexSelect(none, none, put(0, 3), backend.IndexGeom{Outer: 1, N: 3, M: 2, Inner: 0}, user("empty")); err != nil {
		t.Error(err)
	}
	if _, err := read(); err == nil || err.Error() != "empty: index 3 at position 1 is out of range, want 0 to 2" {
		t.Errorf("got %v, want the index of the operation without results", err)
	}
	// There are names for so many uses.
	for i := range 1 << useBits {
		be.indexed(user(strconv.Itoa(i)), 1)
	}
	pick("one too many", 0, 3, 0, 0)
	if _, err := read(); err == nil || err.Error() != "an operation before this one was given a bad index: index 3 at position 1 is out of range, want 0 to 2" {
		t.Errorf("got %v, want the index without a name", err)
	}
}

// user is a backend.IndexUse.
type user string

func (u user) Key() string                          { return string(u) }
func (u user) BadIndex(e *backend.IndexError) error { return fmt.Errorf("%s: %w", string(u), e) }

// panicOf returns the error that f panics with.
func panicOf(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

func TestTwoDevices(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_DEVICES=2") {
		return
	}
	first := open(t)
	be, err := Open(1)
	if err != nil {
		t.Fatal(err)
	}
	second := be.(*Backend)
	own := used(first)
	for _, be := range []*Backend{first, second} {
		a := backend.Array{Buffer: be.NewBuffer(backend.Int64, 3), Len: 3}
		be.Arange(a, float64(be.index), 2)
		got := make([]int64, 3)
		be.Read(bytesOf(got), a)
		if i := int64(be.index); !slices.Equal(got, []int64{i, i + 2, i + 4}) {
			t.Errorf("device %d: got %v", i, got)
		}
		if got := used(be) - own; got != 24 {
			t.Errorf("device %d: got %d bytes used, want the 24 of its own buffer", be.index, got)
		}
		defer be.Free(a.Buffer)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Run("index", func(t *testing.T) {
		if sim.Again(t, "WICK_SIM_DEVICES=2") {
			refused(t, 2, "there is no device 2; this machine has 2, counted from 0")
			refused(t, -1, "there is no device -1; this machine has 2, counted from 0")
		}
	})
	t.Run("none", func(t *testing.T) {
		if sim.Again(t, "WICK_SIM_DEVICES=0") {
			refused(t, 0, "the driver finds no GPU (CUDA_ERROR_100); nvidia-smi shows what it sees, and CUDA_VISIBLE_DEVICES may hide some")
		}
	})
	t.Run("old", func(t *testing.T) {
		if sim.Again(t, "WICK_SIM_DRIVER=11080") {
			refused(t, 0, "the driver is of CUDA 11.8, want 12.0 or later; install a newer driver")
		}
	})
	t.Run("driver", func(t *testing.T) {
		if exec.Command("sh", "-c", "ldconfig -p | grep -q libcuda.so.1").Run() == nil {
			t.Skip("this machine has a driver of its own")
		}
		if sim.Again(t, "LD_LIBRARY_PATH="+os.TempDir()) {
			refused(t, 0, "there is no NVIDIA driver (libcuda.so.1: cannot open shared object file: No such file or directory); install the driver of your GPU")
		}
	})
}

// A driver without the libraries that belong to it, or with others than those that
// are wanted.
func TestMissingLibraries(t *testing.T) {
	have := filepath.Dir(os.Getenv("WICK_SIM_KERNELS"))
	for _, c := range []struct {
		name  string
		links map[string]string // in the only folder that is searched
		want  string
	}{
		{"cuDNN missing", map[string]string{"libcuda.so.1": "libcuda.so.1", "libcublas.so.13": "libcublas.so.13"},
			"cuDNN is missing, or is none of version 9 or 8 (libcudnn.so.9: cannot open shared object file: No such file or directory); install cuDNN 9 for CUDA 13 or 12 and see that LD_LIBRARY_PATH names its folder"},
		{"cuDNN of another major", map[string]string{"libcuda.so.1": "libcuda.so.1", "libcublas.so.13": "libcublas.so.13", "libcudnn.so.7": "libcudnn.so.9", "libcudnn.so.10": "libcudnn.so.9"},
			"cuDNN is missing, or is none of version 9 or 8 (libcudnn.so.9: cannot open shared object file: No such file or directory); install cuDNN 9 for CUDA 13 or 12 and see that LD_LIBRARY_PATH names its folder"},
		{"cuBLAS missing", map[string]string{"libcuda.so.1": "libcuda.so.1", "libcudnn.so.9": "libcudnn.so.9", "libcublas.so.11": "libcublas.so.13"},
			"cuBLAS is missing, or is none of version 13 or 12 (libcublas.so.13: cannot open shared object file: No such file or directory); install the CUDA toolkit's cuBLAS 13 or 12 and see that LD_LIBRARY_PATH names its folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, to := range c.links {
				if err := os.Symlink(filepath.Join(have, to), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if sim.Again(t, "LD_LIBRARY_PATH="+dir) {
				refused(t, 0, c.want)
			}
		})
	}
}

func refused(t *testing.T, index int, want string) {
	t.Helper()
	if _, err := Open(index); err == nil || err.Error() != want {
		t.Errorf("Open(%d): got %v, want %s", index, err, want)
	}
}

// TestLargeViews runs what has views as if their numbers had fewer bits, so that it
// is cut in parts.
func TestLargeViews(t *testing.T) {
	most := mostElements
	mostElements = 50
	defer func() { mostElements = most }()
	be := open(t)
	defer emptied(be)
	for _, r := range backendtest.Rows(1e-3) {
		if slices.Contains([]string{"Binary", "Where", "Strided", "StridedWrite", "Reduce"}, r.Method) && !strings.Contains(r.Contract, "threads") {
			t.Run(r.Method+"/"+r.Contract, func(t *testing.T) { r.Test(t, be) })
		}
	}
}
