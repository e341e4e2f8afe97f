//go:build cuda && linux

package cuda

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

// TestUploadsBesideWork uploads from four goroutines while another one computes with
// what they bring.
func TestUploadsBesideWork(t *testing.T) {
	be := open(t)
	const n, batches = 50_000, 40
	type batch struct {
		from, number int
		x            backend.Buffer
	}
	value := func(from, number, i int) int64 { return int64(from*1_000_003 + number*7919 + i) }
	done := make(chan batch, 4)
	var workers sync.WaitGroup
	for from := range 4 {
		workers.Go(func() {
			src := make([]int64, n)
			for number := range batches {
				for i := range src {
					src[i] = value(from, number, i)
				}
				done <- batch{from, number, be.Upload(backend.Int64, bytesOf(src))}
			}
		})
	}
	go func() {
		workers.Wait()
		close(done)
	}()
	sum := backend.Array{Buffer: be.NewBuffer(backend.Int64, n), Len: n}
	be.Fill(sum, 0)
	want := make([]int64, n)
	got := make([]int64, n)
	seen := 0
	for b := range done {
		x := backend.Array{Buffer: b.x, Len: n}
		be.Binary(sum, sum, x, backend.Add, backend.BinaryGeom{})
		for i := range want {
			want[i] += value(b.from, b.number, i)
		}
		if seen++; seen%16 == 0 {
			be.Read(bytesOf(got), x)
			for i, v := range got {
				if v != value(b.from, b.number, i) {
					t.Fatalf("batch %d of goroutine %d: element %d is %d, want %d", b.number, b.from, i, v, value(b.from, b.number, i))
				}
			}
		}
		be.Free(b.x)
	}
	be.Read(bytesOf(got), sum)
	if !slices.Equal(got, want) {
		t.Error("the sum of all batches is not what was uploaded")
	}
	be.Free(sum.Buffer)
	if s := be.MemoryStats(); s.Live != 0 || s.Taken > 10*8*n {
		t.Errorf("got %+v, want nothing live and no more blocks than there were buffers at once", s)
	}
	if made := be.uploads.ring.made; made > mostStages {
		t.Errorf("%d stages, want %d at most", made, mostStages)
	}
}

// TestUploadCapture holds uploads to the lock that a capture of the stream takes, and
// frees to do without it.
func TestUploadCapture(t *testing.T) {
	be := open(t)
	src := make([]byte, fromUpload)
	b := be.Upload(backend.Uint8, src).(*buffer)
	at := b.memory
	be.uploads.Lock()
	be.Free(b)
	if s := be.uploads.pool.Stats(); s.Cached != 0 {
		t.Errorf("freed under the lock: got %+v, want the block kept back", s)
	}
	uploaded := make(chan backend.Buffer)
	go func() { uploaded <- be.Upload(backend.Uint8, src) }()
	select {
	case <-uploaded:
		t.Error("Upload went on under the lock")
	case <-time.After(50 * time.Millisecond):
	}
	be.uploads.Unlock()
	b = (<-uploaded).(*buffer)
	if b.memory != at {
		t.Errorf("got block %#x, want %#x once more", b.memory, at)
	}
	be.Free(b)
}

// TestUploadLost leaves a buffer to the garbage collector.
func TestUploadLost(t *testing.T) {
	be := open(t)
	src := make([]byte, fromUpload)
	at := fmt.Sprint(be.Upload(backend.Uint8, src).(*buffer).memory)
	for try := 0; ; try++ {
		runtime.GC()
		be.uploads.lost.Lock()
		n := len(be.uploads.lost.blocks)
		be.uploads.lost.Unlock()
		if n == 1 {
			break
		}
		if try == 100 {
			t.Fatal("the collector's cleanup did not hand over the block")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b := be.Upload(backend.Uint8, src).(*buffer)
	if got := fmt.Sprint(b.memory); got != at {
		t.Errorf("got block %s, want %s once more", got, at)
	}
	be.Free(b)
}

// BenchmarkUpload measures how fast elements go to the device: through pinned memory,
// and as the driver takes them.
func BenchmarkUpload(b *testing.B) {
	be := onGPU(b)
	for _, n := range []int{16 << 10, 64 << 10, 192 << 10, 768 << 10, 36 << 20} {
		src := make([]byte, n)
		b.Run(fmt.Sprintf("Upload/%dKiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				be.Free(be.Upload(backend.Uint8, src))
			}
			be.wait()
		})
		b.Run(fmt.Sprintf("Write/%dKiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				x := be.NewBuffer(backend.Uint8, n)
				be.Write(backend.Array{Buffer: x, Len: n}, src)
				be.Free(x)
			}
			be.wait()
		})
	}
}

// BenchmarkUploadBesideWork measures products alone, and with a batch of 36 MiB that
// another goroutine uploads meanwhile: the two times should be the same.
func BenchmarkUploadBesideWork(b *testing.B) {
	be := onGPU(b)
	const n = 4096
	g := backend.MatMulGeom{Batch: [2]int{1, 1}, M: n, N: n, K: n}
	var x [3]backend.Array
	for i := range x {
		x[i] = backend.Array{Buffer: be.NewBuffer(backend.Float32, n*n), Len: n * n}
		be.Fill(x[i], 0.5)
		defer be.Free(x[i].Buffer)
	}
	work := func() {
		for range 4 {
			be.MatMul(x[0], x[1], x[2], g)
		}
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			work()
			be.wait()
		}
	})
	b.Run("beside", func(b *testing.B) {
		src := make([]byte, 36<<20)
		batches := make(chan backend.Buffer, 2)
		stop := make(chan bool)
		go func() {
			defer close(batches)
			for {
				x := be.Upload(backend.Uint8, src)
				select {
				case batches <- x:
				case <-stop:
					be.Free(x)
					return
				}
			}
		}()
		for b.Loop() {
			batch := <-batches
			work()
			be.Free(batch)
			be.wait()
		}
		close(stop)
		for batch := range batches {
			be.Free(batch)
		}
	})
}

// onGPU returns a backend for a measurement, which the simulated driver is no subject of.
func onGPU(b *testing.B) *Backend {
	b.Helper()
	if sim.Simulated() {
		b.Skip("the simulated driver says nothing about speed")
	}
	be, err := Open(0)
	if err != nil {
		b.Fatal(err)
	}
	return be.(*Backend)
}
