package tensor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/internal/ops"
)

// info is a row of the table of operations.
type info = ops.Info[*Tensor]

// table says of each operation, by its name, what others want to know of it. Autocast,
// layers.Summary, trainer.NaNStop and internal/graph read it.
var table map[string]info

func init() {
	// Not in the declaration: operations read the table that refers to them.
	table = map[string]info{
		// tensor.go
		"Clone":      {Torch: "clone", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].Clone() }},
		"Contiguous": {Torch: "contiguous", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].Contiguous() }},
		"ToDType":    {Torch: "to", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].ToDType(DType(op.(ops.ToDType).DType)) }},
		"Autocast":   {Torch: "autocast", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Autocast(DType(op.(ops.Autocast).DType)) }},

		"To": {Torch: "to", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].To(deviceNamed(op.(ops.To).Device)) }},

		"ZeroGrad": {Torch: "zeros_like", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return zeroGrad(in[0], op.(ops.ZeroGrad).Shape) }},

		// unary.go
		"ReLUInPlace": {Torch: "relu_", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].ReLUInPlace() }},
		"ClampTensor": {Torch: "clamp", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].ClampTensor(in[1], in[2]) }},

		// binary.go
		"SumTo": {Torch: "sum_to_size", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return sumTo(in[0], op.(ops.SumTo).Shape) }},

		// where.go, dropout.go
		"Where":      {Torch: "where", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return Where(in[0], in[1], in[2]) }},
		"MaskedFill": {Torch: "masked_fill", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[1].MaskedFill(in[0], op.(ops.MaskedFill).Value) }},
		"Dropout":    {Torch: "dropout", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Dropout(op.(ops.Dropout).P, true) }},

		// lerp.go
		"Lerp":       {Torch: "lerp", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Lerp(in[1], op.(ops.Lerp).Weight) }},
		"LerpTensor": {Torch: "lerp", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].LerpTensor(in[1], in[2]) }},

		// view.go
		"Expand": {Torch: "expand", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Expand(op.(ops.Expand).Shape...) }},
		"Select": {Torch: "select", Apply: func(op autograd.Op, in []*Tensor) *Tensor { o := op.(ops.Select); return in[0].Select(o.Dim, o.Index) }},
		"Diagonal": {Torch: "diagonal", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Diagonal)
			return in[0].Diagonal(o.Offset, o.Dim1, o.Dim2)
		}},
		"Unfold": {Torch: "unfold", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Unfold)
			return in[0].Unfold(o.Dim, o.Size, o.Step)
		}},
		"AsStrided": {Torch: "as_strided", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.AsStrided)
			return in[0].AsStrided(o.Shape, o.Strides, o.Offset)
		}},
		"Window": {Torch: "as_strided", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Window)
			return in[0].taken(o.Shape, o.Strides, o.Offset)
		}},
		"WindowGrad": {Torch: "as_strided_scatter", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.WindowGrad)
			return in[0].placed(o.Shape, o.Strides, o.Offset)
		}},
		"Repeat": {Torch: "repeat", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Repeat(op.(ops.Repeat).Times...) }},
		"Roll": {Torch: "roll", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Roll)
			return in[0].Roll(o.Shift, o.Dim)
		}},
		"Flip": {Torch: "flip", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Flip(op.(ops.Flip).Dims...) }},

		// cumsum.go
		"Cumsum": {Torch: "cumsum", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Cumsum)
			return in[0].cumsum(o.Dim, o.Reverse)
		}},

		// reduce.go
		"Var": {Torch: "var", Apply: applyVar},
		"Std": {Torch: "std", Apply: applyVar},
		"Center": {Torch: "sub", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].centered(in[0].span("Center", op.(ops.Center).Dims))
		}},

		// index.go
		"Gather": {Torch: "gather", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Gather(op.(ops.Gather).Dim, in[1]) }},
		"GatherGrad": {Torch: "gather_backward", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.GatherGrad)
			return in[0].scattered(o.Shape, o.Dim, in[1])
		}},
		"ScatterAdd": {Torch: "scatter_add", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].ScatterAdd(op.(ops.ScatterAdd).Dim, in[1], in[2])
		}},
		"IndexSelect": {Torch: "index_select", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].IndexSelect(op.(ops.IndexSelect).Dim, in[1]) }},
		"IndexSelectGrad": {Torch: "index_select_backward", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.IndexSelectGrad)
			return in[0].indexAdded(o.Shape, o.Dim, in[1], o.Padding)
		}},
		"IndexAdd": {Torch: "index_add", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].IndexAdd(op.(ops.IndexAdd).Dim, in[1], in[2]) }},
		"Embedding": {Torch: "embedding", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			if o := op.(ops.Embedding); o.Padding >= 0 {
				return Embedding(in[0], in[1], EmbeddingOpts{PaddingIdx: &o.Padding})
			}
			return Embedding(in[0], in[1])
		}},
		"Nonzero":      {Torch: "nonzero", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].Nonzero() }},
		"MaskedSelect": {Torch: "masked_select", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return in[0].MaskedSelect(in[1]) }},
		"OneHot":       {Torch: "one_hot", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return OneHot(in[0], op.(ops.OneHot).Classes) }},

		// sort.go
		"Sort": {Torch: "sort", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Sort)
			return which(o.Indices)(in[0].Sort(o.Dim, o.Descending))
		}},
		"ArgSort": {Torch: "argsort", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.ArgSort)
			return in[0].ArgSort(o.Dim, o.Descending)
		}},
		"TopK": {Torch: "topk", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.TopK)
			return which(o.Indices)(in[0].TopK(o.K, o.Dim, o.Largest))
		}},

		// triangle.go, augment.go
		"Triu": {Torch: "triu", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Triu(op.(ops.Triangle).Diagonal) }},
		"Tril": {Torch: "tril", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].Tril(op.(ops.Triangle).Diagonal) }},
		"CropMirrorNormalize": {Torch: "crop_mirror_normalize", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.CropMirrorNormalize)
			return cropMirrorNormalize(in[0], in[1], in[2], o.Height, o.Width)
		}},

		// softmax.go
		"Softmax":        {Torch: "softmax", Apply: applySoftmax},
		"LogSoftmax":     {Torch: "log_softmax", Apply: applySoftmax},
		"SoftmaxGrad":    {Torch: "_softmax_backward_data", Apply: applySoftmaxGrad},
		"LogSoftmaxGrad": {Torch: "_log_softmax_backward_data", Apply: applySoftmaxGrad},

		// norm.go
		"BatchNorm2d": {Torch: "batch_norm", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.BatchNorm2d)
			return BatchNorm2d(in[0], in[1], in[2], in[3], in[4], BatchNormOpts{Training: o.Training, Momentum: said(o.Momentum), Eps: said(o.Eps), ReLU: o.ReLU})
		}},
		"BatchNormGrad": {Torch: "native_batch_norm_backward", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return batchNormGrad(op.(ops.BatchNormGrad), in[0], in[1], in[2], in[3], in[4], in[5])
		}},
		"LayerNorm": {Torch: "layer_norm", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.LayerNorm)
			return LayerNorm(in[0], o.Shape, in[1], in[2], said(o.Eps))
		}},
		"GroupNorm": {Torch: "group_norm", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.GroupNorm)
			return GroupNorm(in[0], o.Groups, in[1], in[2], said(o.Eps))
		}},
		"RowNorm": {Torch: "native_layer_norm", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.RowNorm)
			y, invstd := in[0].normalizeRows(o.Name(), o.Rows, o.Eps)
			if o.InvStd {
				return invstd
			}
			return y
		}},
		"RowNormGrad": {Torch: "native_layer_norm_backward", Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return rowNormGrad(in[0], in[1], in[2]) }},

		// loss.go
		"MSELoss": {Torch: "mse_loss", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return MSELoss(in[0], in[1], Reduction(op.(ops.MSELoss).Reduction))
		}},
		"L1Loss": {Torch: "l1_loss", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return L1Loss(in[0], in[1], Reduction(op.(ops.L1Loss).Reduction))
		}},
		"SmoothL1Loss": {Torch: "smooth_l1_loss", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.SmoothL1Loss)
			return SmoothL1Loss(in[0], in[1], o.Beta, Reduction(o.Reduction))
		}},
		"HuberLoss": {Torch: "huber_loss", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.HuberLoss)
			return HuberLoss(in[0], in[1], o.Delta, Reduction(o.Reduction))
		}},
		"BCEWithLogits": {Torch: "binary_cross_entropy_with_logits", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return BCEWithLogits(in[0], in[1], BCEWithLogitsOpts{Weight: in[2], PosWeight: in[3], Reduction: Reduction(op.(ops.BCEWithLogits).Reduction)})
		}},
		"CrossEntropy": {Torch: "cross_entropy", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.CrossEntropy)
			opts := CrossEntropyOpts{Weight: in[2], LabelSmoothing: o.LabelSmoothing, Reduction: Reduction(o.Reduction)}
			if in[1].DType() == Int64 {
				opts.IgnoreIndex = &o.IgnoreIndex
			}
			return CrossEntropy(in[0], in[1], opts)
		}},
		"CrossEntropyGrad": {Torch: "cross_entropy_backward", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return crossEntropyGrad(op.(ops.CrossEntropyGrad).Dim, in[0], in[1], in[2], in[3], in[4])
		}},
		"NLLLoss": {Torch: "nll_loss", Autocast: ops.Raise, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.NLLLoss)
			return NLLLoss(in[0], in[1], NLLLossOpts{Weight: in[2], IgnoreIndex: &o.IgnoreIndex, Reduction: Reduction(o.Reduction)})
		}},

		// matmul.go
		"MatMul": {Torch: "matmul", Autocast: ops.Lower,
			MultiplyAdds: func(_ autograd.Op, in []*Tensor, out *Tensor) int { return out.Len() * in[0].Size(-1) },
			Apply:        func(_ autograd.Op, in []*Tensor) *Tensor { return matmul(in[0], in[1]) }},
		"Linear": {Torch: "linear", Autocast: ops.Lower,
			MultiplyAdds: func(_ autograd.Op, in []*Tensor, out *Tensor) int {
				return out.Len()*in[1].Size(-1) + biasAdds(in[2], out)
			},
			Apply: func(_ autograd.Op, in []*Tensor) *Tensor { return Linear(in[0], in[1], in[2]) }},
	}
	// conv.go, pool.go
	table["PadEnd"] = info{Torch: "constant_pad_nd", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
		o := op.(ops.PadEnd)
		return in[0].padEnd(o.Dims, o.By)
	}}
	table["Conv2dBatchNorm"] = info{Torch: "conv2d", Autocast: ops.Lower,
		MultiplyAdds: func(op autograd.Op, in []*Tensor, out *Tensor) int {
			return places(op.(ops.ConvBatchNorm).Dims, out)*in[1].Len() + out.Len()
		},
		Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.ConvBatchNorm)
			return conv2dBatchNorm(in[0], in[1], in[2], in[3], in[4], in[5], in[6], o.Conv, false, BatchNormOpts{Eps: o.Eps, ReLU: o.ReLU})
		}}
	for dims := 1; dims <= 3; dims++ {
		of := func(name string) string { return fmt.Sprintf("%s%dd", name, dims) }
		row := func(op autograd.Op, torch string, i info) {
			i.Torch = torch
			table[op.Name()] = i
		}
		row(ops.Conv{Dims: dims}, of("conv"), info{Autocast: ops.Lower,
			MultiplyAdds: func(_ autograd.Op, in []*Tensor, out *Tensor) int {
				return places(dims, out)*in[1].Len() + biasAdds(in[2], out)
			},
			Apply: func(op autograd.Op, in []*Tensor) *Tensor {
				return convolve(op.Name(), in[0], in[1], in[2], op.(ops.Conv), false)
			}})
		row(ops.Conv{Dims: dims, Transposed: true}, of("conv_transpose"), info{Autocast: ops.Lower,
			MultiplyAdds: func(_ autograd.Op, in []*Tensor, out *Tensor) int {
				return places(dims, in[0])*in[1].Len() + biasAdds(in[2], out)
			},
			Apply: func(op autograd.Op, in []*Tensor) *Tensor {
				return convolveTransposed(op.Name(), in[0], in[1], in[2], op.(ops.Conv), false)
			}})
		row(ops.ConvWeightGrad{Conv: ops.Conv{Dims: dims}}, "convolution_backward", info{
			MultiplyAdds: func(_ autograd.Op, in []*Tensor, out *Tensor) int { return places(dims, in[0]) * out.Len() },
			Apply: func(op autograd.Op, in []*Tensor) *Tensor {
				return convWeightGrad(op.(ops.ConvWeightGrad), in[0], in[1])
			}})
		pool := ops.Pool{Dims: dims}
		row(ops.MaxPool{Pool: pool}, of("max_pool"), info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].maxPool(op.Name(), op.(ops.MaxPool).Pool)
		}})
		row(ops.MaxPoolIndices{Pool: pool}, of("max_pool")+"_with_indices", info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return maxPoolIndices(op.Name(), op.(ops.MaxPoolIndices).Pool, in[0], in[1])
		}})
		row(ops.MaxPoolGrad{Pool: pool}, of("max_pool")+"_with_indices_backward", info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return maxPoolGrad(op.Name(), op.(ops.MaxPoolGrad).Pool, in[0], in[1], in[2])
		}})
		row(ops.AvgPool{Pool: pool}, of("avg_pool"), info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].avgPool(op.Name(), op.(ops.AvgPool).Pool)
		}})
		row(ops.AvgPoolGrad{Pool: pool}, of("avg_pool")+"_backward", info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.AvgPoolGrad)
			return in[0].avgPoolGrad(op.Name(), o.Pool, spatial(in[0], dims, o.In))
		}})
		row(ops.AdaptiveAvgPool{Dims: dims}, of("adaptive_avg_pool"), info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].adaptiveAvgPool(op.Name(), op.(ops.AdaptiveAvgPool))
		}})
		row(ops.AdaptiveAvgPoolGrad{Dims: dims}, of("adaptive_avg_pool")+"_backward", info{Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].adaptiveAvgPoolGrad(op.Name(), dims, spatial(in[0], dims, op.(ops.AdaptiveAvgPoolGrad).In))
		}})
	}
	// In place: tensor.go, unary.go, binary.go, lerp.go, random.go. What SetRaw writes is no operation's.
	for method, row := range map[string]struct {
		torch string
		apply func(x, y *Tensor, v, w float64) *Tensor
	}{
		"CopyFrom":         {"copy_", func(x, y *Tensor, _, _ float64) *Tensor { return x.CopyFrom(y) }},
		"Fill":             {"fill_", func(x, _ *Tensor, v, _ float64) *Tensor { return x.Fill(v) }},
		"ClampInPlace":     {"clamp_", func(x, _ *Tensor, v, w float64) *Tensor { return x.ClampInPlace(v, w) }},
		"AddInPlace":       {"add_", func(x, y *Tensor, _, _ float64) *Tensor { return x.AddInPlace(y) }},
		"SubInPlace":       {"sub_", func(x, y *Tensor, _, _ float64) *Tensor { return x.SubInPlace(y) }},
		"MulInPlace":       {"mul_", func(x, y *Tensor, _, _ float64) *Tensor { return x.MulInPlace(y) }},
		"DivInPlace":       {"div_", func(x, y *Tensor, _, _ float64) *Tensor { return x.DivInPlace(y) }},
		"AddScalarInPlace": {"add_", func(x, _ *Tensor, v, _ float64) *Tensor { return x.AddScalarInPlace(v) }},
		"MulScalarInPlace": {"mul_", func(x, _ *Tensor, v, _ float64) *Tensor { return x.MulScalarInPlace(v) }},
		"LerpInPlace":      {"lerp_", func(x, y *Tensor, v, _ float64) *Tensor { return x.LerpInPlace(y, v) }},
		"UniformInPlace":   {"uniform_", func(x, _ *Tensor, v, w float64) *Tensor { return x.UniformInPlace(v, w) }},
		"NormalInPlace":    {"normal_", func(x, _ *Tensor, v, w float64) *Tensor { return x.NormalInPlace(v, w) }},
	} {
		table[method] = info{Torch: row.torch, Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.InPlace)
			return row.apply(in[0], in[1], o.Values[0], o.Values[1])
		}}
	}
	for method, row := range map[string]struct {
		torch string
		apply func(x *Tensor, o ops.Assign, in []*Tensor) *Tensor
	}{
		"MaskedFillInPlace":    {"masked_fill_", func(x *Tensor, o ops.Assign, in []*Tensor) *Tensor { return x.MaskedFillInPlace(in[0], o.Value) }},
		"MaskedScatterInPlace": {"masked_scatter_", func(x *Tensor, _ ops.Assign, in []*Tensor) *Tensor { return x.MaskedScatterInPlace(in[0], in[1]) }},
		"IndexCopyInPlace":     {"index_copy_", func(x *Tensor, o ops.Assign, in []*Tensor) *Tensor { return x.IndexCopyInPlace(o.Dim, in[0], in[1]) }},
		"IndexFillInPlace":     {"index_fill_", func(x *Tensor, o ops.Assign, in []*Tensor) *Tensor { return x.IndexFillInPlace(o.Dim, in[0], o.Value) }},
		"IndexAddInPlace":      {"index_add_", func(x *Tensor, o ops.Assign, in []*Tensor) *Tensor { return x.IndexAddInPlace(o.Dim, in[0], in[1]) }},
	} {
		table[method] = info{Torch: row.torch, Apply: func(op autograd.Op, in []*Tensor) *Tensor { return row.apply(in[0], op.(ops.Assign), in[1:]) }}
	}
	for _, method := range []string{"View", "Reshape", "Flatten", "Unflatten", "Squeeze", "Unsqueeze"} {
		table[method] = info{Torch: "view", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].view(method, op.(ops.View).Shape) }}
	}
	for _, method := range []string{"Permute", "Transpose", "MoveDim", "T"} {
		table[method] = info{Torch: "permute", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].permute(method, op.(ops.Permute).Order) }}
	}
	for _, method := range []string{"Narrow", "Split", "Chunk", "Slice"} {
		table[method] = info{Torch: "narrow", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Narrow)
			return in[0].slice(method, o.Dim, o.Start, o.N, o.Step)
		}}
	}
	for _, method := range []string{"Cat", "Stack"} {
		table[method] = info{Torch: "cat", Apply: func(op autograd.Op, in []*Tensor) *Tensor { return cat(method, op.(ops.Cat).Dim, in) }}
	}
	for method, r := range reductions {
		apply := func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Reduce)
			return r.apply(in[0], o.Dims, o.Keep)
		}
		class := ops.Widest
		if method == "Prod" {
			class = ops.Raise
		}
		for _, op := range []ops.Reduce{{Method: method}, {Method: method, Keep: true}} {
			table[op.Name()] = info{Torch: r.torch, Autocast: class, Apply: apply}
		}
	}
	for _, keep := range []bool{false, true} {
		table[ops.Norm{Keep: keep}.Name()] = info{Torch: "linalg.vector_norm", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Norm)
			return in[0].norm(o.P, o.Dims, o.Keep)
		}}
	}
	for _, smallest := range []bool{false, true} {
		name := ops.Extreme{Smallest: smallest}.Name()
		table[name] = info{Torch: strings.ToLower(name), Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Extreme)
			return which(o.Indices)(in[0].extremeAt(name, o.Dim, smallest))
		}}
		at := ops.ArgExtreme{Smallest: smallest}.Name()
		table[at] = info{Torch: strings.ToLower(at), Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return in[0].argExtreme(at, op.(ops.ArgExtreme).Dim, smallest)
		}}
	}
	for kind := range backend.NumUnaryOps {
		op := ops.Unary{Kind: kind}
		table[op.Name()] = info{Torch: torchUnary[kind], Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			o := op.(ops.Unary)
			return in[0].unaryOf(o)
		}}
		table[ops.UnaryGrad{Unary: op}.Name()] = info{Torch: torchUnary[kind] + "_backward", Apply: func(op autograd.Op, in []*Tensor) *Tensor {
			return unaryGrad(op.(ops.UnaryGrad).Unary, in[0], in[1])
		}}
	}
	for kind := range backend.NumBinaryOps {
		apply := func(op autograd.Op, in []*Tensor) *Tensor { return in[0].binaryOf(op.(ops.Binary).Kind, in[1]) }
		table[ops.Binary{Kind: kind}.Name()] = info{Torch: torchBinary[kind], Apply: apply}
		for _, op := range []ops.Scalar{{Kind: kind}, {Kind: kind, Swapped: true}} {
			table[op.Name()] = info{Torch: torchBinary[kind], Apply: func(op autograd.Op, in []*Tensor) *Tensor { return in[0].scalarOf(op.(ops.Scalar)) }}
		}
	}
	for _, f := range formulas {
		maps.Copy(table, f.rows())
	}
	friend.Open(friend.Door[*Tensor]{
		SetPath: (*Tensor).setPath, SetData: (*Tensor).setData, BeforeCast: (*Tensor).beforeCast, Release: (*Tensor).release,
		MapStep: mapStep, ClipNorm: clipNorm, ClipValue: clipValue, Unscale: unscale, NotFinite: notFinite, CropMirrorNormalize: cropMirrorNormalize,
		Info: func(op autograd.Op) (info, bool) {
			row, ok := table[op.Name()]
			return row, ok
		},
		MarkWatch:  tape.MarkWatch,
		SameWindow: (*Tensor).sameWindow,
		Version:    func(x *Tensor) uint64 { return x.storage.version.Load() },
	})
}

