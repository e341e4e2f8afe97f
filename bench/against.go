package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/wick-ml/wick/tensor"
)

// serve makes of this program the other side of another bench: what -against starts.
// It makes the rows as that does, from the same seed.
func serve(in io.Reader, out io.Writer, config string) error {
	var c struct{ Dir, Device string }
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("-serve: %w", err)
	}
	device, err := deviceOf(cmp.Or(c.Device, "cpu"))
	if err != nil {
		return err
	}
	if device != tensor.CPU {
		device.SetFloat32Precision(tensor.High)
	}
	s := served{dir: c.Dir, size: size{device: device}}
	defer s.end()
	answers := json.NewEncoder(out)
	if err := answers.Encode(answer{Versions: map[string]string{}, Note: "another build of bench, from the same seeds"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		var a answer
		if err == nil {
			if wrong := tensor.Try(func() { a, err = s.answer(c) }); wrong != nil {
				err = wrong
			}
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// served is the row that is being served.
type served struct {
	size
	dir  string
	work *work
}

// end gives back what the row holds.
func (s *served) end() {
	if s.work != nil {
		if s.work.close != nil {
			s.work.close()
		}
		os.RemoveAll(s.size.dir)
	}
	s.work = nil
}

func (s *served) answer(c command) (answer, error) {
	switch c.Do {
	case "setup":
		s.end()
		all := rows(0, s.gpu())
		i := slices.IndexFunc(all, func(r row) bool { return r.name == c.Row.Name })
		if i < 0 {
			return answer{}, fmt.Errorf("no row is called %s", c.Row.Name)
		}
		dir, err := os.MkdirTemp(s.dir, "row")
		if err != nil {
			return answer{}, err
		}
		s.tiny, s.size.dir = c.Row.Tiny, dir
		runtime.GOMAXPROCS(c.Row.Threads)
		s.work, err = all[i].ready(s.size)
		return answer{Variants: []string{""}}, err
	case "check":
		found, err := s.work.results()
		if err != nil {
			return answer{}, err
		}
		var a answer
		for i, t := range found {
			f := file{filepath.Join(s.dir, fmt.Sprintf("result%d", i)), append([]int{}, t.Shape()...), t.DType().String()}
			if err := os.WriteFile(f.File, t.Raw(), 0o600); err != nil {
				return answer{}, err
			}
			a.Tensors = append(a.Tensors, f)
		}
		runtime.GC()
		return a, nil
	case "time":
		if c.Warm {
			start := time.Now()
			s.work.warm()
			return answer{Seconds: time.Since(start).Seconds()}, nil
		}
		return answer{Seconds: s.work.time(c.Steps, waiter(s.device)) * float64(c.Steps)}, nil
	case "peak":
		return answer{Peak: &machinePeak{}}, nil
	}
	return answer{}, fmt.Errorf("no command is called %s", c.Do)
}

// waiter returns a function that waits until the device has done what it was given.
func waiter(d *tensor.Device) func() {
	if d == nil || d == tensor.CPU {
		return func() {}
	}
	last := tensor.Zeros(1).To(d)
	return func() { last.Item() }
}

// time makes steps and returns the seconds of one.
func (w *work) time(steps int, wait func()) float64 {
	wait()
	start := time.Now()
	for range steps {
		w.step(false)
	}
	if w.host > 0 {
		defer wait()
		return time.Since(start).Seconds() / float64(steps)
	}
	wait()
	return time.Since(start).Seconds() / float64(steps)
}
