package layers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// PyTorch's defaults.
const (
	defaultEps      = 1e-5
	defaultMomentum = 0.1
)

// BatchNorm2d normalizes each channel of [N C H W] to mean 0 and variance 1 and
// then scales and shifts it by Weight and Bias ([C] each, at first 1 and 0). In
// training mode it uses the mean and variance of the batch and updates the running
// statistics with them; in evaluation mode it uses the running statistics. For Eps and
// Momentum 0 means 0: a Momentum of 0 leaves the running statistics unchanged.
// (Ioffe & Szegedy, 2015; torch.nn.BatchNorm2d)
type BatchNorm2d struct {
	Weight, Bias            *tensor.Tensor // nil with NoAffine
	RunningMean, RunningVar *tensor.Tensor // [C], at first 0 and 1; nil with NoStats
	NumBatchesTracked       *tensor.Tensor // an Int64 scalar; nil with NoStats
	Eps                     float64        // added to the variance, at first 1e-5; 0 does in evaluation mode only
	Momentum                float64        // the share of the new batch in the running statistics, at first 0.1
	Cumulative              bool           // the running statistics are the mean of all batches' (momentum=None); Momentum is not used

	channels int
	eval     bool
}

// BatchNormOpts are the options of [NewBatchNorm2d].
type BatchNormOpts struct {
	NoAffine bool // no Weight and Bias (affine=False)
	NoStats  bool // no running statistics: the batch's in evaluation too (track_running_stats=False)
}

// NewBatchNorm2d returns a BatchNorm2d for the given number of channels.
func NewBatchNorm2d(channels int, opts ...BatchNormOpts) *BatchNorm2d {
	wantSize("NewBatchNorm2d", "channels", 1, channels)
	o := option(opts)
	l := &BatchNorm2d{channels: channels, Eps: defaultEps, Momentum: defaultMomentum}
	if !o.NoAffine {
		l.Weight, l.Bias = affine(channels)
	}
	if !o.NoStats {
		l.RunningMean, l.RunningVar = tensor.Zeros(channels), tensor.Ones(channels)
		l.NumBatchesTracked = tensor.From([]int64{0}).Reshape()
	}
	return l
}

// affine returns the weight, 1, and the bias, 0, of a normalization.
func affine(dims ...int) (w, b *tensor.Tensor) {
	return parameter(dims...).Fill(1), parameter(dims...)
}

// Forward returns x normalized, in the same shape.
func (l *BatchNorm2d) Forward(x *tensor.Tensor) *tensor.Tensor { return l.forward(x, false) }

func (l *BatchNorm2d) opts(relu bool) tensor.BatchNormOpts {
	momentum := l.Momentum
	if l.Cumulative && !l.eval {
		momentum = 0
		if l.NumBatchesTracked != nil {
			momentum = 1 / (l.NumBatchesTracked.Item() + 1)
		}
	}
	return tensor.BatchNormOpts{Training: !l.eval, Momentum: said(momentum), Eps: said(l.Eps), ReLU: relu}
}

// said returns v as an option of package tensor, where 0 would mean the default.
func said(v float64) float64 {
	if v == 0 {
		return tensor.Zero
	}
	return v
}

// forward is Forward, followed by ReLU if relu.
func (l *BatchNorm2d) forward(x *tensor.Tensor, relu bool) *tensor.Tensor {
	wantMade("BatchNorm2d", l != nil && (l.channels > 0 || l.Weight != nil || l.RunningMean != nil))
	y := tensor.BatchNorm2d(x, l.RunningMean, l.RunningVar, l.Weight, l.Bias, l.opts(relu))
	if !l.eval && l.NumBatchesTracked != nil {
		l.NumBatchesTracked.AddScalarInPlace(1)
	}
	return y
}

// SetTraining chooses between the batch's statistics and the running ones;
// [Train] and [Eval] call it.
func (l *BatchNorm2d) SetTraining(on bool) { l.eval = !on }

// Training reports whether the layer is in training mode.
func (l *BatchNorm2d) Training() bool { return !l.eval }

// features returns the number of channels as the tensors have it, which a program
// may have replaced.
func (l *BatchNorm2d) features() int { return length(l.channels, l.Weight, l.RunningMean) }

// length returns the size of the first of vectors that is not nil, or otherwise.
func length(otherwise int, vectors ...*tensor.Tensor) int {
	for _, v := range vectors {
		if v != nil {
			return v.Len()
		}
	}
	return otherwise
}