// sameWindow reports whether x and y are the same elements of the same memory.
func (x *Tensor) sameWindow(y *Tensor) bool {
	return x.storage == y.storage && x.offset == y.offset && x.shape.Equal(y.shape) && slices.Equal(x.Strides(), y.Strides())
}

var torchUnary = [backend.NumUnaryOps]string{
	backend.Neg: "neg", backend.Abs: "abs", backend.Sign: "sign", backend.Square: "square", backend.Sqrt: "sqrt", backend.Rsqrt: "rsqrt",
	backend.Reciprocal: "reciprocal", backend.Exp: "exp", backend.Expm1: "expm1", backend.Log: "log", backend.Log1p: "log1p", backend.Log2: "log2",
	backend.Log10: "log10", backend.Sin: "sin", backend.Cos: "cos", backend.Tan: "tan", backend.Asin: "asin", backend.Acos: "acos", backend.Atan: "atan",
	backend.Sinh: "sinh", backend.Cosh: "cosh", backend.Tanh: "tanh", backend.Erf: "erf", backend.Sigmoid: "sigmoid", backend.LogSigmoid: "logsigmoid",
	backend.Floor: "floor", backend.Ceil: "ceil", backend.Round: "round", backend.Trunc: "trunc", backend.Clamp: "clamp", backend.ReLU: "relu",
	backend.LeakyReLU: "leaky_relu", backend.GELU: "gelu", backend.GELUTanh: "gelu", backend.SiLU: "silu", backend.ELU: "elu",
	backend.Hardswish: "hardswish", backend.Hardsigmoid: "hardsigmoid", backend.Softplus: "softplus", backend.IsNaN: "isnan", backend.IsInf: "isinf",
	backend.IsFinite: "isfinite", backend.Not: "logical_not",
}

