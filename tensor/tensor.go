// Package tensor provides eager tensors with automatic differentiation, as
// PyTorch users know them, and all operations on them, each with its gradient.
//
// A [*Tensor] is an n-dimensional array of one element type on one device.
// Functions and methods compute their result at once and return a new tensor;
// methods that end in InPlace change their receiver. Views share the receiver's
// memory: View, Flatten, Unflatten, Squeeze, Unsqueeze, Permute, Transpose, MoveDim, T,
// Expand, Narrow, Slice, Select, Split, SplitSizes, Chunk, Unbind, Unfold, Diagonal,
// AsStrided, Detach and NoGrad, and Reshape where it can. What is written into a view is written into the tensor that it
// was made of. Everything else makes a tensor of its own, whose elements lie row by row.
//
// What does not fit (shapes, types, devices) panics with a [*Error] that says
// in one sentence what was given and what would fit; [Try] turns that panic into
// an error. Operands of several types meet in one as in PyTorch; see [Tensor.Add].
//
// A tensor lives until the garbage collector takes it, or in a [Scope] until
// that closes; a result belongs to all scopes of its operands and goes with the
// first that closes. The data loader opens a scope for each batch, so that a
// training step's memory goes back to a pool when its loop body ends.
package tensor

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
	"github.com/wick-ml/wick/internal/ops"
)

// Shape is the sizes of a tensor's dimensions; a scalar's is empty.
type Shape []int

// Len returns the number of elements, the product of the sizes.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// fits reports whether an array of the shape could be in some machine's memory.
// Every part of its size is then an int, also where it has no elements.
func (s Shape) fits() bool {
	most := min(1<<47, math.MaxInt) / 8
	if slices.Contains(s, 0) {
		most = math.MaxInt
	}
	n := 1
	for _, d := range s {
		if n > most/max(d, 1) {
			return false
		}
		n *= max(d, 1)
	}
	return true
}

// mul returns a·b, or where that is far from what memory holds a number that
// Shape.fits refuses, and that may be added to a few like it.
func mul(a, b int) int {
	const most = math.MaxInt / 4
	if a > 0 && b > most/a {
		return most
	}
	return a * b
}

// String prints the shape as "[64 3 32 32]".
func (s Shape) String() string { return fmt.Sprint([]int(s)) }

// Equal reports whether both shapes have the same sizes.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// strides returns the row-major strides of the shape, as if a size of 0 were 1.
func (s Shape) strides() []int {
	st := make([]int, len(s))
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		st[i] = n
		n *= max(s[i], 1)
	}
	return st
}

// split returns the geometry of the shape around one dimension; a scalar's is that
// of one element.
func (s Shape) split(dim int) backend.DimGeom {
	if len(s) == 0 {
		return backend.DimGeom{Outer: 1, N: 1, Inner: 1}
	}
	return backend.DimGeom{Outer: s[:dim].Len(), N: s[dim], Inner: s[dim+1:].Len()}
}

type variable = autograd.Variable[*Tensor]

// tape is what the tape does for tensors.
var tape = autograd.Tape[*Tensor]{Arithmetic: arithmetic{}}

// Tensor is an n-dimensional array. Its zero value is of no use; make tensors
// with [From], [Zeros], [Randn] and their like.
type Tensor struct {
	variable
	storage *storage
	offset  int // in elements
	shape   Shape
	strides []int                  // in elements; nil: row-major
	said    []int                  // what Strides says of what is row-major, where sizes of 0 and 1 make that something else
	within  *Scope                 // of an operand of a gradient: results are in it, too
	grad    *Tensor                // of a leaf
	hasGrad bool                   // grad holds a gradient, and is not just kept for its memory
	path    atomic.Pointer[string] // in the model's tree, of a parameter: "features.0.weight"; nil if unknown
	origin  *Tensor                // of an operand that was cast for its operation: what it was before
}

// storage is the memory that a tensor and its views share.
type storage struct {
	device  *Device
	buffer  backend.Buffer
	op      string // what made it
	version atomic.Uint64

	balanced   Shape  // a tensor of this shape here sums to 0 over each channel, but for rounding; see balance
	balancedAt uint64 // while the version is this

	mu     sync.Mutex               // held while scopes changes
	scopes atomic.Pointer[[]*Scope] // nil: none; a list is not changed, but replaced

	released atomic.Bool
	held     bool // by a captured step: it is not released
	walkRefs int  // how often a Backward walk holds it
	walkOwns bool // made by a Backward walk for itself
}

