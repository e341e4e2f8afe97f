package cpu

import (
	"fmt"
	"os"
	"strings"
)

// level is the kernels for what processors of one kind can do.
type level struct {
	name     string // as WICK_CPU names it
	gemm     *kernel[float32]
	gemmBF16 *kernel[float32] // of numbers rounded to bfloat16; nil where there is none
	vector   *vector[float32]
	vector64 *vector[float64] // nil where there is no assembly
	taps     *tapKernels[float32]
	half     *halfKernels
	tiles    *tileOps // nil where there are no matrix tiles
}

var generic = level{name: "generic", gemm: &plain32, vector: &plainVector32, taps: &plainTaps32, half: &plainHalf}

// levels lists what this machine and this build have, best last.
var levels = append([]level{generic}, assembly()...)

// current is the level in use: the best, or the one that the environment
// variable WICK_CPU names. A name that is not there ends the program, since
// figures measured at another level than the one asked for would be wrong.
var current = func() level {
	l, err := levelNamed(os.Getenv("WICK_CPU"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return l
}()

// levelNamed returns the level of a name, the best for "".
func levelNamed(name string) (level, error) {
	if name == "" {
		return levels[len(levels)-1], nil
	}
	names := make([]string, len(levels))
	for i, l := range levels {
		if l.name == name {
			return l, nil
		}
		names[i] = l.name
	}
	return level{}, fmt.Errorf("wick: the environment variable WICK_CPU is %q; this machine and this build of Wick have %s", name, strings.Join(names, ", "))
}

// Level names the kernels in use: "generic", "avx2", "avx512", "amx" or "neon".
func Level() string { return current.name }
