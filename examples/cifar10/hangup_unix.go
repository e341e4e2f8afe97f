//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onHangup calls stop when the terminal is closed or the connection to it is lost,
// unless nohup has the program go on. It may be told of that several times, which are
// not the second signal of somebody who does not want to wait.
func onHangup(stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			stop()
		}
	}()
}
