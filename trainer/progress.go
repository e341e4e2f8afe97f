package trainer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/wick-ml/wick/tensor"
)

// Progress shows how far a run is, in one line. On a terminal the line is drawn
// over and over; elsewhere (a file, a pipe, TERM=dumb) a plain line is printed now
// and then, without escape codes or carriage returns, so that the log of a hundred
// epochs stays below 100 KB.
//
// A Progress is an io.Writer too: what is written to it appears above the line.
//
//	progress := trainer.NewProgress(os.Stderr)
//	defer progress.Close()
//	log.SetOutput(progress)
//	…
//	progress.Show(trainer.Status{Phase: "train", Epoch: 1, Epochs: 100, Batch: 17, Batches: 782, Loss: 2.1})
//
// The environment variable NO_COLOR, if set, takes the colour away. Its methods
// may be called from several goroutines.
type Progress struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns of the terminal; nil where there is none
	colour bool
	now    func() time.Time

	drawn   bool      // the line is on the screen
	last    time.Time // when the line was drawn or printed
	printed int       // the part of the phase at which the last plain line was printed
	phase   phase
	status  Status
	partial []byte // what was written without a line's end yet
	layout  layout
}

// phase tells one pass over data from another.
type phase struct {
	name  string
	epoch int
}

// Status is what Progress shows. Zero fields but Loss are left out; Loss and
// Accuracy are left out if they are NaN.
type Status struct {
	Phase          string // "train", "test"
	Epoch, Epochs  int    // from 1 on, and how many
	Batch, Batches int    // of the phase that are over, and how many there are
	Step           int    // of the optimizer
	ImagesPerSec   float64
	Unit           string // what ImagesPerSec counts: "samples" for samples/s; "" means "img"
	Loss           float64
	Accuracy       float64 // 0 to 1
	LR             float64
	ETA            time.Duration // until the run's end; not shown with a phase's last batch
	Metrics        []NamedValue  // further numbers; those that are NaN are left out
}

// NamedValue is a number with its name.
type NamedValue struct {
	Name  string
	Value float64
}

const (
	redraw    = 100 * time.Millisecond // a terminal is drawn on no more often
	plainWait = 10 * time.Second       // nor is a plain line printed
)

// NewProgress returns a Progress that shows on w, which is a terminal if it is an
// *os.File that is one.
func NewProgress(w io.Writer) *Progress {
	if w == nil {
		panic(&tensor.Error{Op: "NewProgress", Err: errors.New("the writer is nil; a Config without a Progress shows nothing")})
	}
	p := &Progress{w: w, now: time.Now}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) {
		p.width = func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
			return 80
		}
		p.colour = os.Getenv("NO_COLOR") == ""
	}
	return p
}

// Show shows a status, unless the last one was shown a moment ago; that of a
// phase's last batch always appears.
func (p *Progress) Show(s Status) { p.show(s, nil) }

// show is Show with a loss, an accuracy and metrics that are asked for only where they
// appear, as that may wait for a GPU; where read is nil they are in the status.
func (p *Progress) show(s Status, read func(s *Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	done := s.Batches > 0 && s.Batch >= s.Batches
	if next := (phase{s.Phase, s.Epoch}); next != p.phase {
		if p.drawn {
			p.endLine()
		}
		if p.width == nil && p.last.IsZero() {
			p.last = now
		}
		p.phase, p.printed = next, 0
	}
	part := 0
	if s.Batches > 0 {
		part = s.Batch * plainLines(s.Epochs) / s.Batches
	}
	due := done || part > p.printed && now.Sub(p.last) >= plainWait
	if p.width != nil {
		due = done || !p.drawn || now.Sub(p.last) >= redraw
	}
	if read != nil {
		s.Loss, s.Accuracy, s.Metrics = p.status.Loss, p.status.Accuracy, p.status.Metrics
		if due {
			read(&s)
		}
	}
	p.status = s
	if p.width != nil {
		if due {
			p.draw(now)
		}
		if done {
			p.endLine()
		}
		return
	}
	if due {
		io.WriteString(p.w, s.line(0, false, &p.layout)+"\n")
		p.last, p.printed = now, part
	}
}

// plainLines is how many plain lines one phase may have: 3, more where there are
// few epochs.
func plainLines(epochs int) int { return max(300/max(epochs, 1), 3) }

// draw draws the line over whatever stands in it.
func (p *Progress) draw(now time.Time) {
	// A line as wide as the terminal would wrap on some.
	io.WriteString(p.w, "\r"+p.status.line(p.width()-1, p.colour, &p.layout)+"\x1b[K")
	p.drawn, p.last = true, now
}

// endLine leaves the line where it is and goes on below it.
func (p *Progress) endLine() {
	io.WriteString(p.w, "\n")
	p.drawn = false
}

// Write writes whole lines above the progress line; the rest of a line waits for
// its end, or for Close.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width == nil {
		return p.w.Write(b)
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		p.partial = append(p.partial, b...)
		return len(b), nil
	}
	lines := append(p.partial, b[:end]...)
	p.partial = append([]byte(nil), b[end:]...)
	if !p.drawn {
		_, err := p.w.Write(lines)
		return len(b), err
	}
	lines = append([]byte("\r\x1b[K"), lines...)
	if _, err := p.w.Write(lines); err != nil {
		return len(b), err
	}
	p.draw(p.now())
	return len(b), nil
}

