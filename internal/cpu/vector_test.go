package cpu

import "testing"

// BenchmarkVector runs the loops that pass over memory on one core, each level of
// them, over arrays that the caches do not hold. MB/s counts what is read and
// written; copy is what the memory gives.
func BenchmarkVector(b *testing.B) {
	const n, count = 1 << 22, 64
	var s [4][]float32
	for i := range s {
		s[i] = make([]float32, n)
		for j := range s[i] {
			s[i][j] = float32((i+j)%7) * 0.25
		}
	}
	w, x, y, z := s[0], s[1], s[2], s[3]
	adam := &adamNumbers[float32]{1, 0, 1, 0.001, 1, 1e-8, 0.999, 0.1, 0.001}
	sgd := &sgdNumbers[float32]{1, 0, 0.001, 0.9, 1, false}
	g := rows{count: count, stride: n / count, n: n / count}
	loops := []struct {
		name   string
		arrays int // read or written
		run    func(kn *vector[float32])
	}{
		{"copy", 2, func(*vector[float32]) { copy(w, x) }},
		{"sumsAbout", 1, func(kn *vector[float32]) { kn.sumsAbout(x, g, 1) }},
		{"normalize", 2, func(kn *vector[float32]) { kn.normalize(w, x, g, 1, 2, 3, true) }},
		{"sumAndDot", 3, func(kn *vector[float32]) { kn.sumAndDot(x, z, y, g, 1) }},
		{"normalizeGrad", 4, func(kn *vector[float32]) { kn.normalizeGrad(w, x, z, y, g, 1, 2, 3, 4) }},
		{"sum", 1, func(kn *vector[float32]) { kn.sum(x) }},
		{"sumSquares", 1, func(kn *vector[float32]) { kn.sumSquares(x) }},
		{"relu", 2, func(kn *vector[float32]) { kn.relu(w, x) }},
		{"reluGrad", 3, func(kn *vector[float32]) { kn.reluGrad(w, x, y) }},
		{"add", 3, func(kn *vector[float32]) { kn.add(w, x, y) }},
		{"adam", 7, func(kn *vector[float32]) { kn.adam(w, x, y, z, nil, adam) }},
		{"sgd", 5, func(kn *vector[float32]) { kn.sgd(w, x, y, sgd) }},
		{"maxPool2x2", 1, func(kn *vector[float32]) { kn.maxPool2x2(w, x, n/64, 32, 16) }},
		{"maxPoolGrad2x2", 2, func(kn *vector[float32]) { kn.maxPoolGrad2x2(w, z, x, y, n/64, 32, 16) }},
	}
	for _, loop := range loops {
		for _, l := range levels {
			if loop.name == "copy" && l.name != "generic" {
				continue
			}
			b.Run(loop.name+"/"+l.name, func(b *testing.B) {
				b.SetBytes(int64(4 * n * loop.arrays))
				for b.Loop() {
					loop.run(l.vector)
				}
			})
		}
	}
}
