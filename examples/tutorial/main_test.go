package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// TestPageShowsTheProgram wants docs/tutorial.md to show the network and the two loops as they stand in main.go.
func TestPageShowsTheProgram(t *testing.T) {
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for name, text := range declarations(t) {
		switch name {
		case "VGG", "NewVGG", "Forward", "makeLayers", "Parts", "Config", "init", "train", "test":
			shown++
			if !strings.Contains(string(page), text) {
				t.Errorf("docs/tutorial.md does not show %s as it stands in main.go", name)
			}
		}
	}
	if shown != 9 {
		t.Errorf("found %d of the nine declarations that the page shows", shown)
	}
}

// TestItIsShort wants the network and the loops to fit on a screen.
func TestItIsShort(t *testing.T) {
	lines, all := 0, declarations(t)
	for _, name := range []string{"VGG", "NewVGG", "Forward", "makeLayers", "train", "test"} {
		lines += strings.Count(all[name], "\n") + 1
	}
	if lines > 60 {
		t.Errorf("the network and its loops have %d lines, want at most 60", lines)
	}
}

// declarations returns the text of main.go's types and functions by name.
func declarations(t *testing.T) map[string]string {
	src, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if formatted, err := format.Source(src); err != nil || !bytes.Equal(formatted, src) {
		t.Fatalf("main.go is not formatted: %v", err)
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "main.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range f.Decls {
		text := string(src[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset])
		switch d := d.(type) {
		case *ast.FuncDecl:
			all[d.Name.Name] = text
		case *ast.GenDecl:
			if s, ok := d.Specs[0].(*ast.TypeSpec); ok {
				all[s.Name.Name] = text
			}
		}
	}
	return all
}

// TestRun trains on a few images, and looks at what the program leaves.
func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	tensor.ManualSeed(1)
	os.Args = []string{"tutorial", "-shapes", "-epochs", "1", "-limit", "64"}
	main()
	for _, name := range []string{"model.safetensors", "losses.png", "predictions.png"} {
		if s, err := os.Stat(name); err != nil || s.Size() == 0 {
			t.Errorf("%s: got %v, want a file with something in it", name, err)
		}
	}
}
