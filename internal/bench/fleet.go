package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// patience bounds each wait for what must come.
const patience = time.Minute

// wait polls until try returns nil. If ctx was ended for a reason, that is the error.
func wait(ctx context.Context, try func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := testmesh.Poll(bounded, try)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// fleetOf is proxies that connect to addr, with the ids of catalog.proxies, and hear
// what the script says.
func fleetOf(addr string, n int, script fakeconsul.Script) simenvoy.FleetConfig {
	return simenvoy.FleetConfig{Size: n, Envoy: func(i int) (simenvoy.Config, error) {
		node, err := simenvoy.Node(proxyID(i), consulNode, script.String())
		return simenvoy.Config{Addr: addr, Node: node}, err
	}}
}

// arrivals tells when each proxy of a fleet has got something.
type arrivals struct {
	mu   sync.Mutex
	is   func(*frames.Response) bool // what is waited for
	seen []bool                      // by proxy
	left int
	all  chan struct{} // closed when left is 0
}

// expect begins to wait for a response that is what is wanted, at n proxies. The
// channel is closed when all have it.
func (a *arrivals) expect(n int, is func(*frames.Response) bool) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.is, a.seen, a.left, a.all = is, make([]bool, n), n, make(chan struct{})
	return a.all
}

// note is a fleet's After.
func (a *arrivals) note(i int, r *frames.Response) {
	a.mu.Lock()
	is := a.is
	a.mu.Unlock()
	if is == nil || !is(r) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i >= len(a.seen) || a.seen[i] {
		return
	}
	a.seen[i] = true
	if a.left--; a.left == 0 {
		close(a.all)
	}
}

// missing is how many proxies do not have it yet.
func (a *arrivals) missing() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// wait waits for the channel of expect while the fleet is well.
func (a *arrivals) wait(ctx context.Context, all <-chan struct{}) error {
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		return fmt.Errorf("%d proxies do not have it after %s", a.missing(), patience)
	}
}
