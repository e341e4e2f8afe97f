package tensor

import (
	"errors"
	"fmt"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// ErrOutOfMemory is what the *Error of an operation wraps whose device has no room
// for its result: errors.Is(err, tensor.ErrOutOfMemory). On the CPU that is a result
// which is larger by itself than all that the program may have, of the machine's
// memory and within the limits of its container and its user; where one finds no room
// beside the others, Go ends the program itself. (torch.OutOfMemoryError)
var ErrOutOfMemory = errors.New("out of memory")

// Error is what operations panic with when what they are given does not fit.
type Error struct {
	Op    string // the operation: "Conv2d"
	Layer string // where in the model, if known: "features.3"
	Err   error  // what was given and what would fit

	rooted bool // Layer starts at the model's root
}

func (e *Error) Error() string {
	where := e.Op
	if e.Layer != "" {
		where = e.Layer + " " + e.Op
	}
	return "tensor: " + where + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// InLayer returns the error with one more step of the path to the layer that it
// happened in; package layers calls it on the way up.
func (e *Error) InLayer(name string) *Error {
	if e.rooted {
		return e
	}
	f := *e
	if f.Layer != "" {
		name += "." + f.Layer
	}
	f.Layer = name
	return &f
}

// fail panics with an *Error.
func fail(op, format string, args ...any) {
	panic(&Error{Op: op, Err: fmt.Errorf(format, args...)})
}

// failAt is fail for an operation of a layer with the parameter w.
func failAt(op string, w *Tensor, format string, args ...any) {
	e := &Error{Op: op, Err: fmt.Errorf(format, args...)}
	if w != nil && w.Path() != "" {
		e.Layer, e.rooted = parent(w.Path()), true
	}
	panic(e)
}

// parent cuts the last step off a path: "features.0" of "features.0.weight".
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[:i]
		}
	}
	return ""
}

// taped is an error of the tape as an operation's: its sentence without the
// tape's name.
type taped struct{ err *autograd.Error }

func (e taped) Error() string { return e.err.Msg }

func (e taped) Unwrap() error { return e.err }

// Try calls f and returns the *Error that an operation panicked with, if any, or
// an *Error for a device that failed, whose operation is "device": a GPU works
// behind the program, so what failed need not be what heard of it. What else this
// module's packages panic with where what they are given does not fit, such as a
// *sched.Error, is returned as it is; that is what has a method Misuse. An
// *autograd.Error is in the *Error of its operation.
// Other panics go on. It is for servers and programs that answer wrong input
// with a sentence.
func Try(f func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		case *autograd.Error:
			err = &Error{Op: e.Op, Err: taped{e}}
		case interface {
			error
			Misuse()
		}:
			err = e
		case *backend.MemoryError: // of what an operation needed besides its result
			err = &Error{Op: "device", Err: fmt.Errorf("%w: %w", ErrOutOfMemory, e)}
		case backend.DeviceError:
			err = &Error{Op: "device", Err: e}
		default:
			panic(e)
		}
	}()
	f()
	return nil
}