// balance notes that x, [N C …] and alone in its storage, sums to 0 over each
// channel but for rounding. A change of x takes the note away.
func (x *Tensor) balance() {
	x.storage.balanced, x.storage.balancedAt = x.shape, x.storage.version.Load()
}

// isBalanced reports whether balance holds of x.
func (x *Tensor) isBalanced() bool {
	s := x.storage
	return s.balanced != nil && s.balanced.Equal(x.shape) && x.strides == nil && s.balancedAt == s.version.Load()
}

// inScopes lists the scopes that the storage belongs to; the list may not be changed.
func (s *storage) inScopes() []*Scope {
	if list := s.scopes.Load(); list != nil {
		return *list
	}
	return nil
}

// enter adds the storage to a scope.
func (s *storage) enter(sc *Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.inScopes(); !slices.Contains(list, sc) {
		sc.add(s)
		if len(list) == 0 {
			list = sc.alone
		} else {
			list = append(list[:len(list):len(list)], sc)
		}
		s.setScopes(list)
	}
}

// in puts a storage that nobody else knows into a list of scopes, which it keeps.
func (s *storage) in(list []*Scope) {
	for _, sc := range list {
		sc.add(s)
	}
	s.setScopes(list)
}

// setScopes makes list the scopes that the storage belongs to.
func (s *storage) setScopes(list []*Scope) {
	switch len(list) {
	case 0:
		s.scopes.Store(nil)
	case 1:
		s.scopes.Store(&list[0].alone)
	default:
		several := list // so that only this is put on the heap
		s.scopes.Store(&several)
	}
}

// leave takes the storage out of a scope, or out of all if sc is nil.
func (s *storage) leave(sc *Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.inScopes()
	if sc == nil {
		list = nil
	} else if i := slices.Index(list, sc); i >= 0 {
		switch len(list) {
		case 1:
			list = nil
		case 2:
			list = list[1-i].alone
		default:
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
	}
	s.setScopes(list)
}

// belongs reports whether the storage is in a scope.
func (s *storage) belongs(sc *Scope) bool { return slices.Contains(s.inScopes(), sc) }

// release gives the memory back. Later calls do nothing.
func (s *storage) release() {
	if !s.held && s.released.CompareAndSwap(false, true) {
		s.device.backend.Free(s.buffer)
	}
}

// alloc makes a tensor with memory of its own and undefined contents. It panics
// if the shape has more elements than any memory, or than the device's.
func alloc(op string, d *Device, t DType, shape Shape, scopes ...*Scope) *Tensor {
	if !shape.fits() {
		fail(op, "%w: the shape %v has too many elements", ErrOutOfMemory, shape)
	}
	defer noRoom(op, d, t, shape)
	return own(op, d, d.backend.NewBuffer(backend.DType(t), shape.Len()), shape, scopes)
}

// upload makes a tensor on a device from elements in the host's memory.
func upload(op string, d *Device, t DType, shape Shape, src []byte, scopes ...*Scope) *Tensor {
	defer noRoom(op, d, t, shape)
	return own(op, d, d.backend.Upload(backend.DType(t), src), shape, scopes)
}

// own makes a tensor that has a buffer to itself.
func own(op string, d *Device, b backend.Buffer, shape Shape, scopes []*Scope) *Tensor {
	s := &storage{device: d, buffer: b, op: op}
	if len(scopes) > 0 {
		s.in(scopes)
	}
	return &Tensor{variable: tape.Variable(), storage: s, shape: shape}
}

// noRoom, deferred, turns a backend's *MemoryError into the operation's *Error.
func noRoom(op string, d *Device, t DType, shape Shape) {
	switch e := recover().(type) {
	case nil:
	case *backend.MemoryError:
		fail(op, "%w for %v of %v on %s: %w; a smaller batch takes less", ErrOutOfMemory, shape, t, d, e)
	default:
		panic(e)
	}
}

// result makes the tensor that the operation op computes from inputs (nil
// entries are absent ones): on their device, in all their scopes. It keeps shape,
// which nobody changes. It panics if the inputs are on different devices or one of
// them is gone.
func result(op string, t DType, shape Shape, inputs ...*Tensor) *Tensor {
	var first *Tensor
	var scopes []*Scope // those of all inputs
	shared := true      // by all of them, so that it is not changed
	add := func(sc *Scope) {
		if len(scopes) == 0 {
			scopes = sc.alone
		} else if !slices.Contains(scopes, sc) {
			if shared {
				scopes, shared = slices.Clone(scopes), false
			}
			scopes = append(scopes, sc)
		}
	}
	for _, x := range inputs {
		if x == nil {
			continue
		}
		x.check(op)
		switch in := x.storage.inScopes(); {
		case first == nil:
			first, scopes = x, in
		case x.storage.device != first.storage.device:
			fail(op, "one operand is on %s, another on %s; To moves a tensor", first.storage.device, x.storage.device)
		default:
			for _, sc := range in {
				add(sc)
			}
		}
		if x.within != nil {
			add(x.within)
		}
	}
	return alloc(op, first.storage.device, t, shape, scopes...)
}

// like makes a tensor for a result with x's type and shape.
func like(op string, x *Tensor, inputs ...*Tensor) *Tensor {
	var room [4]*Tensor
	return result(op, x.DType(), x.shape, append(append(room[:0], inputs...), x)...)
}

// exists panics if x is nil or the zero value. All that an operation does with its
// operands begins with a method that calls it.
func (x *Tensor) exists() {
	if x == nil || x.storage == nil {
		x.missing()
	}
}

func (x *Tensor) missing() {
	if x == nil {
		fail(called(), "a tensor that it needs is nil")
	}
	fail(called(), "a tensor that it needs is an empty Tensor; From, Zeros, Randn and their like make one")
}

// called returns the name of the function or method of this package that the program
// has called, for a fault that is found where no operation's name is known. What is
// not exported is called by friends, by a name that is.
func called() (op string) {
	pc := make([]uintptr, 50)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if !strings.HasPrefix(f.Function, here) {
			break
		}
		op = operation(f.Function)
	}
	return strings.ToUpper(op[:1]) + op[1:]
}

