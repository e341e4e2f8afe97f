package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Random", "Bernoulli draws are words of Philox 4x32-10", testRandomPhilox},
		Row{"Random", "an element depends on Seed, Offset and its number only", testRandomPrefix},
		Row{"Random", "each distribution has its range and moments", testRandomMoments},
		Row{"Random", "different seeds and offsets give different numbers", testRandomIndependent},
	)
}

// philoxBlock is Philox 4x32-10 as its authors print it: ten rounds, with the
// key raised between them.
func philoxBlock(ctr [4]uint32, key [2]uint32) [4]uint32 {
	for round := range 10 {
		if round > 0 {
			key[0] += 0x9E3779B9
			key[1] += 0xBB67AE85
		}
		hi0, lo0 := uint32(uint64(ctr[0])*0xD2511F53>>32), ctr[0]*0xD2511F53
		hi1, lo1 := uint32(uint64(ctr[2])*0xCD9E8D57>>32), ctr[2]*0xCD9E8D57
		ctr = [4]uint32{hi1 ^ ctr[1] ^ key[0], lo1, hi0 ^ ctr[3] ^ key[1], lo0}
	}
	return ctr
}

func testRandomPhilox(t *testing.T, be backend.Backend) {
	// Known answers of the authors' library Random123.
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}, [2]uint32{^uint32(0), ^uint32(0)}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
	} {
		if got := philoxBlock(c.ctr, c.key); got != c.want {
			t.Fatalf("philox of %x with key %x: got %x, want %x", c.ctr, c.key, got, c.want)
		}
	}
	const seed, offset = 0x0123456789abcdef, 1<<32 - 2 // the counter crosses 32 bits
	const n = 23
	want := make([]float64, n)
	wantUniform := make([]float64, n)
	for i := range n {
		c := uint64(offset) + uint64(i/4)
		w := philoxBlock([4]uint32{uint32(c), uint32(c >> 32)}, [2]uint32{seed & 0xffffffff, seed >> 32})[i%4]
		if float64(w)/(1<<32) < 0.375 {
			want[i] = 2.5
		}
		wantUniform[i] = float64(w>>8) / (1 << 24)
	}
	r := backend.Random{Kind: backend.Bernoulli, A: 0.375, B: 2.5, Seed: seed, Offset: offset}
	f32, f64 := empty[float32](be, n), empty[float64](be, n)
	be.Random(f32, r)
	be.Random(f64, r)
	wantFloats(t, be, "float32", f32, want, 0)
	wantFloats(t, be, "float64", f64, want, 0)
	bools, wantBools := empty[bool](be, n), make([]bool, n)
	for i := range want {
		wantBools[i] = want[i] != 0
	}
	be.Random(bools, r)
	wantExact(t, be, "bool", bools, wantBools)
	be.Random(f32, backend.Random{Kind: backend.Uniform, A: 0, B: 1, Seed: seed, Offset: offset})
	wantFloats(t, be, "uniform float32", f32, wantUniform, 0)
}

var randomCases = []struct {
	name      string
	r         backend.Random
	lo, hi    float64 // of all elements, both included
	mean, std float64
}{
	{"Uniform [0, 1)", backend.Random{Kind: backend.Uniform, A: 0, B: 1}, 0, 1 - 0x1p-24, 0.5, math.Sqrt(1. / 12)},
	{"Uniform [-3, 5)", backend.Random{Kind: backend.Uniform, A: -3, B: 5}, -3, 5 - 0x1p-22, 1, 8 * math.Sqrt(1./12)},
	{"Normal", backend.Random{Kind: backend.Normal, A: 0, B: 1}, -7, 7, 0, 1},
	{"Normal around 4", backend.Random{Kind: backend.Normal, A: 4, B: 0.5}, 0, 8, 4, 0.5},
	{"Bernoulli", backend.Random{Kind: backend.Bernoulli, A: 0.2, B: 1}, 0, 1, 0.2, 0.4},
	{"Bernoulli, always", backend.Random{Kind: backend.Bernoulli, A: 1, B: 2}, 2, 2, 2, 0},
	{"Bernoulli, never", backend.Random{Kind: backend.Bernoulli, A: 0, B: 2}, 0, 0, 0, 0},
	{"Integers", backend.Random{Kind: backend.Integers, A: -2, B: 5}, -2, 4, 1, 2},
}

func testRandomPrefix(t *testing.T, be backend.Backend) {
	for _, c := range randomCases {
		r := c.r
		r.Seed, r.Offset = 11, 3
		randomPrefix[float32](t, be, c.name, r)
		randomPrefix[float64](t, be, c.name, r)
		if r.Kind == backend.Integers {
			randomPrefix[int64](t, be, c.name, r)
		}
	}
}

