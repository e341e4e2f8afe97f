//go:build !noasm

package kernels

import (
	endian "encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

	"golang.org/x/sys/cpu"
)

// words are elements of half the size of a float32.
type words []uint16

func (w words) last(n, offset int) []uint16 {
	return w[len(w)-offset-n : len(w)-offset : len(w)-offset]
}

func (w words) fill(r *rand.Rand) words {
	for i := range w {
		w[i] = uint16(r.Uint32())
	}
	return w
}

// needsTileOps skips where what stages and finishes convolutions on tiles, which needs no tiles, cannot run.
func needsTileOps(t *testing.T) {
	if x := &cpu.X86; !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512VL {
		t.Skip("this processor or operating system has no AVX512BW with AVX512VL")
	}
}

func TestTilePairRows(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(51, 52))
	fa, fb, fdst := asmtest.NewFence(t, 40*3), asmtest.NewFence(t, 40*3), asmtest.NewFence(t, 3*80)
	for width := 1; width <= 67; width++ {
		for _, rows := range []int{1, 3} {
			offset, pitch := width%5, width+width%4
			a, b := words(fa.Halves()).fill(r).last(rows*width, offset), words(fb.Halves()).fill(r).last(rows*width, offset+1)
			n := (rows-1)*pitch + width
			want := slices.Clone(PairsOf(words(fdst.Halves()).fill(r)))
			dst := PairsOf(words(fdst.Halves()))
			at := len(dst) - n - offset
			for i := range rows {
				for j := range width {
					want[at+i*pitch+j] = uint32(a[i*width+j]) | uint32(b[i*width+j])<<16
				}
			}
			AMXAssembly.PairRows(dst[at:len(dst)-offset], a, b, rows, width, pitch)
			if !slices.Equal(dst, want) {
				t.Fatalf("%d rows of %d, %d apart: got %x, want %x", rows, width, pitch, dst[at:], want[at:])
			}
		}
	}
}

// anywhere returns sixteen places for rows of the given bytes, in no order, a multiple of unit apart, and the bytes that they span.
func anywhere(r *rand.Rand, bytes, unit int) (at [16]int, span int) {
	step := Ceil(bytes, unit)*unit + r.IntN(3)*unit
	for i, p := range r.Perm(16) {
		at[i] = p * step
	}
	return at, 15*step + bytes
}

func TestTilePairTurn(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(53, 54))
	fsrc, fdst := asmtest.NewFence(t, 4000), asmtest.NewFence(t, 4000)
	for round := range 60 {
		order := &AMXPairOrder
		if round%2 == 1 {
			order = &AMXPairOrder4
		}
		from, spanFrom := anywhere(r, 96+2*(round%7), 2)
		to, spanTo := anywhere(r, 64, 4)
		second, count, dstStep, srcStep, offset := 32+2*(round%7), 1+round%3, 4*(round%5), 2*(round%9), round%4
		for i := range from { // both runs lie in the span
			if from[i]+second+32 > spanFrom {
				spanFrom = from[i] + second + 32
			}
		}
		src := words(fsrc.Halves()).fill(r).last((spanFrom+(count-1)*srcStep)/2, offset)
		want := slices.Clone(PairsOf(words(fdst.Halves()).fill(r)))
		dst := PairsOf(words(fdst.Halves()))
		n := (spanTo + (count-1)*dstStep) / 4
		at := len(dst) - n - offset
		for c := range count {
			for j := range 16 {
				for i := range 16 {
					var row [32]uint16
					copy(row[:16], src[(from[i]+c*srcStep)/2:][:16])
					copy(row[16:], src[(from[i]+second+c*srcStep)/2:][:16])
					want[at+(to[j]+c*dstStep)/4+i] = uint32(row[order[2*j]]) | uint32(row[order[2*j+1]])<<16
				}
			}
		}
		AMXAssembly.PairTurn(dst[at:len(dst)-offset], &to, src, &from, second, order, count, dstStep, srcStep)
		if !slices.Equal(dst, want) {
			t.Fatalf("round %d: got %x, want %x", round, dst[at:], want[at:])
		}
	}
}

func TestTileTurn(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(55, 56))
	fsrc, fdst := asmtest.NewFence(t, 4000), asmtest.NewFence(t, 4000)
	for round := range 30 {
		from, spanFrom := anywhere(r, 64, 4)
		to, spanTo := anywhere(r, 64, 4)
		count, dstStep, srcStep, offset := 1+round%3, 4*(round%5), 4*(round%9), round%4
		all := PairsOf(words(fsrc.Halves()).fill(r))
		src := all[len(all)-offset-(spanFrom+(count-1)*srcStep)/4 : len(all)-offset]
		want := slices.Clone(PairsOf(words(fdst.Halves()).fill(r)))
		dst := PairsOf(words(fdst.Halves()))
		at := len(dst) - (spanTo+(count-1)*dstStep)/4 - offset
		for c := range count {
			for j := range 16 {
				for i := range 16 {
					want[at+(to[j]+c*dstStep)/4+i] = src[(from[i]+c*srcStep)/4+j]
				}
			}
		}
		AMXAssembly.Turn(dst[at:len(dst)-offset], &to, src, &from, count, dstStep, srcStep)
		if !slices.Equal(dst, want) {
			t.Fatalf("round %d: got %x, want %x", round, dst[at:], want[at:])
		}
	}
}