// check panics if x is missing or was released.
func (x *Tensor) check(op string) {
	x.exists()
	if x.storage.released.Load() {
		made := "made by " + x.storage.op
		fail(op, "%s, %s, is used after its scope closed (a loader's step is over when the loop body ends); take the number with Item, or keep the tensor with Detach().Keep() or CopyFrom",
			x.describe(), made)
	}
}

// array returns x's elements as the backend sees them, row by row: x's own memory,
// or a copy that lives as x does where x is a view with strides. It is the zero Array
// for nil.
func (x *Tensor) array() backend.Array {
	if x == nil {
		return backend.Array{}
	}
	x.check("read")
	if x.strides != nil {
		x = x.dense()
	}
	return backend.Array{Buffer: x.storage.buffer, Offset: x.offset, Len: x.shape.Len()}
}

// window returns the memory that x's elements lie in, for methods that take strides.
func (x *Tensor) window() backend.Array {
	x.check("read")
	n := x.shape.Len()
	if x.strides != nil {
		n = 1
		for i, size := range x.shape {
			n += (size - 1) * x.strides[i]
		}
	}
	return backend.Array{Buffer: x.storage.buffer, Offset: x.offset, Len: n}
}

// geom returns where x's elements lie in its window.
func (x *Tensor) geom() backend.StridedGeom {
	return backend.StridedGeom{Shape: x.shape, Strides: x.Strides()}
}

// dense returns x without history and marks, with its elements row by row: x's own
// memory, or a copy.
func (x *Tensor) dense() *Tensor {
	if x.strides == nil {
		return x.bare()
	}
	out := like("Contiguous", x)
	x.be().Strided(out.array(), x.window(), x.geom())
	return out
}

// rewrite has change overwrite x's elements, which it gets row by row.
func (x *Tensor) rewrite(change func(x *Tensor)) { x.write(x.dense, change) }

// overwrite is rewrite for a change that does not read them.
func (x *Tensor) overwrite(change func(x *Tensor)) {
	x.write(func() *Tensor { return like("Contiguous", x) }, change)
}

func (x *Tensor) write(rows func() *Tensor, change func(x *Tensor)) {
	if x.strides == nil {
		change(x)
		return
	}
	y := rows()
	change(y)
	x.be().StridedWrite(x.window(), y.array(), x.geom())
	y.release()
}

// be returns the backend that x lives on.
func (x *Tensor) be() backend.Backend {
	x.exists()
	return x.storage.device.backend
}

// part makes a tensor of elements of x's memory, with no history and no marks.
// Strides that are those of a row-major tensor, or nil, become nil.
func (x *Tensor) part(shape Shape, strides []int, offset int) *Tensor {
	y := &Tensor{variable: tape.Variable(), storage: x.storage, offset: offset, shape: shape, strides: strides, within: x.within}
	if strides == nil {
		return y
	}
	n, rowMajor, usual := 1, true, true
	for i := len(shape) - 1; i >= 0; i-- {
		usual = usual && strides[i] == n
		rowMajor = rowMajor && (shape[i] == 1 || strides[i] == n)
		n *= max(shape[i], 1)
	}
	if none := slices.Contains(shape, 0); rowMajor || none {
		if y.strides = nil; !usual {
			y.said = strides
		}
		if none { // it would lie behind the last element, else
			y.offset = 0
		}
	}
	return y
}

