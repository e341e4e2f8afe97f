package trainer

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
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
	Loss           float64
	Accuracy       float64 // 0 to 1
	LR             float64
	ETA            time.Duration // until the run's end
}

const (
	redraw    = 100 * time.Millisecond // a terminal is drawn on no more often
	plainWait = 10 * time.Second       // nor is a plain line printed
)

// NewProgress returns a Progress that shows on w, which is a terminal if it is an
// *os.File that is one.
func NewProgress(w io.Writer) *Progress {
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

// show is Show with a loss and an accuracy that are asked for only where they
// appear, as that may wait for a GPU; where means is nil they are in the status.
func (p *Progress) show(s Status, means func() (loss, accuracy float64)) {
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
	if means != nil {
		s.Loss, s.Accuracy = p.status.Loss, p.status.Accuracy
		if due {
			s.Loss, s.Accuracy = means()
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
		io.WriteString(p.w, s.line(0, false)+"\n")
		p.last, p.printed = now, part
	}
}

// plainLines is how many plain lines one phase may have: 3, more where there are
// few epochs.
func plainLines(epochs int) int { return max(300/max(epochs, 1), 3) }

// draw draws the line over whatever stands in it.
func (p *Progress) draw(now time.Time) {
	// A line as wide as the terminal would wrap on some.
	io.WriteString(p.w, "\r"+p.status.line(p.width()-1, p.colour)+"\x1b[K")
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
	p.phase = phase{}
	if len(p.partial) > 0 {
		_, err := p.w.Write(append(p.partial, '\n'))
		p.partial = nil
		return err
	}
	return nil
}

// line writes a status in at most width columns, 0 meaning any number: what
// matters least is left out first, and the bar takes what is left, or the place of
// the count of batches.
func (s Status) line(width int, colour bool) string {
	type field struct {
		text string
		rank int // the higher, the sooner it is left out
	}
	var fields []field
	add := func(rank int, ok bool, format string, v ...any) {
		if ok {
			fields = append(fields, field{fmt.Sprintf(format, v...), rank})
		}
	}
	add(3, s.Phase != "", "%-5s", s.Phase)
	add(0, s.Epoch > 0, "epoch %d/%d", s.Epoch, s.Epochs)
	const count = 4
	add(count, s.Batches > 0, "%d/%d", s.Batch, s.Batches)
	add(8, s.Step > 0, "step %d", s.Step)
	add(1, !math.IsNaN(s.Loss), "loss %.4f", s.Loss)
	add(2, !math.IsNaN(s.Accuracy), "acc %.2f%%", 100*s.Accuracy)
	add(7, s.LR > 0, "lr %.3g", s.LR)
	add(6, s.ImagesPerSec > 0, "%.3g img/s", s.ImagesPerSec)
	if s.ImagesPerSec >= 1000 {
		fields[len(fields)-1].text = fmt.Sprintf("%.0f img/s", s.ImagesPerSec)
	}
	add(5, s.ETA > 0, "ETA %s", shortDuration(s.ETA))

	const gap = 2
	length := func() int {
		n := 0
		for i, f := range fields {
			if i > 0 {
				n += gap
			}
			n += utf8.RuneCountInString(f.text)
		}
		return n
	}
	for width > 0 && len(fields) > 0 && length() > width {
		worst := 0
		for i, f := range fields {
			if f.rank > fields[worst].rank {
				worst = i
			}
		}
		fields = append(fields[:worst], fields[worst+1:]...)
	}
	const least = 5 // columns of a bar that is worth drawing
	if i := slices.IndexFunc(fields, func(f field) bool { return f.rank == count }); i >= 0 && width > 0 && width-length()-gap-len("[]") < least {
		fields = append(fields[:i], fields[i+1:]...) // the bar says it too
	}
	var texts []string
	for _, f := range fields {
		texts = append(texts, f.text)
	}
	text := strings.Join(texts, strings.Repeat(" ", gap))
	if room := width - length() - gap - len("[]"); width > 0 && room >= least && s.Batches > 0 {
		n := min(room, 30)
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
