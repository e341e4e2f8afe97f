// Wick is a tool for machines that train with Wick.
//
//	go run github.com/wick-ml/wick/cmd/wick doctor
//
// looks whether this machine can train, on its CPU and its GPUs, and says for what
// is missing what to do. Built with the tag cuda it looks at the GPUs' driver and
// libraries too, and computes on each GPU what it compares with the CPU. The exit
// status is 1 if something that should work does not.
package main

import (
	"os"

	"github.com/alecthomas/kong"
)

// commands are the subcommands.
type commands struct {
	Doctor doctor `cmd:"" help:"Look whether this machine can train, on its CPU and its GPUs, and say what to do where it cannot."`
	Check  check  `cmd:"" hidden:"" help:"Compute on one GPU. Doctor starts it, for a library that fails may end its process."`
}

func main() {
	k := kong.Parse(&commands{}, kong.Name("wick"), kong.Description("A tool for machines that train with Wick."), kong.UsageOnError())
	ok, err := run(k)
	k.FatalIfErrorf(err)
	if !ok {
		os.Exit(1)
	}
}

// run runs the subcommand, which reports whether all is well.
func run(k *kong.Context) (ok bool, err error) {
	err = k.Run(&ok)
	return ok, err
}
