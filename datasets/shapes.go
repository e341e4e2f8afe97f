package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/wick-ml/wick/datasets/transforms"
)

// Shapes is a data set that is drawn in code: 32×32 colour images of ten
// shapes, 10,000 for training and 2,000 for testing, a tenth of each class.
// Place, size, tilt, colours and noise are random. It has the form of CIFAR-10
// and needs no network: a linear model stays below 60 % of the test images, a
// small convolutional network passes 95 % in two epochs of Adam.
type Shapes struct{ *Images }

// ShapesOpts says which part of Shapes is wanted, and how.
type ShapesOpts struct {
	Train     bool                 // the training images rather than the test images
	Seed      uint64               // another seed draws other images
	Transform transforms.Transform // of each image; nil means transforms.ToTensor()
}

const (
	shapesTrain = 10000
	shapesTest  = 2000
)

// NewShapes draws the images of one part. The same seed draws the same
// images everywhere.
func NewShapes(opts ShapesOpts) *Shapes {
	n, part := shapesTest, uint64(1)
	if opts.Train {
		n, part = shapesTrain, 0
	}
	pixels, labels := make([]byte, n*cifarBytes), make([]uint8, n)
	var classes []string
	for _, s := range shapeKinds {
		classes = append(classes, s.name)
	}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				labels[i] = uint8(i % len(shapeKinds))
				r := rand.New(rand.NewPCG(mix(opts.Seed), mix(part<<32|uint64(i))))
				drawShape(pixels[i*cifarBytes:(i+1)*cifarBytes], shapeKinds[labels[i]].distance, r)
			}
		})
	}
	wg.Wait()
	p, err := NewImages(pixels, 3, cifarSide, cifarSide, labels, classes, opts.Transform)
	if err != nil {
		panic(fmt.Sprintf("datasets: Shapes: %v", err)) // the sizes above are constant
	}
	return &Shapes{p}
}

// point is a place in a shape's own coordinates: its middle is (0, 0), it is
// about two wide, and y points down.
type point struct{ x, y float64 }

func (p point) minus(q point) point { return point{p.x - q.x, p.y - q.y} }
func (p point) length() float64     { return math.Sqrt(p.x*p.x + p.y*p.y) }

// A distance is negative inside of a shape, and how far away its edge is
// elsewhere, at least close to it. Drawing with it gives smooth edges.
var shapeKinds = []struct {
	name     string
	distance func(p point) float64
}{
	{"circle", func(p point) float64 { return p.length() - 0.9 }},
	{"ring", func(p point) float64 { return math.Abs(p.length()-0.74) - 0.2 }},
	{"square", func(p point) float64 { return box(p, 0.8, 0.8) }},
	{"triangle", polygon(spikes(3, 1.1, 1.1))},
	{"star", polygon(spikes(5, 1.15, 0.46))},
	{"cross", func(p point) float64 { return min(box(p, 1, 0.3), box(p, 0.3, 1)) }},
	{"heart", heart},
	{"moon", func(p point) float64 { return max(p.length()-0.98, 0.82-p.minus(point{0.5, -0.1}).length()) }},
	{"arrow", polygon([]point{{-1, -0.26}, {0.05, -0.26}, {0.05, -0.78}, {1.05, 0}, {0.05, 0.78}, {0.05, 0.26}, {-1, 0.26}})},
	{"bars", func(p point) float64 { return box(point{p.x, math.Abs(p.y) - 0.5}, 0.88, 0.26) }},
}

func box(p point, w, h float64) float64 {
	x, y := math.Abs(p.x)-w, math.Abs(p.y)-h
	return point{max(x, 0), max(y, 0)}.length() + min(max(x, y), 0)
}

var heartTip = polygon([]point{{-0.84, 0.02}, {0, -0.5}, {0.84, 0.02}, {0, 1}})

func heart(p point) float64 {
	lobe := point{math.Abs(p.x), p.y}.minus(point{0.46, -0.3}).length() - 0.5
	return min(lobe, heartTip(p))
}

// spikes returns the corners of a star with n points, the first at the top; with
// the same radius twice, of a regular polygon.
func spikes(n int, outer, inner float64) []point {
	var ps []point
	for i := range 2 * n {
		radius := outer
		if i%2 == 1 {
			if inner == outer {
				continue
			}
			radius = inner
		}
		sin, cos := math.Sincos(math.Pi * float64(i) / float64(n))
		ps = append(ps, point{radius * sin, -radius * cos})
	}
	return ps
}

// polygon returns the distance to the polygon with the given corners: that of
// the closest edge, and inside where a ray to the right crosses an odd number of
// edges.
func polygon(corners []point) func(p point) float64 {
	return func(p point) float64 {
		closest, inside := math.Inf(1), false
		b := corners[len(corners)-1]
		for _, a := range corners {
			edge, to := b.minus(a), p.minus(a)
			along := min(max((to.x*edge.x+to.y*edge.y)/(edge.x*edge.x+edge.y*edge.y), 0), 1)
			closest = min(closest, to.minus(point{edge.x * along, edge.y * along}).length())
			if (a.y > p.y) != (b.y > p.y) && p.x < a.x+(p.y-a.y)*edge.x/edge.y {
				inside = !inside
			}
			b = a
		}
		if inside {
			return -closest
		}
		return closest
	}
}

// drawShape draws an image of 32×32 into dst, plane by plane.
func drawShape(dst []byte, distance func(p point) float64, r *rand.Rand) {
	const side = cifarSide
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
	size := between(8.5, 12) // pixels from the middle to the edge
	room := side/2 - size
	cx, cy := side/2+between(-room, room), side/2+between(-room, room)
	sin, cos := math.Sincos(between(-0.5, 0.5))

	// The background runs from one colour to a similar one across the image;
	// the shape's colour is brighter than both.
	var from, to, ink [3]float64
	for {
		for k := range 3 {
			from[k] = between(0, 200)
			to[k] = from[k] + between(-45, 45)
			ink[k] = between(40, 255)
		}
		if luminance(ink)-max(luminance(from), luminance(to)) > 50 {
			break
		}
	}
	gsin, gcos := math.Sincos(between(0, 2*math.Pi))
	noise := between(2, 10)

	for y := range side {
		for x := range side {
			px, py := float64(x)+0.5-cx, float64(y)+0.5-cy
			d := size * distance(point{(px*cos + py*sin) / size, (py*cos - px*sin) / size})
			cover := min(max(0.5-d, 0), 1)
			slope := 0.5 + ((float64(x)-side/2)*gcos+(float64(y)-side/2)*gsin)/(1.5*side)
			for k := range 3 {
				v := from[k] + (to[k]-from[k])*slope
				v += (ink[k] - v) * cover
				v += noise * r.NormFloat64()
				dst[(k*side+y)*side+x] = byte(min(max(v, 0), 255))
			}
		}
	}
}

// luminance is how bright a colour looks.
func luminance(c [3]float64) float64 { return 0.3*c[0] + 0.59*c[1] + 0.11*c[2] }