// alias returns x's elements in another shape, with no history and no marks: in x's
// memory, or a copy where they do not lie so that this can be.
func (x *Tensor) alias(shape Shape) *Tensor {
	x.exists()
	strides, ok := x.stridesAs(shape)
	if !ok {
		x = x.dense()
	}
	return x.part(shape, strides, x.offset)
}

// bare returns x without history and marks.
func (x *Tensor) bare() *Tensor {
	x.exists()
	return &Tensor{variable: tape.Variable(), storage: x.storage, offset: x.offset, shape: x.shape, strides: x.strides, said: x.said, within: x.within}
}

// saved returns x, an operand or a result, for the closure of its operation: without
// marks, and with the history that x has now. See with.
func (x *Tensor) saved() *Tensor {
	y := x.bare()
	tape.Saved(y, x)
	return y
}

// stridesAs returns the strides with which x's elements have another shape of as many,
// nil for row-major, or false if there are none. (As torch.Tensor.view does it: each
// run of dimensions that lie as one is cut again.)
func (x *Tensor) stridesAs(shape Shape) ([]int, bool) {
	own := x.strides
	if own == nil {
		own = x.said
	}
	switch {
	case own == nil:
		return nil, true
	case x.Len() == 0 && shape.Equal(x.shape):
		return own, true
	case x.Len() == 0 || len(own) == 0:
		return nil, true
	}
	strides := make([]int, len(shape))
	d := len(shape) - 1
	stride := own[len(own)-1] // the innermost one of a run of dimensions that lie as one
	run := 1                  // its elements
	for i := len(x.shape) - 1; i >= 0; i-- {
		run *= x.shape[i]
		if i > 0 && (x.shape[i-1] == 1 || own[i-1] == run*stride) {
			continue
		}
		done := 1
		for ; d >= 0 && (done < run || shape[d] == 1); d-- {
			strides[d] = done * stride
			done *= shape[d]
		}
		if done != run {
			return nil, false
		}
		if i > 0 {
			run, stride = 1, own[i-1]
		}
	}
	return strides, true
}

// wrote notes that x was changed in place.
func (x *Tensor) wrote() {
	x.storage.version.Add(1)
	if r := x.storage.device.recorder.Load(); r != nil {
		r.writes(x.storage)
	}
}

// changed is wrote for an operation that is not recorded and read y, or nil,
// besides.
func (x *Tensor) changed(name string, y *Tensor) { x.changedBy(name, 0, 0, y) }

// changedBy is changed for an operation that takes one number or two.
func (x *Tensor) changedBy(name string, v, w float64, y *Tensor) {
	x.wrote()
	if x.variable.Watched() != nil {
		autograd.Changed(ops.InPlace{Method: name, Values: [2]float64{v, w}}, x, y)
	}
}

// overlaps reports whether x and y share elements.
func (x *Tensor) overlaps(y *Tensor) bool {
	if x.storage != y.storage || x.Len() == 0 || y.Len() == 0 {
		return false
	}
	from, to := max(x.offset, y.offset), min(x.offset+x.window().Len, y.offset+y.window().Len)
	if from >= to || x.strides == nil && y.strides == nil {
		return from < to
	}
	// They may pass between each other, as two columns do.
	taken := make([]bool, to-from)
	x.positions(func(i int) bool {
		if i >= from && i < to {
			taken[i-from] = true
		}
		return true
	})
	return !y.positions(func(i int) bool { return i < from || i >= to || !taken[i-from] })
}

// positions calls f with where each element of x lies, until that returns false; it
// reports whether f never did.
func (x *Tensor) positions(f func(i int) bool) bool {
	strides := x.Strides()
	var walk func(dim, at int) bool
	walk = func(dim, at int) bool {
		if dim == len(strides) {
			return f(at)
		}
		n := x.shape[dim]
		if strides[dim] == 0 {
			n = 1
		}
		for i := range n {
			if !walk(dim+1, at+i*strides[dim]) {
				return false
			}
		}
		return true
	}
	return walk(0, x.offset)
}

// apart returns y for an operation that overwrites x while it reads y, element by
// element: a copy, to be released, where y is another window than x that overlaps
// it, otherwise y.
func (y *Tensor) apart(x *Tensor) *Tensor {
	if !y.overlaps(x) || y.offset == x.offset && y.shape.Equal(x.shape) && slices.Equal(y.strides, x.strides) {
		return y
	}
	return y.bare().Clone()
}

