// Command lambdamesh makes AWS Lambda functions callable as services of a Consul
// mesh: `serve` is the xDS server between Envoys and Consul, `registrator` keeps
// Consul's catalog in step with the tags of functions, `sync` does that once.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], environment(os.LookupEnv), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
