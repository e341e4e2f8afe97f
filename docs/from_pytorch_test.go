package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	code   = regexp.MustCompile("`([^`]+)`")
	random = regexp.MustCompile(`rand|bernoulli`)
)

// TestFromPyTorch runs the right column of the page's table and holds what it gives
// against what the left one gives in PyTorch, which testdata/from_pytorch.py wrote
// down. The pieces of code of a row belong together in their order; what the right
// column has more of has to compile. Rows that give no values, "-" in
// testdata/from_pytorch.txt, have their code in testdata/from_pytorch.go.
func TestFromPyTorch(t *testing.T) {
	page, err := os.ReadFile("from-pytorch.md")
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := os.ReadFile("testdata/from_pytorch.go")
	if err != nil {
		t.Fatal(err)
	}
	setups := map[string]string{}
	lines, err := os.ReadFile("testdata/from_pytorch.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		first, setup, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " | ")
		setups[first] = setup
	}
	type given struct {
		Statement bool
		Value     any
	}
	var results map[string][]given
	recorded, err := os.ReadFile("testdata/from_pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(recorded, &results); err != nil {
		t.Fatal(err)
	}

	type printed struct {
		left, right string
		want        any
	}
	var prints []printed
	var program strings.Builder
	program.WriteString("package main\n\nimport (\n\t\"github.com/wick-ml/wick/autograd\"\n\t\"github.com/wick-ml/wick/layers\"\n\t\"github.com/wick-ml/wick/tensor\"\n)\n\nfunc main() {\n")
	_, table, _ := strings.Cut(string(page), "## Names")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 2 || !strings.Contains(cells[0], "`") {
			continue
		}
		rows++
		left, right := pieces(cells[0]), pieces(cells[1])
		key := strings.Join(left, ", ")
		if setups[left[0]] == "-" {
			for _, c := range right {
				if strings.ContainsAny(c, "({[=") && !strings.Contains(string(fixed), c) {
					t.Errorf("testdata/from_pytorch.go does not contain %q, which the page's row of %q has", c, key)
				}
			}
			continue
		}
		values, ok := results[key]
		if !ok {
			t.Errorf("nothing is recorded for the page's row of %q: run testdata/from_pytorch.py", key)
			continue
		}
		delete(results, key)
		if len(right) < len(left) {
			t.Errorf("the page's row of %q has %d pieces of code on the right, want %d or more", key, len(right), len(left))
			continue
		}
		fmt.Fprintf(&program, "\treset()\n")
		if s := setups[left[0]]; s != "" {
			fmt.Fprintf(&program, "\t%s\n", s)
		}
		for i, v := range values {
			prints = append(prints, printed{left[i], right[i], v.Value})
			if v.Statement {
				fmt.Fprintf(&program, "\t%s\n\tshow(x, x.Grad())\n", right[i])
			} else {
				fmt.Fprintf(&program, "\tshow(%s)\n", right[i])
			}
		}
		for _, c := range right[len(left):] {
			if strings.Contains(c, "(") {
				fmt.Fprintf(&program, "\tif never {\n\t\tshow(%s)\n\t}\n", c)
			}
		}
	}
	program.WriteString("\trest()\n}\n\nvar (\n\t_ = autograd.Grad[*tensor.Tensor]\n\t_ = layers.Func(nil)\n)\n")
	for key := range results {
		t.Errorf("the page has no row of %q any more: run testdata/from_pytorch.py", key)
	}
	if rows < 50 || len(prints) < 80 {
		t.Errorf("the table has %d rows and %d pieces of code to compare, want 50 and 80 at least", rows, len(prints))
	}

	dir, err := os.MkdirTemp(".", "_page-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"fixed.go": string(fixed), "main.go": program.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("go", "run", "./"+dir)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("the page's code: %v\n%s\n%s", err, &stderr, &program)
	}
	got := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(got) != len(prints) {
		t.Fatalf("the page's code prints %d values, want %d", len(got), len(prints))
	}
	for i, p := range prints {
		var v any
		if err := json.Unmarshal([]byte(got[i]), &v); err != nil {
			t.Fatal(err)
		}
		if !sameValue(v, p.want, random.MatchString(p.left)) {
			want, _ := json.Marshal(p.want)
			t.Errorf("%s gives %s, and PyTorch's %s gives %s", p.right, got[i], p.left, want)
		}
	}
}

// pieces returns the pieces of code in a cell.
func pieces(cell string) (out []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// sameValue reports whether two values are alike; the elements of drawn tensors may
// be anything.
func sameValue(got, want any, drawn bool) bool {
	switch want := want.(type) {
	case float64:
		g, ok := got.(float64)
		return ok && (math.Abs(g-want) <= 1e-5*max(1, math.Abs(want)))
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for i := range want {
			if !sameValue(g[i], want[i], drawn) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		return ok && g["dtype"] == want["dtype"] && sameValue(g["shape"], want["shape"], false) && (drawn || sameValue(g["data"], want["data"], false))
	}
	return got == want
}
