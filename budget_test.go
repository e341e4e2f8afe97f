package wick

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The budget of code that is written by hand. Tests may have long functions (a
// table of rows is one), but no long files.
const (
	maxLines      = 80  // of a function
	maxParameters = 8   // of a function
	maxFileLines  = 700 // of a file
)

// overBudget lists what was over the budget when the budget came, with its figure.
// The list only shrinks: TestBudget fails for a figure that is higher than listed,
// and for one that is lower, so that it is lowered here as well.
var overBudget = map[string]int{
	"lines of Backend.mapRule in internal/cuda/map.go":                       88,
	"lines of BatchNorm2d in tensor/norm.go":                                 82,
	"lines of Confusion.figure in trainer/plots/confusion.go":                107,
	"lines of Formula.Grad in internal/expr/grad.go":                         91,
	"lines of Report.WriteHTML in trainer/plots/report.go":                   100,
	"lines of Snapshot.Load in trainer/checkpoint.go":                        127,
	"lines of Status.line in trainer/progress.go":                            110,
	"lines of Tensor.norm in tensor/reduce.go":                               85,
	"lines of autograd/autograd.go":                                          754,
	"lines of conv2dInputGradFew in internal/cpu/depthwise.go":               87,
	"lines of datasets/cifar10_test.go":                                      1002,
	"lines of datasets/transforms/transforms_test.go":                        703,
	"lines of decodeBMP in datasets/internal/pil/bmp.go":                     193,
	"lines of decodeGIF in datasets/internal/pil/gif.go":                     89,
	"lines of decodePNM in datasets/internal/pil/pnm.go":                     107,
	"lines of derivative in internal/cpu/unary.go":                           83,
	"lines of fetch.try in datasets/fetch.go":                                115,
	"lines of fit.check in trainer/fit.go":                                   105,
	"lines of fit.findLR in trainer/lrfinder.go":                             93,
	"lines of function in internal/cpu/unary.go":                             88,
	"lines of halfCalls in internal/backend/backendtest/half.go":             189,
	"lines of init in tensor/ops.go":                                         369,
	"lines of internal/cpu/conv.go":                                          725,
	"lines of internal/cpu/kernels/gen/vector.go":                            1671,
	"lines of internal/cpu/pool.go":                                          723,
	"lines of machine.step in datasets/internal/pickle/pickle.go":            141,
	"lines of move in internal/cpu/copy.go":                                  85,
	"lines of nll in tensor/loss.go":                                         113,
	"lines of parseFlags in examples/cifar10/options.go":                     236,
	"lines of program.text in internal/cuda/map.go":                          97,
	"lines of readSweep in examples/cifar10/sweep.go":                        125,
	"lines of reduce in internal/cpu/reduce.go":                              89,
	"lines of rows in bench/rows.go":                                         220,
	"lines of run in bench/main.go":                                          82,
	"lines of tensor/binary.go":                                              789,
	"lines of tensor/capture_cuda_test.go":                                   860,
	"lines of tensor/tensor.go":                                              1107,
	"lines of tensor/view.go":                                                736,
	"lines of tensorBoard in trainer/loggers.go":                             106,
	"lines of tileSums in internal/cpu/kernels/gen/tiles.go":                 94,
	"lines of trainer/fit.go":                                                900,
	"lines of trainer/plots/curves.go":                                       713,
	"lines of trainer/trainer_test.go":                                       916,
	"lines of transform in internal/cpu/kernels/gen/winograd.go":             102,
	"lines of turns in internal/cpu/kernels/gen/tiles.go":                    106,
	"lines of tutorial in bench/loaders.go":                                  110,
	"lines of vectorAsm.vector in internal/cpu/kernels/vector_amd64.go":      99,
	"lines of vectorNEON in internal/cpu/kernels/vector_arm64.go":            118,
	"lines of walk.run in autograd/autograd.go":                              105,
	"parameters of AMXAssembly in internal/cpu/kernels/amx_linux_amd64.go":   9,
	"parameters of Backend.AffineRowNorm in internal/cpu/norm.go":            10,
	"parameters of Backend.BatchNorm in internal/cpu/norm.go":                9,
	"parameters of Backend.BatchNorm in internal/cuda/norm.go":               9,
	"parameters of Backend.BatchNormGrad in internal/cpu/norm.go":            10,
	"parameters of Backend.BatchNormGrad in internal/cuda/norm.go":           10,
	"parameters of Backend.batchNormGradHalf in internal/cpu/norm.go":        10,
	"parameters of Backend.batchNormHalf in internal/cpu/norm.go":            9,
	"parameters of Conv2dBatchNorm in tensor/conv.go":                        9,
	"parameters of affineRowNorm in internal/cpu/norm.go":                    11,
	"parameters of batchNorm in internal/cpu/norm.go":                        10,
	"parameters of batchNormGrad in internal/cpu/norm.go":                    11,
	"parameters of conv2dBatchNorm in tensor/conv.go":                        10,
	"parameters of cube in internal/backend/backendtest/pool.go":             9,
	"parameters of erase in datasets/transforms/totensor.go":                 10,
	"parameters of lookRGB in datasets/transforms/fuse.go":                   9,
	"parameters of loopsAsm.loops in internal/cpu/kernels/vector_amd64.go":   9,
	"parameters of plainNormalizeGrad in internal/cpu/kernels/vector.go":     9,
	"parameters of splitTiles in internal/cpu/tilematmul.go":                 11,
	"parameters of vectorAsm.vector in internal/cpu/kernels/vector_amd64.go": 11,
	"parameters of vectorNEON in internal/cpu/kernels/vector_arm64.go":       9,
}

// TestBudget holds the module's files against the budget.
func TestBudget(t *testing.T) {
	found := map[string]int{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		figures, err := measure(filepath.ToSlash(path), source)
		maps.Copy(found, figures)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no file was measured")
	}
	for _, complaint := range compare(found, overBudget) {
		t.Error(complaint)
	}
}

// measure returns the figures of a file: its lines, and unless it is a test the
// lines and parameters of its functions. A generated file has none.
func measure(path string, source []byte) (map[string]int, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	figures := map[string]int{}
	if ast.IsGenerated(f) {
		return figures, nil
	}
	figures["lines of "+path] = bytes.Count(source, []byte("\n"))
	if strings.HasSuffix(path, "_test.go") {
		return figures, nil
	}
	function := func(name string, n ast.Node, params *ast.FieldList) {
		raise := func(key string, v int) { figures[key] = max(figures[key], v) }
		raise(fmt.Sprintf("lines of %s in %s", name, path), files.Position(n.End()).Line-files.Position(n.Pos()).Line+1)
		raise(fmt.Sprintf("parameters of %s in %s", name, path), params.NumFields())
	}
	for _, d := range f.Decls {
		name := ""
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				name = n.Name.Name
				if n.Recv != nil {
					name = receiver(n.Recv.List[0].Type) + "." + name
				}
				n.Doc = nil // no part of its lines
				function(name, n, n.Type.Params)
			case *ast.ValueSpec:
				if _, top := d.(*ast.GenDecl); top {
					name = n.Names[0].Name
				}
			case *ast.FuncLit: // one within a function counts as that function's
				function(name, n, n.Type.Params)
			}
			return true
		})
	}
	return figures, nil
}

