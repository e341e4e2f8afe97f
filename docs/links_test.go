package docs

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// This file reads pages and notebooks by itself, without what makes the notebooks, and
// follows their links.

const repository = "https://github.com/wick-ml/wick"

// document is a page's or a notebook's text in Markdown, its code left out.
type document struct {
	path  string // from the repository's root, with slashes
	lines []string
}

// readDocument reads a file of the repository, as the kind that its name says.
func readDocument(t *testing.T, name string) document {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if strings.HasSuffix(name, ".ipynb") {
		var nb struct {
			Cells []struct {
				Type   string   `json:"cell_type"`
				Source []string `json:"source"`
			} `json:"cells"`
		}
		if err := json.Unmarshal(b, &nb); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text = ""
		for i, c := range nb.Cells {
			if c.Type == "markdown" && i > 0 { // the first says what this is, and has a test of its own
				text += strings.Join(c.Source, "") + "\n\n"
			}
		}
	}
	d := document{path: name}
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		} else if !fenced {
			d.lines = append(d.lines, line)
		}
	}
	if fenced {
		t.Errorf("%s: a block of code has no end", name)
	}
	return d
}

// links returns where the document's links lead, as they are written.
func (d document) links() (targets []string) {
	for _, line := range d.lines {
		line = withoutCode(line)
		for {
			_, rest, found := strings.Cut(line, "](")
			if !found {
				break
			}
			depth, end := 1, 0
			for ; end < len(rest); end++ {
				if rest[end] == '(' {
					depth++
				} else if rest[end] == ')' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			target, _, _ := strings.Cut(rest[:end], " ") // a title may follow
			targets = append(targets, target)
			line = rest[end:]
		}
	}
	return targets
}

// withoutCode drops what stands between backquotes.
func withoutCode(line string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(line, "`")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		_, line, _ = strings.Cut(rest, "`")
		out.WriteString("code")
	}
}

// anchors returns the names that GitHub gives the document's headings.
func (d document) anchors() map[string]bool {
	names := map[string]bool{}
	for _, line := range d.lines {
		heading := strings.TrimLeft(line, "#")
		if level := len(line) - len(heading); level == 0 || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, strings.TrimSpace(heading))
		again := name
		for i := 1; names[again]; i++ {
			again = fmt.Sprintf("%s-%d", name, i)
		}
		names[again] = true
	}
	return names
}

// resolve returns the file in the repository that a link leads to, and the place in it,
// or an empty file for an address elsewhere.
func (d document) resolve(target string) (file, fragment string, err error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", "", err
	}
	if u.IsAbs() {
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "", "", fmt.Errorf("no address of a page")
		}
		rest, ours := strings.CutPrefix(target, repository+"/")
		if !ours {
			return "", "", nil
		}
		for _, kind := range []string{"blob/main/", "tree/main/"} {
			if file, ok := strings.CutPrefix(rest, kind); ok {
				file, _, _ = strings.Cut(file, "#")
				return file, u.Fragment, nil
			}
		}
		return "", "", nil // an issue, a release
	}
	if u.Path == "" {
		return d.path, u.Fragment, nil
	}
	file = path.Join(path.Dir(d.path), u.Path)
	if strings.HasPrefix(u.Path, "/") || file == ".." || strings.HasPrefix(file, "../") {
		return "", "", fmt.Errorf("it leads out of the repository")
	}
	return file, u.Fragment, nil
}

// follow returns what is wrong with where a link leads.
func follow(t *testing.T, d document, target string) error {
	file, fragment, err := d.resolve(target)
	if err != nil || file == "" {
		return err
	}
	info, err := os.Stat(filepath.Join("..", filepath.FromSlash(file)))
	switch {
	case err != nil:
		return fmt.Errorf("there is no %s", file)
	case fragment == "":
		return nil
	case info.IsDir() || !strings.HasSuffix(file, ".md") && !strings.HasSuffix(file, ".ipynb"):
		return fmt.Errorf("%s has no headings", file)
	case !readDocument(t, file).anchors()[fragment]:
		return fmt.Errorf("%s has no heading #%s", file, fragment)
	}
	return nil
}