// describe names x in an error: "float32 [64 3 32 32]", and "features.0.weight" before it if it is that parameter.
func (x *Tensor) describe() string {
	s := fmt.Sprintf("a tensor %s %v", x.DType(), x.shape)
	if path := x.Path(); path != "" {
		s = fmt.Sprintf("%s (%s %v)", path, x.DType(), x.shape)
	}
	return s
}

// Shape returns the sizes of the dimensions. The caller may not change it.
func (x *Tensor) Shape() Shape {
	x.exists()
	return x.shape
}

// Size returns the size of one dimension; negative ones count from the end.
func (x *Tensor) Size(dim int) int { return x.Shape()[x.ownDim("Size", dim)] }

// Dim returns the number of dimensions.
func (x *Tensor) Dim() int { return len(x.Shape()) }

// Len returns the number of elements.
func (x *Tensor) Len() int { return x.Shape().Len() }

// DType returns the type of the elements.
func (x *Tensor) DType() DType {
	x.exists()
	return DType(x.storage.buffer.DType())
}

// Device returns the device that holds the tensor.
func (x *Tensor) Device() *Device {
	x.exists()
	return x.storage.device
}

// Path returns the tensor's place in its model's tree ("features.0.weight") once
// package layers has walked the tree, otherwise "".
func (x *Tensor) Path() string {
	x.exists()
	if path := x.path.Load(); path != nil {
		return *path
	}
	return ""
}

// setPath notes the tensor's place in its model's tree, which error messages name.
// Goroutines that walk one model at once may all call it: it changes nothing where
// the tensor has that path.
func (x *Tensor) setPath(path string) {
	if x.Path() != path {
		path := path // on the heap, where it is kept
		x.path.Store(&path)
	}
}

// beforeCast returns what an operand was before it was cast for its operation, under
// Autocast or because another one is wider, such as the parameter; otherwise x.
func (x *Tensor) beforeCast() *Tensor {
	x.exists()
	if x.origin != nil {
		return x.origin
	}
	return x
}

// SharesMemory reports whether two tensors are views of the same memory.
func (x *Tensor) SharesMemory(y *Tensor) bool {
	x.exists()
	y.exists()
	return x.storage == y.storage
}

// dim turns a dimension that may count from the end into an index. As in PyTorch, a
// scalar has a dimension 0, of one element, in operations along a dimension.
func (x *Tensor) dim(op string, dim int) int {
	n := max(len(x.Shape()), 1)
	if dim < -n || dim >= n {
		fail(op, "dimension %d does not exist in %v, want %d to %d", dim, x.shape, -n, n-1)
	}
	if dim < 0 {
		dim += n
	}
	return dim
}

// ownDim is dim for what a scalar has no dimension for.
func (x *Tensor) ownDim(op string, dim int) int {
	if len(x.Shape()) == 0 {
		fail(op, "dimension %d does not exist in [], a scalar; Reshape(1) gives it one dimension", dim)
	}
	return x.dim(op, dim)
}

// wantFloat panics unless x has a floating-point type.
func (x *Tensor) wantFloat(op string) {
	if !x.DType().IsFloat() {
		fail(op, "the operand is %s, want a floating-point type; ToDType converts", x.DType())
	}
}

// wantDType panics unless y has x's type.
func (x *Tensor) wantDType(op string, y *Tensor) {
	if x.DType() != y.DType() {
		fail(op, "operands are %s and %s, want one type; ToDType converts", x.DType(), y.DType())
	}
}

// wantWritable panics unless an operation that is not recorded may change x.
func (x *Tensor) wantWritable(op string) {
	x.wantOverwritable(op)
	x.wantApartElements(op)
}

// wantOverwritable is wantWritable for an operation that gives all elements one value.
func (x *Tensor) wantOverwritable(op string) {
	x.check(op)
	autograd.CheckWrite(op, x)
}

// once returns x, or the same elements without what Expand has repeated, for a write.
func (x *Tensor) once() *Tensor {
	if x.strides == nil {
		return x
	}
	y := x.bare()
	for i, stride := range x.strides {
		if stride == 0 && x.shape[i] > 1 {
			y = y.narrow("Narrow", i, 0, 1)
		}
	}
	return y
}

// wantApartElements panics if elements of x are one and the same number in memory.
func (x *Tensor) wantApartElements(op string) {
	for i, stride := range x.strides {
		if stride == 0 && x.shape[i] > 1 {
			fail(op, "dimension %d of %v is repeated by Expand, so that several elements are one number in memory, which cannot be written; Clone gives a copy that can", i, x.shape)
		}
	}
}

