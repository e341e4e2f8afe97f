// Package docs holds the documentation pages. Their code is run: see docs_test.go.
package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the pages' code prints into the pages")

// TestPages runs the code of every page that has some and compares what it prints
// with what the page says; -update writes it there.
//
// A page is a notebook: its ```go blocks, in their order, are one program.
// Blocks that start with import, func, type, const or var stand outside main,
// all others in it; the ```text block behind a block is what it prints. A block
// that starts with "package main" is the page's program by itself. Numbers
// may differ a little, since machines differ in their instructions.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	pages = append(pages, "../README.md")
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			blocks := parse(string(b))
			if !strings.Contains(string(b), "```go\n") {
				return // nothing to run
			}
			outputs := run(t, page, blocks)
			changed := false
			for i := range blocks {
				b := &blocks[i]
				if b.kind != "go" {
					continue
				}
				want := ""
				if next := i + 1; next < len(blocks) && blocks[next].kind == "text" && blocks[next].follows {
					want = blocks[next].text
					if *update && !alike(outputs[i], want) {
						blocks[next].text, changed = outputs[i], true
					}
				} else if *update && outputs[i] != "" {
					b.added, changed = outputs[i], true
				}
				if got := outputs[i]; !*update && !alike(got, want) {
					t.Errorf("%s, line %d: the code prints\n%s\nand the page says\n%s", page, b.line, got, want)
				}
			}
			if changed {
				if err := os.WriteFile(page, []byte(render(blocks)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// block is a part of a page: a fenced block of a kind, or text between them (kind
// "").
type block struct {
	kind    string
	text    string // without the fences
	line    int
	follows bool   // only blank lines lie between it and the block before
	added   string // output to be added behind it
}

func parse(page string) []block {
	var blocks []block
	var cur block
	blank := false
	flush := func() {
		if cur.text != "" || cur.kind != "" {
			blocks = append(blocks, cur)
		}
	}
	for i, line := range strings.SplitAfter(page, "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && cur.kind == "":
			blank = strings.TrimSpace(cur.text) == ""
			flush()
			kind := strings.TrimSpace(strings.TrimPrefix(line, "```"))
			if kind == "" {
				kind = "plain"
			}
			cur = block{kind: kind, line: i + 1, follows: blank}
		case fence:
			flush()
			cur = block{line: i + 1}
		default:
			cur.text += line
		}
	}
	flush()
	// The blank text between a go block and its output is no block of its own.
	var out []block
	for i, b := range blocks {
		if b.kind == "" && strings.TrimSpace(b.text) == "" && i+1 < len(blocks) && i > 0 && blocks[i+1].kind == "text" {
			continue
		}
		out = append(out, b)
	}
	return out
}

func render(blocks []block) string {
	var s strings.Builder
	for i, b := range blocks {
		if b.kind == "" {
			s.WriteString(b.text)
			continue
		}
		if b.kind == "text" && i > 0 && blocks[i-1].kind == "go" {
			s.WriteString("\n")
		}
		kind := b.kind
		if kind == "plain" {
			kind = ""
		}
		fmt.Fprintf(&s, "```%s\n%s```\n", kind, b.text)
		if b.added != "" {
			fmt.Fprintf(&s, "\n```text\n%s```\n", b.added)
		}
	}
	return s.String()
}

var outside = regexp.MustCompile(`^(import|func|type|const|var) `)

// run builds one program of a page's go blocks and returns what each of them
// prints.
func run(t *testing.T, page string, blocks []block) map[int]string {
	t.Helper()
	const mark = "\x00block "
	var top, body strings.Builder
	whole := -1
	for i, b := range blocks {
		if b.kind != "go" {
			continue
		}
		if strings.HasPrefix(b.text, "package main\n") {
			whole = i
		}
		if outside.MatchString(b.text) {
			fmt.Fprintf(&top, "%s\n", b.text)
			continue
		}
		fmt.Fprintf(&body, "stdout.Stdout.WriteString(%q)\n%s\n", fmt.Sprintf("%s%d\n", mark, i), b.text)
	}
	// The page's first block imports what its code needs; the marks need os, under
	// a name that leaves that one to the page.
	program := "package main\n\nimport stdout \"os\"\n\n" + top.String() + "\nfunc main() {\n" + body.String() + "}\n"
	if whole >= 0 {
		program = blocks[whole].text
	}
	dir, err := os.MkdirTemp(".", "_page-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	binary, err := filepath.Abs(filepath.Join(dir, "page.exe"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", binary, "./"+dir).CombinedOutput(); err != nil {
		t.Fatalf("the code of %s does not compile: %v\n%s\n%s", page, err, out, program)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("the code of %s: %v\n%s\n%s", page, err, &stdout, &stderr)
	}
	outputs := map[int]string{}
	if whole >= 0 {
		outputs[whole] = stdout.String()
		return outputs
	}
	for _, part := range strings.Split(stdout.String(), mark)[1:] {
		number, text, _ := strings.Cut(part, "\n")
		i, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		outputs[i] = text
	}
	return outputs
}

var number = regexp.MustCompile(`[-+]?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?`)

// alike reports whether two outputs have the same words and nearly the same
// numbers: whole ones equal, others within 2 % or 0.02. Times and rates, which
// stand before " s" and " images/s", may be anything.
func alike(a, b string) bool {
	times := regexp.MustCompile(`[0-9.]+ (s|images/s)\b`)
	a, b = times.ReplaceAllString(a, "T $1"), times.ReplaceAllString(b, "T $1")
	words := regexp.MustCompile(`\s+`)
	norm := func(s string) string {
		return strings.TrimSpace(words.ReplaceAllString(number.ReplaceAllString(s, "#"), " "))
	}
	if norm(a) != norm(b) {
		return false
	}
	as, bs := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range as {
		x, _ := strconv.ParseFloat(as[i], 64)
		y, _ := strconv.ParseFloat(bs[i], 64)
		if as[i] != bs[i] && (!strings.ContainsAny(as[i], ".e") || math.Abs(x-y) > 0.02+0.02*math.Abs(y)) {
			return false
		}
	}
	return true
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"loss 1.2345", "loss  1.2346\n", true},
		{"loss 1.2345", "loss 1.3", false},
		{"9 of 10", "8 of 10", false},
		{"12.5 s, 80.1 images/s", "3.1 s, 900 images/s", true},
		{"a", "b", false},
	} {
		if got := alike(c.a, c.b); got != c.want {
			t.Errorf("alike(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestDiffs holds the pages' diffs against the tree: what a hunk adds, with its
// context, stands in the file.
func TestDiffs(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	hunks := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range parse(string(text)) {
			if b.kind != "diff" {
				continue
			}
			header, body, _ := strings.Cut(b.text, "@@\n")
			_, path, ok := strings.Cut(strings.TrimSpace(header), "+++ b/")
			if !ok {
				t.Errorf("%s, line %d: the diff names no file", page, b.line)
				continue
			}
			file, err := os.ReadFile(filepath.Join("..", path))
			if err != nil {
				t.Errorf("%s, line %d: %v", page, b.line, err)
				continue
			}
			for hunk := range strings.SplitSeq(body, "@@\n") {
				var want strings.Builder
				for line := range strings.Lines(hunk) {
					want.WriteString(line[1:])
				}
				if hunks++; !strings.Contains(string(file), want.String()) {
					t.Errorf("%s, line %d: %s does not contain\n%s", page, b.line, path, want.String())
				}
			}
		}
	}
	if hunks == 0 {
		t.Error("no page has a diff")
	}
}

// TestMissing holds the page's list of what is missing against PyTorch's names
// (testdata/names.json, which names.py beside it makes): a class is there by its
// name, or the list has it, and not both.
func TestMissing(t *testing.T) {
	b, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var names map[string][]string
	if err := json.Unmarshal(b, &names); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("from-pytorch.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "## What is missing\n")
	for module, folder := range map[string]string{
		"torch.nn": "layers", "torch.optim": "optim", "torch.optim.lr_scheduler": "sched", "torchvision.transforms": "datasets/transforms",
	} {
		ours := exported(t, filepath.Join("..", folder))
		for _, name := range names[module] {
			there := ours[name] || ours["New"+name]
			if strings.HasPrefix(name, "Lazy") {
				name = "Lazy"
			}
			if listed := strings.Contains(list, "`"+name+"`"); listed == there {
				t.Errorf("%s.%s: it is in package %s %v and in the list of what is missing %v, want one of them", module, name, folder, there, listed)
			}
		}
	}
}

// exported returns the names of a folder's exported types and functions.
func exported(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	names := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok {
						names[s.Name.Name] = true
					}
				}
			}
		}
	}
	return names
}
