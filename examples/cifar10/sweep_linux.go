package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the children, whose parent passes it
// on, and ends them with it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