// isApart reports whether no two elements of x are known to be one number in memory.
// Where dimensions interleave it may say no although they do not meet.
func (x *Tensor) isApart() bool {
	order := make([]int, 0, len(x.strides))
	for i := range x.strides {
		if x.shape[i] > 1 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return x.strides[i] - x.strides[j] })
	reach := 0 // from the first element to the last one of the dimensions so far
	for _, i := range order {
		if x.strides[i] <= reach {
			return false
		}
		reach += (x.shape[i] - 1) * x.strides[i]
	}
	return true
}

// read copies x's elements into a slice of their Go type.
func read[T any](op string, x *Tensor) []T {
	x.check(op)
	s, rows := make([]T, x.Len()), x.dense()
	x.be().Read(bytesOf(s), rows.array())
	x.releaseCopy(rows)
	return s
}

// readAs copies x's elements, converted, into a slice of the Go type of t.
func readAs[T any](op string, x *Tensor, t DType) []T {
	x.check(op)
	y := x.bare().ToDType(t)
	s := read[T](op, y)
	x.releaseCopy(y)
	return s
}

func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Floats returns a copy of the elements as float32, row by row.
func (x *Tensor) Floats() []float32 {
	return readAs[float32]("Floats", x, Float32)
}

// Float64s returns a copy of the elements as float64, row by row.
func (x *Tensor) Float64s() []float64 {
	return readAs[float64]("Float64s", x, Float64)
}

// Ints returns a copy of the elements of an Int64, Uint8 or Bool tensor as int64, row by row.
func (x *Tensor) Ints() []int64 {
	if x.DType().IsFloat() {
		fail("Ints", "the tensor is %s, want int64, uint8 or bool; ToDType(Int64) cuts off the fraction", x.DType())
	}
	return readAs[int64]("Ints", x, Int64)
}

// Bytes returns a copy of the elements of a Uint8 tensor, row by row.
func (x *Tensor) Bytes() []byte {
	if x.DType() != Uint8 {
		fail("Bytes", "the tensor is %s, want uint8; ToDType converts", x.DType())
	}
	return read[byte]("Bytes", x)
}

// Bools returns a copy of the elements of a Bool tensor, row by row.
func (x *Tensor) Bools() []bool {
	if x.DType() != Bool {
		fail("Bools", "the tensor is %s, want bool; ToDType or a comparison converts", x.DType())
	}
	return read[bool]("Bools", x)
}

// Item returns the only element of a tensor as a float64. It waits until a
// device has computed it.
func (x *Tensor) Item() float64 {
	if x.Len() != 1 {
		fail("Item", "the tensor %v has %d elements, want one", x.shape, x.Len())
	}
	return x.Float64s()[0]
}

// Raw returns a copy of the elements as bytes in the machine's order, for
// writing files.
func (x *Tensor) Raw() []byte {
	x.check("Raw")
	b, rows := make([]byte, x.Len()*x.DType().Size()), x.dense()
	x.be().Read(b, rows.array())
	x.releaseCopy(rows)
	return b
}

// hostBytes returns the elements as bytes: the tensor's own memory if that is the
// CPU's, otherwise a copy.
func (x *Tensor) hostBytes() []byte {
	if x.storage.device == CPU {
		return cpu.Bytes(x.array())
	}
	return x.Raw()
}

// SetRaw overwrites the elements with what Raw returned.
func (x *Tensor) SetRaw(b []byte) {
	x.wantWritable("SetRaw")
	if want := x.Len() * x.DType().Size(); len(b) != want {
		fail("SetRaw", "got %d bytes for a tensor %s %v, want %d", len(b), x.DType(), x.shape, want)
	}
	x.overwrite(func(x *Tensor) { x.be().Write(x.array(), b) })
	x.changed("SetRaw", nil)
}

// Clone returns a copy with memory of its own, row by row. Its gradient flows back to x.
// (torch.clone)
func (x *Tensor) Clone() *Tensor {
	out := like("Clone", x)
	x.copyTo(out)
	if !tracked("Clone", out, x) {
		return out
	}
	return autograd.Record(ops.Clone{}, out, []*Tensor{x}, pass)
}

// copyTo copies x's elements to y, which is fresh and of x's shape.
func (x *Tensor) copyTo(y *Tensor) {
	if x.strides != nil && x.DType() == y.DType() {
		x.be().Strided(y.array(), x.window(), x.geom())
		return
	}
	x.be().Copy(y.array(), x.array())
}