var torchBinary = [backend.NumBinaryOps]string{
	backend.Add: "add", backend.Sub: "sub", backend.Mul: "mul", backend.Div: "div", backend.DivTrunc: "div", backend.DivFloor: "div",
	backend.Pow: "pow", backend.Maximum: "maximum", backend.Minimum: "minimum", backend.Remainder: "remainder", backend.Fmod: "fmod",
	backend.Atan2: "atan2", backend.Eq: "eq", backend.Ne: "ne", backend.Lt: "lt", backend.Le: "le", backend.Gt: "gt", backend.Ge: "ge",
	backend.And: "logical_and", backend.Or: "logical_or", backend.Xor: "logical_xor",
}

func applySoftmax(op autograd.Op, in []*Tensor) *Tensor {
	o := op.(ops.Softmax)
	return in[0].softmax(o.Name(), o.Dim, o.Log)
}

func applySoftmaxGrad(op autograd.Op, in []*Tensor) *Tensor {
	return softmaxGrad(op.(ops.SoftmaxGrad).Softmax, in[0], in[1])
}

// reductions are the operations that ops.Reduce stands for.
var reductions = map[string]struct {
	torch string
	apply func(x *Tensor, dims []int, keep bool) *Tensor
}{
	"Sum":       {"sum", (*Tensor).sum},
	"Mean":      {"mean", (*Tensor).mean},
	"Prod":      {"prod", (*Tensor).prod},
	"LogSumExp": {"logsumexp", (*Tensor).logSumExp},
	"Amax": {"amax", func(x *Tensor, dims []int, keep bool) *Tensor {
		return x.extreme("Amax", backend.ReduceMax, dims, keep)
	}},
	"Amin": {"amin", func(x *Tensor, dims []int, keep bool) *Tensor {
		return x.extreme("Amin", backend.ReduceMin, dims, keep)
	}},
	"Any": {"any", func(x *Tensor, dims []int, keep bool) *Tensor { return x.truth("Any", backend.ReduceAny, dims, keep) }},
	"All": {"all", func(x *Tensor, dims []int, keep bool) *Tensor { return x.truth("All", backend.ReduceAll, dims, keep) }},
}

