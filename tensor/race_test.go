//go:build race

package tensor_test

func init() { underRace = true }
