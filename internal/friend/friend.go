// Package friend is the door through which the packages of this module use what
// package tensor has for them and hides from programs. Package tensor opens it when
// the program starts; a friend takes it once:
//
//	var friends = friend.Of[*tensor.Tensor]()
//
// The door is generic because this package stands below tensor.
package friend

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Door is what package tensor, whose type T is, has for its friends.
type Door[T any] struct {
	// SetPath notes a tensor's place in its model's tree ("features.0.weight"), which
	// error messages name.
	SetPath func(x T, path string)
	// SetData gives x the memory, shape, type and device of src, which must be a leaf; x
	// keeps its identity, its gradient and whether it requires one.
	SetData func(x, src T)
	// BeforeCast returns what an operand was before it was cast for its operation, such
	// as the parameter; otherwise x.
	BeforeCast func(x T) T
	// Release gives back x's memory, which its views share, before its scope closes. Who
	// calls it knows that nobody else holds x.
	Release func(x T)

	// MapStep changes lists of tensors by a rule, as optimizers do: lists[0] is the
	// parameters, lists[1] their gradients, and destination k of the rule is
	// lists[written[k]].
	MapStep func(name string, lists [][]T, written []int, r backend.Rule)
	// ClipNorm scales tensors, in place, so that the norm of all their elements together
	// is at most maxNorm, and returns what it was. ClipValue limits their elements.
	ClipNorm  func(xs []T, maxNorm float64) float64
	ClipValue func(xs []T, limit float64)
	// Unscale multiplies tensors, in place, by factor, and reports whether all their
	// elements were finite before.
	Unscale func(xs []T, factor float64) (finite bool)
	// NotFinite returns the positions of the tensors that hold an infinity or NaN.
	NotFinite func(xs []T) []int
	// CropMirrorNormalize makes a Float32 batch [N C height width] of images that are
	// held as bytes, Uint8 [N C H W]. A row of moves, Int64 [N 4], is top, left, and
	// whether the window is mirrored top to bottom and left to right; values, [C 256],
	// has the number for each byte in each channel.
	CropMirrorNormalize func(pictures, moves, values T, height, width int) T

	// Info returns the row of the table of operations for one, or false for an
	// operation of a program's own.
	Info func(op autograd.Op) (ops.Info[T], bool)

	// MarkWatch has w told of the operations on x itself, not on a view of it; nil takes
	// the watch off.
	MarkWatch func(x T, w autograd.Watch[T])
	// SameWindow reports whether x and y are the same elements of the same memory.
	SameWindow func(x, y T) bool
	// Version counts the in-place changes of x and of what shares its memory.
	Version func(x T) uint64
}

// opened is a *Door of tensors. A variable cannot have a type parameter.
var opened any

// Open is for package tensor.
func Open[T any](d Door[T]) { opened = &d }

// Of returns the door.
func Of[T any]() *Door[T] { return opened.(*Door[T]) }
