//go:build !linux && !noasm

package cpu

// assemblyAMX has no level: only Linux is known to let programs use AMX when they ask for it.
func assemblyAMX() []level { return nil }