// receiver returns the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// budget returns the most that a figure may be.
func budget(key string) int {
	switch {
	case strings.HasPrefix(key, "parameters of "):
		return maxParameters
	case strings.Contains(key, " in "):
		return maxLines
	}
	return maxFileLines
}

// compare returns a sentence for each figure that is over the budget or for which the
// list of exceptions is to be changed.
func compare(found, listed map[string]int) []string {
	var complaints []string
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	keys := map[string]bool{}
	for _, figures := range []map[string]int{found, listed} {
		for key := range figures {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		got, there := found[key]
		limit, most := listed[key], budget(key)
		switch {
		case limit == 0 && got > most:
			complain("%s: %d, want at most %d; cut it, the list of exceptions only shrinks", key, got, most)
		case limit == 0: // within the budget
		case !there:
			complain("%s: there is none now; remove %q from overBudget", key, key)
		case got <= most:
			complain("%s: %d now, which is within the budget of %d; remove %q from overBudget", key, got, most, key)
		case got < limit:
			complain("%s: %d now, below the %d that is listed; write %q: %d in overBudget", key, got, limit, key, got)
		case got > limit:
			complain("%s: %d, above the %d that is listed; cut it, the list of exceptions only shrinks", key, got, limit)
		}
	}
	return complaints
}

// TestMeasure measures made-up files.
func TestMeasure(t *testing.T) {
	long := strings.Repeat("\t_ = 1\n", 90)
	for _, c := range []struct {
		name, path, source string
		want               map[string]int
	}{
		{"a function with its comment", "a.go", "package a\n\n// F does\n// nothing.\nfunc F(a, b int, c ...string) {\n" + long + "}\n",
			map[string]int{"lines of a.go": 96, "lines of F in a.go": 92, "parameters of F in a.go": 3}},
		{"a method of a generic type", "a.go", "package a\n\nfunc (x *T[A, B]) F(int, string) {}\n",
			map[string]int{"lines of a.go": 3, "lines of T.F in a.go": 1, "parameters of T.F in a.go": 2}},
		{"a function in a variable", "a.go", "package a\n\nvar f = func(a, b, c int) {\n" + long + "}\n",
			map[string]int{"lines of a.go": 94, "lines of f in a.go": 92, "parameters of f in a.go": 3}},
		{"a function in a function", "a.go", "package a\n\nfunc F(a int) {\n\tx := func(a, b int) {}\n\tvar y = func(a, b, c int) {}\n}\n",
			map[string]int{"lines of a.go": 6, "lines of F in a.go": 4, "parameters of F in a.go": 3}},
		{"a test", "a_test.go", "package a\n\nfunc F(a int) {\n" + long + "}\n",
			map[string]int{"lines of a_test.go": 94}},
		{"a generated file", "a.go", "// Code generated by hand. DO NOT EDIT.\n\npackage a\n\nfunc F(a, b, c, d, e, f, g, h, i int)\n", map[string]int{}},
		{"an assembly function's declaration", "a.go", "package a\n\nfunc F(a, b, c, d, e, f, g, h, i int)\n",
			map[string]int{"lines of a.go": 3, "lines of F in a.go": 1, "parameters of F in a.go": 9}},
	} {
		got, err := measure(c.path, []byte(c.source))
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := measure("a.go", []byte("package")); err == nil {
		t.Error("a file that does not parse gave no error")
	}
}

// TestCompare holds what the budget says of made-up figures.
func TestCompare(t *testing.T) {
	const lines, params, file = "lines of F in a.go", "parameters of F in a.go", "lines of a.go"
	for _, c := range []struct {
		name          string
		found, listed map[string]int
		want          []string
	}{
		{"within", map[string]int{lines: 80, params: 8, file: 700}, nil, nil},
		{"over", map[string]int{lines: 81, params: 9, file: 701}, nil, []string{
			lines + ": 81, want at most 80; cut it, the list of exceptions only shrinks",
			file + ": 701, want at most 700; cut it, the list of exceptions only shrinks",
			params + ": 9, want at most 8; cut it, the list of exceptions only shrinks",
		}},
		{"as listed", map[string]int{lines: 100, params: 10, file: 900}, map[string]int{lines: 100, params: 10, file: 900}, nil},
		{"grown", map[string]int{lines: 101}, map[string]int{lines: 100}, []string{
			lines + ": 101, above the 100 that is listed; cut it, the list of exceptions only shrinks"}},
		{"shrunk", map[string]int{file: 800}, map[string]int{file: 900}, []string{
			file + `: 800 now, below the 900 that is listed; write "lines of a.go": 800 in overBudget`}},
		{"shrunk enough", map[string]int{params: 8}, map[string]int{params: 9}, []string{
			params + `: 8 now, which is within the budget of 8; remove "parameters of F in a.go" from overBudget`}},
		{"gone", nil, map[string]int{lines: 100}, []string{
			lines + `: there is none now; remove "lines of F in a.go" from overBudget`}},
	} {
		if got := compare(c.found, c.listed); !slices.Equal(got, c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
