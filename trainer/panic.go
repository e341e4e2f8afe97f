package trainer

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// PanicError is the error of a run in which something panicked: the model, the loss, a
// scheduler, a callback. Where a shape does not fit, errors.As finds the *tensor.Error
// in it.
type PanicError struct {
	During string // "epoch 1, batch 3"
	Where  string // file and line of the program that panicked, or called what panicked; "" if it is not known
	Err    error  // what was panicked with, or an error with its text
	Stack  []byte // of the goroutine, as runtime/debug.Stack writes it; %+v prints it too

	misuse bool // Err is a sentence of the library about what it was given
}

// Error says what panicked, and where, in one sentence. The stack is not in it.
func (e *PanicError) Error() string {
	var where []string
	if !e.misuse {
		where = append(where, "panic")
	}
	if e.Where != "" {
		where = append(where, "at "+e.Where)
	}
	if len(where) == 0 {
		return fmt.Sprintf("trainer: %s: %v", e.During, e.Err)
	}
	return fmt.Sprintf("trainer: %s: %s: %v", e.During, strings.Join(where, " "), e.Err)
}

// Format writes the sentence, and with %+v the stack below it.
func (e *PanicError) Format(s fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(s, "%q", e.Error())
		return
	}
	io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, "\n\n%s", e.Stack)
	}
}

// Unwrap returns what was panicked with.
func (e *PanicError) Unwrap() error { return e.Err }

// guarded calls do and makes an error of what panics in it.
func guarded(during func() string, do func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		e := &PanicError{During: during(), Where: panicked(), Stack: debug.Stack()}
		defer func() {
			if r := recover(); r != nil { // none of the library's
				var ok bool
				if e.Err, ok = r.(error); !ok {
					e.Err = fmt.Errorf("%v", r)
				}
			}
			err = e
		}()
		e.Err = tensor.Try(func() { panic(v) })
		e.misuse = true
	}()
	return do()
}

// panicked says where in the program the panic that is being recovered was made: the
// first place on its stack that is not in the library, or "".
func panicked() string {
	pcs := make([]uintptr, 200)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	place, after, goroot := "", false, ""
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic": // of several, as where a layer adds its path, the last on the stack is the first
			place, after = "", true
			goroot = strings.TrimSuffix(f.File, "runtime/panic.go")
		case after && place == "" && !inLibrary(f) && (goroot == "" || !strings.HasPrefix(f.File, goroot)):
			place = fmt.Sprintf("%s:%d", f.File, f.Line)
		case after && strings.HasSuffix(f.Function, "/trainer.guarded"):
			more = false
		}
	}
	return place
}

func inLibrary(f runtime.Frame) bool {
	if strings.HasPrefix(f.Function, "runtime.") {
		return true
	}
	rest, ok := strings.CutPrefix(f.Function, "github.com/wick-ml/wick/")
	return ok && !strings.HasPrefix(rest, "examples/") && !strings.HasSuffix(f.File, "_test.go")
}

// errGone is a Run's Err while its goroutine ends, by runtime.Goexit.
var errGone = errors.New("trainer: the goroutine of the run was ended")
