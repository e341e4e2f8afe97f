//go:build cuda && linux

package cuda

// Used returns the bytes of the device's memory that are taken, by whomever.
func (be *Backend) Used() int64 { return used(be) }

// Total returns the bytes of the device's memory.
func (be *Backend) Total() int64 {
	_, total := be.memory()
	return total
}
