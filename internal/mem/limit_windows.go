package mem

import (
	"math"
	"unsafe"

	"golang.org/x/sys/windows"
)

var globalMemoryStatusEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// limits lists what bounds the program's memory: what may be committed, in memory and in the paging file, and what addresses reach.
func limits() []int64 {
	var status struct {
		length, load                                                               uint32
		physical, freePhysical, commit, freeCommit, virtual, freeVirtual, extended uint64
	}
	status.length = uint32(unsafe.Sizeof(status))
	if r, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&status))); r == 0 {
		return nil
	}
	return []int64{int64(min(status.commit, status.virtual, math.MaxInt64))}
}