// pass is the gradient of what passes its operand on.
func pass(g *Tensor) []*Tensor { return []*Tensor{g} }

// IsContiguous reports whether the elements lie row by row in memory, without gaps. Of
// what is not a view they always do. (torch.Tensor.is_contiguous)
func (x *Tensor) IsContiguous() bool {
	x.exists()
	return x.strides == nil
}

// Strides returns for each dimension how many elements lie between one entry and the
// next in memory; 0 where Expand has repeated it. (torch.Tensor.stride)
func (x *Tensor) Strides() []int {
	x.exists()
	switch {
	case x.strides != nil:
		return slices.Clone(x.strides)
	case x.said != nil:
		return slices.Clone(x.said)
	}
	return x.shape.strides()
}

// Contiguous returns x with its elements row by row: x itself if they lie so, otherwise
// a copy. Its gradient flows back to x. Operations do this themselves where they need
// it. (torch.Tensor.contiguous)
func (x *Tensor) Contiguous() *Tensor {
	x.exists()
	if x.strides == nil {
		return x
	}
	const name = "Contiguous"
	out := like(name, x)
	x.copyTo(out)
	if !tracked(name, out, x) {
		return out
	}
	return autograd.Record(ops.Contiguous{}, out, []*Tensor{x}, pass)
}

// ToDType returns x converted to another type, as a Go conversion does (to Bool:
// whether it is not 0); x itself if it has that type. Between floating-point
// types the gradient flows back.
func (x *Tensor) ToDType(t DType) *Tensor { return x.cast(t) }

// cast is ToDType with a result that lives as owners do, too.
func (x *Tensor) cast(t DType, owners ...*Tensor) *Tensor {
	x.check("ToDType")
	if !t.IsValid() {
		fail("ToDType", "got %s, want Float32, Float64, BFloat16, Float16, Int64, Uint8 or Bool", t)
	}
	if x.DType() == t {
		return x
	}
	out := result("ToDType", t, x.shape, append(owners, x)...)
	x.copyTo(out)
	if !tracked("ToDType", out, x) {
		return out
	}
	if !t.IsFloat() || !x.DType().IsFloat() {
		return autograd.RecordNothing(ops.ToDType{DType: backend.DType(t)}, out, x)
	}
	from := x.DType()
	return autograd.Record(ops.ToDType{DType: backend.DType(t)}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.ToDType(from)} })
}

// To returns x on another device; x itself if it is there already. The gradient
// flows back. A copy to a GPU runs beside what the GPU computes, and To does not
// wait for it.
func (x *Tensor) To(d *Device) *Tensor {
	x.check("To")
	d.wantOpen("To")
	if x.storage.device == d {
		return x
	}
	out := upload("To", d, x.DType(), slices.Clone(x.shape), x.hostBytes(), x.storage.inScopes()...)
	if !tracked("To", out, x) {
		return out
	}
	from := x.storage.device
	return autograd.Record(ops.To{Device: d.name}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.To(from)} })
}

// CopyFrom overwrites x with src, which is broadcast to x's shape and may have
// another type, be on another device, or share x's memory, overlapping included.
// It is not recorded; x keeps its lifetime. It returns x. (torch.Tensor.copy_)
func (x *Tensor) CopyFrom(src *Tensor) *Tensor {
	const op = "CopyFrom"
	x.wantWritable(op)
	src.check(op)
	if !src.shape.broadcastsTo(x.shape) {
		fail(op, "the source %v does not broadcast to the destination %v", src.shape, x.shape)
	}
	from := src.bare().apart(x)
	if !x.shape.Equal(from.shape) && x.Len() == from.Len() {
		from = from.alias(x.shape)
	}
	be, away := x.be(), from.storage.device != x.storage.device
	switch {
	case x.strides != nil:
		if from = from.ToDType(x.DType()); away {
			from = from.To(x.storage.device)
		}
		if !x.shape.Equal(from.shape) {
			from = from.Expand(x.shape...)
		}
		be.StridedWrite(x.window(), from.array(), x.geom())
	case x.shape.Equal(from.shape) && away:
		be.Write(x.array(), from.ToDType(x.DType()).hostBytes())
	case x.shape.Equal(from.shape):
		from.copyTo(x)
	default:
		if from = from.ToDType(x.DType()); away {
			from = from.To(x.storage.device)
		}
		be.Strided(x.array(), from.window(), backend.StridedGeom{Shape: x.shape, Strides: from.stridesIn(x.shape)})
	}
	x.changed(op, src)
	return x
}

