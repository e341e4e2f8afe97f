//go:build !linux && !noasm

package cpu

// tilesAMX returns nil: only Linux is known to let programs use AMX when they ask for it.
func tilesAMX() *tileOps { return nil }
