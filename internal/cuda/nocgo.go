//go:build cuda && linux && !cgo

package cuda

import _ "github.com/wick-ml/wick/internal/cuda/dl" // does not compile, and says why
