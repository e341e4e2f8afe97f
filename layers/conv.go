package layers

import (
	"fmt"

	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/tensor"
)

// ConvOpts are the options of [NewConv2d] and [NewConvTranspose2d].
type ConvOpts = tensor.ConvOpts

// convSettings are a convolution's settings, all of them explicit; they are its
// config too.
type convSettings struct {
	In            int    `json:"in_channels"`
	Out           int    `json:"out_channels"`
	Kernel        [2]int `json:"kernel_size"`
	Stride        [2]int `json:"stride"`
	Padding       [2]int `json:"padding"`
	Same          bool   `json:"same,omitzero"`
	Dilation      [2]int `json:"dilation"`
	OutputPadding [2]int `json:"output_padding,omitzero"`
	Groups        int    `json:"groups"`
	Bias          bool   `json:"bias"`
}

func settingsOf(o ConvOpts, in, out, kernel int) convSettings {
	return convSettings{
		In: in, Out: out,
		Kernel:        ops.Pair(o.KernelHW, kernel),
		Stride:        ops.Pair(o.StrideHW, orOne(o.Stride)),
		Padding:       ops.Pair(o.PaddingHW, o.Padding),
		Same:          o.Same,
		Dilation:      ops.Pair(o.DilationHW, orOne(o.Dilation)),
		OutputPadding: ops.Pair(o.OutputPaddingHW, o.OutputPadding),
		Groups:        orOne(o.Groups),
		Bias:          !o.NoBias,
	}
}

// orOne returns v, or 1 if it is 0.
func orOne(v int) int {
	if v == 0 {
		return 1
	}
	return v
}

// check panics, as tensor operations do, if the settings make no sense.
func (s convSettings) check(op string) {
	wantSize(op, "channels", 1, s.In, s.Out)
	wantSize(op, "kernel size", 1, s.Kernel[:]...)
	wantSize(op, "stride", 1, s.Stride[:]...)
	wantSize(op, "dilation", 1, s.Dilation[:]...)
	wantSize(op, "groups", 1, s.Groups)
	wantSize(op, "padding", 0, s.Padding[:]...)
	wantSize(op, "output padding", 0, s.OutputPadding[:]...)
	if s.Same && (s.Stride != [2]int{1, 1} || s.Padding != [2]int{}) {
		fail(op, "stride %v and padding %v do not go with Same, which keeps the size: want stride 1 and no padding", s.Stride, s.Padding)
	}
	if s.In%s.Groups != 0 || s.Out%s.Groups != 0 {
		fail(op, "%d channels in and %d out cannot be split into %d groups", s.In, s.Out, s.Groups)
	}
}

// brief returns the settings that are not the defaults: "3, 64, kernel 3, padding 1".
func (s convSettings) brief() string {
	return list(
		fmt.Sprintf("%d, %d", s.In, s.Out),
		sizes("kernel", s.Kernel, 0),
		sizes("stride", s.Stride, 1),
		sizes("padding", s.Padding, 0),
		when(s.Same, "padding same"),
		sizes("dilation", s.Dilation, 1),
		sizes("output padding", s.OutputPadding, 0),
		when(s.Groups != 1, fmt.Sprintf("groups %d", s.Groups)),
		when(!s.Bias, "no bias"))
}

func (s convSettings) text() string {
	not := func(name string, v [2]int, zero int) string {
		return when(v != [2]int{zero, zero}, name+"="+tuple(v[:]...))
	}
	return list(
		fmt.Sprintf("%d, %d, kernel_size=%s, stride=%s", s.In, s.Out, tuple(s.Kernel[:]...), tuple(s.Stride[:]...)),
		not("padding", s.Padding, 0), when(s.Same, "padding=same"), not("dilation", s.Dilation, 1), not("output_padding", s.OutputPadding, 0),
		when(s.Groups != 1, fmt.Sprintf("groups=%d", s.Groups)),
		when(!s.Bias, "bias=False"))
}

// Conv2d convolves [N in H W] to [N out P Q], where P is
// ⌊(H + 2·padding - dilation·(kernel-1) - 1) / stride⌋ + 1 and Q likewise. Weight
// is [out in/groups kernel kernel], Bias [out] or nil. (torch.nn.Conv2d)
type Conv2d struct {
	Weight, Bias *tensor.Tensor

	set convSettings
}

// NewConv2d returns a Conv2d whose weight and bias are drawn from U(-b, b),
// b = 1/√(in/groups · kernel · kernel), as in PyTorch.
func NewConv2d(in, out, kernel int, opts ...ConvOpts) *Conv2d {
	return newConv2d(settingsOf(option(opts), in, out, kernel))
}

func newConv2d(s convSettings) *Conv2d {
	const op = "NewConv2d"
	s.check(op)
	if s.OutputPadding != [2]int{} {
		fail(op, "got output padding %v, which only ConvTranspose2d has", s.OutputPadding)
	}
	l := &Conv2d{Weight: parameter(s.Out, s.In/s.Groups, s.Kernel[0], s.Kernel[1]), set: s}
	if s.Bias {
		l.Bias = parameter(s.Out)
	}
	initFanIn(l.Weight, l.Bias)
	return l
}

