package layers

import (
	"fmt"
	"strings"

	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/tensor"
)

// PoolOpts are the options of [NewMaxPool2d] and [NewAvgPool2d], which have the kernel's
// size and the stride as arguments: Kernel and Stride are refused here.
type PoolOpts = tensor.PoolOpts

// poolSettings are a pooling's settings, all of them explicit; they are its config
// too.
type poolSettings struct {
	Kernel     [2]int `json:"kernel_size"`
	Stride     [2]int `json:"stride"`
	Padding    [2]int `json:"padding"`
	Dilation   [2]int `json:"dilation,omitzero"` // MaxPool2d only
	CeilMode   bool   `json:"ceil_mode,omitempty"`
	ExcludePad bool   `json:"exclude_pad,omitempty"`
	Divisor    int    `json:"divisor_override,omitempty"`
}

func poolSettingsOf(op string, o PoolOpts, kernel, stride int) poolSettings {
	if o.Kernel != 0 || o.Stride != 0 {
		fail(op, "got Kernel %d and Stride %d among the options, want them as arguments, or KernelHW and StrideHW", o.Kernel, o.Stride)
	}
	s := poolSettings{
		Kernel:     ops.Pair(o.KernelHW, kernel),
		Padding:    ops.Pair(o.PaddingHW, o.Padding),
		Dilation:   ops.Pair(o.DilationHW, orOne(o.Dilation)),
		CeilMode:   o.CeilMode,
		ExcludePad: o.ExcludePad,
		Divisor:    o.Divisor,
	}
	s.Stride = ops.Pair(o.StrideHW, stride)
	if s.Stride == [2]int{} {
		s.Stride = s.Kernel
	}
	return s
}

// check panics, as tensor operations do, if the settings make no sense.
func (s poolSettings) check(op string) {
	wantSize(op, "kernel size", 1, s.Kernel[:]...)
	wantSize(op, "stride", 1, s.Stride[:]...)
	wantSize(op, "padding", 0, s.Padding[:]...)
	wantSize(op, "divisor", 0, s.Divisor)
	for i := range 2 {
		if s.Padding[i] > s.Kernel[i]/2 {
			fail(op, "got padding %v for the kernel %v, want at most half of it", s.Padding, s.Kernel)
		}
	}
}

// brief returns the settings that are not the defaults: "2, 2, padding 1".
func (s poolSettings) brief() string {
	return list(
		strings.TrimSpace(sizes("", s.Kernel, 0)),
		strings.TrimSpace(sizes("", s.Stride, 0)),
		sizes("padding", s.Padding, 0),
		when(s.Dilation != [2]int{}, sizes("dilation", s.Dilation, 1)),
		when(s.CeilMode, "ceil mode"),
		when(s.ExcludePad, "exclude padding"),
		when(s.Divisor != 0, fmt.Sprintf("divisor %d", s.Divisor)))
}

func (s poolSettings) opts() tensor.PoolOpts {
	return tensor.PoolOpts{
		KernelHW: s.Kernel, StrideHW: s.Stride, PaddingHW: s.Padding, DilationHW: s.Dilation,
		CeilMode: s.CeilMode, ExcludePad: s.ExcludePad, Divisor: s.Divisor,
	}
}

// MaxPool2d takes the maximum of each window: [N C H W] becomes [N C P Q], where P
// is ⌊(H + 2·padding - dilation·(kernel-1) - 1) / stride⌋ + 1 and Q likewise.
// (torch.nn.MaxPool2d)
type MaxPool2d struct{ set poolSettings }

// NewMaxPool2d returns a MaxPool2d; stride 0 means the kernel's size, as in
// PyTorch.
func NewMaxPool2d(kernel, stride int, opts ...PoolOpts) *MaxPool2d {
	return newMaxPool2d(poolSettingsOf("NewMaxPool2d", option(opts), kernel, stride))
}

func newMaxPool2d(s poolSettings) *MaxPool2d {
	const op = "NewMaxPool2d"
	s.check(op)
	wantSize(op, "dilation", 1, s.Dilation[:]...)
	if s.ExcludePad || s.Divisor != 0 {
		fail(op, "got ExcludePad or Divisor, which only AvgPool2d has")
	}
	return &MaxPool2d{s}
}

// Forward returns the maximum of each window.
func (l *MaxPool2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("MaxPool2d", l != nil && l.set.Kernel != [2]int{})
	return tensor.MaxPool2d(x, l.set.opts())
}

// ForwardWithIndices returns the maximum of each window and where in its plane it
// is: row·W + column, Int64. (return_indices=True)
func (l *MaxPool2d) ForwardWithIndices(x *tensor.Tensor) (values, indices *tensor.Tensor) {
	wantMade("MaxPool2d", l != nil && l.set.Kernel != [2]int{})
	return tensor.MaxPool2dWithIndices(x, l.set.opts())
}

