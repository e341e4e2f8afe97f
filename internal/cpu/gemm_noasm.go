//go:build noasm || !amd64

package cpu

func assembly() []level { return nil }
