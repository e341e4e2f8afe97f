package mem

import (
	"math"
	"runtime"
	"sync"
)

// Limit returns how many bytes the program can have at all: what the machine has,
// with its swap space, and what the limits of a container or of the user leave of
// it. A block that is larger cannot be had, whatever else is given back. It asks the
// system once.
var Limit = sync.OnceValue(func() int64 {
	most := int64(math.MaxInt)
	if runtime.GOARCH == "wasm" {
		most = 1 << 32
	}
	for _, l := range limits() {
		if l > 0 {
			most = min(most, l)
		}
	}
	return most
})
