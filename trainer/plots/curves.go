package plots

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Epoch is what one epoch came to. An accuracy is a share, 0 to 1. NaN stands for
// what was not measured.
type Epoch struct {
	Epoch                    int
	TrainLoss, TrainAccuracy float64
	TestLoss, TestAccuracy   float64
	LR                       float64
	Seconds                  float64
	Metrics                  []Metric // what else was measured
}

// Metric is a number of an epoch besides, in training and in the test; NaN stands for
// what was not measured.
type Metric struct {
	Name        string
	Train, Test float64
	Max         bool // the best is the largest, not the least
}

// Run is a run to be compared with others.
type Run struct {
	Name   string
	Epochs []Epoch
}

// Loss draws the loss of training and test over the epochs. The axis starts at 0;
// where the largest loss is more than thirty times the smallest it is logarithmic.
// A few epochs far above all others, as the first one may be, are cut off, and the
// legend tells their loss.
func Loss(epochs []Epoch) *Figure {
	train, test := column("train", epochs, trainLoss), column("test", epochs, testLoss)
	c := Chart{Title: "Loss", X: "epoch", Whole: true, Zero: true, Series: []Series{train, test}}
	c.cutOutliers()
	if best, at := extreme(epochs, testLoss, -1); at >= 0 {
		c.Series[1].Name = strings.Replace(c.Series[1].Name, "test", fmt.Sprintf("test (least %.4g, epoch %d)", best, at), 1)
	}
	return c.Figure()
}

// cutOutliers sets Top where a few points lie far above all others, which lie
// close together, and names these points in the legend. It makes the axis
// logarithmic where what is left needs that.
func (c *Chart) cutOutliers() {
	var all, rest Series
	for _, s := range c.Series {
		all.Y, rest.Y = append(all.Y, s.Y...), append(rest.Y, settled(s.Y)...)
	}
	highest := func(s Series) float64 { return slices.MaxFunc(append([]float64{math.Inf(-1)}, s.Y...), finiteFirst) }
	if between := spread(rest); between > 0 && between < 10 && highest(all) > 4*highest(rest) {
		c.Top = 1.1 * highest(rest)
		all.Y = nil
		for i := range c.Series {
			s := &c.Series[i]
			var off []string
			for j, y := range s.Y {
				if finite(y) && y > c.Top {
					off = append(off, fmt.Sprintf("epoch %.0f: %.4g", s.X[j], y))
				} else {
					all.Y = append(all.Y, y)
				}
			}
			if n := len(off); n > 2 {
				off = append(off[:2], fmt.Sprintf("%d more", n-2))
			}
			if len(off) > 0 {
				s.Name += " (off the scale: " + strings.Join(off, ", ") + ")"
			}
		}
	}
	c.LogY = spread(all) > 30
}

