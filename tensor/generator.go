package tensor

import (
	"sync"

	"github.com/wick-ml/wick/internal/backend"
)

// Generator is a source of random numbers: the counter-based Philox 4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). The same
// seed gives the same numbers on any number of cores. It may be used by several
// goroutines; which of them gets which numbers is then open.
type Generator struct {
	mu           sync.Mutex
	seed, offset uint64
}

var defaultGenerator = NewGenerator(0)

// NewGenerator returns a generator that starts from a seed.
func NewGenerator(seed uint64) *Generator { return &Generator{seed: seed} }

// DefaultGenerator returns the generator that random operations draw from when
// they are given none.
func DefaultGenerator() *Generator { return defaultGenerator }

// ManualSeed starts the default generator again from a seed. A program that never
// calls it starts from seed 0.
func ManualSeed(seed uint64) { defaultGenerator.SetState(seed, 0) }

// State returns the seed and how many numbers were drawn, in blocks of four;
// SetState goes on from there.
func (g *Generator) State() (seed, offset uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seed, g.offset
}

// SetState goes on from a state that State returned.
func (g *Generator) SetState(seed, offset uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seed, g.offset = seed, offset
}

// draw describes the next draw of n numbers. A nil generator is the default one.
func (g *Generator) draw(kind backend.RandomKind, a, b float64, n int) backend.Random {
	if g == nil {
		g = defaultGenerator
	}
	seed, offset := g.take(n)
	return backend.Random{Kind: kind, A: a, B: b, Seed: seed, Offset: offset, Renew: func() (seed, offset uint64) { return g.take(n) }}
}

// take counts a draw of n numbers and returns where it begins.
func (g *Generator) take(n int) (seed, offset uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	seed, offset = g.seed, g.offset
	g.offset += (uint64(n) + 3) / 4
	return seed, offset
}
