// Command demo shows the main job on real parts: a Consul with ACLs, two Envoys,
// lambdamesh, and an AWS emulator that runs functions and whose front checks
// signatures. It is what "make demo" and "make demo-up" run.
//
// Exit codes: 0 when every step went well, 1 when a step failed (the last log lines
// of the part are shown), 130 when a signal ended it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes. 130 is what a shell reports of a program that Ctrl-C ended; "go run"
// turns it into 1.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(run()) }

func run() int {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.BoolVar(&o.up, "up", false, "leave everything running until Ctrl-C, and say how to use it")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with every log at the end")
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "demo: it takes no arguments, only flags: %s\n", flags.Arg(0))
		return exitUsage
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	// A reader that goes away ("make demo | head") must not end us before we have
	// tidied up; the failed write does, by cancelling ctx.
	signal.Ignore(syscall.SIGPIPE)
	stopSignals := cancelOnSignal(cancel)
	defer stopSignals()
	stopOrphan := cancelWhenOrphaned(cancel)
	defer stopOrphan()

	say := newNarrator(os.Stdout, colourful(os.Stdout), func(err error) {
		cancel(fmt.Errorf("%w: its output has nowhere to go (%w)", errEnded, err))
	})
	err := newDemo(o, say).run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errEnded) && !(o.up && err == nil) {
		fmt.Fprintf(os.Stderr, "\ndemo: %v; everything it started has been stopped\n", cause)
		return exitInterrupted
	}
	if err != nil {
		return exitFailed // the narrator has told it
	}
	return exitOK
}
