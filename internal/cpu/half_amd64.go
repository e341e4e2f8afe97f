//go:build !noasm

package cpu

var (
	half512 = halfKernels{
		widenBF16:  blocks16(widenBF16512, plainHalf.widenBF16),
		narrowBF16: blocks16(narrowBF16512, plainHalf.narrowBF16),
		widenF16:   blocks16(widenF16512, plainHalf.widenF16),
		narrowF16:  blocks16(narrowF16512, plainHalf.narrowF16),
		loopsBF16:  &loopsBF16512,
	}
	half256 = halfKernels{
		widenBF16:  blocks16(widenBF16256, plainHalf.widenBF16),
		narrowBF16: blocks16(narrowBF16256, plainHalf.narrowBF16),
		widenF16:   blocks16(widenF16256, plainHalf.widenF16),
		narrowF16:  blocks16(narrowF16256, plainHalf.narrowF16),
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
