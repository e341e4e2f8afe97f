package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// notebook is a Jupyter notebook, nbformat 4.5, with its fields in the order in
// which Jupyter writes them.
type notebook struct {
	Cells    []cell `json:"cells"`
	Metadata struct {
		Kernelspec struct {
			DisplayName string `json:"display_name"`
			Language    string `json:"language"`
			Name        string `json:"name"`
		} `json:"kernelspec"`
		LanguageInfo struct {
			CodemirrorMode string `json:"codemirror_mode"`
			FileExtension  string `json:"file_extension"`
			Mimetype       string `json:"mimetype"`
			Name           string `json:"name"`
			PygmentsLexer  string `json:"pygments_lexer"`
		} `json:"language_info"`
	} `json:"metadata"`
	Nbformat      int `json:"nbformat"`
	NbformatMinor int `json:"nbformat_minor"`
}

type cell struct {
	CellType       string    `json:"cell_type"`
	ExecutionCount *int      `json:"execution_count,omitempty"` // code cells have one
	ID             string    `json:"id"`
	Metadata       struct{}  `json:"metadata"`
	Outputs        *[]output `json:"outputs,omitempty"` // code cells have them, if empty
	Source         []string  `json:"source"`
}

type output struct {
	Name       string   `json:"name,omitempty"`
	OutputType string   `json:"output_type"`
	Text       []string `json:"text,omitempty"`
}

// lines splits a text as Jupyter stores it: with the newlines, none at the end.
func lines(s string) []string {
	return strings.SplitAfter(strings.Trim(s, "\n"), "\n")
}

// toNotebook makes a page's notebook: prose and blocks that are not run become
// markdown cells, go blocks code cells, and the text blocks behind those outputs.
func toNotebook(page string, blocks []block) notebook {
	var nb notebook
	nb.Nbformat, nb.NbformatMinor = 4, 5
	spec, info := &nb.Metadata.Kernelspec, &nb.Metadata.LanguageInfo
	spec.DisplayName, spec.Language, spec.Name = "Go (Wick)", "go", "wick"
	info.CodemirrorMode, info.FileExtension, info.Mimetype, info.Name, info.PygmentsLexer = "go", ".go", "text/x-go", "go", "go"

	name := strings.TrimSuffix(page, ".md")
	prose := ""
	add := func(c cell) {
		c.ID = fmt.Sprintf("%s-%d", name, len(nb.Cells))
		nb.Cells = append(nb.Cells, c)
	}
	flush := func() {
		if strings.TrimSpace(prose) != "" {
			add(cell{CellType: "markdown", Source: lines(prose)})
		}
		prose = ""
	}
	add(cell{CellType: "markdown", Source: lines(fmt.Sprintf(`*This is [%s](../%[1]s) as a notebook. It runs with the kernel in this folder, which [README.md](README.md) installs. The cells are one Go program: running a cell runs those above it again, without showing what they print, so run them from the top. The same seed gives the same numbers.*`, page))})
	count := 0
	for i, b := range blocks {
		switch {
		case b.kind == "go":
			flush()
			count++
			number, outputs := count, []output{}
			if next := i + 1; next < len(blocks) && isOutput(blocks, next) {
				outputs = append(outputs, output{"stdout", "stream", strings.SplitAfter(blocks[next].text, "\n")})
				if text := &outputs[0].Text; (*text)[len(*text)-1] == "" {
					*text = (*text)[:len(*text)-1]
				}
			}
			add(cell{CellType: "code", ExecutionCount: &number, Outputs: &outputs, Source: lines(b.text)})
		case isOutput(blocks, i):
		case b.kind == "":
			prose += toFolder(b.text)
		default: // code that is not run stays as it is
			prose += render(blocks[i : i+1])
		}
	}
	flush()
	return nb
}

// isOutput reports whether block i is what the go block before it prints.
func isOutput(blocks []block, i int) bool {
	return i > 0 && blocks[i].kind == "text" && blocks[i].follows && blocks[i-1].kind == "go"
}