// brief returns "MaxPool2d(2, 2)": kernel, stride, and what is not the default.
func (l *MaxPool2d) brief() string { return "MaxPool2d(" + l.set.brief() + ")" }

// String returns what PyTorch prints: "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)".
func (l *MaxPool2d) String() string {
	return fmt.Sprintf("MaxPool2d(kernel_size=%s, stride=%s, padding=%s, dilation=%s, ceil_mode=%s)",
		number(l.set.Kernel), number(l.set.Stride), number(l.set.Padding), number(l.set.Dilation), python(l.set.CeilMode))
}

func (l *MaxPool2d) Parts() []Part { return nil }

func (l *MaxPool2d) Config() (string, []byte) { return config("MaxPool2d", l.set) }

func init() {
	register("MaxPool2d", func(s poolSettings, _ *room) (*MaxPool2d, error) { return newMaxPool2d(s), nil })
}

// AvgPool2d takes the mean of each window: [N C H W] becomes [N C P Q], where P is
// ⌊(H + 2·padding - kernel) / stride⌋ + 1 and Q likewise. (torch.nn.AvgPool2d)
type AvgPool2d struct{ set poolSettings }

// NewAvgPool2d returns an AvgPool2d; stride 0 means the kernel's size, as in
// PyTorch.
func NewAvgPool2d(kernel, stride int, opts ...PoolOpts) *AvgPool2d {
	return newAvgPool2d(poolSettingsOf("NewAvgPool2d", option(opts), kernel, stride))
}

func newAvgPool2d(s poolSettings) *AvgPool2d {
	const op = "NewAvgPool2d"
	s.check(op)
	if s.Dilation != [2]int{} && s.Dilation != [2]int{1, 1} {
		fail(op, "got dilation %v, which only MaxPool2d has", s.Dilation)
	}
	s.Dilation = [2]int{}
	return &AvgPool2d{s}
}

// Forward returns the mean of each window.
func (l *AvgPool2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("AvgPool2d", l != nil && l.set.Kernel != [2]int{})
	return tensor.AvgPool2d(x, l.set.opts())
}

// brief returns "AvgPool2d(2, 2)": kernel, stride, and what is not the default.
func (l *AvgPool2d) brief() string { return "AvgPool2d(" + l.set.brief() + ")" }

// String returns what PyTorch prints: "AvgPool2d(kernel_size=2, stride=2, padding=0)".
func (l *AvgPool2d) String() string {
	return fmt.Sprintf("AvgPool2d(kernel_size=%s, stride=%s, padding=%s)", number(l.set.Kernel), number(l.set.Stride), number(l.set.Padding))
}

func (l *AvgPool2d) Parts() []Part { return nil }

func (l *AvgPool2d) Config() (string, []byte) { return config("AvgPool2d", l.set) }

func init() {
	register("AvgPool2d", func(s poolSettings, _ *room) (*AvgPool2d, error) { return newAvgPool2d(s), nil })
}

// AdaptiveAvgPool2d divides each plane of [N C H W] into h × w windows that
// share it as evenly as possible and takes the mean of each: [N C h w]. The size -1
// leaves an axis as it is. (torch.nn.AdaptiveAvgPool2d, where it is None)
type AdaptiveAvgPool2d struct{ set adaptiveSettings }

type adaptiveSettings struct {
	Out [2]int `json:"output_size"`
}

// NewAdaptiveAvgPool2d returns an AdaptiveAvgPool2d whose result has h rows and w
// columns, -1 for as many as the input has.
func NewAdaptiveAvgPool2d(h, w int) *AdaptiveAvgPool2d {
	wantSize("NewAdaptiveAvgPool2d", "output size", -1, h, w)
	return &AdaptiveAvgPool2d{adaptiveSettings{[2]int{h, w}}}
}

// Forward returns the means.
func (l *AdaptiveAvgPool2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("AdaptiveAvgPool2d", l != nil)
	return tensor.AdaptiveAvgPool2d(x, l.set.Out[0], l.set.Out[1])
}

// brief returns "AdaptiveAvgPool2d(7, 7)".
func (l *AdaptiveAvgPool2d) brief() string {
	return fmt.Sprintf("AdaptiveAvgPool2d(%d, %d)", l.set.Out[0], l.set.Out[1])
}

// String returns what PyTorch prints: "AdaptiveAvgPool2d(output_size=(7, 7))".
func (l *AdaptiveAvgPool2d) String() string {
	return "AdaptiveAvgPool2d(output_size=" + strings.ReplaceAll(tuple(l.set.Out[:]...), "-1", "None") + ")"
}

func (l *AdaptiveAvgPool2d) Parts() []Part { return nil }

func (l *AdaptiveAvgPool2d) Config() (string, []byte) { return config("AdaptiveAvgPool2d", l.set) }

func init() {
	register("AdaptiveAvgPool2d", func(s adaptiveSettings, _ *room) (*AdaptiveAvgPool2d, error) {
		return NewAdaptiveAvgPool2d(s.Out[0], s.Out[1]), nil
	})
}