// settings returns the settings as Weight and Bias have them, which a program may
// have replaced.
func (l *Conv2d) settings() convSettings {
	s := l.set.of(l.Bias)
	if l.Weight != nil && l.Weight.Dim() == 4 {
		w := l.Weight.Shape()
		s.Out, s.In, s.Kernel = w[0], w[1]*s.Groups, [2]int{w[2], w[3]}
	}
	return s
}

// of returns the settings of a layer with this bias; zeros, those of a layer that
// no constructor made, are the defaults.
func (s convSettings) of(bias *tensor.Tensor) convSettings {
	for i := range 2 {
		s.Stride[i], s.Dilation[i] = orOne(s.Stride[i]), orOne(s.Dilation[i])
	}
	s.Groups, s.Bias = orOne(s.Groups), bias != nil
	return s
}

// Forward convolves x.
func (l *Conv2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("Conv2d", l != nil && l.Weight != nil)
	return tensor.Conv2d(x, l.Weight, l.Bias, l.opts())
}

func (l *Conv2d) opts() tensor.ConvOpts {
	return tensor.ConvOpts{StrideHW: l.set.Stride, PaddingHW: l.set.Padding, DilationHW: l.set.Dilation, Groups: l.set.Groups, Same: l.set.Same}
}

// brief returns "Conv2d(3, 64, kernel 3, padding 1)".
func (l *Conv2d) brief() string { return "Conv2d(" + l.settings().brief() + ")" }

// String returns what PyTorch prints: "Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))".
func (l *Conv2d) String() string { return "Conv2d(" + l.settings().text() + ")" }

// Parts lists weight and bias.
func (l *Conv2d) Parts() []Part { return []Part{Param("weight", l.Weight), Param("bias", l.Bias)} }

func (l *Conv2d) Config() (string, []byte) { return config("Conv2d", l.settings()) }

func init() {
	register("Conv2d", func(s convSettings, r *room) (*Conv2d, error) {
		if err := limit(r, s.Out, s.In/max(s.Groups, 1), s.Kernel[0], s.Kernel[1]); err != nil {
			return nil, err
		}
		return newConv2d(s), nil
	})
}

// ConvTranspose2d is Conv2d's gradient as a layer: it takes [N in H W] to
// [N out P Q], where P is
// (H-1)·stride - 2·padding + dilation·(kernel-1) + outputPadding + 1 and Q
// likewise. Weight is [in out/groups kernel kernel], Bias [out] or nil.
// (torch.nn.ConvTranspose2d)
type ConvTranspose2d struct {
	Weight, Bias *tensor.Tensor

	set convSettings
}

// NewConvTranspose2d returns a ConvTranspose2d whose weight and bias are drawn from
// U(-b, b), b = 1/√(out/groups · kernel · kernel), as in PyTorch.
func NewConvTranspose2d(in, out, kernel int, opts ...ConvOpts) *ConvTranspose2d {
	return newConvTranspose2d(settingsOf(option(opts), in, out, kernel))
}

func newConvTranspose2d(s convSettings) *ConvTranspose2d {
	const op = "NewConvTranspose2d"
	s.check(op)
	if s.Same {
		fail(op, "got Same, which only Conv2d has; padding and output padding set the size of a transposed convolution")
	}
	l := &ConvTranspose2d{Weight: parameter(s.In, s.Out/s.Groups, s.Kernel[0], s.Kernel[1]), set: s}
	if s.Bias {
		l.Bias = parameter(s.Out)
	}
	initFanIn(l.Weight, l.Bias)
	return l
}

// settings returns the settings as Weight and Bias have them, which a program may
// have replaced.
func (l *ConvTranspose2d) settings() convSettings {
	s := l.set.of(l.Bias)
	if l.Weight != nil && l.Weight.Dim() == 4 {
		w := l.Weight.Shape()
		s.In, s.Out, s.Kernel = w[0], w[1]*s.Groups, [2]int{w[2], w[3]}
	}
	return s
}

// Forward convolves x.
func (l *ConvTranspose2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("ConvTranspose2d", l != nil && l.Weight != nil)
	return tensor.ConvTranspose2d(x, l.Weight, l.Bias, tensor.ConvOpts{
		StrideHW: l.set.Stride, PaddingHW: l.set.Padding, DilationHW: l.set.Dilation, Groups: l.set.Groups,
		OutputPaddingHW: l.set.OutputPadding})
}

// brief returns "ConvTranspose2d(64, 3, kernel 2, stride 2)".
func (l *ConvTranspose2d) brief() string { return "ConvTranspose2d(" + l.settings().brief() + ")" }

// String returns what PyTorch prints: "ConvTranspose2d(64, 3, kernel_size=(2, 2), stride=(2, 2))".
func (l *ConvTranspose2d) String() string { return "ConvTranspose2d(" + l.settings().text() + ")" }

// Parts lists weight and bias.
func (l *ConvTranspose2d) Parts() []Part {
	return []Part{Param("weight", l.Weight), Param("bias", l.Bias)}
}

func (l *ConvTranspose2d) Config() (string, []byte) { return config("ConvTranspose2d", l.settings()) }

func init() {
	register("ConvTranspose2d", func(s convSettings, r *room) (*ConvTranspose2d, error) {
		if err := limit(r, s.In, s.Out/max(s.Groups, 1), s.Kernel[0], s.Kernel[1]); err != nil {
			return nil, err
		}
		return newConvTranspose2d(s), nil
	})
}