// special numbers: halves of a last bit of bfloat16, what is not a number, zeros, infinities and the smallest numbers.
var special = []uint32{0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x80000000, 0, 0x7f7fffff, 0xff800000, 0x7f800000, 0x7fc00001, 0xffa00000, 1, 0x80008000}

func randomizeSpecial(r *rand.Rand, s []float32) []float32 {
	for i := range asmtest.Randomize(r, s) {
		if r.IntN(4) == 0 {
			s[i] = math.Float32frombits(special[r.IntN(len(special))])
		}
	}
	return s
}

// finished is what finishing makes of a sum: one rounding, as by a fused multiply-add.
func finished(v, factor, summand float32, relu bool) float32 {
	f := float32(math.FMA(float64(v), float64(factor), float64(summand))) // exact before it is rounded, with factors of few bits
	if relu && f < 0 {
		return 0
	}
	return f
}

// sameFloat reports whether two numbers have the same bits but for which NaN they are.
func sameFloat(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

// few returns numbers of few bits, by which products are exact in float64.
func few(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.IntN(17)-8) / 4
	}
	return s
}

// finishing is where a kernel writes in both types, for comparison with what is wanted.
type finishing struct {
	wide asmtest.Fence
	half words
}

// check calls write for n elements of both types, and compares them with want, whose other elements are not written.
func (f *finishing) check(t *testing.T, r *rand.Rand, n, offset int, want map[int]float32, write func(dst Floats)) {
	t.Helper()
	asmtest.Randomize(r, f.wide)
	before := slices.Clone(f.wide)
	wide := f.wide.Last(n, offset)
	write(Floats{Wide: wide})
	for i, v := range f.wide {
		w, ok := want[i-(len(f.wide)-offset-n)]
		if !ok {
			w = before[i]
		}
		if !sameFloat(v, w) {
			t.Fatalf("float32 element %d: got %v, want %v (written: %t)", i-(len(f.wide)-offset-n), v, w, ok)
		}
	}
	f.half.fill(r)
	unchanged := slices.Clone(f.half)
	half := f.half.last(n, offset)
	write(Floats{Half: half})
	for i, v := range f.half {
		w, ok := want[i-(len(f.half)-offset-n)]
		expect := ToBFloat16(w)
		if !ok {
			expect = unchanged[i]
		}
		if v != expect && !(w != w && FromBFloat16(v) != FromBFloat16(v)) {
			t.Fatalf("bfloat16 element %d: got %x, want %x (written: %t)", i-(len(f.half)-offset-n), v, expect, ok)
		}
	}
}

func TestTileTurnTo(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(57, 58))
	fsrc := asmtest.NewFence(t, 4000)
	f := finishing{asmtest.NewFence(t, 4000), words(asmtest.NewFence(t, 4000).Halves())}
	for round := range 60 {
		from, spanFrom := anywhere(r, 64, 4)
		count, srcStep, offset, relu := 1+round%3, 4*(round%9), round%4, round%2 == 1
		src := randomizeSpecial(r, fsrc.Last((spanFrom+(count-1)*srcStep)/4, offset))
		affine := few(r, 32*count)
		step := 16 + round%5 // from one column to the next, in elements
		order := r.Perm(16)
		n := 15*step + 16 + (count-1)*3
		want := map[int]float32{}
		for c := range count {
			for j, p := range order {
				for i := range 16 {
					want[p*step+c*3+i] = finished(src[(from[i]+c*srcStep)/4+j], affine[32*c+i], affine[32*c+16+i], relu)
				}
			}
		}
		f.check(t, r, n, offset, want, func(dst Floats) {
			var to [16]int
			for j, p := range order {
				to[j] = p * step * dst.Size()
			}
			AMXAssembly.TurnTo(dst, &to, src, &from, affine, relu, count, 3*dst.Size(), srcStep)
		})
	}
}

