package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
)

// program is the other side: what it is called in the table, and the command that starts it.
type program struct {
	name    string
	command []string
}

// side is the other side at work: a process that does what it is told, a line of
// JSON for each command and each answer. pytorch.py and peers/main.go are the other
// end.
type side struct {
	name     string
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	dir      string // for tensors
	versions map[string]string
	note     string // for below the table
}

// spec is what the other side is told of a row.
type spec struct {
	Name    string `json:"name"` // the row's
	Op      string `json:"op"`
	Args    args   `json:"args"`
	Wrt     []int  `json:"wrt,omitempty"` // the inputs whose gradients the step computes; none: the step is the forward pass
	Layouts bool   `json:"layouts"`       // channels_last takes part too
	Compile bool   `json:"compile"`       // torch.compile takes part too
	Tiny    bool   `json:"tiny"`
	Threads int    `json:"threads"`
	Host    bool   `json:"host"` // only the program's own time counts
	Tensors []file `json:"tensors"`
}

// args are the numbers of a row; each op reads those that it knows.
type args struct {
	Stride   int        `json:"stride"`
	Padding  int        `json:"padding"`
	Groups   int        `json:"groups"`
	Kernel   int        `json:"kernel"`
	Dims     []int      `json:"dims"`
	Channels int        `json:"channels"`
	Middle   int        `json:"middle"`
	Cfg      models.Cfg `json:"cfg"`
	Train    bool       `json:"train"`
	DType    string     `json:"dtype"` // bfloat16: autocast to it, or of an operation its tensors' type; empty: float32
	// A GPU's rows: the step as a CUDA graph, and algorithms that are not measured.
	Captured  bool   `json:"captured"`
	Heuristic bool   `json:"heuristic"`
	Batch     int    `json:"batch"`
	Pictures  int    `json:"pictures"` // so many of each part of the data set
	Dir       string `json:"dir"`
	Resize    int    `json:"resize"`
	Crop      int    `json:"crop"`
	Heads     int    `json:"heads"`
	Both      bool   `json:"both"` // both passes are the step, not one
	Optimizer string `json:"optimizer"`
	How       string `json:"how"` // of small operations
	Calls     int    `json:"calls"`
}

// file is a tensor as raw numbers in a file.
type file struct {
	File  string `json:"file"`
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

// command is a line to the other side.
type command struct {
	Do      string `json:"do"` // setup, check or time
	Row     *spec  `json:"row,omitempty"`
	Variant int    `json:"variant"`
	Checks  int    `json:"checks,omitempty"`
	Steps   int    `json:"steps,omitempty"`
	Warm    bool   `json:"warm"` // time the row's short form
}

// answer is a line from the other side.
type answer struct {
	Error    string            `json:"error"`
	Versions map[string]string `json:"versions"`
	Note     string            `json:"note"`
	Variants []string          `json:"variants"`
	Dropped  string            `json:"dropped"` // why a compiled variant takes no part
	Tensors  []file            `json:"tensors"`
	Seconds  float64           `json:"seconds"`
	Peak     *machinePeak      `json:"peak"`
}

const needs = "bench runs in the repository's root; -python names an interpreter with torch and numpy"

// start runs a program, which keeps tensors in dir and computes on a device.
func start(dir, device string, p program) (*side, error) {
	config, err := json.Marshal(map[string]string{"dir": dir, "device": device})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.command[0], append(slices.Clone(p.command[1:]), string(config))...)
	cmd.Stderr = os.Stderr
	// Threads that wait their turn must not spin: the other side is being timed.
	cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive", "KMP_BLOCKTIME=0")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w (%s)", p.command[0], err, needs)
	}
	s := &side{name: p.name, cmd: cmd, in: in, out: bufio.NewReader(out), dir: dir}
	hello, err := s.answer()
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s was not ready: %w (%s)", p.command[0], err, needs)
	}
	s.versions, s.note = hello.Versions, hello.Note
	return s, nil
}

func (s *side) answer() (answer, error) {
	line, err := s.out.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return answer{}, fmt.Errorf("%s's side ended", s.name)
	}
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("%s's side said %q: %w", s.name, line, err)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("%s's side: %s", s.name, a.Error)
	}
	return a, nil
}

func (s *side) do(c command) (answer, error) {
	line, err := json.Marshal(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return answer{}, fmt.Errorf("%s's side: %w", s.name, err)
	}
	return s.answer()
}

// setup tells the other side of a row, hands it the tensors, and returns the
// names of the variants in which it takes part.
func (s *side) setup(row spec, tensors []*tensor.Tensor) ([]string, error) {
	row.Tensors = []file{}
	for i, t := range tensors {
		f := file{filepath.Join(s.dir, fmt.Sprintf("tensor%d", i)), append([]int{}, t.Shape()...), t.DType().String()}
		if err := os.WriteFile(f.File, t.Raw(), 0o600); err != nil {
			return nil, err
		}
		row.Tensors = append(row.Tensors, f)
	}
	a, err := s.do(command{Do: "setup", Row: &row})
	if err == nil && len(a.Variants) == 0 {
		err = fmt.Errorf("%s's side has no variant", s.name)
	}
	return a.Variants, err
}

// check has a variant make its first steps and returns what they compute, or why
// it takes no part.
func (s *side) check(variant, checks int) (results []*tensor.Tensor, dropped string, err error) {
	a, err := s.do(command{Do: "check", Variant: variant, Checks: checks})
	if err != nil || a.Dropped != "" {
		return nil, a.Dropped, err
	}
	for _, f := range a.Tensors {
		raw, err := os.ReadFile(f.File)
		if err != nil {
			return nil, "", err
		}
		var t *tensor.Tensor
		switch f.DType {
		case "float32":
			t = tensor.Zeros(f.Shape...)
		case "int64":
			t = tensor.Zeros(f.Shape...).ToDType(tensor.Int64)
		default:
			return nil, "", fmt.Errorf("%s's side made a tensor of %s, want float32 or int64", s.name, f.DType)
		}
		t.SetRaw(raw)
		results = append(results, t)
	}
	return results, "", nil
}

// time has a variant make steps, or the short form of one, and returns the seconds of one.
func (s *side) time(variant, steps int, warm bool) (float64, error) {
	a, err := s.do(command{Do: "time", Variant: variant, Steps: steps, Warm: warm})
	return a.Seconds / float64(steps), err
}

// peak measures what the other side reaches on its device with a large copy and
// large products; small ones say only that it can.
func (s *side) peak(small bool) (machinePeak, error) {
	c := command{Do: "peak", Steps: 8192}
	if small {
		c.Steps = 64
	}
	a, err := s.do(c)
	if err == nil && a.Peak == nil {
		err = fmt.Errorf("%s's side has no peak", s.name)
	}
	if err != nil {
		return machinePeak{}, err
	}
	return *a.Peak, nil
}

func (s *side) stop() {
	s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		log.Print(err)
	}
}
