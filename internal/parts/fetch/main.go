// Command fetch brings every pinned part into the user's cache and prints where
// each one is. It is what "make parts" runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return err
	}
	all, err := cache.All(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		fmt.Println(p)
	}
	return nil
}
