//go:build cuda && linux

package sim

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>

static long wick_waits(void) {
	void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
	long (*waits)(void) = driver ? (long (*)(void))dlsym(driver, "wick_sim_waits") : 0;
	return waits ? waits() : -1;
}
*/
import "C"

import "testing"

// Waits returns how often the program has waited for a device so far. A real driver
// does not tell, so with one the test is skipped.
func Waits(t *testing.T) int {
	t.Helper()
	n := int(C.wick_waits())
	if n < 0 {
		t.Skip("this test needs the simulated driver")
	}
	return n
}