// settled is y without the highest tenth of its numbers, at least one, if it has
// five or more.
func settled(y []float64) []float64 {
	var all []float64
	for _, v := range y {
		if finite(v) {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	if n := len(all); n >= 5 {
		return all[:n-max(1, n/10)]
	}
	return all
}

// Accuracy draws the accuracy of training and test over the epochs.
func Accuracy(epochs []Epoch) *Figure {
	train, test := column("train", epochs, trainAccuracy), column("test", epochs, testAccuracy)
	if best, at := extreme(epochs, testAccuracy, 1); at >= 0 {
		test.Name = fmt.Sprintf("test (best %.2f %%, epoch %d)", 100*best, at)
	}
	return Chart{Title: "Accuracy", X: "epoch", Whole: true, Percent: true, Series: []Series{train, test}}.Figure()
}

// OfMetric draws a metric, by its name, of training and test over the epochs; of what
// was measured in one of them only that one.
func OfMetric(epochs []Epoch, name string) *Figure {
	c := Chart{Title: name, X: "epoch", Whole: true}
	highest := false
	for _, e := range epochs {
		highest = highest || of(e, name).Max
	}
	train, test := column("train", epochs, trainMetric(name)), column("test", epochs, testMetric(name))
	sign, word := -1.0, "least"
	if highest {
		sign, word = 1, "best"
	}
	if best, at := extreme(epochs, testMetric(name), sign); at >= 0 {
		test.Name = fmt.Sprintf("test (%s %.4g, epoch %d)", word, best, at)
	}
	test.Color = palette[1] // where it stands alone too
	for _, s := range []Series{train, test} {
		if slices.ContainsFunc(s.Y, finite) {
			c.Series = append(c.Series, s)
		}
	}
	if !highest {
		c.Zero = true
		c.cutOutliers()
	}
	return c.Figure()
}

// MetricNames are the names of what else was measured, in the order in which they come.
func MetricNames(epochs []Epoch) (names []string) {
	for _, e := range epochs {
		for _, m := range e.Metrics {
			if !slices.Contains(names, m.Name) && (m.Train == m.Train || m.Test == m.Test) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func of(e Epoch, name string) Metric {
	for _, m := range e.Metrics {
		if m.Name == name {
			return m
		}
	}
	return Metric{Train: math.NaN(), Test: math.NaN()}
}

func trainMetric(name string) func(Epoch) float64 {
	return func(e Epoch) float64 { return of(e, name).Train }
}

func testMetric(name string) func(Epoch) float64 {
	return func(e Epoch) float64 { return of(e, name).Test }
}

// LR draws the learning rate over the epochs.
func LR(epochs []Epoch) *Figure {
	s := column("", epochs, func(e Epoch) float64 { return e.LR })
	return Chart{Title: "Learning rate", X: "epoch", Whole: true, LogY: spread(s) > 100, Series: []Series{s}}.Figure()
}

// CompareLoss draws the test loss of several runs over their epochs. Runs that blew
// up do not squash the others: what lies far above is cut off, and the legend says
// whose whole line that is.
func CompareLoss(runs []Run) *Figure { return compareLosses("Test loss", runs, testLoss).Figure() }

// CompareTrainLoss is CompareLoss for the loss of training.
func CompareTrainLoss(runs []Run) *Figure {
	return compareLosses("Train loss", runs, trainLoss).Figure()
}

// CompareAccuracy draws the test accuracy of several runs over their epochs.
func CompareAccuracy(runs []Run) *Figure {
	return Chart{Title: "Test accuracy", X: "epoch", Whole: true, Percent: true, Series: compare(runs, testAccuracy)}.Figure()
}

// CompareTrainAccuracy is CompareAccuracy for the accuracy of training.
func CompareTrainAccuracy(runs []Run) *Figure {
	return Chart{Title: "Train accuracy", X: "epoch", Whole: true, Percent: true, Series: compare(runs, trainAccuracy)}.Figure()
}

// CompareMetric draws a metric, by its name, of several runs over their epochs: that of
// the test, or of training where no test has measured it.
func CompareMetric(runs []Run, name string) *Figure {
	series := compare(runs, testMetric(name))
	title := "Test " + name
	if !slices.ContainsFunc(series, func(s Series) bool { return slices.ContainsFunc(s.Y, finite) }) {
		series, title = compare(runs, trainMetric(name)), "Train "+name
	}
	return Chart{Title: title, X: "epoch", Whole: true, LogY: spread(series...) > 30, Series: series}.Figure()
}

func compareLosses(title string, runs []Run, of func(Epoch) float64) Chart {
	c := Chart{Title: title, X: "epoch", Whole: true, Zero: true, Series: compare(runs, of)}
	var highest []float64 // of each run, once it has settled
	for _, s := range c.Series {
		if y := settled(s.Y); len(y) > 0 {
			highest = append(highest, y[len(y)-1])
		}
	}
	slices.Sort(highest)
	if n := len(highest); n > 0 {
		// A quarter of the runs at least are taken to be well.
		limit := 10 * highest[(n-1)/4]
		i, _ := slices.BinarySearch(highest, limit)
		if above := func(s Series) bool { return slices.MaxFunc(s.Y, finiteFirst) > limit }; limit > 0 && slices.ContainsFunc(c.Series, func(s Series) bool { return len(s.Y) > 0 && above(s) }) {
			c.Top = 1.1 * highest[i-1]
		}
	}
	var seen Series
	for i := range c.Series {
		s := &c.Series[i]
		before, values := len(seen.Y), false
		for _, y := range s.Y {
			values = values || finite(y)
			if c.Top == 0 || y <= c.Top {
				seen.Y = append(seen.Y, y)
			}
		}
		if values && len(seen.Y) == before {
			s.Name += " (off the scale)"
		}
	}
	c.LogY = spread(seen) > 30
	return c
}

// finiteFirst orders numbers, what is not finite below all.
func finiteFirst(a, b float64) int {
	if !finite(a) {
		a = math.Inf(-1)
	}
	if !finite(b) {
		b = math.Inf(-1)
	}
	return cmp.Compare(a, b)
}

// CompareBest draws a bar for the best test accuracy of each run, in the order of
// the runs. A run without one says so.
func CompareBest(runs []Run) *Figure {
	f := bars(runs, 420)
	f.compact = func() *Figure { return bars(runs, 180) }
	return f
}

func bars(runs []Run, barWidth float64) *Figure {
	const row = 30
	names := 60.0
	for _, r := range runs {
		names = max(names, min(420, width(sans(14, ink), clean(r.Name))))
	}
	f := &Figure{title: "Best test accuracy", width: int(names+barWidth) + 230, height: 60 + row*max(1, len(runs)) + 12}
	f.draw = func(p pen) {
		p.text(f.title, 16, 28, leftOf, bold(18, ink))
		if len(runs) == 0 {
			p.text("no runs", 16, 70, leftOf, sans(14, pale))
		}
		for i, r := range runs {
			y := 60 + row*float64(i) + row/2
			p.text(fit(r.Name, names, func(s string) float64 { return width(sans(14, ink), s) }), 16+names, y, rightTo, sans(14, ink))
			x := 16 + names + 12
			best, at := extreme(r.Epochs, testAccuracy, 1)
			if at < 0 {
				p.text("no test accuracy", x, y, leftOf, sans(13, pale))
				continue
			}
			p.rect(x, y-10, barWidth, 20, color.RGBA{0xf2, 0xf2, 0xf2, 0xff})
			p.rect(x, y-10, barWidth*min(1, max(0, best)), 20, blue)
			value := fmt.Sprintf("%.2f %%", 100*best)
			p.text(value, x+barWidth+10, y, leftOf, bold(14, ink))
			p.text(fmt.Sprintf("epoch %d", at), x+barWidth+18+width(bold(14, ink), value), y, leftOf, sans(13, pale))
		}
	}
	return f
}

// LRFinder draws the losses of a learning-rate range test (Smith, "Cyclical
// Learning Rates for Training Neural Networks", 2017): one loss for each rate, the
// same smoothed (may be nil), and the rate that is suggested (0 or NaN: none). What
// lies far above the first losses, where training blew up, is cut off.
func LRFinder(rates, losses, smoothed []float64, suggestion float64) *Figure {
	c := Chart{Title: "Learning-rate finder", X: "learning rate", Y: "loss", LogX: true}
	raw := Series{Name: "loss of a step", X: rates, Y: losses, Color: color.RGBA{0x9e, 0xc5, 0xde, 0xff}, NoMarks: true}
	curve := raw
	if smoothed != nil {
		curve = Series{Name: "smoothed", X: rates, Y: smoothed, Color: blue, NoMarks: true}
		c.Series = []Series{raw, curve}
	} else {
		curve.Color = blue
		c.Series = []Series{curve}
	}
	if suggestion > 0 && !math.IsInf(suggestion, 0) {
		c.Mark, c.MarkName = suggestion, "suggested: "+number(suggestion)
	}
	first, least := math.Inf(-1), math.Inf(1)
	seen := 0
	for _, v := range curve.Y {
		if finite(v) {
			if seen++; seen <= 5 {
				first = max(first, v)
			}
			least = min(least, v)
		}
	}
	if seen > 0 {
		c.Top = first + 0.5*max(first-least, 0.1*math.Abs(first))
	}
	return c.Figure()
}

func trainLoss(e Epoch) float64     { return e.TrainLoss }
func testLoss(e Epoch) float64      { return e.TestLoss }
func trainAccuracy(e Epoch) float64 { return e.TrainAccuracy }
func testAccuracy(e Epoch) float64  { return e.TestAccuracy }

func column(name string, epochs []Epoch, of func(Epoch) float64) Series {
	s := Series{Name: name}
	for _, e := range epochs {
		s.X, s.Y = append(s.X, float64(e.Epoch)), append(s.Y, of(e))
	}
	return s
}

func compare(runs []Run, of func(Epoch) float64) []Series {
	var all []Series
	for _, r := range runs {
		all = append(all, column(r.Name, r.Epochs, of))
	}
	return all
}

// extreme finds the largest (sign 1) or smallest (sign -1) value and the first
// epoch that has it, or -1.
func extreme(epochs []Epoch, of func(Epoch) float64, sign float64) (value float64, epoch int) {
	epoch = -1
	for _, e := range epochs {
		if v := of(e); finite(v) && (epoch < 0 || sign*v > sign*value) {
			value, epoch = v, e.Epoch
		}
	}
	return value, epoch
}

// spread is the ratio of the largest to the smallest value, 0 unless all are
// positive.
func spread(series ...Series) float64 {
	lo, hi := math.Inf(1), 0.0
	for _, s := range series {
		for _, v := range s.Y {
			if finite(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo <= 0 || math.IsInf(lo, 0) {
		return 0
	}
	return hi / lo
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Series is one line of a [Chart]: a value Y for each X. A NaN or an infinity, and
// on a logarithmic axis what is not positive, leaves a gap.
type Series struct {
	Name    string
	X, Y    []float64
	Color   color.Color // nil: the next one of the palette
	NoMarks bool        // no dots on the points; they are left out of long series anyway
}

// Chart is a drawing of lines, 800 by 480 pixels and more if the legend is long.
type Chart struct {
	Title      string
	X, Y       string // labels of the axes
	Series     []Series
	LogX, LogY bool
	Whole      bool    // only whole numbers on the X axis
	Percent    bool    // Y is a share, shown in percent
	Zero       bool    // the Y axis starts at 0 where nothing is below, unless it is logarithmic
	Top        float64 // what is higher is cut off; 0: nothing
	Mark       float64 // where a vertical line stands; 0: nowhere
	MarkName   string
}

// look is how a series is drawn.
type look struct {
	color  color.Color
	dashes []vg.Length
	glyph  draw.GlyphDrawer
}

// look gives neighbours a different colour and a different mark, and each round
// through the colours another kind of line.
func (c Chart) look(i int) look {
	kinds := [][]vg.Length{nil, {px(7), px(4)}, {px(2), px(3)}, {px(10), px(3), px(2), px(3)}}
	glyphs := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}
	l := look{palette[i%len(palette)], kinds[i/len(palette)%len(kinds)], glyphs[i%len(glyphs)]}
	if c.Series[i].Color != nil {
		l.color = c.Series[i].Color
	}
	if c.Series[i].NoMarks || len(c.Series[i].X) > 40 {
		l.glyph = nil
	}
	return l
}

func (l look) line(p pen, pts ...vg.Point) {
	p.c.StrokeLines(draw.LineStyle{Color: l.color, Width: px(2), Dashes: l.dashes}, pts)
}

func (l look) dot(p pen, at vg.Point) {
	if l.glyph != nil {
		p.c.DrawGlyphNoClip(draw.GlyphStyle{Color: l.color, Radius: px(3.5), Shape: l.glyph}, at)
	}
}

// Figure lays the chart out.
func (c Chart) Figure() *Figure {
	f := c.figure(800, 480)
	f.compact = func() *Figure { return c.figure(560, 340) }
	return f
}

// figure lays the chart out in a width, and a height that grows with the legend.
func (c Chart) figure(wide, high float64) *Figure {
	const margin, row = 16, 22
	// The legend runs below the title from left to right.
	type entry struct {
		name string
		x, y float64
	}
	var legend []entry
	style := sans(13, ink)
	x, y := float64(margin), 58.0
	for i, s := range c.Series {
		name := fit(s.Name, (wide-2*margin)/2-50, func(s string) float64 { return width(style, s) })
		w := 34 + width(style, name) + 22
		if i > 0 && x+w-22 > wide-margin {
			x, y = margin, y+row
		}
		legend = append(legend, entry{name, x, y})
		x += w
	}
	top := y + row - 8
	if len(c.Series) == 1 && c.Series[0].Name == "" {
		legend, top = nil, 52
	}
	f := &Figure{title: c.Title, width: int(wide), height: int(high+top) - 72}
	f.draw = func(p pen) {
		p.text(fit(c.Title, wide-2*margin, func(s string) float64 { return width(bold(18, ink), s) }), margin, 28, leftOf, bold(18, ink))
		for i, e := range legend {
			l := c.look(i)
			l.line(p, p.point(e.x, e.y), p.point(e.x+28, e.y))
			l.dot(p, p.point(e.x+14, e.y))
			p.text(e.name, e.x+34, e.y-1, leftOf, style)
		}
		c.body(draw.Crop(p.c, px(margin), -px(margin+8), px(12), -px(top)))
	}
	return f
}

// body draws axes and lines.
func (c Chart) body(canvas draw.Canvas) {
	xs, ys := c.ranges()
	g := plot.New()
	g.BackgroundColor = nil
	g.X.Label.Text, g.Y.Label.Text = clean(c.X), clean(c.Y)
	for _, a := range []*plot.Axis{&g.X, &g.Y} {
		rotation, xa, ya := a.Label.TextStyle.Rotation, a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign
		a.Label.TextStyle = sans(14, ink)
		a.Label.TextStyle.Rotation, a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign = rotation, xa, ya
		a.Label.Padding = px(6)
		xa, ya = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = sans(13, ink)
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = xa, ya
		a.LineStyle.Color, a.LineStyle.Width = pale, px(1)
		a.Tick.LineStyle.Color, a.Tick.LineStyle.Width = pale, px(1)
		a.Tick.Length = px(5)
		a.Padding = 0
	}
	g.X.Min, g.X.Max = xs.lo, xs.hi
	g.Y.Min, g.Y.Max = ys.lo, ys.hi
	g.X.Tick.Marker, g.Y.Tick.Marker = plot.ConstantTicks(xs.ticks(11)), plot.ConstantTicks(ys.ticks(7))
	if c.LogX {
		g.X.Scale = plot.LogScale{}
	}
	if c.LogY {
		g.Y.Scale = plot.LogScale{}
	}
	g.Add(chartLines{c})
	// The lines begin at the same place in all charts, however long the numbers beside the axis are.
	longest := vg.Length(0)
	for _, t := range ys.ticks(7) {
		longest = max(longest, g.Y.Tick.Label.Width(t.Label))
	}
	g.Draw(draw.Crop(canvas, max(0, px(46)-longest), 0, 0, 0))
}

// chartLines is the part of a chart inside its axes, as gonum's plot takes it.
type chartLines struct{ c Chart }

func (l chartLines) Plot(canvas draw.Canvas, g *plot.Plot) {
	c := l.c
	toX, toY := g.Transforms(&canvas)
	grid := draw.LineStyle{Color: faint, Width: px(1)}
	for _, t := range g.Y.Tick.Marker.Ticks(g.Y.Min, g.Y.Max) {
		if y := toY(t.Value); !t.IsMinor() && canvas.ContainsY(y) {
			canvas.StrokeLine2(grid, canvas.Min.X, y, canvas.Max.X, y)
		}
	}
	p := pen{c: canvas}
	drawn := 0
	for i, s := range c.Series {
		look := c.look(i)
		var line []vg.Point
		flush := func() {
			for _, part := range canvas.ClipLinesXY(line) {
				look.line(p, part...)
			}
			for _, at := range line {
				if canvas.Contains(at) {
					look.dot(p, at)
				}
			}
			if len(line) == 1 && look.glyph == nil && canvas.Contains(line[0]) {
				look.glyph = draw.CircleGlyph{} // a line of one point would be invisible
				look.dot(p, line[0])
				look.glyph = nil
			}
			line = nil
		}
		for j := range min(len(s.X), len(s.Y)) {
			if !c.shown(s.X[j], s.Y[j]) {
				flush()
				continue
			}
			line = append(line, vg.Point{X: toX(s.X[j]), Y: toY(s.Y[j])})
			drawn++
		}
		flush()
	}
	if drawn == 0 {
		style := sans(14, pale)
		style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
		canvas.FillText(style, canvas.Center(), "no values yet")
	}
	if c.Mark != 0 && (!c.LogX || c.Mark > 0) {
		if x := toX(c.Mark); canvas.ContainsX(x) {
			canvas.StrokeLine2(draw.LineStyle{Color: orange, Width: px(2), Dashes: []vg.Length{px(5), px(3)}}, x, canvas.Min.Y, x, canvas.Max.Y)
			style := bold(13, rust)
			style.XAlign, style.YAlign = draw.XLeft, draw.YTop
			name := clean(c.MarkName)
			if x+style.Width(name)+px(12) > canvas.Max.X {
				style.XAlign = draw.XRight
			}
			gap := px(6)
			if style.XAlign == draw.XRight {
				gap = -gap
			}
			canvas.FillText(style, vg.Point{X: x + gap, Y: canvas.Max.Y - px(4)}, name)
		}
	}
}

// shown says whether a point has a place on the axes. The ends of float64's range
// have none, so that the axes can be a little longer than the values.
func (c Chart) shown(x, y float64) bool {
	const most = 1e300
	fits := func(v float64, log bool) bool { return math.Abs(v) <= most && (!log || v >= 1/most) }
	return fits(x, c.LogX) && fits(y, c.LogY)
}

// ranges finds what the axes have to show.
func (c Chart) ranges() (xs, ys axis) {
	xs, ys = axis{lo: math.Inf(1), hi: math.Inf(-1), log: c.LogX, whole: c.Whole}, axis{lo: math.Inf(1), hi: math.Inf(-1), log: c.LogY, percent: c.Percent}
	for _, s := range c.Series {
		for i := range min(len(s.X), len(s.Y)) {
			if c.shown(s.X[i], s.Y[i]) {
				xs.lo, xs.hi = min(xs.lo, s.X[i]), max(xs.hi, s.X[i])
				ys.lo, ys.hi = min(ys.lo, s.Y[i]), max(ys.hi, s.Y[i])
			}
		}
	}
	if c.Top != 0 && c.Top > ys.lo {
		ys.hi = min(ys.hi, c.Top)
	}
	bottom, ceiling := ys.lo, ys.hi
	xs.widen(0.01)
	ys.widen(0.06)
	if !c.LogY {
		if bottom >= 0 && (bottom < 0.5*ceiling || ys.lo < 0 || c.Zero) {
			ys.lo = 0 // nothing below zero where nothing is
		}
		if c.Percent && ceiling <= 1 {
			ys.hi = min(ys.hi, 1)
		}
	}
	return xs, ys
}

// axis is a range of values and how they are written.
type axis struct {
	lo, hi              float64
	log, whole, percent bool
}

// widen leaves some room at both ends and makes a range of nothing or of one value.
func (a *axis) widen(share float64) {
	switch {
	case a.lo > a.hi && a.log:
		a.lo, a.hi = 0.1, 10
	case a.lo > a.hi:
		a.lo, a.hi = 0, 1
	case a.lo == a.hi && a.log:
		a.lo, a.hi = a.lo/2, a.hi*2
	case a.lo == a.hi && a.whole:
		a.lo, a.hi = a.lo-1, a.hi+1
	case a.lo == a.hi:
		by := max(0.1*math.Abs(a.lo), 1e-3)
		a.lo, a.hi = a.lo-by, a.hi+by
	case a.log:
		by := math.Pow(10, share*(math.Log10(a.hi)-math.Log10(a.lo)))
		a.lo, a.hi = a.lo/by, a.hi*by
	default:
		by := share * (a.hi - a.lo)
		a.lo, a.hi = a.lo-by, a.hi+by
	}
}

// ticks returns about n marks.
func (a axis) ticks(n int) []plot.Tick {
	var ticks []plot.Tick
	if first, last := math.Floor(math.Log10(a.lo)), math.Ceil(math.Log10(a.hi)); a.log && math.Log10(a.hi)-math.Log10(a.lo) > 0.7 {
		every := math.Ceil((last - first) / float64(n))
		for e := first; e <= last; e++ {
			for m := 1.0; m < 10; m++ {
				t := plot.Tick{Value: m * math.Pow(10, e)}
				few := last-first <= 3 && (m == 2 || m == 5)
				if m == 1 && math.Mod(e-first, every) == 0 || few {
					t.Label = number(t.Value)
				}
				if t.Value >= a.lo && t.Value <= a.hi && (t.Label != "" || last-first <= 12) {
					ticks = append(ticks, t)
				}
			}
		}
		return ticks
	}
	step := (a.hi - a.lo) / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*power >= step*(1-1e-9) {
			step = m * power
			break
		}
	}
	if a.whole {
		step = max(1, math.Round(step))
	}
	scale, unit := 1.0, ""
	if a.percent {
		scale, unit = 100, " %"
	}
	digits := int(max(0, -math.Floor(math.Log10(step*scale)+1e-9)))
	for k := math.Ceil(a.lo/step - 1e-9); k*step <= a.hi+1e-9*step; k++ {
		v := k * step
		label := strconv.FormatFloat(v*scale+0, 'f', digits, 64) // + 0: no minus zero
		if digits > 5 || math.Abs(v) >= 1e7 {
			label = number(v * scale)
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label + unit})
		if len(ticks) > 1000 {
			break // steps too fine for the values' precision
		}
	}
	return ticks
}

// number writes a number with up to four digits and a short exponent.
func number(v float64) string {
	format := byte('g')
	if a := math.Abs(v); a > 0 && a < 1e-3 {
		format = 'e'
	}
	s := strconv.FormatFloat(v, format, -1, 64)
	if short := strconv.FormatFloat(v, 'g', 4, 64); len(short) < len(s) {
		s = short
	}
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !ok {
		return s
	}
	sign := strings.TrimPrefix(exponent[:1], "+")
	return mantissa + "e" + sign + strings.TrimLeft(exponent[1:], "0")
}
