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
		{200, false, "[===============>              ]  train  epoch   3/100  391/782  step  1955  loss 1.2346  acc 56.78%  lr 0.001      45.7 img/s  ETA 3h02m"},
		{200, true, "[\x1b[32m===============>              \x1b[0m]  train  epoch   3/100  391/782  step  1955  loss 1.2346  acc 56.78%  lr 0.001      45.7 img/s  ETA 3h02m"},
		{113, false, "[==>  ]  train  epoch   3/100  391/782  step  1955  loss 1.2346  acc 56.78%  lr 0.001      45.7 img/s  ETA 3h02m"},
		{79, false, "[==>  ]  train  epoch   3/100  loss 1.2346  acc 56.78%   45.7 img/s  ETA 3h02m"},
		{59, false, "[=====>    ]  train  epoch   3/100  loss 1.2346  acc 56.78%"},
		{46, false, "train  epoch   3/100  loss 1.2346  acc 56.78%"},
		{44, false, "train epoch   3/100 loss 1.2346 acc 56.78%"},
		{39, false, "train   3/100 loss 1.2346 acc 56.78%"},
		{30, false, "train   3/100 loss 1.2346"},
		{20, false, "train   3/100"},
		{8, false, "  3/100"},
		{5, false, ""},
	} {
		if got := full.line(tt.width, tt.colour, &layout{}); got != tt.want {
			t.Errorf("%d columns:\n got %q\nwant %q", tt.width, got, tt.want)
		}
	}
	nothing := Status{Loss: math.NaN(), Accuracy: math.NaN()}
	if got := nothing.line(0, false, &layout{}); got != "" {
		t.Errorf("nothing known: got %q", got)
	}
	escape := regexp.MustCompile("\x1b\\[[0-9]*m")
	for width := 1; width < 150; width++ {
		for batch := range 784 {
			s := full
			s.Batch = batch
			if got := utf8.RuneCountInString(escape.ReplaceAllString(s.line(width, true, &layout{}), "")); got > width {
				t.Fatalf("%d columns: a line of %d", width, got)
			}
		}
	}
}

// Metrics of one's own come behind the accuracy, and go before the count of batches
// and the time that is left do, the last first.
func TestLineMetrics(t *testing.T) {
	s := full
	s.Metrics = []NamedValue{{"f1", 0.81234}, {"kl", math.NaN()}, {"perplexity", 1234.5678}}
	for _, tt := range []struct {
		width int
		want  string
	}{
		{0, "train  epoch 3/100  391/782  step 1955  loss 1.2346  acc 56.78%  f1 0.8123  perplexity 1234.6  lr 0.001  45.7 img/s  ETA 3h02m"},
		{159, "[==========>          ]  train  epoch   3/100  391/782  step  1955  loss 1.2346  acc 56.78%  f1 0.8123  perplexity 1234.6  lr 0.001      45.7 img/s  ETA 3h02m"},
		{99, "[====>   ]  train  epoch   3/100  loss 1.2346  acc 56.78%  f1 0.8123  perplexity 1234.6  ETA 3h02m"},
		{79, "[===>   ]  train  epoch   3/100  loss 1.2346  acc 56.78%  f1 0.8123  ETA 3h02m"},
		{59, "[=====>    ]  train  epoch   3/100  loss 1.2346  acc 56.78%"},
		{39, "train   3/100 loss 1.2346 acc 56.78%"},
	} {
		got := s.line(tt.width, false, &layout{})
		if got != tt.want {
			t.Errorf("%d columns:\n got %q\nwant %q", tt.width, got, tt.want)
		}
	}
	escape := regexp.MustCompile("\x1b\\[[0-9]*m")
	s.Metrics = append(s.Metrics, NamedValue{strings.Repeat("ä", 70), math.Inf(-1)})
	for width := 1; width < 300; width++ {
		if got := utf8.RuneCountInString(escape.ReplaceAllString(s.line(width, true, &layout{}), "")); got > width {
			t.Fatalf("%d columns: a line of %d", width, got)
		}
	}
}

