package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestCropMirrorNormalizeErrors(t *testing.T) {
	pictures := tensor.Zeros(2, 3, 4, 4).ToDType(tensor.Uint8)
	moves, values := tensor.From(make([]int, 8), 2, 4), tensor.Zeros(3, 256)
	for want, f := range map[string]func(){
		"the images are float32 [2 3 4 4], want uint8 [N C H W]": func() {
			friends.CropMirrorNormalize(pictures.ToDType(tensor.Float32), moves, values, 4, 4)
		},
		"the images are uint8 [3 4 4], want uint8 [N C H W]": func() {
			friends.CropMirrorNormalize(pictures.Select(0, 0), moves, values, 4, 4)
		},
		"the moves are int64 [4 2], want int64 [2 4]: top, left, vertical and horizontal of each image": func() {
			friends.CropMirrorNormalize(pictures, moves.View(4, 2), values, 4, 4)
		},
		"the moves are float32 [2 4], want int64 [2 4]: top, left, vertical and horizontal of each image": func() {
			friends.CropMirrorNormalize(pictures, tensor.Zeros(2, 4), values, 4, 4)
		},
		"the values are float32 [1 256], want float32 [3 256]: one for each byte in each channel": func() {
			friends.CropMirrorNormalize(pictures, moves, values.Narrow(0, 0, 1), 4, 4)
		},
		"the values are float64 [3 256], want float32 [3 256]: one for each byte in each channel": func() {
			friends.CropMirrorNormalize(pictures, moves, values.ToDType(tensor.Float64), 4, 4)
		},
		"windows of 4×-1 (height × width), want no size below 0": func() {
			friends.CropMirrorNormalize(pictures, moves, values, 4, -1)
		},
	} {
		if err := tensor.Try(f); err == nil || err.Error() != "tensor: CropMirrorNormalize: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Windows without columns have no rows to cut, however many there are.
func TestCropMirrorNormalizeOfNothing(t *testing.T) {
	y := friends.CropMirrorNormalize(tensor.From([]uint8{1}, 1, 1, 1, 1), tensor.From([]int64{0, 0, 0, 0}, 1, 4), tensor.Ones(1, 256), math.MaxInt, 0)
	if want := (tensor.Shape{1, 1, math.MaxInt, 0}); !y.Shape().Equal(want) {
		t.Errorf("got %v, want %v", y.Shape(), want)
	}
}
