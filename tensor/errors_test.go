package tensor_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// try is tensor.Try that makes an error of other panics too.
func try(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a panic that is no *tensor.Error: %v", r)
		}
	}()
	return tensor.Try(f)
}

// Wrong use of any part of the package panics with a *tensor.Error of one
// sentence, which names the operation, what was given and what would fit. The
// operations' own tests have more rows.
func TestWrongUse(t *testing.T) {
	x := tensor.Ones(2, 3)
	i := tensor.From([]int64{5, -7, 3})
	u := tensor.From([]uint8{1, 2, 3})
	b := tensor.From([]bool{true, false})
	none := tensor.Zeros(0, 3)
	scalar := tensor.Full(3)
	huge := math.MaxInt
	root := 1 << (strconv.IntSize / 2) // its square is 0 in an int

	s := tensor.NewScope()
	gone := tensor.Ones(2, 3).In(s).MulScalar(2)
	view := gone.View(6)
	s.Close()
	released := []string{"made by MulScalar", "is used after its scope closed", "Detach().Keep()"}

	twice := parameter(3).MulScalar(2).Sum()
	twice.Backward()
	changed := parameter(3)
	square := changed.MulScalar(1)
	stale := square.Mul(square).Sum()
	square.Detach().Fill(7)

	for _, c := range []struct {
		name string
		f    func()
		want []string
	}{
		// Making tensors.
		{"a negative size", func() { tensor.Zeros(2, -1) }, []string{"tensor: Zeros: ", "[2 -1]", "negative size"}},
		{"more elements than there are numbers", func() { tensor.Rand(huge, huge) }, []string{"tensor: Rand: ", "too many elements"}},
		{"more elements than fit any memory", func() { tensor.Zeros(1<<30, 1<<29) }, []string{"tensor: Zeros: ", "[1073741824 536870912]", "too many elements"}},
		{"another number of elements", func() { tensor.From([]float32{1, 2, 3}, 2, 2) }, []string{"tensor: From: 3 elements do not fit the shape [2 2]"}},
		{"sizes whose product overflows", func() { tensor.From([]float32{}, root, root) }, []string{"tensor: From: 0 elements do not fit"}},
		{"arange without a step", func() { tensor.Arange(0, 3, 0) }, []string{"tensor: Arange: ", "steps of 0"}},
		{"arange away from its end", func() { tensor.Arange(0, 3, -1) }, []string{"tensor: Arange: ", "from 0 to 3 in steps of -1"}},
		{"arange to infinity", func() { tensor.Arange(0, math.Inf(1), 1) }, []string{"tensor: Arange: no numbers lead from 0 to +Inf in steps of 1, want finite ones"}},
		{"arange by infinity", func() { tensor.Arange(0, 1, math.Inf(1)) }, []string{"tensor: Arange: no numbers lead from 0 to 1 in steps of +Inf"}},
		{"arange whose length overflows", func() { tensor.Arange(-1e308, 1e308, 1e307) }, []string{"tensor: Arange: ", "too many elements"}},
		{"an arange as long as all numbers", func() { tensor.Arange(0, 1e18, 1) }, []string{"tensor: Arange: ", "too many elements"}},
		{"identity of three sizes", func() { tensor.Eye(1, 2, 3) }, []string{"tensor: Eye: got the sizes 1 and [2 3], want two at most"}},
		{"a fill that bytes cannot hold", func() { u.Clone().Fill(256) }, []string{"tensor: Fill: the number 256 does not fit uint8"}},
		{"a fill that is no number", func() { tensor.FullLike(i, math.NaN()) }, []string{"tensor: FullLike: the number NaN does not fit int64"}},
		{"a fill beyond whole numbers", func() { i.Clone().Fill(0x1p63) }, []string{"tensor: Fill: the number 9.223372036854776e+18 does not fit int64"}},
		{"an empty range", func() { tensor.RandInt(3, 3, 2) }, []string{"tensor: RandInt: ", "want low < high"}},
		{"a range backwards", func() { tensor.RandInt(5, 3) }, []string{"tensor: RandInt: ", "want low < high"}},
		{"a range of all numbers", func() { tensor.RandInt(math.MinInt64, math.MaxInt64) }, []string{"tensor: RandInt: ", "too far out"}},
		{"no probability", func() { tensor.Bernoulli(math.NaN(), 3) }, []string{"tensor: Bernoulli: ", "NaN", "0 to 1"}},
		{"a uniform range that the type does not hold", func() { tensor.Zeros(2).UniformInPlace(-3e38, 3e38) }, []string{"tensor: UniformInPlace: ", "want low ≤ high and a width that float32 holds"}},
		{"a uniform range backwards", func() { tensor.Zeros(2).UniformInPlace(1, 0) }, []string{"tensor: UniformInPlace: the range is [1, 0), want low ≤ high"}},
		{"a uniform range to NaN", func() { tensor.Zeros(2).UniformInPlace(0, math.NaN()) }, []string{"tensor: UniformInPlace: the range is [0, NaN)"}},
		{"uniform whole numbers", func() { i.Clone().UniformInPlace(0, 1) }, []string{"tensor: UniformInPlace: the operand is int64"}},
		{"a negative deviation", func() { tensor.Zeros(2).NormalInPlace(0, -1) }, []string{"tensor: NormalInPlace: the standard deviation is -1, want 0 or more"}},
		{"an endless arange", func() { tensor.Arange(0, 1, 1e-300) }, []string{"tensor: Arange: ", "too many elements"}},
		{"linspace of -1", func() { tensor.Linspace(0, 1, -1) }, []string{"tensor: Linspace: got -1 numbers"}},
		{"an endless linspace", func() { tensor.Linspace(0, 1, huge) }, []string{"tensor: Linspace: ", "too many elements"}},
		{"identity of -2", func() { tensor.Eye(-2) }, []string{"tensor: Eye: ", "negative size"}},
		{"permutation of -2", func() { tensor.RandPerm(-2) }, []string{"tensor: RandPerm: ", "negative size"}},
		{"a probability", func() { tensor.Bernoulli(2, 3) }, []string{"tensor: Bernoulli: ", "2", "0 to 1"}},

		// Looking at them.
		{"item of many", func() { x.Item() }, []string{"tensor: Item: the tensor [2 3] has 6 elements, want one"}},
		{"item of none", func() { none.Item() }, []string{"tensor: Item: the tensor [0 3] has 0 elements, want one"}},
		{"ints of floats", func() { x.Ints() }, []string{"tensor: Ints: the tensor is float32", "ToDType(Int64)"}},
		{"bytes of ints", func() { i.Bytes() }, []string{"tensor: Bytes: the tensor is int64, want uint8"}},
		{"bools of floats", func() { x.Bools() }, []string{"tensor: Bools: the tensor is float32, want bool"}},
		{"a size that is not there", func() { x.Size(2) }, []string{"tensor: Size: dimension 2 does not exist in [2 3], want -2 to 1"}},
		{"raw bytes of another length", func() { x.SetRaw(make([]byte, 7)) }, []string{"tensor: SetRaw: got 7 bytes", "want 24"}},
		{"autocast to a whole type", func() { x.Autocast(tensor.Int64) }, []string{"tensor: Autocast: got int64, want bfloat16 or float16, or float32 for none"}},
		{"no device", func() { x.To(nil) }, []string{"tensor: To: the device is nil", "tensor.CPU"}},

		// Shapes.
		{"view that does not fit", func() { x.View(4, 2) }, []string{"tensor: View: 6 elements do not fit the shape [4 2]"}},
		{"view of what is not whole", func() { x.View(4, -1) }, []string{"tensor: View: 6 elements do not fit the shape [4 -1]"}},
		{"two sizes left open", func() { x.Reshape(-1, -1) }, []string{"tensor: Reshape: ", "more than one -1"}},
		{"a negative size", func() { x.View(-2, -3) }, []string{"tensor: View: the shape [-2 -3] has a negative size"}},
		{"an open size beside 0", func() { none.View(0, -1) }, []string{"tensor: View: 0 elements do not fit the shape [0 -1]"}},
		{"a view whose product overflows", func() { none.View(root, root) }, []string{"tensor: View: 0 elements do not fit"}},
		{"an order too short", func() { x.Permute(0) }, []string{"tensor: Permute: the order [0] has 1 dimensions, the tensor [2 3] has 2"}},
		{"an order that repeats", func() { x.Permute(0, 0) }, []string{"tensor: Permute: the order [0 0] names dimension 0 twice"}},
		{"an order out of range", func() { x.Permute(0, 2) }, []string{"tensor: Permute: dimension 2 does not exist in [2 3]"}},
		{"transposed beyond", func() { x.Transpose(0, 5) }, []string{"tensor: Transpose: dimension 5 does not exist"}},
		{"T of three dimensions", func() { tensor.Ones(2, 3, 4).T() }, []string{"tensor: T: the tensor is [2 3 4], want a matrix"}},
		{"squeezed beyond", func() { x.Squeeze(4) }, []string{"tensor: Squeeze: dimension 4"}},
		{"squeezed twice", func() { x.Squeeze(1, -1) }, []string{"tensor: Squeeze: dimension 1 of [2 3] is named twice"}},
		{"a scalar squeezed beyond", func() { scalar.Squeeze(1) }, []string{"tensor: Squeeze: dimension 1 does not exist in [], want -1 to 0"}},
		{"a scalar unsqueezed beyond", func() { scalar.Unsqueeze(1) }, []string{"tensor: Unsqueeze: dimension 1 cannot be inserted into [], want -1 to 0"}},
		{"a scalar's size", func() { scalar.Size(0) }, []string{"tensor: Size: dimension 0 does not exist in [], a scalar"}},
		{"a scalar narrowed", func() { scalar.Narrow(0, 0, 1) }, []string{"tensor: Narrow: dimension 0 does not exist in [], a scalar"}},
		{"a scalar's entry", func() { scalar.Select(0, 0) }, []string{"tensor: Select: dimension 0 does not exist in [], a scalar"}},
		{"a scalar split", func() { scalar.Split(1, 0) }, []string{"tensor: Split: dimension 0 does not exist in [], a scalar"}},
		{"a scalar split into sizes", func() { scalar.SplitSizes([]int{1}, 0) }, []string{"tensor: Split: dimension 0 does not exist in [], a scalar"}},
		{"a scalar in chunks", func() { scalar.Chunk(1, 0) }, []string{"tensor: Chunk: dimension 0 does not exist in [], a scalar"}},
		{"a scalar permuted", func() { scalar.Permute(0) }, []string{"tensor: Permute: the order [0] has 1 dimensions, the tensor [] has 0"}},
		{"a scalar expanded by nothing", func() { scalar.Expand(-1) }, []string{"tensor: Expand: [] does not expand to [-1]"}},
		{"a scalar transposed beyond", func() { scalar.Transpose(0, 1) }, []string{"tensor: Transpose: dimension 1 does not exist in [], want -1 to 0"}},
		{"a scalar flipped twice", func() { scalar.Flip(0, -1) }, []string{"tensor: Flip: dimension 0 is named twice"}},
		{"unsqueezed beyond", func() { x.Unsqueeze(4) }, []string{"tensor: Unsqueeze: dimension 4 cannot be inserted into [2 3], want -3 to 2"}},
		{"flattened beyond", func() { x.Flatten(2) }, []string{"tensor: Flatten: dimension 2"}},
		{"flattened to beyond", func() { x.Flatten(0, 2) }, []string{"tensor: Flatten: dimension 2"}},
		{"flattened backwards", func() { x.Flatten(1, 0) }, []string{"tensor: Flatten: dimensions 1 to 0 of [2 3] are none"}},
		{"flattened to two ends", func() { x.Flatten(0, 1, 1) }, []string{"tensor: Flatten: got the last dimensions [1 1], want one at most"}},
		{"a scalar flattened beyond", func() { scalar.Flatten(1) }, []string{"tensor: Flatten: dimension 1 does not exist in [], want -1 to 0"}},
		{"expanded where it is not 1", func() { x.Expand(4, 3) }, []string{"tensor: Expand: [2 3] does not expand to [4 3]"}},
		{"expanded to fewer dimensions", func() { x.Expand(3) }, []string{"tensor: Expand: [2 3] does not expand to [3]"}},
		{"expanded without bound", func() { x.Expand(huge, 2, 3) }, []string{"tensor: Expand: ", "too many elements"}},
		{"repeated a negative time", func() { x.Repeat(1, -1) }, []string{"tensor: Repeat: cannot repeat dimension 1 -1 times"}},
		{"repeated without bound beside nothing", func() { x.Repeat(huge, 0) }, []string{"tensor: Repeat: ", "[2 3] repeated [", "too many elements"}},
		{"expanded to a size that nothing has", func() { x.Expand(-1, 2, 3) }, []string{"tensor: Expand: [2 3] does not expand to [-1 2 3]"}},
		{"repeated for fewer dimensions", func() { x.Repeat(2) }, []string{"tensor: Repeat: got 1 repetitions for the 2 dimensions of [2 3]"}},
		{"repeated without bound", func() { x.Repeat(huge, huge) }, []string{"tensor: Repeat: ", "too many elements"}},
		{"flipped twice", func() { x.Flip(0, -2) }, []string{"tensor: Flip: dimension 0 is named twice"}},
		{"rolled beyond", func() { x.Roll(1, 2) }, []string{"tensor: Roll: dimension 2 does not exist in [2 3], want -2 to 1"}},
		{"rolled along two", func() { x.Roll(1, 0, 1) }, []string{"tensor: Roll: one shift and the dimensions [0 1], want one dimension at most"}},
		{"a scalar rolled", func() { scalar.Roll(1, 0) }, []string{"tensor: Roll: dimension 0 does not exist in [], a scalar"}},
		{"narrowed beyond", func() { x.Narrow(1, 2, 2) }, []string{"tensor: Narrow: 2 entries from 2 on are not in dimension 1 of [2 3]"}},
		{"narrowed without bound", func() { x.Narrow(0, 1, huge) }, []string{"tensor: Narrow: ", "not in dimension 0 of [2 3]"}},
		{"narrowed before", func() { x.Narrow(0, -3, 1) }, []string{"tensor: Narrow: 1 entries from -3 on are not in dimension 0 of [2 3]"}},
		{"narrowed from the end beyond it", func() { x.Narrow(0, -1, 2) }, []string{"tensor: Narrow: 2 entries from -1 on are not in dimension 0 of [2 3]"}},
		{"narrowed far before", func() { x.Narrow(0, math.MinInt, 1) }, []string{"tensor: Narrow: 1 entries from -", "not in dimension 0 of [2 3]"}},
		{"narrowed to a length that wraps", func() { x.Narrow(0, -1, huge) }, []string{"tensor: Narrow: ", "not in dimension 0 of [2 3]"}},
		{"narrowed to a negative length", func() { x.Narrow(0, 1, -1) }, []string{"tensor: Narrow: -1 entries from 1 on"}},
		{"selected beyond", func() { x.Select(0, 2) }, []string{"tensor: Select: index 2 is out of range for dimension 0 of [2 3], want -2 to 1"}},
		{"selected far before", func() { x.Select(0, math.MinInt) }, []string{"tensor: Select: index -", "out of range for dimension 0 of [2 3]"}},
		{"pieces of 0", func() { x.Split(0, 0) }, []string{"tensor: Split: got pieces of size 0 for dimension 0 of [2 3], want 1 or more"}},
		{"pieces of -1", func() { none.Split(-1, 0) }, []string{"tensor: Split: got pieces of size -1"}},
		{"pieces that are too small", func() { x.SplitSizes([]int{1, 1}, 1) }, []string{"tensor: Split: pieces of sizes [1 1] do not make up dimension 1 of [2 3], want a sum of 3"}},
		{"pieces that are too large", func() { x.SplitSizes([]int{2, 2}, -1) }, []string{"tensor: Split: pieces of sizes [2 2] do not make up dimension 1 of [2 3]"}},
		{"pieces of a negative size", func() { x.SplitSizes([]int{-1, 4}, 1) }, []string{"tensor: Split: pieces of sizes [-1 4]"}},
		{"pieces whose sum wraps", func() { x.SplitSizes([]int{huge, huge, 5}, 1) }, []string{"tensor: Split: pieces of sizes ["}},
		{"no pieces", func() { x.SplitSizes(nil, 0) }, []string{"tensor: Split: pieces of sizes [] do not make up dimension 0 of [2 3], want a sum of 2"}},
		{"empty chunks without bound", func() { none.Chunk(huge, 0) }, []string{"tensor: Chunk: [0 3] would be cut into ", "pieces without elements, want 1048576 or fewer"}},
		{"no chunks", func() { x.Chunk(0, 0) }, []string{"tensor: Chunk: got 0 pieces"}},
		{"joining nothing", func() { tensor.Cat(0) }, []string{"tensor: Cat: got no tensors"}},
		{"joining unequal shapes", func() { tensor.Cat(0, x, tensor.Ones(2, 4)) }, []string{"tensor: Cat: tensor 1 is [2 4], tensor 0 [2 3]: only the sizes of dimension 0 may differ"}},
		{"joining scalars", func() { tensor.Cat(0, scalar, scalar) }, []string{"tensor: Cat: dimension 0 does not exist in [], a scalar"}},
		{"joining a scalar", func() { tensor.Cat(0, i, scalar.ToDType(tensor.Int64)) }, []string{"tensor: Cat: tensor 1 is a scalar, want one or more dimensions; Stack joins scalars"}},
		{"joining beyond", func() { tensor.Cat(2, tensor.Zeros(0), x) }, []string{"tensor: Cat: dimension 2 does not exist in [2 3], want -2 to 1"}},
		{"joining nothing and too little", func() { tensor.Cat(1, tensor.Zeros(0, 2), x) }, []string{"tensor: Cat: tensor 1 is [2 3], tensor 0 [0 2]"}},
		{"joining without bound", func() { y := tensor.Zeros(huge, 0); tensor.Cat(0, y, y) }, []string{"2 tensors like [", "too many elements"}},
		{"stacking unequal shapes", func() { tensor.Stack(0, x, tensor.Ones(2)) }, []string{"tensor: Stack: tensor 1 is [2], the first [2 3], want one shape"}},
		{"stacking beyond", func() { tensor.Stack(3, x, x) }, []string{"tensor: Stack: dimension 3 cannot be inserted into [2 3], want -3 to 2"}},

		// Arithmetic.
		{"shapes that do not broadcast", func() { x.Add(tensor.Ones(2)) }, []string{"tensor: Add: shapes [2 3] and [2] do not broadcast: 3 and 2 differ in the last dimension, want equal sizes or 1"}},
		{"broadcasting without bound", func() { tensor.Zeros(1<<23, 1).Add(tensor.Zeros(1 << 23)) }, []string{"tensor: Add: ", "too many elements"}},
		{"product that does not fit", func() { x.MatMul(x) }, []string{"tensor: MatMul: [2 3] by [2 3]: the left operand has rows of 3 elements, the right one columns of 2"}},
		{"remainder by 0", func() { i.Remainder(tensor.From([]int64{2, 0, 1})) }, []string{"tensor: Remainder: the divisor int64 [3] is 0 at position [1], want no 0"}},
		{"fmod by 0", func() { u.Fmod(tensor.From([]uint8{0})) }, []string{"tensor: Fmod: the divisor uint8 [1] is 0 at position [0], want no 0"}},
		{"remainder by a 0 of a large tensor", func() { tensor.RandInt(0, 9, 300, 300).Remainder(tensor.Arange(-9, 291, 1)) }, []string{"tensor: Remainder: the divisor int64 [300] is 0 at position [9]"}},
		{"remainder by the number 0", func() { i.RemainderScalar(0) }, []string{"tensor: RemainderScalar: the divisor of a tensor of int64 is 0"}},
		{"a quotient rounded in no way", func() { i.DivRounded(i, 2) }, []string{"tensor: DivRounded: the rounding is 2, want RoundTrunc or RoundFloor"}},
		{"division of integers by 0", func() { i.DivRounded(tensor.Zeros(3).ToDType(tensor.Int64), tensor.RoundFloor) }, []string{"tensor: DivRounded: the divisor int64 [3] is 0 at position [0], want no 0"}},
		{"division by 0 of integers in place", func() { i.Clone().DivInPlace(tensor.Zeros(3).ToDType(tensor.Int64)) }, []string{"tensor: DivInPlace: the result is float32, which the destination, int64, does not hold"}},
		{"copying another shape", func() { x.CopyFrom(tensor.Ones(3, 2)) }, []string{"tensor: CopyFrom: the source [3 2] does not broadcast to the destination [2 3]"}},
		{"copying a dimension more", func() { x.CopyFrom(tensor.Ones(1, 2, 3)) }, []string{"tensor: CopyFrom: the source [1 2 3] does not broadcast to the destination [2 3]"}},
		{"copying to a scalar", func() { scalar.CopyFrom(tensor.Ones(1)) }, []string{"tensor: CopyFrom: the source [1] does not broadcast to the destination []"}},
		{"copying nothing", func() { x.CopyFrom(tensor.Zeros(2, 0)) }, []string{"tensor: CopyFrom: the source [2 0] does not broadcast"}},
		{"more of the largest than there are", func() { x.TopK(4, 1, true) }, []string{"tensor: TopK: ", "4", "[2 3]"}},
		{"a triangle of a vector", func() { i.Triu(0) }, []string{"tensor: Triu: the tensor is [3], want a matrix"}},
		{"largest of nothing", func() { none.Max(0) }, []string{"tensor: Max: dimension 0 of [0 3] has no elements"}},
		{"softmax beyond", func() { x.Softmax(2) }, []string{"tensor: Softmax: dimension 2"}},
		{"softmax of integers", func() { i.Softmax(0) }, []string{"tensor: Softmax: the operand is int64"}},
		{"classes without bound", func() { tensor.OneHot(i.Abs(), huge) }, []string{"tensor: OneHot: ", "too many elements"}},
		{"a label that names a huge class", func() { tensor.OneHot(tensor.From([]int64{math.MaxInt64}), -1) }, []string{"tensor: OneHot: "}},

		// Layers' operations.
		{"channels", func() { tensor.Conv2d(tensor.Ones(2, 4, 8, 8), tensor.Ones(8, 3, 3, 3), nil, tensor.ConvOpts{}) },
			[]string{"tensor: Conv2d: input [2 4 8 8] has 4 channels, weight [8 3 3 3] takes 3"}},
		{"padding without bound", func() {
			tensor.Conv2d(tensor.Ones(1, 1, 8, 8), tensor.Ones(1, 1, 3, 3), nil, tensor.ConvOpts{Padding: huge})
		}, []string{"tensor: Conv2d: ", "may not be larger than 16777216"}},
		{"dilation without bound", func() {
			tensor.Conv2d(tensor.Ones(1, 1, 8, 8), tensor.Ones(1, 1, 3, 3), nil, tensor.ConvOpts{Dilation: huge})
		}, []string{"tensor: Conv2d: ", "may not be larger than 16777216"}},
		{"a layer's option NoBias", func() {
			tensor.Conv2d(tensor.Ones(1, 1, 8, 8), tensor.Ones(1, 1, 3, 3), nil, tensor.ConvOpts{NoBias: true})
		},
			[]string{"tensor: Conv2d: got NoBias true and KernelHW [0 0], which are options of layers"}},
		{"a layer's option KernelHW", func() {
			tensor.ConvTranspose2d(tensor.Ones(1, 1, 8, 8), tensor.Ones(1, 1, 3, 3), nil, tensor.ConvOpts{KernelHW: [2]int{3, 3}})
		}, []string{"tensor: ConvTranspose2d: got NoBias false and KernelHW [3 3], which are options of layers"}},
		{"a kernel of 0", func() { tensor.Conv2d(tensor.Ones(1, 1, 8, 8), tensor.Ones(1, 1, 0, 0), nil, tensor.ConvOpts{}) }, []string{"tensor: Conv2d: "}},
		{"pooling more than there is", func() { tensor.MaxPool2d(tensor.Ones(1, 1, 2, 2), tensor.PoolOpts{Kernel: 3}) }, []string{"tensor: MaxPool2d: ", "[1 1 2 2]"}},
		{"pooling without bound", func() { tensor.AvgPool2d(tensor.Ones(1, 1, 2, 2), tensor.PoolOpts{Kernel: huge}) }, []string{"tensor: AvgPool2d: ", "want 16777216 or less"}},
		{"adaptive pooling without bound", func() { tensor.AdaptiveAvgPool2d(tensor.Ones(1, 1, 2, 2), huge, huge) }, []string{"tensor: AdaptiveAvgPool2d: "}},
		{"normalizing one value", func() {
			tensor.BatchNorm2d(tensor.Ones(1, 3, 1, 1), nil, nil, nil, nil, tensor.BatchNormOpts{Training: true})
		}, []string{"tensor: BatchNorm2d: ", "[1 3 1 1]"}},
		{"inputs of a linear layer", func() { tensor.Linear(x, tensor.Ones(4, 5), nil) }, []string{"tensor: Linear: input [2 3] does not end in 5"}},
		{"a label that is no class", func() { tensor.CrossEntropy(x, tensor.From([]int64{0, 3}), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: label 3 at position [1] is out of range", "want 0 to 2"}},
		{"a negative label", func() { tensor.CrossEntropy(x, tensor.From([]int64{-1, 0}), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: label -1 at position [0] is out of range"}},
		{"labels of another batch", func() { tensor.CrossEntropy(x, i, tensor.CrossEntropyOpts{}) }, []string{"tensor: CrossEntropy: the target is int64 [3], want labels int64 [2]"}},
		{"a word that is not there", func() { tensor.Embedding(x, tensor.From([]int64{2})) }, []string{"tensor: Embedding: index 2 at position [0] is out of range"}},

		// Lifetime.
		{"read after release", func() { gone.Floats() }, released},
		{"a view after release", func() { view.Item() }, []string{"6 elements"}},
		{"a view read after release", func() { view.Floats() }, released},
		{"used after release", func() { x.Add(gone) }, append(released, "tensor: Add: ")},
		{"changed after release", func() { gone.Fill(1) }, append(released, "tensor: Fill: ")},
		{"overwritten after release", func() { gone.CopyFrom(x) }, append(released, "tensor: CopyFrom: ")},
		{"source after release", func() { x.Clone().CopyFrom(gone) }, append(released, "tensor: CopyFrom: ")},
		{"added after release", func() { x.Clone().AddInPlace(gone) }, append(released, "tensor: AddInPlace: ")},
		{"viewed after release", func() { gone.View(6) }, append(released, "tensor: View: ")},
		{"kept after release", func() { gone.Keep() }, append(released, "tensor: Keep: ")},
		{"scoped after release", func() { gone.In(tensor.NewScope()) }, append(released, "tensor: In: ")},
		{"moved after release", func() { gone.To(tensor.CPU) }, append(released, "tensor: To: ")},
		{"joined after release", func() { tensor.Cat(0, x, gone) }, append(released, "tensor: Cat: ")},
		{"multiplied after release", func() { x.MatMul(gone.View(3, 2)) }, released},
		{"drawn into after release", func() { gone.NormalInPlace(0, 1) }, released},
		{"backward after release", func() {
			s := tensor.NewScope()
			y := tensor.Ones(1).In(s).Mul(parameter(1))
			s.Close()
			y.Backward()
		}, []string{"tensor: Backward: ", "made by Mul", "after its scope closed"}},
		{"a closed scope", func() { s := tensor.NewScope(); s.Close(); tensor.Ones(1).In(s) }, []string{"tensor: In: the scope is closed"}},

		// Gradients.
		{"backward twice", func() { twice.Backward() }, []string{"tensor: Backward: ", "was already freed by an earlier Backward", "RetainGraph"}},
		{"gradients twice", func() { autograd.Grad(twice, []*tensor.Tensor{x}) }, []string{"tensor: Grad: ", "was already freed by an earlier Backward or Grad", "RetainGraph"}},
		{"gradients of what has changed", func() { autograd.Grad(stale, []*tensor.Tensor{changed}, autograd.GradOpts{RetainGraph: true}) }, []string{"tensor: Grad: Mul needs a tensor float32 [3], which was changed in place"}},
		{"gradients of many", func() { autograd.Grad(parameter(3).MulScalar(2), []*tensor.Tensor{x}) }, []string{"tensor: Grad: the tensor [3] has 3 elements, want one; Sum or Mean it"}},
		{"backward of many", func() { parameter(3).MulScalar(2).Backward() }, []string{"tensor: Backward: the tensor [3] has 3 elements, want one", "Sum"}},
		{"backward of nothing", func() { x.Sum().Backward() }, []string{"tensor: Backward: nothing was recorded", "no leaf that it was made from requires a gradient"}},
		{"backward of no-grad", func() { x.NoGrad().Mul(parameter(3)).Sum().Backward() }, []string{"tensor: Backward: nothing was recorded", "marked no-grad"}},
		{"a gradient of another shape", func() { parameter(3).MulScalar(2).Backward(tensor.BackwardOpts{Gradient: x}) }, []string{"tensor: Backward: the gradient is float32 [2 3], want float32 [3]"}},
		{"backward of no-grad that met history", func() { parameter(2, 3).MulScalar(2).Add(x.NoGrad()).Exp().Sum().Backward() },
			[]string{"tensor: Backward: nothing was recorded for a tensor float32 []: it was made from values marked no-grad, which met history in Add", "Detach"}},
		{"gradients of no-grad that met history", func() { autograd.Grad(parameter(2, 3).MulScalar(2).Add(x.NoGrad()).Sum(), []*tensor.Tensor{x}) },
			[]string{"tensor: Grad: nothing was recorded for a tensor float32 []: it was made from values marked no-grad, which met history in Add", "Detach"}},
		{"gradients of integers", func() { i.Clone().SetRequiresGrad(true) }, []string{"tensor: SetRequiresGrad: the operand is int64"}},
		{"gradients of no-grad", func() { x.NoGrad().SetRequiresGrad(true) }, []string{"tensor: SetRequiresGrad: the tensor is marked no-grad"}},
		{"gradients of what was made", func() { parameter(2).MulScalar(2).SetRequiresGrad(false) }, []string{"only leaves"}},
		{"a changed value", func() { stale.Backward() }, []string{"tensor: Backward: Mul needs a tensor float32 [3], which was changed in place after it was used"}},
		{"a leaf changed in place", func() { parameter(2).ReLUInPlace() }, []string{"tensor: ReLUInPlace: ", "leaf that requires a gradient"}},
		{"history changed in place", func() { parameter(2).MulScalar(2).Zero() }, []string{"tensor: Fill: ", "has history (made by MulScalar)", "Detach().Clone()"}},
		{"a gradient set in another shape", func() { parameter(2).SetGrad(x) }, []string{"tensor: Backward: the gradient is float32 [2 3]", "the leaf float32 [2]"}},

		// In place and steps.
		{"added to something smaller", func() { tensor.Ones(3).AddInPlace(x) }, []string{"tensor: AddInPlace: the operand [2 3] does not broadcast to the destination [3]"}},
		{"lerp of a larger one", func() { tensor.Ones(3).LerpInPlace(x, 0.5) }, []string{"tensor: LerpInPlace: the operand [2 3] does not broadcast to the destination [3]"}},
		{"lists of unequal length", func() { descend([]*T{x}, nil, 1) }, []string{"tensor: descend: "}},
		{"mask of numbers", func() { x.MaskedSelect(x) }, []string{"tensor: MaskedSelect: the mask is float32, want bool"}},
		{"condition of another shape", func() { tensor.Where(b, x, x) }, []string{"tensor: Where: shapes [2 3] and [2] do not broadcast"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := try(c.f)
			var e *tensor.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a *tensor.Error", err)
			}
			sentence := err.Error()
			if strings.Contains(sentence, "\n") || !strings.HasPrefix(sentence, "tensor: ") || len(sentence) > 400 {
				t.Errorf("got %q, want one sentence after \"tensor: \"", sentence)
			}
			for _, w := range c.want {
				if !strings.Contains(sentence, w) {
					t.Errorf("got %q, want %q in it", sentence, w)
				}
			}
		})
	}
	if got := x.Sum().Item(); got != 6 {
		t.Errorf("an operand that all rows share was changed: its sum is %v, want 6", got)
	}
}

// What is not a *tensor.Error goes through Try.
func TestTryPassesOtherPanicsOn(t *testing.T) {
	for _, want := range []any{"a string", errors.New("an error"), 7} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("got the panic %v, want %v", got, want)
				}
			}()
			err := tensor.Try(func() { panic(want) })
			t.Errorf("Try returned %v", err)
		}()
	}
	if err := tensor.Try(func() {}); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// An empty batch goes through what has a meaning for it, as in PyTorch.
func TestEmptyBatch(t *testing.T) {
	x := tensor.Zeros(0, 3, 4, 4)
	w := tensor.Ones(5, 3, 3, 3).SetRequiresGrad(true)
	mean, variance := tensor.Zeros(5), tensor.Ones(5)
	y := tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1})
	y = tensor.BatchNorm2d(y, mean, variance, nil, nil, tensor.BatchNormOpts{Training: true}).ReLU()
	y = tensor.MaxPool2d(y, tensor.PoolOpts{Kernel: 2}).Flatten(1)
	if got, want := y.Shape(), (tensor.Shape{0, 20}); !got.Equal(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	loss := tensor.CrossEntropy(y, tensor.From([]int64{}), tensor.CrossEntropyOpts{})
	if got := loss.Item(); !math.IsNaN(got) {
		t.Errorf("the mean loss of no examples: got %v, want NaN", got)
	}
	y.Sum().Backward()
	if got := w.Grad().Abs().Sum().Item(); got != 0 {
		t.Errorf("the gradient of no examples: got %v, want 0", got)
	}
	if m, v := mean.Abs().Sum().Item(), variance.Sum().Item(); m != 0 || v != 5 {
		t.Errorf("running statistics after no examples: got sums %v and %v, want 0 and 5", m, v)
	}
}

// Numbers that are no type, no reduction and no precision, and devices that are none.
func TestValuesThatAreNone(t *testing.T) {
	x, labels, r := tensor.Ones(2, 3), tensor.From([]int64{0, 1}), tensor.Reduction(9)
	s := tensor.NewScope()
	s.Close()
	var none *tensor.Device
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"ToDType":               {func() { x.ToDType(99) }, "ToDType: got DType(99), want Float32"},
		"ToDType from integers": {func() { labels.ToDType(255) }, "ToDType: got DType(255)"},
		"Autocast":              {func() { x.Autocast(99) }, "Autocast: got DType(99)"},
		"Autocast of nothing":   {func() { tensor.Autocast(nil, tensor.BFloat16) }, "Autocast: the sequence of batches is nil"},
		"NoGrad of nothing":     {func() { autograd.NoGrad[*T, *T](nil) }, "NoGrad: the sequence of batches is nil"},
		"Autocast of a loader": {func() {
			tensor.Autocast(func(yield func(a, b *T) bool) { yield(x, x) }, 99)(func(a, b *T) bool { return true })
		}, "Autocast: got DType(99)"},
		"MSELoss":             {func() { tensor.MSELoss(x, x, r) }, "MSELoss: the reduction is 9"},
		"L1Loss":              {func() { tensor.L1Loss(x, x, r) }, "L1Loss: the reduction is 9"},
		"HuberLoss":           {func() { tensor.HuberLoss(x, x, 1, r) }, "HuberLoss: the reduction is 9"},
		"SmoothL1Loss":        {func() { tensor.SmoothL1Loss(x, x, 1, r) }, "SmoothL1Loss: the reduction is 9"},
		"BCEWithLogits":       {func() { tensor.BCEWithLogits(x, x, tensor.BCEWithLogitsOpts{Reduction: r}) }, "BCEWithLogits: the reduction is 9"},
		"CrossEntropy":        {func() { tensor.CrossEntropy(x, labels, tensor.CrossEntropyOpts{Reduction: r}) }, "CrossEntropy: the reduction is 9"},
		"NLLLoss":             {func() { tensor.NLLLoss(x, labels, tensor.NLLLossOpts{Reduction: r}) }, "NLLLoss: the reduction is 9"},
		"SetFloat32Precision": {func() { tensor.CPU.SetFloat32Precision(99) }, "SetFloat32Precision: got 99"},
		"To":                  {func() { x.To(none) }, "To: the device is nil"},
		"To an empty Device":  {func() { x.To(&tensor.Device{}) }, "To: the device is nil or an empty Device"},
		"MemoryStats":         {func() { none.MemoryStats() }, "MemoryStats: the device is nil"},
		"ResetPeakMemory":     {func() { none.ResetPeakMemory() }, "ResetPeakMemory: the device is nil"},
		"SetDeterministic":    {func() { none.SetDeterministic(true) }, "SetDeterministic: the device is nil"},
		"SetBenchmark":        {func() { none.SetBenchmark(true) }, "SetBenchmark: the device is nil"},
		"Float32Precision":    {func() { none.Float32Precision() }, "Float32Precision: the device is nil"},
		"In a closed scope":   {func() { x.In(s) }, "In: the scope is closed"},
	} {
		if err := try(c.f); err == nil || !strings.HasPrefix(err.Error(), "tensor: "+c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	x.Add(x).In(nil) // what failed has left x as it was
	if got := tensor.DType(99).Size(); got != 0 {
		t.Errorf("an element of no type has %d bytes", got)
	}
}

// Where a tensor is wanted and none is given, the operation says so; the reference
// tests do this with the other operations.
func TestMissingTensors(t *testing.T) {
	x, index := tensor.Ones(2, 3), tensor.From([]int64{0, 1})
	image, kernel, three := tensor.Ones(1, 1, 4, 4), tensor.Ones(3, 1, 3, 3), tensor.Ones(3)
	var none *T
	xs := []*T{x, nil}
	for name, f := range map[string]func(){
		"Backward": func() { none.Backward() }, "Bools": func() { none.Bools() }, "Bytes": func() { none.Bytes() },
		"Floats": func() { none.Floats() }, "Float64s": func() { none.Float64s() }, "Ints": func() { none.Ints() },
		"Item": func() { none.Item() }, "Raw": func() { none.Raw() }, "SetRaw": func() { none.SetRaw(nil) },
		"Fill": func() { none.Fill(1) }, "Zero": func() { none.Zero() }, "Keep": func() { none.Keep() }, "In": func() { none.In(nil) },
		"Detach": func() { none.Detach() }, "NoGrad": func() { none.NoGrad() }, "Watch": func() { none.Watch(nil) }, "Watched": func() { none.Watched() },
		"Autocast": func() { none.Autocast(tensor.BFloat16) }, "AutocastType": func() { none.AutocastType() },
		"To": func() { none.To(tensor.CPU) }, "ToDType": func() { none.ToDType(tensor.Int64) }, "Clone": func() { none.Clone() },
		"DType": func() { none.DType() }, "Device": func() { none.Device() }, "Shape": func() { none.Shape() }, "Size": func() { none.Size(0) },
		"Dim": func() { none.Dim() }, "Len": func() { none.Len() }, "Path": func() { none.Path() }, "BeforeCast": func() { friends.BeforeCast(none) },
		"Scope": func() { none.Scope() }, "Release": func() { friends.Release(none) }, "SharesMemory": func() { x.SharesMemory(none) },
		"SharesMemory ": func() { none.SharesMemory(x) }, "Grad": func() { none.Grad() }, "ZeroGrad": func() { none.ZeroGrad() },
		"SetGrad": func() { none.SetGrad(x) }, "RequiresGrad": func() { none.RequiresGrad() }, "IsLeaf": func() { none.IsLeaf() },
		"SetRequiresGrad": func() { none.SetRequiresGrad(true) }, "RegisterHook": func() { none.RegisterHook(nil) },
		"CopyFrom": func() { x.CopyFrom(nil) }, "CopyFrom ": func() { none.CopyFrom(x) }, "SetData": func() { friends.SetData(x.Clone(), nil) },
		"SetData ":       func() { friends.SetData(none, x) },
		"UniformInPlace": func() { none.UniformInPlace(0, 1) }, "NormalInPlace": func() { none.NormalInPlace(0, 1) }, "Dropout": func() { none.Dropout(0.5, true) },
		"Dropout ": func() { none.Dropout(0.5, false) }, "ReLUInPlace": func() { none.ReLUInPlace() },
		"CountEqual": func() { tensor.CountEqual(none, x) }, "CountEqual ": func() { tensor.CountEqual(x, none) },
		"FullLike": func() { tensor.FullLike(none, 1) }, "OnesLike": func() { tensor.OnesLike(none) }, "ZerosLike": func() { tensor.ZerosLike(none) },
		"RandLike": func() { tensor.RandLike(none) }, "RandnLike": func() { tensor.RandnLike(none) },
		"MaxPool2d": func() { tensor.MaxPool2d(none, tensor.PoolOpts{Kernel: 2}) }, "AvgPool2d": func() { tensor.AvgPool2d(none, tensor.PoolOpts{Kernel: 2}) },
		"AdaptiveAvgPool2d": func() { tensor.AdaptiveAvgPool2d(none, 1, 1) },
		"Linear":            func() { tensor.Linear(none, x, nil) }, "Linear ": func() { tensor.Linear(x, none, nil) },
		"MatMul": func() { none.MatMul(x) }, "MatMul ": func() { x.MatMul(none) }, "T": func() { none.T() },
		"Dot": func() { three.Dot(none) }, "Dot ": func() { none.Dot(three) }, "Dot  ": func() { x.Dot(none) },
		"LayerNorm": func() { tensor.LayerNorm(none, tensor.Shape{3}, nil, nil, 0) }, "GroupNorm": func() { tensor.GroupNorm(none, 1, nil, nil, 0) },
		"Conv2dBatchNorm": func() {
			tensor.Conv2dBatchNorm(none, kernel, nil, three, three, nil, nil, tensor.ConvOpts{}, tensor.BatchNormOpts{})
		},
		"Conv2dBatchNorm ": func() {
			tensor.Conv2dBatchNorm(image, none, nil, three, three, nil, nil, tensor.ConvOpts{}, tensor.BatchNormOpts{})
		},
		"CropMirrorNormalize": func() { friends.CropMirrorNormalize(none, index, nil, 1, 1) },
		"ClipNorm":            func() { friends.ClipNorm(xs, 1) }, "ClipValue": func() { friends.ClipValue(xs, 1) }, "NotFinite": func() { friends.NotFinite(xs) },
		"Unscale": func() { friends.Unscale(xs, 1) },
		"descend": func() { descend(xs, xs, 1) },
		"Cat":     func() { tensor.Cat(0, none) }, "Stack": func() { tensor.Stack(0, none) },
		"Std": func() { tensor.Std(none, tensor.VarOpts{}) }, "Var": func() { tensor.Var(none, tensor.VarOpts{}) },
	} {
		op := strings.TrimSpace(name)
		if err := try(f); err == nil || !strings.HasPrefix(err.Error(), "tensor: "+op+": ") || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s of nil: got %v, want an error of %s that names nil", op, err, op)
		}
	}
	if got := fmt.Sprint(none, &T{}, none.String()); got != "<nil> <nil><nil>" {
		t.Errorf("printing nil: got %q", got)
	}
	for _, step := range []*tensor.CapturedStep{nil, {}} {
		if err := try(func() { step.Run(x, nil) }); err == nil || !strings.Contains(err.Error(), "Capture makes one") {
			t.Errorf("running a CapturedStep that nobody made: got %v", err)
		}
	}
	if err := try(func() { autograd.Grad(none, []*tensor.Tensor{x}) }); err == nil || strings.Contains(err.Error(), "no *tensor.Error") {
		t.Errorf("Grad of nil: got %v", err)
	}
	if err := try(func() { autograd.Grad(x.SetRequiresGrad(true).Sum(), []*tensor.Tensor{none}) }); err == nil || strings.Contains(err.Error(), "no *tensor.Error") {
		t.Errorf("Grad with respect to nil: got %v", err)
	}
	if err := try(func() { (&T{}).Add(x) }); err == nil || !strings.Contains(err.Error(), "tensor: Add: a tensor that it needs is an empty Tensor") {
		t.Errorf("an empty Tensor: got %v", err)
	}
}
