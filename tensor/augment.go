package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// cropMirrorNormalize makes a Float32 batch [N C height width] of images that
// are held as bytes, Uint8 [N C H W], in one pass. A row of moves, Int64 [N 4],
// is top, left, vertical, horizontal: of image n the window of height×width
// whose first pixel is at (top, left) is taken, then mirrored top to bottom and
// left to right where the last two are not 0. The window may reach beyond the
// image; the bytes there are 0. values, Float32 [C 256], says what each byte
// becomes: v/255 for ToTensor, (v/255 - mean)/std for Normalize. No gradient
// flows.
//
// A DataLoader for a GPU calls it, so that images go there as bytes.
// (nvidia.dali.fn.crop_mirror_normalize, with a table for mean and std)
func cropMirrorNormalize(pictures, moves, values *Tensor, height, width int) *Tensor {
	const op = "CropMirrorNormalize"
	if pictures.DType() != Uint8 || len(pictures.shape) != 4 {
		fail(op, "the images are %s %v, want uint8 [N C H W]", pictures.DType(), pictures.shape)
	}
	n, c := pictures.shape[0], pictures.shape[1]
	if moves.DType() != Int64 || !moves.shape.Equal(Shape{n, 4}) {
		fail(op, "the moves are %s %v, want int64 [%d 4]: top, left, vertical and horizontal of each image", moves.DType(), moves.shape, n)
	}
	if values.DType() != Float32 || !values.shape.Equal(Shape{c, 256}) {
		fail(op, "the values are %s %v, want float32 [%d 256]: one for each byte in each channel", values.DType(), values.shape, c)
	}
	if height < 0 || width < 0 {
		fail(op, "windows of %d×%d (height × width), want no size below 0", height, width)
	}
	out := result(op, Float32, Shape{n, c, height, width}, pictures, moves, values)
	if out.Len() > 0 { // empty rows may be any number
		out.be().CropMirrorNormalize(out.array(), pictures.array(), moves.array(), values.array(),
			backend.CropGeom{N: n, C: c, H: pictures.shape[2], W: pictures.shape[3], P: height, Q: width})
	}
	if !tracked(op, out, pictures, moves, values) {
		return out
	}
	return autograd.RecordNothing(ops.CropMirrorNormalize{Height: height, Width: width}, out, pictures, moves, values)
}
