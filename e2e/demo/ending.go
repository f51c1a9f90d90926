package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// errEnded is the cause of a context that something outside ended.
var errEnded = errors.New("ended early")

// orphanCheck is how often the parent is looked at.
const orphanCheck = 250 * time.Millisecond

// cancelOnSignal cancels at the first of the signals that ask a program to end. The
// further ones are ignored: what is left to do is to stop the parts, which is bounded.
func cancelOnSignal(cancel context.CancelCauseFunc) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return background(func(done <-chan struct{}) {
		select {
		case <-done:
		case s := <-signals:
			cancel(fmt.Errorf("%w by %s", errEnded, signalName(s)))
		}
	})
}

// cancelWhenOrphaned cancels when the program that started us is gone. "go run" does
// not pass SIGTERM on: it ends, and would leave us running without anybody's knowing.
func cancelWhenOrphaned(cancel context.CancelCauseFunc) (stop func()) {
	parent := os.Getppid()
	return background(func(done <-chan struct{}) {
		tick := time.NewTicker(orphanCheck)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if os.Getppid() != parent {
					cancel(fmt.Errorf("%w: the command that started it is gone", errEnded))
					return
				}
			}
		}
	})
}

// background runs f until stop, which waits for it.
func background(f func(done <-chan struct{})) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() { f(done) })
	return func() {
		close(done)
		wait.Wait()
	}
}

func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGINT:
		return "Ctrl-C"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "the terminal's end"
	default:
		return s.String()
	}
}
