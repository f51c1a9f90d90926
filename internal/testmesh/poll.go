package testmesh

import (
	"context"
	"fmt"
	"time"
)

// pollEvery is short against what the parts need and long against what a poll costs.
const pollEvery = 20 * time.Millisecond

// Poll calls try until it returns nil or ctx ends. The error is try's last one, and
// says how long was waited. Each call of try is bounded by 5 seconds.
func Poll(ctx context.Context, try func(context.Context) error) error {
	start := time.Now()
	var last error
	for {
		callCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := try(callCtx)
		cancel()
		if err == nil {
			return nil
		}
		// An error that only says the context ended would hide the reason.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", time.Since(start).Round(10*time.Millisecond), last)
		case <-time.After(pollEvery):
		}
	}
}