func TestTileRowsTo(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(59, 60))
	fsrc := asmtest.NewFence(t, 1000)
	f := finishing{asmtest.NewFence(t, 1000), words(asmtest.NewFence(t, 1000).Halves())}
	for width := 1; width <= 67; width++ {
		for round := range 4 {
			rows, offset, pitch, relu := 1+2*(round/2), (width+round)%4, width+width%5, round%2 == 1
			src := randomizeSpecial(r, fsrc.Last((rows-1)*pitch+width, offset))
			by := few(r, 2)
			want := map[int]float32{}
			for i := range rows {
				for j := range width {
					want[i*width+j] = finished(src[i*pitch+j], by[0], by[1], relu)
				}
			}
			f.check(t, r, rows*width, offset, want, func(dst Floats) {
				AMXAssembly.RowsTo(dst, src, rows, width, pitch, by[0], by[1], relu)
			})
		}
	}
}

func TestTileGather(t *testing.T) {
	needsTileOps(t)
	r := rand.New(rand.NewPCG(61, 62))
	fsrc, fdst := asmtest.NewFence(t, 16<<10), asmtest.NewFence(t, 16<<10)
	for taps := 2; taps <= 25; taps++ {
		for round := range 4 {
			lane, rows, offset := taps+round*3, 1+5*(round%3), round
			row := 32*lane + round
			src := words(fsrc.Halves()).fill(r).last((rows-1)*row+31*lane+taps, offset)
			turned := round%2 == 1
			tap, first := 64*rows+64*round, 0
			if turned {
				tap, first = -tap, (taps-1)*tap
			}
			n := (first + max(0, (taps-1)*tap) + 64*rows) / 2
			want := slices.Clone(words(fdst.Halves()).fill(r))
			dst := words(fdst.Halves())
			at := len(dst) - n - offset
			for i := range rows {
				for k := range taps {
					for l := range 32 {
						want[at+(first+k*tap+64*i)/2+l] = src[i*row+l*lane+k]
					}
				}
			}
			AMXAssembly.Gather(dst[at+first/2:], src, 2*lane, taps, rows, 2*row, tap)
			if !slices.Equal(dst, want) {
				t.Fatalf("%d taps, round %d: got %x, want %x", taps, round, dst[at:], want[at:])
			}
		}
	}
}

// TestAMXSums is testTileSums where the processor has tiles, otherwise in a child under the emulator.
func TestAMXSums(t *testing.T) {
	if !cpu.X86.HasAVX512BF16 || !cpu.X86.HasAVX512BW {
		t.Skip("this processor or operating system has no AVX512_BF16")
	}
	if DetectAMX() == nil && os.Getenv(asmtest.AMXEmulated) == "" {
		asmtest.RunAMX(t, "TestAMXSums", 3*time.Minute)
		return
	}
	testTileSums(t)
}

// testTileSums compares the sums with the emulator's model, bit by bit: tiles anywhere, some of them twice, and none.
func testTileSums(t *testing.T) {
	for count := 1; count <= 3; count++ {
		testTileSumsOf(t, count)
	}
}

func testTileSumsOf(t *testing.T, count int) {
	r := rand.New(rand.NewPCG(63, 64))
	fa, fb, fc := asmtest.NewFence(t, 8<<10), asmtest.NewFence(t, 8<<10), asmtest.NewFence(t, 8<<10)
	load := func(s []uint16, at, stride int) (tile asmtest.AMXTile) {
		for i := range 16 {
			for j, v := range s[(at+i*stride)/2:][:32] {
				endian.LittleEndian.PutUint16(tile[64*i+2*j:], v)
			}
		}
		return tile
	}
	for round := range 8 {
		strideA, strideB, strideC := []int{64, 192, 70}[round%3], []int{128, 196, 320}[round%3], []int{128, 132, 320}[round%3]
		sizeA, sizeB, sizeC := 31*strideA+64+(count-1)*AMXTileBytes, 15*strideB+128+(count-1)*AMXTileBytes, 31*strideC+128
		const room = 200
		offset := round % 4
		numbers := func(w words) []uint16 { // finite ones
			for i := range w {
				w[i] = ToBFloat16(2*r.Float32() - 1)
			}
			return w
		}
		a, b := numbers(words(fa.Halves()).last(sizeA/2+room, offset)), numbers(words(fb.Halves()).last(sizeB/2+room, 2*offset))
		c := asmtest.Randomize(r, fc.Last(2*sizeC/4, offset))
		steps := make([]AMXStep, 5)
		for i := range steps {
			steps[i] = AMXStep{2 * r.IntN(room/2), 4 * r.IntN(room/4)}
		}
		steps[3] = steps[1]
		blocks := []AMXBlock{{A: 2 * (round % 50), B: 4 * (round % 20), C: 0, First: 1, Steps: 4}, {A: 10, B: 12, C: sizeC, First: 0, Steps: []int{0, 2}[round/2%2]}}
		geom := AMXGeom{strideA, strideB, strideC, round % 2}
		before := slices.Clone(fc)
		want := slices.Clone(c)
		for _, block := range blocks {
			for half := range 4 {
				row, col := half/2*16, half%2*16
				at := func(e int) int { return (block.C + (row+e/16)*strideC) / 4 } // of the row
				var sum asmtest.AMXTile
				for e := range 256 {
					if geom.Add != 0 {
						endian.LittleEndian.PutUint32(sum[4*e:], math.Float32bits(want[at(e)+col+e%16]))
					}
				}
				for _, s := range steps[block.First:][:block.Steps] {
					for _, p := range [][][2]int{{{0, 0}}, {{1, 0}, {0, 0}, {0, 1}}, {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}}}[count-1] {
						x, y := load(a, p[0]*AMXTileBytes+block.A+s.A+row*strideA, strideA), load(b, p[1]*AMXTileBytes+block.B+s.B+4*col, strideB)
						asmtest.AMXDot(&sum, &x, &y, 16, 16, 16)
					}
				}
				for e := range 256 {
					want[at(e)+col+e%16] = math.Float32frombits(endian.LittleEndian.Uint32(sum[4*e:]))
				}
			}
		}
		AMXAssembly.Parts[count-1].Sums(blocks, steps, a, b, c, &geom)
		for i, v := range c {
			if !sameFloat(v, want[i]) {
				t.Fatalf("%d parts, round %d, element %d: got %v, want %v", count, round, i, v, want[i])
			}
		}
		end := len(fc) - offset
		if !slices.Equal(fc[:end-len(c)], before[:end-len(c)]) || !slices.Equal(fc[end:], before[end:]) {
			t.Fatalf("round %d: wrote outside of the sums", round)
		}
	}
}

