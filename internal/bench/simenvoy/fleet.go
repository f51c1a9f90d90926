package simenvoy

import (
	"context"
	"fmt"
	"sync"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

// Fleet is Envoys that run side by side.
type Fleet struct {
	ctx  context.Context
	fail context.CancelCauseFunc
	done sync.WaitGroup
	warm chan int
}

// FleetConfig says what a Fleet does. Size and Envoy are required.
type FleetConfig struct {
	Size     int
	Parallel int // how many connect at the same time; 0: all
	Envoy    func(i int) (Config, error)

	// Before is called when Envoy i has got a response, which is answered when it
	// returns, and After when it is answered, from that Envoy's own goroutine. They
	// may be nil.
	Before, After func(i int, r *frames.Response)
}

// Start connects the Envoys and returns when all are warm, or when one has failed.
func Start(ctx context.Context, cfg FleetConfig) (*Fleet, error) {
	f := &Fleet{warm: make(chan int, cfg.Size)}
	f.ctx, f.fail = context.WithCancelCause(ctx)
	if cfg.Parallel == 0 {
		cfg.Parallel = cfg.Size
	}
	started := 0
	for range min(cfg.Parallel, cfg.Size) {
		f.start(cfg, started)
		started++
	}
	for range cfg.Size {
		select {
		case <-f.warm:
		case <-f.ctx.Done():
			f.Close()
			return nil, context.Cause(f.ctx)
		}
		if started < cfg.Size {
			f.start(cfg, started)
			started++
		}
	}
	return f, nil
}

// Context ends when one of the Envoys has failed, with the reason as its cause, or
// when the Fleet is closed.
func (f *Fleet) Context() context.Context { return f.ctx }

// Close ends all connections and returns when nothing of the Fleet runs.
func (f *Fleet) Close() {
	f.fail(context.Canceled)
	f.done.Wait()
}

func (f *Fleet) start(cfg FleetConfig, i int) {
	f.done.Go(func() {
		if err := f.run(cfg, i); err != nil {
			f.fail(fmt.Errorf("proxy %d: %w", i, err))
		}
	})
}

func (f *Fleet) run(cfg FleetConfig, i int) error {
	config, err := cfg.Envoy(i)
	if err != nil {
		return err
	}
	e, err := Connect(f.ctx, config)
	if err != nil {
		return err
	}
	defer e.Close()
	warm := false
	for {
		r, err := e.Receive()
		if err != nil {
			return err
		}
		if cfg.Before != nil {
			cfg.Before(i, r)
		}
		if err := e.Answer(r); err != nil {
			return err
		}
		if cfg.After != nil {
			cfg.After(i, r)
		}
		if e.Warm() && !warm {
			warm = true
			f.warm <- i
		}
	}
}
