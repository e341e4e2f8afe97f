package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A layer stands in one place: all declarations that name it are in one file, and
// those of an activation follow each other there. Nothing else in this package
// has to be touched for a new one.
func TestLayersStandInOnePlace(t *testing.T) {
	type place struct {
		file string
		decl int // its number in the file
	}
	places := map[string][]place{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range f.Decls {
			named, skip := map[string]bool{}, map[ast.Node]bool{}
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr: // tensor.Conv2d is another, and so are x.Tanh and fields
					skip[n.Sel] = true
				case *ast.KeyValueExpr:
					skip[n.Key] = true
				case *ast.Field:
					for _, name := range n.Names {
						skip[name] = true
					}
				case *ast.FuncDecl:
					if n.Recv != nil {
						skip[n.Name] = true
					}
				case *ast.Ident:
					if !skip[n] {
						named[n.Name] = true
					}
				}
				return true
			})
			for name := range named {
				places[name] = append(places[name], place{path, i})
			}
		}
	}
	// A Sequential runs Conv2d, BatchNorm2d and ReLU in one pass, and whatever walks
	// through a model knows the containers.
	known := map[string][]string{
		"Sequential":  {"config.go", "container.go", "string.go", "trace.go"},
		"ModuleList":  {"config.go", "container.go", "module.go", "string.go", "summary.go"},
		"Conv2d":      {"container.go", "conv.go"},
		"BatchNorm2d": {"container.go", "norm.go"},
		"ReLU":        {"activation.go", "container.go"},
	}
	for _, name := range slices.Sorted(maps.Keys(library)) {
		var in []string
		for _, p := range places[name] {
			if !slices.Contains(in, p.file) {
				in = append(in, p.file)
			}
		}
		want := known[name]
		if want == nil && len(in) == 1 {
			want = in
		}
		if !slices.Equal(in, want) {
			t.Errorf("%s is named in %v, want one file", name, in)
		}
		for i, p := range places[name] {
			if first := places[name][0]; p.file == "activation.go" && p.decl != first.decl+i {
				t.Errorf("%s: declarations %d and %d of %s name it, and others stand between them", name, first.decl+i-1, p.decl, p.file)
				break
			}
		}
	}
}
