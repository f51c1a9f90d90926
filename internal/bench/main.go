// Command bench measures what lambdamesh costs, against limits, and against what
// would be there without it: `make bench`. It prints a table, writes the same as lines
// of JSON, and exits with 1 if a limit is not met.
//
// lambdamesh runs as a process of its own, built as a release is, and so do what
// stands before it and what it is compared with: a real Consul, fakeconsul and the
// bare relay, which are other modes of this program. The load comes from this process.
// What is compared is measured in turns, in small slices, so that whatever else the
// machine does hits both alike; ratios of such pairs have limits, times of a single
// machine have none.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/relay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errMissed says that a limit was not met; the table says which.
var errMissed = errors.New("a limit is not met")

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "upstream": // upstream ADDR TEMPLATES
			return serve(args[1:], func(l net.Listener, templates string) error { return fakeconsul.Serve(ctx, l, templates) })
		case "relay": // relay ADDR TARGET
			return serve(args[1:], func(l net.Listener, target string) error { return relay.Serve(ctx, l, target) })
		case "record-node": // record-node FILE
			return recordNode(ctx, args[1:])
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("run", "", "only the measurements whose name matches this `regexp`")
	smoke := flags.Bool("smoke", false, "only what is cheap, and fewer rounds of it")
	out := flags.String("o", "", "write the results to this `file` too, as lines of JSON")
	profiles := flags.String("profiles", "", "keep CPU and heap profiles of lambdamesh in this `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	return measure(ctx, options{only: selected, smoke: *smoke, out: *out, profiles: *profiles})
}

// serve runs a mode that listens: on its first argument, with its second one.
func serve(args []string, with func(l net.Listener, argument string) error) error {
	if len(args) != 2 {
		return errors.New("this mode takes an address and one argument")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return with(l, args[1])
}