// Fill sets all elements to v, in place: without its fraction where x has whole
// numbers. What Expand has repeated may be filled, too. It is not recorded. It returns
// x. (torch.Tensor.fill_)
func (x *Tensor) Fill(v float64) *Tensor {
	x.wantOverwritable("Fill")
	wantFill("Fill", x.DType(), v)
	x.once().overwrite(func(x *Tensor) { x.be().Fill(x.array(), v) })
	x.changedBy("Fill", v, 0, nil)
	return x
}

// Zero sets all elements to 0, in place. It is not recorded. It returns x.
func (x *Tensor) Zero() *Tensor { return x.Fill(0) }

// Detach returns a tensor that shares x's memory and has no history and no
// no-grad mark. A watch and the mark of Autocast stay on it.
func (x *Tensor) Detach() *Tensor {
	y := x.bare()
	tape.Take(y, x)
	return y
}

// NoGrad returns a tensor that shares x's memory and is marked no-grad: what is
// made from it is not recorded, whatever else it is made from, and is marked too.
// A watch stays on it. (with torch.no_grad())
func (x *Tensor) NoGrad() *Tensor {
	y := x.Detach()
	tape.TakeNoGrad(y, x)
	tape.MarkNoGrad(y)
	return y
}

// Watch is told of operations that it rides on: see [Tensor.Watch]. It is an
// autograd.Watch of tensors.
type Watch interface {
	// Forward is called when the operation op has made out from inputs, whether it is
	// recorded or not. Entries of inputs may be nil; an operation in place has out among
	// them, with its new value.
	Forward(op autograd.Op, inputs []*Tensor, out *Tensor)
	// Backward is called when Backward has passed n, an operation that Forward was told
	// of (out.Node() there): g is the gradient of its result, grads are those of its
	// inputs, nil where there is none. They are valid during the call only.
	Backward(n *autograd.Node[*Tensor], g *Tensor, grads []*Tensor)
}

// Watch returns a tensor that shares x's memory, has no history, and carries w: w
// is told of each operation on it, on the result, and so on. nil takes the watch
// off. A no-grad mark stays. layers.NewTrace makes a watch that knows in which
// layer an operation ran.
func (x *Tensor) Watch(w Watch) *Tensor {
	y := x.bare()
	tape.TakeNoGrad(y, x)
	tape.MarkView(y, x)
	tape.SetMark(y, tape.Mark(x))
	tape.MarkWatch(y, w)
	return y
}

// Watched returns the watch that x carries, or nil.
func (x *Tensor) Watched() Watch {
	x.exists()
	return x.variable.Watched()
}

// Keep takes x's memory (with all its views) out of its scopes, so that it lives
// until the garbage collector takes it, and drops x's history. It returns x.
func (x *Tensor) Keep() *Tensor {
	x.check("Keep")
	x.storage.leave(nil)
	tape.DropHistory(x)
	return x
}

// Scope returns the scope that x lives in (the first, if there are several), or
// nil.
func (x *Tensor) Scope() *Scope {
	x.exists()
	if s := x.storage.inScopes(); len(s) > 0 {
		return s[0]
	}
	return nil
}

// In puts x's memory into a scope: it is released when that closes. A nil scope
// changes nothing. It returns x.
func (x *Tensor) In(s *Scope) *Tensor {
	x.check("In")
	if s != nil {
		x.storage.enter(s)
	}
	return x
}

// release gives back x's memory, which its views share, before its scope closes.
// Using one of them afterwards panics. It is meant for library code that knows
// that nobody else holds x; programs have no need of it.
func (x *Tensor) release() {
	x.exists()
	x.storage.release()
}

// isNaN is used in argument checks.
func isNaN(v float64) bool { return math.IsNaN(v) }

// setData gives x the memory, shape, type and device of src, which must be a
// leaf; x keeps its identity, its gradient and whether it requires one. It is for
// package layers, which moves and converts models with it. (x.data = src)
func (x *Tensor) setData(src *Tensor) {
	x.exists()
	src.check("SetData")
	if !x.IsLeaf() || !src.IsLeaf() {
		fail("SetData", "both tensors must be leaves; Detach gives one")
	}
	if c, ok := x.be().(backend.Capturer); ok && x.storage != src.storage {
		c.Abandon(x.storage.buffer)
	}
	x.storage, x.offset, x.shape, x.strides, x.said = src.storage, src.offset, src.shape, src.strides, src.said
}

// tracked gives out, the result of the operation of that name, the marks of its
// operands, and reports whether the operation has to be recorded or told to a watch.
func tracked(name string, out *Tensor, inputs ...*Tensor) bool {
	return autograd.Tracks(name, out, inputs...)
}