// link finds links to files, and code between backquotes so that it is passed over.
var link = regexp.MustCompile("`[^`]*`" + `|\]\(([^):#]+)([^):]*)\)`)

// toFolder makes a page's links fit its notebook, one folder further down: they
// lead to the notebook of a page that has one.
func toFolder(prose string) string {
	return link.ReplaceAllStringFunc(prose, func(s string) string {
		m := link.FindStringSubmatch(s)
		if m[1] == "" {
			return s
		}
		if b, err := os.ReadFile(m[1]); err == nil && filepath.Dir(m[1]) == "." && strings.Contains(string(b), "```go\n") {
			return "](" + strings.TrimSuffix(m[1], ".md") + ".ipynb" + m[2] + ")"
		}
		return "](../" + m[1] + m[2] + ")"
	})
}

// encode writes a notebook as Jupyter does.
func encode(nb notebook) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(nb)
	return b.Bytes(), err
}

// notebooks makes the notebooks of all pages that have go code, by their names.
func notebooks(t *testing.T) map[string]notebook {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]notebook{}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "```go\n") {
			all[strings.TrimSuffix(page, ".md")] = toNotebook(page, parse(string(b)))
		}
	}
	if len(all) == 0 {
		t.Fatal("no page has go code")
	}
	return all
}

// TestNotebooks holds docs/notebooks against the pages, which are their source;
// -update writes them.
func TestNotebooks(t *testing.T) {
	all := notebooks(t)
	for name, nb := range all {
		want, err := encode(nb)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("notebooks", name+".ipynb")
		got, err := os.ReadFile(path)
		if err == nil && bytes.Equal(got, want) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what %s.md makes (%v): go test ./docs -update writes it", path, name, err)
		} else if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("notebooks/*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if _, ok := all[strings.TrimSuffix(filepath.Base(path), ".ipynb")]; !ok {
			t.Errorf("%s has no page with go code", path)
		}
	}
}

