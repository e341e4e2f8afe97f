//go:build cuda

package cuda_test

import (
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for its friends.
var friends = friend.Of[*tensor.Tensor]()