// TestTileSplit compares the splitting of rows and of pairs of rows with the plain one.
func TestTileSplit(t *testing.T) {
	needsTileOps(t)
	if !cpu.X86.HasAVX512BF16 || !cpu.X86.HasAVX512BW {
		t.Skip("this processor or operating system has no AVX512_BF16")
	}
	r := rand.New(rand.NewPCG(67, 68))
	fsrc, fdst := asmtest.NewFence(t, 40*300), asmtest.NewFence(t, 3*300*16)
	for count := 1; count <= 3; count++ {
		p := &AMXAssembly.Parts[count-1]
		split := asmtest.SplitPlainly(count, AMXSide)
		for k := 1; k <= 260; k += 1 + k/68*31 {
			for _, lanes := range []int{1, 1 + k%31, 16, 32} {
				offset, groups := k%4, Ceil(k, AMXSide)
				// The plain one takes rows of 32 lanes, one for each k, and lays pairs of rows.
				panel, want := make([]float32, k*AMXSide), make([]uint16, groups*count*AMXTileBytes/2)
				for i := range k {
					randomizeSpecial(r, panel[i*AMXSide:][:lanes])
				}
				split(want, panel, AMXSide, k)
				check := func(what string, dst []uint16, place func(group, l, i int) int, write func(dst []uint16)) {
					t.Helper()
					before := slices.Clone(words(fdst.Halves()).fill(r))
					write(dst)
					for group := range groups * count {
						for l := range lanes {
							for i := range AMXSide {
								w := want[group*AMXTileBytes/2+i/2*2*AMXSide+2*l+i%2]
								if v := dst[place(group, l, i)]; v != w && !(FromBFloat16(v) != FromBFloat16(v) && FromBFloat16(w) != FromBFloat16(w)) {
									t.Fatalf("%s of %d parts, %d lanes, k %d: tile %d, lane %d, depth %d: got %x, want %x", what, count, lanes, k, group, l, i, v, w)
								}
							}
						}
					}
					if n := len(before) - len(dst) - 2*offset; !slices.Equal(before[:n], words(fdst.Halves())[:n]) || !slices.Equal(before[len(before)-2*offset:], words(fdst.Halves())[len(before)-2*offset:]) {
						t.Fatalf("%s of %d parts, %d lanes, k %d: wrote outside of the tiles", what, count, lanes, k)
					}
				}
				dst := words(fdst.Halves()).last(len(want), 2*offset)
				ld := k + offset
				src := fsrc.Last((lanes-1)*ld+k, offset)
				for l := range lanes {
					for i := range k {
						src[l*ld+i] = panel[i*AMXSide+l]
					}
				}
				check("rows", dst, func(group, l, i int) int { return group*AMXTileBytes/2 + l*AMXSide + i }, func(dst []uint16) { p.SplitRows(dst, src, 4*ld, lanes, k) })
				ld = lanes + offset
				pairs := fsrc.Last((k-1)*ld+lanes, offset)
				for i := range k {
					copy(pairs[i*ld:], panel[i*AMXSide:][:lanes])
				}
				check("pairs", dst, func(group, l, i int) int { return group*AMXTileBytes/2 + i/2*2*AMXSide + 2*l + i%2 }, func(dst []uint16) { p.SplitPairs(dst, pairs, 4*ld, lanes, k) })
			}
		}
	}
}
