package wick

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api.txt")

const apiFile = "docs/api.txt"

// TestAPI holds what programs may use against docs/api.txt. What is added goes into that file
// (go test . -run API -update); what is changed or removed breaks somebody's program, so
// CHANGELOG.md has to name it, as `package.Name` or `package.Type.Name`.
func TestAPI(t *testing.T) {
	api, err := publicAPI()
	if err != nil {
		t.Fatal(err)
	}
	var old []string
	if b, err := os.ReadFile(apiFile); err == nil {
		old = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	unnamed, added, dropped := compareAPI(old, api, string(changes))
	for _, u := range unnamed {
		t.Errorf("the API no longer has\n\t%s\nwhich CHANGELOG.md does not name; it has to say `%s`, and what takes its place", u, apiName(u))
	}
	if *update && len(unnamed) == 0 {
		if err := os.WriteFile(apiFile, []byte(strings.Join(api, "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, a := range added {
		t.Errorf("%s does not have\n\t%s\ngo test . -run API -update adds it", apiFile, a)
	}
	for _, d := range dropped {
		t.Errorf("%s still has\n\t%s\ngo test . -run API -update removes it", apiFile, d)
	}
}

// compareAPI returns the lines that are gone and that the changes do not name, those that are new, and those that are gone.
func compareAPI(old, now []string, changes string) (unnamed, added, dropped []string) {
	for _, l := range old {
		if !slices.Contains(now, l) {
			dropped = append(dropped, l)
			if !strings.Contains(changes, "`"+apiName(l)+"`") {
				unnamed = append(unnamed, l)
			}
		}
	}
	for _, l := range now {
		if !slices.Contains(old, l) {
			added = append(added, l)
		}
	}
	return unnamed, added, dropped
}

// apiName is the name of what a line declares: "tensor.Tensor.Add".
func apiName(line string) string {
	name, _, _ := strings.Cut(line, " ")
	return name
}

func publicAPI() ([]string, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Name", "./...").Output()
	if err != nil {
		return nil, err
	}
	lines := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir, Name string
			GoFiles               []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		path := strings.TrimPrefix(p.ImportPath, module)
		if p.Name == "main" || path == p.ImportPath || slices.Contains(strings.Split(path, "/"), "internal") {
			continue
		}
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				return nil, err
			}
			if err := fileAPI(lines, path, string(src)); err != nil {
				return nil, err
			}
		}
	}
	return slices.Sorted(maps.Keys(lines)), nil
}

var blanks = regexp.MustCompile(`\s+`)

// fileAPI adds what a file declares for others, a line each: its name, then how it is declared.
func fileAPI(lines map[string]bool, path, src string) error {
	f, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	if err != nil {
		return err
	}
	show := func(n any) string {
		var b strings.Builder
		if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
			panic(err)
		}
		return blanks.ReplaceAllString(b.String(), " ")
	}
	add := func(format string, args ...any) { lines[path+"."+fmt.Sprintf(format, args...)] = true }
	members := func(of, kind string, list *ast.FieldList) {
		for _, m := range list.List {
			if typ := show(m.Type); len(m.Names) == 0 && ast.IsExported(typ[strings.LastIndexAny(typ, "*.")+1:]) {
				add("%s embeds %s", of, typ)
			}
			for _, n := range m.Names {
				if n.IsExported() {
					add("%s.%s %s %s", of, n.Name, kind, show(m.Type))
				}
			}
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			d.Body, d.Doc = nil, nil
			if !d.Name.IsExported() {
				continue
			}
			name := d.Name.Name
			if d.Recv != nil {
				typ := strings.TrimLeft(show(d.Recv.List[0].Type), "*")
				typ, _, _ = strings.Cut(typ, "[")
				if !ast.IsExported(typ) {
					continue
				}
				name = typ + "." + name
			}
			add("%s %s", name, show(d))
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if !s.Name.IsExported() {
						continue
					}
					switch typ := s.Type.(type) {
					case *ast.StructType:
						add("%s type struct", s.Name.Name)
						members(s.Name.Name, "field", typ.Fields)
					case *ast.InterfaceType:
						add("%s type interface", s.Name.Name)
						members(s.Name.Name, "method", typ.Methods)
					default:
						add("%s type %s", s.Name.Name, show(s.Type))
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.IsExported() {
							add("%s %s", n.Name, d.Tok)
						}
					}
				}
			}
		}
	}
	return nil
}

func TestCompareAPI(t *testing.T) {
	list := func(src string) []string {
		lines := map[string]bool{}
		if err := fileAPI(lines, "p", "package p\n"+src); err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(lines))
	}
	const before = "type T struct{ A, b int }\nfunc (t *T) Do(n int) error { return nil }\nfunc F()\nconst C = 1\ntype I interface{ M() }\ntype u struct{ X int }\nfunc (u) Y()"
	for _, c := range []struct {
		name, now, changes             string
		unnamed, added, dropped, first string
	}{
		{"nothing", before, "", "0", "0", "0", ""},
		{"another body, and what is not for others", strings.Replace(strings.Replace(before, "A, b int", "A int; c string", 1), "return nil", "panic(0)", 1), "", "0", "0", "0", ""},
		{"a field that is gone", strings.Replace(before, "A, b int", "b int", 1), "", "1", "0", "1", "p.T.A field int"},
		{"a field that is gone and named", strings.Replace(before, "A, b int", "b int", 1), "- `p.T.A` went", "0", "0", "1", ""},
		{"another signature", strings.Replace(before, "n int", "n int64", 1), "", "1", "1", "1", "p.T.Do func (t *T) Do(n int) error"},
		{"a function more", before + "\nfunc G()", "", "0", "1", "0", ""},
		{"a method of an interface that is gone", strings.Replace(before, "M()", "", 1), "`p.I` is not enough", "1", "0", "1", "p.I.M method func()"},
	} {
		unnamed, added, dropped := compareAPI(list(before), list(c.now), c.changes)
		if got, want := fmt.Sprint(len(unnamed), len(added), len(dropped)), c.unnamed+" "+c.added+" "+c.dropped; got != want {
			t.Errorf("%s: got %s unnamed, added and dropped, want %s", c.name, got, want)
		}
		if c.first != "" && (len(unnamed) == 0 || unnamed[0] != c.first) {
			t.Errorf("%s: got %q, want %q", c.name, unnamed, c.first)
		}
	}
}
