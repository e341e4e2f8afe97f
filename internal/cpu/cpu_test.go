package cpu

import (
	"reflect"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

func TestConformance(t *testing.T) { backendtest.Run(t, New(), 5e-6) }

func TestEveryMethodHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range backendtest.Rows(5e-6) {
		rows[r.Method] = true
	}
	typ := reflect.TypeFor[backend.Backend]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; !rows[name] {
			t.Errorf("backendtest has no row for %s", name)
		}
	}
	for name := range rows {
		if _, ok := typ.MethodByName(name); !ok && !backendtest.IsOptional(name) {
			t.Errorf("backendtest has a row for %s, which is no method of backend.Backend", name)
		}
	}
}