// applyVar applies the variance or its root.
func applyVar(op autograd.Op, in []*Tensor) *Tensor {
	o := op.(ops.Var)
	return in[0].variance(o.Name(), VarOpts{Dims: o.Dims, Keep: o.Keep, Correction: &o.Correction}, o.Root)
}

// which chooses from two results.
func which(second bool) func(x, y *Tensor) *Tensor {
	return func(x, y *Tensor) *Tensor {
		if second {
			return y
		}
		return x
	}
}

// biasAdds counts the additions of a bias, which may be nil.
func biasAdds(bias, out *Tensor) int {
	if bias == nil {
		return 0
	}
	return out.Len()
}

// places counts the pixels of all images of x, of so many dimensions, each of which each
// element of a convolution's weight meets; an image may come without a batch.
func places(dims int, x *Tensor) int {
	n := x.shape[len(x.shape)-dims:].Len()
	if x.Dim() == dims+2 {
		n *= x.Size(0)
	}
	return n
}

// spatial is x's shape with other last dimensions, so many.
func spatial(x *Tensor, dims int, size [3]int) Shape {
	n := len(x.shape) - dims
	return append(x.shape[:n:n], size[3-dims:]...)
}

// unaryOf applies an elementwise function that was recorded.
func (x *Tensor) unaryOf(op ops.Unary) *Tensor {
	switch op.Kind {
	case backend.IsNaN, backend.IsInf, backend.IsFinite, backend.Not:
		return x.question(op.Name(), op.Kind)
	}
	return x.unaryNumber(op.Name(), op.Kind, op.UnaryParams)
}

