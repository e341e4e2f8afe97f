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
	"github.com/wick-ml/wick/internal/ops"
)

// Door is what package tensor, whose type T is, has for its friends.
type Door[T any] struct {
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