func randomPrefix[T elem](t *testing.T, be backend.Backend, name string, r backend.Random) {
	t.Helper()
	draw := func(n int, r backend.Random) []T {
		a := empty[T](be, n)
		be.Random(a, r)
		return get[T](be, a)
	}
	const n = 40003
	all := draw(n, r)
	for _, k := range []int{0, 1, 2, 3, 5, 20001, n} {
		for i, v := range draw(k, r) {
			if v != all[i] {
				t.Fatalf("%s, %v: element %d of %d: got %v, want %v as in a draw of %d", name, dtypeOf[T](), i, k, v, all[i], n)
			}
		}
	}
	later := r
	later.Offset += 2
	for i, v := range draw(9, later) {
		if v != all[i+8] {
			t.Fatalf("%s, %v: element %d from two counters later: got %v, want %v, element %d of the first draw", name, dtypeOf[T](), i, v, all[i+8], i+8)
		}
	}
}

func testRandomMoments(t *testing.T, be backend.Backend) {
	const n = 100_000
	for _, c := range randomCases {
		for _, dtype := range []backend.DType{backend.Float32, backend.Float64} {
			r := c.r
			r.Seed = 5
			a := empty[float64](be, n)
			if dtype == backend.Float32 {
				small := empty[float32](be, n)
				be.Random(small, r)
				be.Copy(a, small)
			} else {
				be.Random(a, r)
			}
			what := fmt.Sprintf("%s, %v", c.name, dtype)
			hi := c.hi
			if c.r.Kind == backend.Uniform && dtype == backend.Float64 {
				hi = math.Nextafter(c.r.B, c.r.A)
			}
			var sum, square, neighbours float64
			x := get[float64](be, a)
			for i, v := range x {
				if v < c.lo || v > hi {
					t.Fatalf("%s: element %d: got %v, want %v to %v", what, i, v, c.lo, hi)
				}
				sum += v
				square += (v - c.mean) * (v - c.mean)
				if i > 0 {
					neighbours += (v - c.mean) * (x[i-1] - c.mean)
				}
			}
			// Five standard errors; the distributions' fourth moments are 3 std⁴ at most, but for Bernoulli's.
			tol := 5 * c.std / math.Sqrt(n)
			if got := sum / n; math.Abs(got-c.mean) > tol {
				t.Errorf("%s: got mean %v, want %v within %v", what, got, c.mean, tol)
			}
			tol = 5 * 1.5 * c.std * c.std / math.Sqrt(n)
			if got := square / n; math.Abs(got-c.std*c.std) > tol {
				t.Errorf("%s: got variance %v, want %v within %v", what, got, c.std*c.std, tol)
			}
			if got := neighbours / n; math.Abs(got) > tol {
				t.Errorf("%s: got covariance %v of neighbours, want 0 within %v", what, got, tol)
			}
		}
	}
	// All values of a small range, the same number of times each.
	counts := map[int64]int{}
	a := empty[int64](be, n)
	be.Random(a, backend.Random{Kind: backend.Integers, A: -2, B: 5, Seed: 6})
	for _, v := range get[int64](be, a) {
		counts[v]++
	}
	for v := int64(-2); v < 5; v++ {
		if got := counts[v]; math.Abs(float64(got)-n/7.) > 5*math.Sqrt(n/7.) {
			t.Errorf("Integers from -2 to 4: got %d %d times, want about %d", v, got, n/7)
		}
	}
	if len(counts) != 7 {
		t.Errorf("Integers from -2 to 4: got %d different values, want 7", len(counts))
	}
}

func testRandomIndependent(t *testing.T, be backend.Backend) {
	draw := func(seed, offset uint64) []float64 {
		a := empty[float64](be, 1000)
		be.Random(a, backend.Random{Kind: backend.Uniform, A: 0, B: 1, Seed: seed, Offset: offset})
		return get[float64](be, a)
	}
	first := draw(1, 0)
	for _, other := range [][2]uint64{{2, 0}, {1 << 32, 0}, {1<<32 + 1, 0}, {1, 250}, {1, 1 << 32}} {
		same := 0
		for i, v := range draw(other[0], other[1]) {
			if v == first[i] {
				same++
			}
		}
		if same > 0 {
			t.Errorf("seed %d, offset %d: got %d of 1000 numbers equal to those of seed 1, offset 0, want none", other[0], other[1], same)
		}
	}
}