// binaryOf applies an elementwise function of two operands that was recorded.
func (x *Tensor) binaryOf(kind backend.BinaryOp, y *Tensor) *Tensor {
	switch kind {
	case backend.Add:
		return x.Add(y)
	case backend.Sub:
		return x.Sub(y)
	case backend.Mul:
		return x.Mul(y)
	case backend.Div:
		return x.Div(y)
	case backend.DivTrunc:
		return x.DivRounded(y, RoundTrunc)
	case backend.DivFloor:
		return x.DivRounded(y, RoundFloor)
	case backend.Pow:
		return x.Pow(y)
	case backend.Maximum:
		return x.Maximum(y)
	case backend.Minimum:
		return x.Minimum(y)
	case backend.Remainder:
		return x.Remainder(y)
	case backend.Fmod:
		return x.Fmod(y)
	case backend.Atan2:
		return x.Atan2(y)
	}
	return compare(ops.Binary{Kind: kind}.Name(), kind, x, y)
}

// scalarOf applies an elementwise function of an operand and a number that was recorded.
func (x *Tensor) scalarOf(op ops.Scalar) *Tensor {
	switch {
	case op.Kind == backend.Add:
		return x.AddScalar(op.S)
	case op.Kind == backend.Sub && op.Swapped:
		return x.RSubScalar(op.S)
	case op.Kind == backend.Sub:
		return x.SubScalar(op.S)
	case op.Kind == backend.Mul:
		return x.MulScalar(op.S)
	case op.Kind == backend.Div && op.Swapped:
		return x.RDivScalar(op.S)
	case op.Kind == backend.Div:
		return x.DivScalar(op.S)
	case op.Kind == backend.DivTrunc:
		return x.DivScalarRounded(op.S, RoundTrunc)
	case op.Kind == backend.DivFloor:
		return x.DivScalarRounded(op.S, RoundFloor)
	case op.Kind == backend.Pow:
		return x.PowScalar(op.S)
	case op.Kind == backend.Remainder:
		return x.RemainderScalar(op.S)
	case op.Kind == backend.Fmod:
		return x.FmodScalar(op.S)
	}
	return compareScalar(op.Name(), op.Kind, x, op.S)
}
