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
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// Before anybody can see that the end has begun: from here on a second signal
		// ends the process at once. signal.NotifyContext has it the other way round.
		signal.Stop(signals)
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], environment(os.LookupEnv), os.Stdout, os.Stderr))
}
