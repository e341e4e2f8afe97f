//go:build !noasm

package kernels

var (
	Half512 = Half{
		WidenBF16:  blocks16(widenBF16512, PlainHalf.WidenBF16),
		NarrowBF16: blocks16(narrowBF16512, PlainHalf.NarrowBF16),
		WidenF16:   blocks16(widenF16512, PlainHalf.WidenF16),
		NarrowF16:  blocks16(narrowF16512, PlainHalf.NarrowF16),
		LoopsBF16:  &loopsBF16512,
	}
	half256 = Half{
		WidenBF16:  blocks16(widenBF16256, PlainHalf.WidenBF16),
		NarrowBF16: blocks16(narrowBF16256, PlainHalf.NarrowBF16),
		WidenF16:   blocks16(widenF16256, PlainHalf.WidenF16),
		NarrowF16:  blocks16(narrowF16256, PlainHalf.NarrowF16),
	}
)

// blocks16 puts a conversion of blocks of sixteen behind slices; what is left over
// goes through the Go loop.
func blocks16[D, S any](blocks func(dst *D, src *S, n int), plain func(dst []D, src []S)) func(dst []D, src []S) {
	return func(dst []D, src []S) {
		whole := len(dst) / 16 * 16
		if whole > 0 {
			blocks(&dst[0], &src[0], whole/16)
		}
		plain(dst[whole:], src[whole:len(dst)])
	}
}