// TestNotebookCode holds the notebooks' code against the pages', letter by letter.
func TestNotebookCode(t *testing.T) {
	for name, nb := range notebooks(t) {
		page, err := os.ReadFile(name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		var code strings.Builder // of the notebook, fenced blocks of the text included
		for _, c := range nb.Cells {
			source := strings.Join(c.Source, "")
			if c.CellType == "code" {
				code.WriteString(strings.Trim(source, "\n") + "\n")
				continue
			}
			for _, b := range parse(source + "\n") {
				if b.kind != "" {
					code.WriteString(strings.Trim(b.text, "\n") + "\n")
				}
			}
		}
		var want strings.Builder
		blocks := parse(string(page))
		for i, b := range blocks {
			if b.kind != "" && !isOutput(blocks, i) {
				want.WriteString(strings.Trim(b.text, "\n") + "\n")
			}
		}
		if diff := cmp.Diff(want.String(), code.String()); diff != "" {
			t.Errorf("the code of %s.md and of its notebook: want -, got +\n%s", name, diff)
		}
	}
}

func TestToFolder(t *testing.T) {
	for prose, want := range map[string]string{
		"see [memory](memory.md) and [CUDA](cuda.md#build)":         "see [memory](memory.ipynb) and [CUDA](../cuda.md#build)",
		"[web](https://example.org/a) and [below](#below)":          "[web](https://example.org/a) and [below](#below)",
		"call `f[T](x, y)` as in [the code](../tensor/cumsum.go)":   "call `f[T](x, y)` as in [the code](../../tensor/cumsum.go)",
		"`a[i](b)` [memory](memory.md#scopes) `c[j](d)`, `e[k](f)`": "`a[i](b)` [memory](memory.ipynb#scopes) `c[j](d)`, `e[k](f)`",
	} {
		if got := toFolder(prose); got != want {
			t.Errorf("toFolder(%q): got %q, want %q", prose, got, want)
		}
	}
}

// jupyter runs notebooks with the interpreter that WICK_PYTHON names.
type jupyter struct{ python, prefix string }

// newJupyter installs the kernel into a folder of the test's.
func newJupyter(t *testing.T) jupyter {
	t.Helper()
	python := os.Getenv("WICK_PYTHON")
	if python == "" {
		t.Skip("WICK_PYTHON names no Python interpreter with what notebooks/requirements.txt lists")
	}
	prefix := t.TempDir()
	if out, err := exec.Command(python, "notebooks/wick_kernel.py", "install", "--prefix", prefix).CombinedOutput(); err != nil {
		t.Fatalf("the kernel could not be installed: %v\n%s", err, out)
	}
	return jupyter{python, prefix}
}

// executed is what a cell shows: its text, the first line of its error, the
// error's lines, and the kinds of its images.
type executed struct {
	Text, Error string
	Lines       []string
	Pictures    []string
}

// execute runs a notebook and returns what its code cells show. A cell may fail if
// errors is set, and is then interrupted after that many seconds.
func (j jupyter) execute(t *testing.T, nb notebook, errors int) []executed {
	t.Helper()
	// A folder in the module, which Go leaves out, takes what the cells write.
	dir, err := os.MkdirTemp("notebooks", "_run-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := encode(nb)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.python, "-c", `
import sys, nbclient, nbformat
nb = nbformat.reads(sys.stdin.read(), 4)
errors = int(sys.argv[1])
nbclient.NotebookClient(nb, kernel_name="wick", allow_errors=errors > 0, timeout=errors or None, interrupt_on_timeout=True).execute()
print(nbformat.writes(nb))
`, strconv.Itoa(errors))
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(b)
	cmd.Env = append(os.Environ(), "JUPYTER_PATH="+filepath.Join(j.prefix, "share", "jupyter"), "PYTHONIOENCODING=utf-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if b, err = cmd.Output(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var got struct {
		Cells []struct {
			CellType string `json:"cell_type"`
			Outputs  []struct {
				Name, Evalue string
				Text         []string
				Traceback    []string
				Data         map[string]any
			}
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var cells []executed
	for _, c := range got.Cells {
		if c.CellType != "code" {
			continue
		}
		var e executed
		for _, o := range c.Outputs {
			if o.Name == "stdout" {
				e.Text += strings.Join(o.Text, "")
			}
			if o.Traceback != nil {
				e.Error, e.Lines = o.Evalue, o.Traceback[1:]
			}
			for kind := range o.Data {
				if strings.HasPrefix(kind, "image/") {
					e.Pictures = append(e.Pictures, kind)
				}
			}
		}
		cells = append(cells, e)
	}
	return cells
}

// TestNotebooksRun runs the notebooks in Jupyter with their kernel and compares
// what each cell shows with what is stored.
func TestNotebooksRun(t *testing.T) {
	j := newJupyter(t)
	for name, nb := range notebooks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := j.execute(t, nb, 0)
			for _, c := range nb.Cells {
				if c.Outputs == nil {
					continue
				}
				want := ""
				for _, o := range *c.Outputs {
					want += strings.Join(o.Text, "")
				}
				if !alike(got[0].Text, want) {
					t.Errorf("cell %s shows\n%s\nand its page says\n%s", c.ID, got[0].Text, want)
				}
				got = got[1:]
			}
		})
	}
}

// TestNotebooksKernel holds what the kernel shows for cells that a person may type.
func TestNotebooksKernel(t *testing.T) {
	j := newJupyter(t)
	const line = "    "
	rows := []struct {
		name, code string
		want       executed
	}{
		{"imports that nothing uses yet", "import (\n\t\"fmt\" // and ) a comment\n\t\"math/rand/v2\"\n\t\"os\"\n\t\"time\"\n)\n\nfunc check(err error) {\n\tif err != nil {\n\t\tpanic(err)\n\t}\n}", executed{}},
		{"a variable that nothing uses yet", "x := rand.N(1) + 1\nfmt.Println(\"first\")", executed{Text: "first\n"}},
		{"it is still there, and no output from above", "fmt.Println(x)", executed{Text: "1\n"}},
		{"an unknown name", "y := 1\nfmt.Println(\n\tz)", executed{Error: "cell [4], line 3: undefined: z", Lines: []string{"cell [4], line 3: undefined: z", line + "z)"}}},
		{"an unused variable of an inner block", "for i := range 3 {\n\tw := i\n}", executed{Error: "cell [5], line 2: declared and not used: w", Lines: []string{"cell [5], line 2: declared and not used: w", line + "w := i"}}},
		{"an open block", "for {", executed{Error: "at the cell's end: syntax error: unexpected EOF, expected }", Lines: []string{"at the cell's end: syntax error: unexpected EOF, expected }"}}},
		{"a panic", "fmt.Println(\"before\")\n\ncheck(os.ErrNotExist)", executed{Text: "before\n", Error: "panic: file does not exist", Lines: []string{"panic: file does not exist", "cell [1], line 10:", line + "panic(err)", "cell [7], line 3:", line + "check(os.ErrNotExist)"}}},
		{"an exit", "os.Exit(3)", executed{Error: "exit status 3", Lines: []string{"exit status 3"}}},
		{"an import with statements", "import \"strings\"\n\nfmt.Println(strings.ToUpper(\"go\"))", executed{Text: "GO\n"}},
		{"a declaration after one with its name", "func check() {}", executed{Error: "cell [10], line 1: check redeclared in this block", Lines: []string{"cell [10], line 1: check redeclared in this block", line + "func check() {}", "cell [1], line 8: other declaration of check", line + "func check(err error) {"}}},
		{"an image", "check(os.WriteFile(\"a.svg\", []byte(`<svg xmlns=\"http://www.w3.org/2000/svg\"/>`), 0o666))\nfmt.Println(\"see a.svg\")\nfmt.Println(\"no.svg\")", executed{Text: "see a.svg\nno.svg\n", Pictures: []string{"image/svg+xml"}}},
		{"a whole program", "package main\n\nfunc main() { println(); print(); panic(1) }", executed{Error: "panic: 1", Lines: []string{"panic: 1", "cell [12], line 3:", line + "func main() { println(); print(); panic(1) }"}}},
		{"a whole program with what it does not use", "package main\n\nimport \"fmt\"\n\nfunc main() { x := 1 }", executed{Error: `cell [13], line 3: "fmt" imported and not used`, Lines: []string{`cell [13], line 3: "fmt" imported and not used`, line + `import "fmt"`, "cell [13], line 5: declared and not used: x", line + "func main() { x := 1 }"}}},
		{"imports again and under other names", "import \"fmt\"\nimport random \"math/rand/v2\"\nimport again \"fmt\"\n\nfmt.Println(random.N(1))", executed{Text: "0\n"}},
		{"an endless cell", "fmt.Println(\"on\")\nfor {\n\ttime.Sleep(time.Second)\n}", executed{Text: "on\n", Lines: []string{}}},
		{"it is not part of the program", "x++\nfmt.Println(x)", executed{Text: "2\n"}},
	}
	var nb notebook
	nb.Nbformat, nb.NbformatMinor = 4, 5
	for i, row := range rows {
		nb.Cells = append(nb.Cells, cell{CellType: "code", ID: fmt.Sprint("row-", i), ExecutionCount: new(int), Outputs: &[]output{}, Source: lines(row.code)})
	}
	got := j.execute(t, nb, 8)
	for i, row := range rows {
		if diff := cmp.Diff(row.want, got[i]); diff != "" {
			t.Errorf("%s: want -, got +\n%s", row.name, diff)
		}
	}
}
