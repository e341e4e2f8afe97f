//go:build !cuda || !linux

package cuda

import (
	"errors"

	"github.com/wick-ml/wick/internal/backend"
)

// Open returns an error: this program was built without CUDA.
func Open(int) (backend.Backend, error) {
	return nil, errors.New("this program was built without the tag cuda; build it with go build -tags cuda, on Linux (docs/cuda.md says what that needs)")
}

// Describe returns nil: this program was built without CUDA.
func Describe() *Report { return nil }
