//go:build !linux && !noasm

package kernels

// DetectAMX returns nil: only Linux is known to let programs use AMX when they ask for it.
func DetectAMX() *AMX { return nil }