// Close ends the line. A Progress may be used again after it.
func (p *Progress) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.draw(p.now()) // what the line stands at
		p.endLine()
	}
	p.phase, p.layout = phase{}, layout{}
	if len(p.partial) > 0 {
		_, err := p.w.Write(append(p.partial, '\n'))
		p.partial = nil
		return err
	}
	return nil
}

// layout is what keeps the columns of a run's lines in their places, whatever numbers
// come: it knows what was shown before.
type layout struct {
	batches, steps                 int // the largest numbers
	step, loss, acc, lr, rate, eta bool
	metrics                        map[string]bool
}

func (l *layout) note(s Status) {
	l.batches = max(l.batches, s.Batches)
	l.steps = max(l.steps, s.Step, s.Epochs*l.batches)
	for _, f := range []struct {
		seen *bool
		now  bool
	}{{&l.step, s.Step > 0}, {&l.loss, !math.IsNaN(s.Loss)}, {&l.acc, !math.IsNaN(s.Accuracy)}, {&l.lr, s.LR > 0}, {&l.rate, s.ImagesPerSec > 0}, {&l.eta, s.ETA > 0}} {
		*f.seen = *f.seen || f.now
	}
	for _, m := range s.Metrics {
		if l.metrics == nil {
			l.metrics = map[string]bool{}
		}
		l.metrics[m.Name] = l.metrics[m.Name] || !math.IsNaN(m.Value)
	}
}

// field is a part of a line.
type field struct {
	text  string // "" where there is nothing to say now
	width int    // columns that are kept for it
	rank  int    // the higher, the sooner it is left out
}

// The ranks of fields that are spoken of by name.
const (
	epochRank = 0
	leastRank = 4 // of what is left out before the line becomes tight
	countRank = 4
)