// Whatever numbers come in a run, from its first line to its last, each field stays in
// its columns, and so does the bar.
func TestColumns(t *testing.T) {
	for _, width := range []int{39, 49, 59, 79, 99, 119, 159} {
		var want string
		l := &layout{}
		for i, s := range []Status{
			{Phase: "train", Epoch: 1, Epochs: 100, Batch: 1, Batches: 782, Step: 1, ImagesPerSec: 3.21, Loss: 2.3026, Accuracy: 0, LR: 0.001, ETA: 99 * 24 * time.Hour},
			{Phase: "train", Epoch: 1, Epochs: 100, Batch: 99, Batches: 782, Step: 99, ImagesPerSec: 999.96, Loss: 12.3456, Accuracy: 0.0999, LR: 0.00125, ETA: time.Hour},
			{Phase: "train", Epoch: 9, Epochs: 100, Batch: 780, Batches: 782, Step: 6000, ImagesPerSec: 99999.4, Loss: 123456.7, Accuracy: 0.5, LR: 1.23e-05, ETA: time.Second},
			{Phase: "train", Epoch: 9, Epochs: 100, Batch: 782, Batches: 782, Step: 6002, ImagesPerSec: 123456, Loss: 0.00001, Accuracy: 1, LR: 1e-05, ETA: time.Second},
			{Phase: "test", Epoch: 10, Epochs: 100, Batch: 3, Batches: 79, Step: 7000, ImagesPerSec: 12345, Loss: math.NaN(), Accuracy: math.NaN(), LR: 0.5, ETA: time.Minute},
			{Phase: "test", Epoch: 100, Epochs: 100, Batch: 79, Batches: 79, Step: 78200, ImagesPerSec: 12345, Loss: math.Inf(1), Accuracy: 1, LR: 0.5},
		} {
			s.Metrics = []NamedValue{{"f1", s.Accuracy}, {"kl", math.NaN()}}
			line := s.line(width, false, l)
			// Where labels and the ends of the bar are.
			var at []string
			for _, label := range []string{"[", "]", "train", "test", "epoch", "/100", "step", "loss", "acc", "f1", "lr", "img/s"} {
				if k := strings.Index(line, label); k >= 0 {
					at = append(at, fmt.Sprint(strings.Replace(label, "test", "train", 1), k))
				}
			}
			got := strings.Join(at, " ")
			if i == 0 {
				want = got
			}
			if s.Phase == "test" && math.IsNaN(s.Loss) {
				for _, label := range []string{"loss", "acc", "f1", "kl"} {
					if strings.Contains(line, label) {
						t.Errorf("%d columns: %q has a number that is not known", width, line)
					}
				}
				continue
			}
			if got != want {
				t.Errorf("%d columns: %q has its columns at\n%s, want\n%s", width, line, got, want)
			}
			if done := s.Batch == s.Batches; done && strings.Contains(line, "ETA") {
				t.Errorf("%d columns: %q is finished and has an ETA", width, line)
			}
			if !strings.Contains(line, s.Phase) {
				t.Errorf("%d columns: %q does not say %s", width, line, s.Phase)
			}
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0000", 2.30259: "2.3026", 10.5: "10.500", 99999.96: "100000", 1234567: "1e+06", -2.30259: "-2.303", 1e300: "1e+300"} {
		if got := short(v, 4, 6); got != want || len(got) > 6 {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.5: "0.50", 9.996: "10.0", 45.678: "45.7", 99.96: "100", 999.96: "1000", 4735: "4735", 99999.4: "99999", 99999.6: "100k", 1234567: "1235k"} {
		if got := perSecond(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

// What is no image is counted as samples.
func TestUnit(t *testing.T) {
	s := Status{Loss: math.NaN(), Accuracy: math.NaN(), ImagesPerSec: 20, Unit: "samples"}
	if got := s.line(0, false, &layout{}); got != "20.0 samples/s" {
		t.Errorf("got %q", got)
	}
	c := small(t, t.TempDir(), 1)
	var log bytes.Buffer
	c.Callbacks, c.Progress = nil, NewProgress(&log)
	if _, err := Fit(t.Context(), c); err != nil || !strings.Contains(log.String(), " img/s") {
		t.Errorf("images: got error %v, the log\n%s", err, log.String())
	}
	c = regression(t)
	log.Reset()
	c.Progress = NewProgress(&log)
	if _, err := Fit(t.Context(), c); err != nil || !strings.Contains(log.String(), " samples/s") || strings.Contains(log.String(), "img/s") {
		t.Errorf("numbers: got error %v, the log\n%s", err, log.String())
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
	want := []string{"before", "half half a line", "train   3/100 loss 1.2346 acc 56.78%", "half half above", "the line", "test    3/100 loss 9.0000 acc 56.78%", ""}
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
