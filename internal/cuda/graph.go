//go:build cuda && linux

package cuda

/*
#cgo noescape wick_graph_launch
#cgo nocallback wick_graph_launch
#include <cuda.h>

static CUresult wick_capture_begin(CUcontext c, CUstream s) {
	CUresult r = cuCtxSetCurrent(c);
	// Others may allocate meanwhile, hence relaxed.
	return r ? r : cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED);
}
// wick_capture_end makes what was captured launchable, or drops it.
static CUresult wick_capture_end(CUcontext c, CUstream s, int drop, CUgraphExec *exec) {
	CUgraph g = 0;
	CUresult r = cuCtxSetCurrent(c);
	if (!r) r = cuStreamEndCapture(s, &g);
	if (!r && !drop) r = cuGraphInstantiateWithFlags(exec, g, 0);
	if (g) cuGraphDestroy(g);
	return r;
}
static CUresult wick_graph_launch(CUcontext c, CUgraphExec e, CUstream s) {
	CUresult r = cuCtxSetCurrent(c);
	return r ? r : cuGraphLaunch(e, s);
}
static CUresult wick_graph_destroy(CUcontext c, CUgraphExec e) {
	CUresult r = cuCtxSetCurrent(c);
	return r ? r : cuGraphExecDestroy(e);
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// recorder watches the operations of a step that is rehearsed or captured. The step
// has a thread to itself, so that what others do is told apart.
type recorder struct {
	thread int
	unfit  func(why string)
	graph  *graph // that is captured; nil in a rehearsal
}

// recording returns the recorder of the calling goroutine's step, or nil.
func (d *device) recording() *recorder {
	if r := d.recorder.Load(); r != nil && r.thread == syscall.Gettid() {
		return r
	}
	return nil
}

// capturing returns the graph that the calling goroutine's step is captured in, or
// nil.
func (d *device) capturing() *graph {
	if r := d.recording(); r != nil {
		return r.graph
	}
	return nil
}

// cannotCapture says that the calling operation cannot be part of a graph.
func (d *device) cannotCapture(why string) {
	if r := d.recording(); r != nil {
		r.unfit(why)
	}
}

// busyError says that somebody uses a device that a step is captured on.
type busyError struct{ what string }

func (e *busyError) Error() string { return e.what }

// DeviceFailed makes it a backend.DeviceError.
func (e *busyError) DeviceFailed() {}

// computes is called before work goes into the stream: while a step is captured,
// what others compute would get into its graph.
func (d *device) computes() {
	if r := d.recorder.Load(); r != nil && r.graph != nil && r.thread != syscall.Gettid() {
		panic(&busyError{fmt.Sprintf("an operation is called while another goroutine captures a step on device %d; let it wait until the second Run of the step is over", d.index)})
	}
}

// record calls step with a recorder.
func (be *Backend) record(r *recorder, step func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.thread = syscall.Gettid()
	if !be.recorder.CompareAndSwap(nil, r) {
		panic(&busyError{fmt.Sprintf("a step is captured while another one is on device %d; let it wait until the second Run of that is over", be.index)})
	}
	defer be.recorder.Store(nil)
	step()
}

// Rehearse calls step; see backend.Capturer.
func (be *Backend) Rehearse(step func(), unfit func(why string)) {
	be.record(&recorder{unfit: unfit}, step)
}

// Capture makes a graph of step and launches it; see backend.Capturer.
func (be *Backend) Capture(step func(), unfit func(why string), beside backend.Graph) backend.Graph {
	g := &graph{be: be, outside: map[*buffer]bool{}}
	if beside != nil {
		g.lender = beside.(*graph).lender
	} else {
		g.lender = &lender{from: be, free: map[int][]pointer{}}
	}
	g.lender.open()
	be.uploads.Lock()
	defer be.uploads.Unlock()
	be.renew()
	defer be.renew()
	captured := false
	defer func() {
		if !captured { // step panics
			g.Close()
		}
	}()
	be.record(&recorder{unfit: unfit, graph: g}, func() {
		check("cuStreamBeginCapture", C.wick_capture_begin(be.c(), be.s()))
		defer func() {
			if !captured {
				C.wick_capture_end(be.c(), be.s(), 1, &g.exec)
			}
		}()
		step()
		captured = true
		if r := C.wick_capture_end(be.c(), be.s(), 0, &g.exec); r != C.CUDA_SUCCESS {
			g.Close()
			check("cuStreamEndCapture", r)
		}
	})
	g.launch()
	return g
}

// Abandon makes graphs stale that use a buffer.
func (be *Backend) Abandon(b backend.Buffer) { b.(*buffer).abandon() }

func (b *buffer) abandon() {
	for _, g := range b.graphs {
		g.stale.Store(true)
	}
	b.graphs = nil
}

// graph is a captured step.
type graph struct {
	be      *Backend
	exec    C.CUgraphExec
	lender  *lender
	outside map[*buffer]bool // that the step uses and did not make; kept from the garbage collector
	held    []held           // the same, as the step found them
	stale   atomic.Bool      // one of them is gone
	fits    []func() bool
	renew   []func()
	blocks  []*block
	closed  bool
}

// touch notes that the step uses a buffer.
func (g *graph) touch(b *buffer) {
	if b.pool != backing(g.lender) && !g.outside[b] {
		g.outside[b] = true
		g.held = append(g.held, b.hold())
		b.graphs = append(b.graphs, g)
	}
}

// held is a buffer and which of its forms was the one that was written, where. A
// graph reads that one.
type held struct {
	buffer *buffer
	last   bool // channels last
	at     pointer
}

// hold returns how the buffer is held now. Those who read it at the same time change
// nothing of that.
func (b *buffer) hold() held {
	if b.truth {
		return held{b, true, b.last}
	}
	return held{b, false, b.memory}
}

// Fits: see backend.Graph.
func (g *graph) Fits() bool {
	if g.stale.Load() {
		return false
	}
	for _, h := range g.held {
		if h.buffer.hold() != h {
			return false
		}
	}
	for _, f := range g.fits {
		if !f() {
			return false
		}
	}
	return true
}

// Launch renews the numbers and launches.
func (g *graph) Launch() {
	g.be.computes()
	for _, f := range g.renew {
		f()
	}
	g.launch()
}

// launch sends the numbers and launches. The driver takes the numbers at once, and
// the device gets them once it is through with the launch before.
func (g *graph) launch() {
	defer g.be.renew() // for what is made of what the launch writes
	for _, b := range g.blocks {
		g.be.send(b.at, bytesOf(b.words[:b.used]))
	}
	check("cuGraphLaunch", C.wick_graph_launch(g.be.c(), g.exec, g.be.s()))
}

// Close: see backend.Graph. What was launched is still computed, and whoever gets the
// memory next uses it later, since all is in one stream.
func (g *graph) Close() {
	if g.closed {
		return
	}
	g.closed = true
	for b := range g.outside {
		b.graphs = slices.DeleteFunc(b.graphs, func(o *graph) bool { return o == g })
	}
	g.outside, g.held, g.fits, g.renew = nil, nil, nil, nil
	if g.exec != nil {
		check("cuGraphExecDestroy", C.wick_graph_destroy(g.be.c(), g.exec))
	}
	for _, b := range g.blocks {
		g.be.pool.Put(b.at, len(b.words)*8)
	}
	g.blocks = nil
	g.lender.close()
}

// block is numbers that change from launch to launch, on the host and on the device.
type block struct {
	words [512]uint64
	used  int
	at    pointer
}

// reserve returns a place for numbers of a graph, on the host, and where the device
// finds what is there at a launch.
func reserve[N any](g *graph) (*N, pointer) {
	var n N
	words, at := g.reserve((int(unsafe.Sizeof(n)) + 7) / 8)
	return (*N)(unsafe.Pointer(&words[0])), at
}

// reserve is the function of its name for so many words.
func (g *graph) reserve(words int) ([]uint64, pointer) {
	last := len(g.blocks) - 1
	if last < 0 || g.blocks[last].used+words > len(g.blocks[last].words) {
		b := &block{}
		// Not of the lender, whose memory operations of the graph have written by then: the numbers are sent before.
		b.at = g.be.pool.Get(len(b.words) * 8)
		g.blocks = append(g.blocks, b)
		last++
	}
	b := g.blocks[last]
	i := b.used
	b.used += words
	return b.words[i:b.used], b.at + pointer(8*i)
}

// backing is where a buffer's memory comes from.
type backing interface {
	Get(n int) pointer
	Put(p pointer, n int)
}

// lender is the memory of the graphs of a step. It borrows from the backend's pool
// and keeps what it has until the last of them is closed, so that nobody else uses
// what a launch writes.
type lender struct {
	from  *Backend
	mu    sync.Mutex
	free  map[int][]pointer
	users int
}

// lend returns where the calling goroutine's operation takes its memory from.
func (be *Backend) lend() backing {
	if g := be.capturing(); g != nil {
		return g.lender
	}
	return be.pool
}

func (l *lender) Get(n int) pointer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.free[n]; len(list) > 0 {
		l.free[n] = list[:len(list)-1]
		return list[len(list)-1]
	}
	return l.from.pool.Get(n)
}

func (l *lender) Put(p pointer, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		l.from.pool.Put(p, n)
		return
	}
	l.free[n] = append(l.free[n], p)
}

func (l *lender) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
}

func (l *lender) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	for n, list := range l.free {
		for _, p := range list {
			l.from.pool.Put(p, n)
		}
	}
	clear(l.free)
}
