//go:build noasm || !amd64

package cpu

var kernel32 = &plain32
