package main

import "golang.org/x/sys/cpu"

// fma512 and fma256 do loops times twelve multiply-adds of a register of 16 or 8
// float32, each independent of the others.
//
//go:noescape
func fma512(loops int)

//go:noescape
func fma256(loops int)

// multiplyAdds does multiply-adds as fast as one core can, in so many loops, and
// returns their number; 0 where it has no way.
func multiplyAdds(loops int) int {
	switch {
	case cpu.X86.HasAVX512F:
		fma512(loops)
		return 12 * 16 * loops
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		fma256(loops)
		return 12 * 8 * loops
	}
	return 0
}
