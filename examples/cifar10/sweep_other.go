//go:build !unix

package main

import "syscall"

// childAttr leaves the children at the terminal, whose Ctrl-C is their only
// interrupt.
func childAttr() *syscall.SysProcAttr { return nil }
