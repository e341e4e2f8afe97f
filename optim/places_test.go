package optim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// An optimizer, a type with a rule, stands in one file: no other declaration of this
// package names it.
func TestOptimizersStandInOneFile(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}   // the file of each optimizer's rule
	named := map[string][]string{} // the files that name a type
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		in := map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && n.Name.Name == "rule" {
					if star, ok := n.Recv.List[0].Type.(*ast.StarExpr); ok {
						rules[star.X.(*ast.Ident).Name] = path
					}
				}
			case *ast.Ident:
				in[n.Name] = true
			}
			return true
		})
		for name := range in {
			named[name] = append(named[name], path)
		}
	}
	if len(rules) < 10 {
		t.Errorf("found the rules of %d optimizers, want those of all", len(rules))
	}
	for name, path := range rules {
		if got := named[name]; len(got) != 1 {
			t.Errorf("%s, whose rule is in %s, is named in %v, want one file", name, path, got)
		}
	}
}