// TestLinks follows every link of every page and notebook: to a file, an address in
// the repository, a heading.
func TestLinks(t *testing.T) {
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"*.md", "*/*.md", "notebooks/*.ipynb"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("no files", pattern, err)
		}
		for _, f := range files {
			names = append(names, path.Join("docs", filepath.ToSlash(f)))
		}
	}
	for _, name := range names {
		d := readDocument(t, name)
		for _, target := range d.links() {
			if err := follow(t, d, target); err != nil {
				t.Errorf("%s links to %s: %v", name, target, err)
			}
		}
	}
}

// TestNotebooksLinkAsPages compares each notebook's links with those of its page: they
// lead to the same headings of the same files, or of a page's notebook in its place.
func TestNotebooksLinkAsPages(t *testing.T) {
	files, err := filepath.Glob("notebooks/*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks", err)
	}
	total := 0
	for _, f := range files {
		stem := strings.TrimSuffix(filepath.Base(f), ".ipynb")
		page, notebook := readDocument(t, "docs/"+stem+".md"), readDocument(t, "docs/notebooks/"+stem+".ipynb")
		var want, got []string
		for _, target := range page.links() {
			file, fragment, err := page.resolve(target)
			if err != nil {
				t.Fatalf("%s: %s: %v", page.path, target, err)
			}
			if name, ok := strings.CutSuffix(file, ".md"); ok && path.Dir(file) == "docs" {
				if other := "docs/notebooks/" + path.Base(name) + ".ipynb"; slices.Contains(files, filepath.FromSlash(strings.TrimPrefix(other, "docs/"))) {
					file = other
				}
			}
			want = append(want, linked(target, file, fragment))
		}
		for _, target := range notebook.links() {
			file, fragment, err := notebook.resolve(target)
			if err != nil {
				t.Errorf("%s: %s: %v", notebook.path, target, err)
			}
			got = append(got, linked(target, file, fragment))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got the links\n%s\nwant, as %s has them,\n%s", notebook.path, strings.Join(got, "\n"), page.path, strings.Join(want, "\n"))
		}
		total += len(got)
	}
	if total == 0 {
		t.Error("no notebook has a link")
	}
}

// linked writes where a link leads.
func linked(target, file, fragment string) string {
	if file == "" {
		return target
	}
	return file + "#" + fragment
}

// TestFollow holds the reading of links against made-up ones.
func TestFollow(t *testing.T) {
	d := document{"docs/notebooks/a.ipynb", []string{
		"# A title, with `code` (and more)", "## Twice", "## Twice",
		"[one](../memory.md#scopes) and `x[i](y)`, ![two](two.png \"Two\")", "[three](https://example.org/a_(b)) [four](#twice-1)",
	}}
	if got, want := d.links(), []string{"../memory.md#scopes", "two.png", "https://example.org/a_(b)", "#twice-1"}; !slices.Equal(got, want) {
		t.Errorf("links: got %q, want %q", got, want)
	}
	anchors := d.anchors()
	for _, want := range []string{"a-title-with-code-and-more", "twice", "twice-1"} {
		if !anchors[want] {
			t.Errorf("anchors: got %v, want %s in it", anchors, want)
		}
	}
	for target, want := range map[string]string{
		"../memory.md":                        "",
		"../nothing.md":                       "there is no docs/nothing.md",
		"memory.md":                           "there is no docs/notebooks/memory.md",
		"../memory.md#nothing":                "docs/memory.md has no heading #nothing",
		"../../tensor/tensor.go":              "",
		"../../tensor/tensor.go#L1":           "tensor/tensor.go has no headings",
		"../../../other":                      "it leads out of the repository",
		"/docs/memory.md":                     "it leads out of the repository",
		"https://example.org":                 "",
		"file:///etc/hosts":                   "no address of a page",
		repository + "/blob/main/LICENSE":     "",
		repository + "/blob/main/LICENCE":     "there is no LICENCE",
		repository + "/tree/main/docs":        "",
		repository + "/tree/main/docs/memory": "there is no docs/memory",
		repository + "/issues":                "",
	} {
		got := ""
		if err := follow(t, d, target); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}