// brief returns "BatchNorm2d(64)" and what is not the default.
func (l *BatchNorm2d) brief() string {
	return "BatchNorm2d(" + list(
		fmt.Sprint(l.features()), epsString(l.Eps),
		when(l.Momentum != defaultMomentum && !l.Cumulative, fmt.Sprintf("momentum %v", l.Momentum)), when(l.Cumulative, "cumulative"),
		when(l.Weight == nil, "no affine"), when(l.RunningMean == nil, "no stats")) + ")"
}

// String returns what PyTorch prints: "BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)".
func (l *BatchNorm2d) String() string {
	momentum := float(l.Momentum)
	if l.Cumulative {
		momentum = "None"
	}
	return fmt.Sprintf("BatchNorm2d(%d, eps=%s, momentum=%s, affine=%s, bias=%s, track_running_stats=%s)",
		l.features(), float(l.Eps), momentum, python(l.Weight != nil), python(l.Bias != nil), python(l.RunningMean != nil))
}

func epsString(eps float64) string {
	return when(eps != defaultEps, fmt.Sprintf("eps %v", eps))
}

// Parts lists weight, bias and the running statistics.
func (l *BatchNorm2d) Parts() []Part {
	return []Part{
		Param("weight", l.Weight), Param("bias", l.Bias),
		Buffer("running_mean", l.RunningMean), Buffer("running_var", l.RunningVar),
		Buffer("num_batches_tracked", l.NumBatchesTracked),
	}
}

type batchNormConfig struct {
	Channels   int      `json:"num_features"`
	Eps        *float64 `json:"eps"`
	Momentum   *float64 `json:"momentum"`
	Cumulative bool     `json:"cumulative,omitempty"`
	Affine     bool     `json:"affine"`
	Stats      bool     `json:"track_running_stats"`
}

func (l *BatchNorm2d) Config() (string, []byte) {
	return config("BatchNorm2d", batchNormConfig{l.features(), &l.Eps, &l.Momentum, l.Cumulative, l.Weight != nil, l.RunningMean != nil})
}

func init() {
	register("BatchNorm2d", func(c batchNormConfig, r *room) (*BatchNorm2d, error) {
		if c.Affine || c.Stats {
			if err := limit(r, c.Channels); err != nil {
				return nil, err
			}
		}
		l := NewBatchNorm2d(c.Channels, BatchNormOpts{NoAffine: !c.Affine, NoStats: !c.Stats})
		if err := setEps(&l.Eps, c.Eps); err != nil {
			return nil, err
		}
		if c.Momentum != nil {
			l.Momentum = *c.Momentum
		}
		l.Cumulative = c.Cumulative
		return l, nil
	})
}

// LayerNorm normalizes over the last dimensions: for NewLayerNorm(c), each row of
// [… c] to mean 0 and variance 1, and then scales and shifts it by Weight and Bias
// (at first 1 and 0). Set both to nil for elementwise_affine=False, Bias for
// bias=False. (Ba et al., 2016; torch.nn.LayerNorm)
type LayerNorm struct {
	Weight, Bias *tensor.Tensor // of the dimensions that are normalized over; may be nil
	Eps          float64        // added to the variance, at first 1e-5

	shape tensor.Shape
}

// NewLayerNorm returns a LayerNorm over the last dimensions, of the given sizes.
func NewLayerNorm(dims ...int) *LayerNorm {
	l := newLayerNorm(dims)
	l.Weight, l.Bias = affine(dims...)
	return l
}

// newLayerNorm returns a LayerNorm without weight and bias.
func newLayerNorm(dims []int) *LayerNorm {
	const op = "NewLayerNorm"
	if len(dims) == 0 {
		fail(op, "got no sizes, want those of the last dimensions")
	}
	wantSize(op, "size", 1, dims...)
	return &LayerNorm{shape: slices.Clone(dims), Eps: defaultEps}
}

// Forward returns x normalized, in the same shape.
func (l *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("LayerNorm", l != nil && len(l.shape) > 0)
	return tensor.LayerNorm(x, l.shape, l.Weight, l.Bias, said(l.Eps))
}

// brief returns "LayerNorm(768)" and what is not the default.
func (l *LayerNorm) brief() string {
	return "LayerNorm(" + list(
		strings.Join(strings.Fields(strings.Trim(l.shape.String(), "[]")), ", "), epsString(l.Eps),
		when(l.Weight == nil, "no affine"), when(l.Weight != nil && l.Bias == nil, "no bias")) + ")"
}

// String returns what PyTorch prints: "LayerNorm((768,), eps=1e-05, elementwise_affine=True, bias=True)".
func (l *LayerNorm) String() string {
	return fmt.Sprintf("LayerNorm(%s, eps=%s, elementwise_affine=%s, bias=%s)",
		tuple(l.shape...), float(l.Eps), python(l.Weight != nil), python(l.Bias != nil))
}

