//go:build !unix

package main

// onHangup does nothing: Windows has no such signal, and closing its console is one to
// terminate.
func onHangup(func()) {}
