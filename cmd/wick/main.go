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
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `Wick is a tool for machines that train with Wick.

Usage:

  wick doctor    look whether this machine can train, on its CPU and its
                 GPUs, and say what to do where it cannot
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command, and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	flags := flag.NewFlagSet("wick "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	case "doctor":
		if status, ok := parse(flags, args[1:]); !ok {
			return status
		}
		if !doctor(stdout) {
			return 1
		}
		return 0
	case "check": // doctor starts it, for a library that fails may end its process
		device := flags.Int("device", 0, "the GPU's index")
		narrow := flags.Bool("narrow", false, "leave out bfloat16, which the GPU is too old for")
		if status, ok := parse(flags, args[1:]); !ok {
			return status
		}
		if err := check(stdout, *device, *narrow); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	fmt.Fprintf(stderr, "wick: there is no command %q; want doctor\n\n%s", args[0], usage)
	return 2
}

// parse reads a command's flags. It takes no other arguments.
func parse(flags *flag.FlagSet, args []string) (status int, ok bool) {
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0, false
	case err != nil:
		return 2, false
	case flags.NArg() > 0:
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q; want none\n", flags.Name(), flags.Arg(0))
		return 2, false
	}
	return 0, true
}