// Parts lists weight and bias.
func (l *LayerNorm) Parts() []Part { return []Part{Param("weight", l.Weight), Param("bias", l.Bias)} }

type layerNormConfig struct {
	Shape  []int    `json:"normalized_shape"`
	Eps    *float64 `json:"eps"`
	Affine bool     `json:"elementwise_affine"`
	Bias   bool     `json:"bias"`
}

func (l *LayerNorm) Config() (string, []byte) {
	return config("LayerNorm", layerNormConfig{l.shape, &l.Eps, l.Weight != nil, l.Bias != nil})
}

func init() {
	register("LayerNorm", func(c layerNormConfig, r *room) (*LayerNorm, error) {
		l := newLayerNorm(c.Shape)
		if err := setEps(&l.Eps, c.Eps); err != nil {
			return nil, err
		}
		if c.Affine {
			if err := limit(r, c.Shape...); err != nil {
				return nil, err
			}
			l.Weight, l.Bias = affine(c.Shape...)
		}
		if !c.Bias {
			l.Bias = nil
		}
		return l, nil
	})
}

// GroupNorm splits the channels of [N C …] into groups, normalizes each group of
// each sample to mean 0 and variance 1, and then scales and shifts each channel by
// Weight and Bias ([C] each, at first 1 and 0). Set both to nil for affine=False.
// (Wu & He, 2018; torch.nn.GroupNorm)
type GroupNorm struct {
	Weight, Bias *tensor.Tensor // may be nil
	Eps          float64        // added to the variance, at first 1e-5

	groups, channels int
}

// NewGroupNorm returns a GroupNorm; groups must divide channels.
func NewGroupNorm(groups, channels int) *GroupNorm {
	l := newGroupNorm(groups, channels)
	l.Weight, l.Bias = affine(channels)
	return l
}

// newGroupNorm returns a GroupNorm without weight and bias.
func newGroupNorm(groups, channels int) *GroupNorm {
	const op = "NewGroupNorm"
	wantSize(op, "groups or channels", 1, groups, channels)
	if channels%groups != 0 {
		fail(op, "%d channels cannot be split into %d groups", channels, groups)
	}
	return &GroupNorm{groups: groups, channels: channels, Eps: defaultEps}
}

// Forward returns x normalized, in the same shape.
func (l *GroupNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("GroupNorm", l != nil && l.groups > 0)
	return tensor.GroupNorm(x, l.groups, l.Weight, l.Bias, said(l.Eps))
}

// features returns the number of channels as Weight has it, which a program may
// have replaced.
func (l *GroupNorm) features() int { return length(l.channels, l.Weight) }

// brief returns "GroupNorm(32, 256)", groups and channels, and what is not the
// default.
func (l *GroupNorm) brief() string {
	return "GroupNorm(" + list(
		fmt.Sprintf("%d, %d", l.groups, l.features()), epsString(l.Eps), when(l.Weight == nil, "no affine")) + ")"
}

// String returns what PyTorch prints: "GroupNorm(32, 256, eps=1e-05, affine=True, bias=True)".
func (l *GroupNorm) String() string {
	return fmt.Sprintf("GroupNorm(%d, %d, eps=%s, affine=%s, bias=%s)",
		l.groups, l.features(), float(l.Eps), python(l.Weight != nil), python(l.Bias != nil))
}

// Parts lists weight and bias.
func (l *GroupNorm) Parts() []Part { return []Part{Param("weight", l.Weight), Param("bias", l.Bias)} }

type groupNormConfig struct {
	Groups   int      `json:"num_groups"`
	Channels int      `json:"num_channels"`
	Eps      *float64 `json:"eps"`
	Affine   bool     `json:"affine"`
}

func (l *GroupNorm) Config() (string, []byte) {
	return config("GroupNorm", groupNormConfig{l.groups, l.features(), &l.Eps, l.Weight != nil})
}

func init() {
	register("GroupNorm", func(c groupNormConfig, r *room) (*GroupNorm, error) {
		l := newGroupNorm(c.Groups, c.Channels)
		if err := setEps(&l.Eps, c.Eps); err != nil {
			return nil, err
		}
		if c.Affine {
			if err := limit(r, c.Channels); err != nil {
				return nil, err
			}
			l.Weight, l.Bias = affine(c.Channels)
		}
		return l, nil
	})
}

// setEps sets eps to what a config gives; without it, the default stays.
func setEps(eps, given *float64) error {
	if given == nil {
		return nil
	}
	if *given < 0 {
		return fmt.Errorf("got eps %v, want 0 or more", *given)
	}
	*eps = *given
	return nil
}