// line writes a status in at most width columns, 0 meaning any number: what matters
// least is left out first, and the bar takes what is left, or the place of the count of
// batches. Where there is a width, each field has the columns that it will need in the
// course of the run, so that none moves from line to line.
func (s Status) line(width int, colour bool, l *layout) string {
	l.note(s)
	screen := width > 0
	var fields []field
	add := func(rank int, seen, now bool, columns int, format string, v ...any) {
		f := field{width: columns, rank: rank}
		if now {
			f.text = fmt.Sprintf(format, v...)
		}
		if now || seen && screen {
			fields = append(fields, f)
		}
	}
	// room is the width of a number in a column, which elsewhere takes what it needs.
	room := func(n int) int {
		if !screen {
			return 0
		}
		return n
	}
	digits := func(n int) int { return len(strconv.Itoa(n)) }
	loss, acc := fmt.Sprintf("%.4f", s.Loss), fmt.Sprintf("%.2f", 100*s.Accuracy)
	if screen {
		loss, acc = short(s.Loss, 4, 6), short(100*s.Accuracy, 2, 5)
	}
	unit := s.Unit
	if unit == "" {
		unit = "img"
	}
	add(1, false, s.Phase != "", 5, "%-5s", s.Phase)
	add(epochRank, false, s.Epoch > 0, len("epoch ")+2*digits(s.Epochs)+1, "epoch %*d/%d", room(digits(s.Epochs)), s.Epoch, s.Epochs)
	add(countRank, false, s.Batches > 0, 2*digits(l.batches)+1, "%*s", room(2*digits(l.batches)+1), fmt.Sprintf("%d/%d", s.Batch, s.Batches))
	add(9, l.step, s.Step > 0, len("step ")+digits(l.steps), "step %*d", room(digits(l.steps)), s.Step)
	add(2, l.loss, !math.IsNaN(s.Loss), len("loss 2.3026"), "loss %s", loss)
	add(3, l.acc, !math.IsNaN(s.Accuracy), len("acc 12.34%"), "acc %*s%%", room(5), acc)
	for _, m := range s.Metrics {
		add(6, l.metrics[m.Name], !math.IsNaN(m.Value), utf8.RuneCountInString(m.Name)+len(" 2.3026"), "%s %s", m.Name, short(m.Value, 4, 6))
	}
	add(8, l.lr, s.LR > 0, len("lr 1.23e-05"), "lr %.3g", s.LR)
	add(7, l.rate, s.ImagesPerSec > 0, len("12345 /s")+utf8.RuneCountInString(unit), "%*s %s/s", room(5), perSecond(s.ImagesPerSec), unit)
	finished := s.Batches > 0 && s.Batch >= s.Batches
	add(5, l.eta, s.ETA > 0 && !finished, len("ETA 3h02m")+1, "ETA %s", shortDuration(s.ETA))

	gap := 2
	length := func() int {
		n := 0
		for i, f := range fields {
			if i > 0 {
				n += gap
			}
			n += max(f.width, utf8.RuneCountInString(f.text))
		}
		return n
	}
	drop := func(least int) {
		for len(fields) > 0 && length() > width {
			worst := 0
			for i, f := range fields {
				if f.rank >= fields[worst].rank {
					worst = i
				}
			}
			if fields[worst].rank < least {
				return
			}
			fields = slices.Delete(fields, worst, worst+1)
		}
	}
	if screen {
		drop(leastRank)
		if length() > width {
			gap = 1
		}
		if i := slices.IndexFunc(fields, func(f field) bool { return f.rank == epochRank }); i >= 0 && length() > width {
			fields[i].text = strings.TrimPrefix(fields[i].text, "epoch ")
			fields[i].width -= len("epoch ")
		}
		drop(0)
	}
	const least = 5 // columns of a bar that is worth drawing
	fits := func() bool { return screen && s.Batches > 0 && width-length()-gap-len("[]") >= least }
	if i := slices.IndexFunc(fields, func(f field) bool { return f.rank == countRank }); i >= 0 && screen && !fits() {
		all := fields
		if fields = slices.Delete(slices.Clone(all), i, i+1); !fits() { // the bar says it too
			fields = all
		}
	}
	var texts []string
	for _, f := range fields {
		text := f.text
		if screen {
			text += strings.Repeat(" ", max(f.width-utf8.RuneCountInString(text), 0))
		}
		texts = append(texts, text)
	}
	text := strings.TrimRight(strings.Join(texts, strings.Repeat(" ", gap)), " ")
	if fits() {
		n := min(width-length()-gap-len("[]"), 30)
		full := min(max(n*s.Batch/s.Batches, 0), n)
		bar := strings.Repeat("=", full)
		if full < n {
			bar += ">" + strings.Repeat(" ", n-full-1)
		}
		if colour {
			bar = "\x1b[32m" + bar + "\x1b[0m"
		}
		text = "[" + bar + "]" + strings.Repeat(" ", gap) + text
	}
	return text
}

// short writes a number with so many decimals, or fewer, so that it takes no more than
// so many columns.
func short(v float64, decimals, columns int) string {
	for ; decimals >= 0; decimals-- {
		if s := strconv.FormatFloat(v, 'f', decimals, 64); len(s) <= columns {
			return s
		}
	}
	return strconv.FormatFloat(v, 'g', 1, 64)
}

// perSecond writes a rate with three digits, or all that are before the point, and
// those of a hundred thousand and more in thousands.
func perSecond(v float64) string {
	switch {
	case v >= 99999.5:
		return fmt.Sprintf("%.0fk", v/1000)
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// shortDuration writes 3h02m, 2m05s or 12s.
func shortDuration(d time.Duration) string {
	seconds := int(d.Round(time.Second) / time.Second)
	switch {
	case seconds >= 24*3600:
		return fmt.Sprintf("%dd%02dh", seconds/86400, seconds/3600%24)
	case seconds >= 3600:
		return fmt.Sprintf("%dh%02dm", seconds/3600, seconds/60%60)
	case seconds >= 60:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%ds", seconds)
}
