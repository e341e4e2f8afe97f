package tensor

import (
	"math"
	"slices"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// Element is the Go types that [From] takes; int becomes Int64.
type Element interface {
	float32 | float64 | int64 | int | uint8 | bool
}

// From returns a tensor with a copy of data, row by row, in the given shape. One
// size may be -1: it is what is left. Without sizes the tensor has one
// dimension; a list of sizes that may be empty, as a scalar's is, is for
// From(data).Reshape(sizes...). []float32 makes Float32, []float64 Float64, []int64 and []int
// Int64, []uint8 Uint8, []bool Bool.
func From[T Element](data []T, dims ...int) *Tensor {
	if len(dims) == 0 {
		dims = []int{len(data)}
	}
	shape := fitShape("From", dims, len(data))
	var t DType
	var raw []byte
	switch d := any(data).(type) {
	case []float32:
		t, raw = Float32, bytesOf(d)
	case []float64:
		t, raw = Float64, bytesOf(d)
	case []int64:
		t, raw = Int64, bytesOf(d)
	case []int:
		t = Int64
		if unsafe.Sizeof(int(0)) == 8 {
			raw = bytesOf(d)
		} else {
			wide := make([]int64, len(d))
			for i, v := range d {
				wide[i] = int64(v)
			}
			raw = bytesOf(wide)
		}
	case []uint8:
		t, raw = Uint8, d
	case []bool:
		t, raw = Bool, bytesOf(d)
	}
	out := alloc("From", CPU, t, shape)
	CPU.backend.Write(out.array(), raw)
	return out
}

// fitShape checks sizes against a number of elements and fills in a -1.
func fitShape(op string, dims []int, n int) Shape {
	shape := Shape(slices.Clone(dims))
	free, known := -1, 1
	for i, d := range dims {
		switch {
		case d == -1 && free < 0:
			free = i
		case d == -1:
			fail(op, "the shape %v has more than one -1", shape)
		case d < 0:
			fail(op, "the shape %v has a negative size", shape)
		default:
			known *= d
		}
	}
	if free >= 0 && known > 0 && n%known == 0 {
		shape[free] = n / known
		known = n
	}
	if known != n || free >= 0 && shape[free] < 0 || !shape.fits() {
		fail(op, "%d elements do not fit the shape %v", n, Shape(dims))
	}
	return shape
}

// wantShape checks the sizes of a new tensor.
func wantShape(op string, dims []int) Shape {
	for _, d := range dims {
		if d < 0 {
			fail(op, "the shape %v has a negative size", dims)
		}
	}
	if !Shape(dims).fits() {
		fail(op, "%w: the shape %v has too many elements", ErrOutOfMemory, dims)
	}
	return slices.Clone(dims)
}

func full(op string, d *Device, t DType, shape Shape, v float64, scopes ...*Scope) *Tensor {
	x := alloc(op, d, t, shape, scopes...)
	d.backend.Fill(x.array(), v)
	return x
}

// wantFill panics unless v can be made an element of the type, as C's cast does:
// without its fraction for whole numbers, whether it is not 0 for Bool.
func wantFill(op string, t DType, v float64) {
	ok := true
	switch t {
	case Int64:
		ok = v >= math.MinInt64 && v < -math.MinInt64
	case Uint8: // a negative whole number wraps
		ok = v > -256 && v < 256 && (v >= 0 || v == math.Trunc(v))
	}
	if !ok {
		fail(op, "the number %v does not fit %s", v, t)
	}
}

// Zeros returns a Float32 tensor of zeros. Without sizes it is a scalar.
// (torch.zeros)
func Zeros(dims ...int) *Tensor { return full("Zeros", CPU, Float32, wantShape("Zeros", dims), 0) }

// Ones returns a Float32 tensor of ones. Without sizes it is a scalar.
// (torch.ones)
func Ones(dims ...int) *Tensor { return full("Ones", CPU, Float32, wantShape("Ones", dims), 1) }

// Full returns a Float32 tensor whose elements are all v. Without sizes it is a
// scalar. (torch.full)
func Full(v float64, dims ...int) *Tensor {
	return full("Full", CPU, Float32, wantShape("Full", dims), v)
}

// ZerosLike returns zeros of x's shape and type, on its device and in its scopes.
func ZerosLike(x *Tensor) *Tensor { return FullLike(x, 0) }

// OnesLike returns ones of x's shape and type, on its device and in its scopes.
func OnesLike(x *Tensor) *Tensor { return FullLike(x, 1) }

// FullLike returns a tensor of x's shape and type, on its device and in its
// scopes, whose elements are all v: without its fraction where x has whole numbers.
// (torch.full_like)
func FullLike(x *Tensor, v float64) *Tensor {
	wantFill("FullLike", x.DType(), v)
	out := like("FullLike", x)
	x.be().Fill(out.array(), v)
	return out
}

// Eye returns the n×n identity matrix, Float32; with a second size, an n×m
// matrix with ones on the diagonal. (torch.eye)
func Eye(n int, m ...int) *Tensor {
	cols := n
	if len(m) > 1 {
		fail("Eye", "got the sizes %d and %v, want two at most", n, m)
	}
	if len(m) > 0 {
		cols = m[0]
	}
	x := full("Eye", CPU, Float32, wantShape("Eye", []int{n, cols}), 0)
	if k := min(n, cols); k > 0 {
		one := full("Eye", CPU, Float32, Shape{k}, 1)
		x.be().StridedWrite(x.array(), one.array(), backend.StridedGeom{Shape: []int{k}, Strides: []int{cols + 1}})
	}
	return x
}

// Arange returns the numbers from start up to but not including end, step apart,
// as Int64 if all three are whole numbers of that type and as Float32 otherwise:
// Arange(0, 4, 1) is 0, 1, 2, 3. (torch.arange)
func Arange(start, end, step float64) *Tensor {
	whole := true
	for _, v := range []float64{start, end, step} {
		if isNaN(v) || math.IsInf(v, 0) {
			fail("Arange", "no numbers lead from %v to %v in steps of %v, want finite ones", start, end, step)
		}
		whole = whole && v == math.Trunc(v) && v >= math.MinInt64 && v < -math.MinInt64
	}
	if step == 0 || (end-start)/step < 0 {
		fail("Arange", "no numbers lead from %v to %v in steps of %v", start, end, step)
	}
	count := math.Ceil((end - start) / step)
	if !(count <= math.MaxInt/8) || !(Shape{int(count)}).fits() {
		fail("Arange", "%w: from %v to %v in steps of %v there are too many elements", ErrOutOfMemory, start, end, step)
	}
	n := int(count)
	t := Float32
	if whole {
		t = Int64
	}
	x := alloc("Arange", CPU, t, Shape{n})
	x.be().Arange(x.array(), start, step)
	return x
}

// Linspace returns n Float32 numbers at equal distances, from start to end
// inclusive; one is start. (torch.linspace)
func Linspace(start, end float64, n int) *Tensor {
	if n < 0 {
		fail("Linspace", "got %d numbers, want 0 or more", n)
	}
	x := alloc("Linspace", CPU, Float32, wantShape("Linspace", []int{n}))
	v := make([]float32, n)
	step := (end - start) / float64(max(n-1, 1))
	for i := range v {
		// From both ends, so that the last number is end itself.
		if i < (n+1)/2 {
			v[i] = float32(start + float64(i)*step)
		} else {
			v[i] = float32(end - float64(n-1-i)*step)
		}
	}
	x.be().Write(x.array(), bytesOf(v))
	return x
}
