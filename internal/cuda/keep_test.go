//go:build cuda

package cuda

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

// TestOperandsOutliveTheCollector sums rows of an array that nobody knows any more. Where memory is scarce, the
// garbage collector runs inside Reduce, between the address of x and the launch that reads it.
func TestOperandsOutliveTheCollector(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_SCARCE=7") {
		return
	}
	be := open(t)
	const n = 1 << 18
	for range 20 {
		dst := backend.Array{Buffer: be.NewBuffer(backend.Float32, 1), Len: 1}
		be.Reduce(dst, ones(be, n), backend.ReduceSum, backend.ReduceGeom{Shape: []int{n}, Reduce: []bool{true}})
		got := make([]float32, 1)
		be.Read(bytesOf(got), dst)
		if got[0] != n {
			t.Fatalf("got %v, want %v", got[0], n)
		}
		be.Free(dst.Buffer)
		be.pool.Empty()
	}
}

func ones(be *Backend, n int) backend.Array {
	x := backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
	be.Fill(x, 1)
	return x
}

// TestMethodsKeepTheirOperands wants every method that is given arrays to hold all of them to its end.
func TestMethodsKeepTheirOperands(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	methods := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || !fn.Name.IsExported() {
				continue
			}
			arrays := arrayParameters(fn)
			if len(arrays) == 0 {
				continue
			}
			methods++
			for _, name := range arrays {
				if !slices.Contains(deferred(fn), name) {
					t.Errorf("%s: %s does not keep its operand %s: it begins with defer keep(…)", file, fn.Name.Name, name)
				}
			}
		}
	}
	if methods < 40 {
		t.Errorf("found %d methods with arrays, want 40 or more", methods)
	}
}

// arrayParameters names the parameters of type backend.Array, and slices of it.
func arrayParameters(fn *ast.FuncDecl) (names []string) {
	for _, p := range fn.Type.Params.List {
		typ := p.Type
		for {
			slice, ok := typ.(*ast.ArrayType)
			if !ok {
				break
			}
			typ = slice.Elt
		}
		if s, ok := typ.(*ast.SelectorExpr); ok && s.Sel.Name == "Array" {
			for _, n := range p.Names {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// deferred names what a function hands to keep or runtime.KeepAlive in the defers that it begins with.
func deferred(fn *ast.FuncDecl) (names []string) {
	for _, s := range fn.Body.List {
		d, ok := s.(*ast.DeferStmt)
		if !ok {
			break
		}
		var called string
		switch f := d.Call.Fun.(type) {
		case *ast.Ident:
			called = f.Name
		case *ast.SelectorExpr:
			called = f.Sel.Name
		}
		if called != "keep" && called != "KeepAlive" {
			continue
		}
		for _, a := range d.Call.Args {
			if id, ok := a.(*ast.Ident); ok {
				names = append(names, id.Name)
			}
		}
	}
	return names
}
