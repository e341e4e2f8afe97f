package kernels

import (
	"fmt"
	"os"
	"strings"
)

// Level is the kernels for what processors of one kind can do.
type Level struct {
	Name     string // as WICK_CPU names it
	Gemm     *Gemm[float32]
	GemmBF16 *Gemm[float32] // of numbers rounded to bfloat16; nil where there is none
	Vector   *Vector[float32]
	vector64 *Vector[float64] // nil where there is no assembly
	Taps     *Taps[float32]
	Half     *Half
	AMX      *AMX // nil where there are no matrix tiles
}

var Generic = Level{Name: "generic", Gemm: &Plain32, Vector: &plainVector32, Taps: &plainTaps32, Half: &PlainHalf}

// Levels lists what this machine and this build have, best last.
var Levels = append([]Level{Generic}, assembly()...)

// Current is the level in use: the best, or the one that the environment
// variable WICK_CPU names. A name that is not there ends the program, since
// figures measured at another level than the one asked for would be wrong.
var Current = func() Level {
	l, err := levelNamed(os.Getenv("WICK_CPU"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return l
}()

// levelNamed returns the level of a name, the best for "".
func levelNamed(name string) (Level, error) {
	if name == "" {
		return Levels[len(Levels)-1], nil
	}
	names := make([]string, len(Levels))
	for i, l := range Levels {
		if l.Name == name {
			return l, nil
		}
		names[i] = l.Name
	}
	return Level{}, fmt.Errorf("wick: the environment variable WICK_CPU is %q; this machine and this build of Wick have %s", name, strings.Join(names, ", "))
}
