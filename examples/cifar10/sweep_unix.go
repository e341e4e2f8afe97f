//go:build unix && !linux

package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the children, whose parent passes it
// on.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
