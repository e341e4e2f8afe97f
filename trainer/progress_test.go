package trainer

import (
	"bytes"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// clock is a Progress that writes to b, and whose time a test sets.
func clock(width int, colour bool) (p *Progress, b *bytes.Buffer, wait func(time.Duration)) {
	b = &bytes.Buffer{}
	now := time.Unix(1, 0)
	p = &Progress{w: b, colour: colour, now: func() time.Time { return now }}
	if width > 0 {
		p.width = func() int { return width }
	}
	return p, b, func(d time.Duration) { now = now.Add(d) }
}

var full = Status{Phase: "train", Epoch: 3, Epochs: 100, Batch: 391, Batches: 782, Step: 1955, ImagesPerSec: 45.678,
	Loss: 1.23456, Accuracy: 0.5678, LR: 0.001, ETA: 3*time.Hour + 2*time.Minute + 10*time.Second}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		width  int
		colour bool
		want   string
	}{
		{0, false, "train  epoch 3/100  391/782  step 1955  loss 1.2346  acc 56.78%  lr 0.001  45.7 img/s  ETA 3h02m"},
		{200, false, "[===============>              ]  train  epoch 3/100  391/782  step 1955  loss 1.2346  acc 56.78%  lr 0.001  45.7 img/s  ETA 3h02m"},
		{200, true, "[\x1b[32m===============>              \x1b[0m]  train  epoch 3/100  391/782  step 1955  loss 1.2346  acc 56.78%  lr 0.001  45.7 img/s  ETA 3h02m"},
		{110, false, "[=====>    ]  train  epoch 3/100  391/782  step 1955  loss 1.2346  acc 56.78%  lr 0.001  45.7 img/s  ETA 3h02m"},
		{80, false, "[=====>    ]  train  epoch 3/100  loss 1.2346  acc 56.78%  45.7 img/s  ETA 3h02m"},
		{60, false, "[======>      ]  train  epoch 3/100  loss 1.2346  acc 56.78%"},
		{40, false, "epoch 3/100  loss 1.2346  acc 56.78%"},
		{20, false, "[==>  ]  epoch 3/100"},
		{18, false, "epoch 3/100"},
		{5, false, ""},
	} {
		if got := full.line(tt.width, tt.colour); got != tt.want {
			t.Errorf("%d columns:\n got %q\nwant %q", tt.width, got, tt.want)
		}
	}
	nothing := Status{Loss: math.NaN(), Accuracy: math.NaN()}
	if got := nothing.line(0, false); got != "" {
		t.Errorf("nothing known: got %q", got)
	}
	escape := regexp.MustCompile("\x1b\\[[0-9]*m")
	for width := 1; width < 150; width++ {
		for batch := range 784 {
			s := full
			s.Batch = batch
			if got := utf8.RuneCountInString(escape.ReplaceAllString(s.line(width, true), "")); got > width {
				t.Fatalf("%d columns: a line of %d", width, got)
			}
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0s", 59 * time.Second: "59s", 125 * time.Second: "2m05s", 3 * time.Hour: "3h00m", 50 * time.Hour: "2d02h",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// screen is what a terminal shows of text with the codes that Progress uses.
func screen(t *testing.T, text string) []string {
	t.Helper()
	lines := []string{""}
	at := 0
	for i := 0; i < len(text); {
		last := &lines[len(lines)-1]
		switch {
		case text[i] == '\n':
			lines, at = append(lines, ""), 0
			i++
		case text[i] == '\r':
			at = 0
			i++
		case strings.HasPrefix(text[i:], "\x1b[K"):
			*last = (*last)[:at]
			i += 3
		case text[i] == '\x1b':
			t.Fatalf("an unknown escape code in %q", text[i:min(i+10, len(text))])
		default:
			*last = (*last)[:at] + text[i:i+1] + (*last)[min(at+1, len(*last)):]
			at++
			i++
		}
	}
	return lines
}

func TestTerminal(t *testing.T) {
	p, b, wait := clock(40, false)
	logger := log.New(p, "", 0)
	logger.Print("before")
	s := full
	s.Batches = 4
	for s.Batch = 1; s.Batch <= 4; s.Batch++ {
		p.Show(s)
		fmt.Fprint(p, "half ")
		if s.Batch == 2 {
			logger.Print("a line")
		}
		wait(redraw)
	}
	s.Phase, s.Batch = "test", 1
	p.Show(s)
	drawn := b.Len()
	s.Batch, s.Loss = 2, 9
	p.Show(s) // a moment later: not drawn
	if b.Len() != drawn {
		t.Errorf("drawn again at once: %q", b.String()[drawn:])
	}
	fmt.Fprintln(p, "above\nthe line")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"before", "half half a line", "epoch 3/100  loss 1.2346  acc 56.78%", "half half above", "the line", "epoch 3/100  loss 9.0000  acc 56.78%", ""}
	if diff := cmp.Diff(want, screen(t, b.String())); diff != "" {
		t.Errorf("the screen (-want +got):\n%s\n%q", diff, b.String())
	}
}

// A hundred epochs of any length make a log below 100 KB, of plain lines.
func TestPlainLog(t *testing.T) {
	for _, tt := range []struct {
		name            string
		epochs, batches int
		step            time.Duration
		least, most     int // lines
	}{
		{"fast", 100, 50, time.Millisecond, 200, 200},
		{"slow", 100, 200, 5 * time.Second, 400, 650},
		{"one long epoch", 1, 5000, 3 * time.Second, 600, 600},
		{"a day in one batch", 2, 1, 24 * time.Hour, 4, 4},
	} {
		p, b, wait := clock(0, true)
		for epoch := range tt.epochs {
			s := full
			s.Epoch, s.Epochs, s.Batches = epoch+1, tt.epochs, tt.batches
			for _, s.Phase = range []string{"train", "test"} {
				for s.Batch = 1; s.Batch <= tt.batches; s.Batch++ {
					p.Show(s)
					wait(tt.step)
				}
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); b.Len() > 100_000 || lines < tt.least || lines > tt.most {
			t.Errorf("%s: %d lines, %d bytes, want %d to %d lines and 100 KB at most", tt.name, lines, b.Len(), tt.least, tt.most)
		}
		if i := strings.IndexAny(b.String(), "\r\x1b"); i >= 0 {
			t.Errorf("%s: a control code at %d", tt.name, i)
		}
	}
	p, b, _ := clock(0, false)
	fmt.Fprint(p, "no end")
	if b.String() != "no end" {
		t.Errorf("got %q, want what was written, at once", b.String())
	}
}

// A file is no terminal.
func TestNewProgressFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p := NewProgress(f); p.width != nil || p.colour {
		t.Error("a file is taken for a terminal")
	}
}
