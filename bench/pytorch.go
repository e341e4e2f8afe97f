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

	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
)

// pytorch is PyTorch's side: a process that does what it is told, a line of JSON
// for each command and each answer.
type pytorch struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	dir      string // for tensors
	versions map[string]string
}

// spec is what PyTorch's side is told of a row.
type spec struct {
	Op      string `json:"op"`
	Args    args   `json:"args"`
	Wrt     []int  `json:"wrt,omitempty"` // the inputs whose gradients the step computes; none: the step is the forward pass
	Layouts bool   `json:"layouts"`       // channels_last takes part too
	Compile bool   `json:"compile"`       // torch.compile takes part too
	Threads int    `json:"threads"`
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
	Batch    int        `json:"batch"`
	Dir      string     `json:"dir"`
	Resize   int        `json:"resize"`
	Crop     int        `json:"crop"`
}

// file is a tensor as raw numbers in a file.
type file struct {
	File  string `json:"file"`
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

// command is a line to PyTorch's side.
type command struct {
	Do      string `json:"do"` // setup, check or time
	Row     *spec  `json:"row,omitempty"`
	Variant int    `json:"variant"`
	Checks  int    `json:"checks,omitempty"`
	Steps   int    `json:"steps,omitempty"`
}

// answer is a line from PyTorch's side.
type answer struct {
	Error    string            `json:"error"`
	Versions map[string]string `json:"versions"`
	Variants []string          `json:"variants"`
	Dropped  string            `json:"dropped"` // why a compiled variant takes no part
	Tensors  []file            `json:"tensors"`
	Seconds  float64           `json:"seconds"`
}

// start runs command, PyTorch's side, which keeps tensors in dir.
func start(dir string, program ...string) (*pytorch, error) {
	config, err := json.Marshal(map[string]string{"dir": dir})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program[0], append(program[1:], string(config))...)
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
		return nil, fmt.Errorf("%s: %w (-python names an interpreter with torch and numpy)", program[0], err)
	}
	p := &pytorch{cmd: cmd, in: in, out: bufio.NewReader(out), dir: dir}
	hello, err := p.answer()
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s was not ready: %w (-python names an interpreter with torch and numpy)", program[0], err)
	}
	p.versions = hello.Versions
	return p, nil
}

func (p *pytorch) answer() (answer, error) {
	line, err := p.out.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return answer{}, errors.New("PyTorch's side ended")
	}
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("PyTorch's side said %q: %w", line, err)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("PyTorch's side: %s", a.Error)
	}
	return a, nil
}

func (p *pytorch) do(c command) (answer, error) {
	line, err := json.Marshal(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return answer{}, fmt.Errorf("PyTorch's side: %w", err)
	}
	return p.answer()
}

// setup tells PyTorch's side of a row, hands it the tensors, and returns the
// names of the variants in which it takes part.
func (p *pytorch) setup(s spec, tensors []*tensor.Tensor) ([]string, error) {
	s.Tensors = []file{}
	for i, t := range tensors {
		f := file{filepath.Join(p.dir, fmt.Sprintf("tensor%d", i)), append([]int{}, t.Shape()...), t.DType().String()}
		if err := os.WriteFile(f.File, t.Raw(), 0o600); err != nil {
			return nil, err
		}
		s.Tensors = append(s.Tensors, f)
	}
	a, err := p.do(command{Do: "setup", Row: &s})
	if err == nil && len(a.Variants) == 0 {
		err = errors.New("PyTorch's side has no variant")
	}
	return a.Variants, err
}

// check has a variant make its first steps and returns what they compute, or why
// it takes no part.
func (p *pytorch) check(variant, checks int) (results []*tensor.Tensor, dropped string, err error) {
	a, err := p.do(command{Do: "check", Variant: variant, Checks: checks})
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
			return nil, "", fmt.Errorf("PyTorch's side made a tensor of %s, want float32 or int64", f.DType)
		}
		t.SetRaw(raw)
		results = append(results, t)
	}
	return results, "", nil
}

// time has a variant make steps and returns the seconds of one.
func (p *pytorch) time(variant, steps int) (float64, error) {
	a, err := p.do(command{Do: "time", Variant: variant, Steps: steps})
	return a.Seconds / float64(steps), err
}

func (p *pytorch) stop() {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		log.Print(err)
	}
}
