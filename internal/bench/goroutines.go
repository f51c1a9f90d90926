package main

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

// goroutinesLimit is how many goroutines a proxy may cost.
const goroutinesLimit = 7

// goroutines counts the goroutines of lambdamesh: with many idle proxies, and after
// many have come and gone.
func goroutines(ctx context.Context, s *stage) error {
	c, upstream, err := s.startIdle(ctx)
	if err != nil {
		return err
	}
	l, err := s.startLambdamesh(ctx, c, upstream)
	if err != nil {
		return err
	}
	cfg := idleFleet(l.XDSAddr(), nil)
	// Some things are there from the first proxies on, such as connections to Consul.
	if err := visit(ctx, cfg, connecting); err != nil {
		return err
	}
	before, err := settle(ctx, l)
	if err != nil {
		return err
	}
	fleet, err := simenvoy.Start(ctx, cfg)
	if err != nil {
		return err
	}
	during, err := settle(fleet.Context(), l)
	fleet.Close()
	if err != nil {
		return err
	}
	// A remainder is no proxy's: connections to Consul, and to us.
	each := math.Round((during.goroutines - before.goroutines) / idleProxies)
	s.add(report.AtMost("goroutines/per-proxy", each, "goroutines", goroutinesLimit))

	visits := 10_000
	if s.smoke {
		visits = 2_000
	}
	if err := visit(ctx, cfg, visits); err != nil {
		return err
	}
	left := 0.0
	err = wait(ctx, func(ctx context.Context) error {
		m, err := l.Metrics(ctx)
		if err != nil {
			return err
		}
		if left = m["go_goroutines"] - before.goroutines; left > 0 {
			return fmt.Errorf("%.0f goroutines are left", left)
		}
		return nil
	})
	if ctx.Err() != nil {
		return err
	}
	s.add(report.AtMost(fmt.Sprintf("goroutines/left-after-%d-connects", visits), max(left, 0), "goroutines", 0))
	return nil
}

// visit has so many proxies connect, get all they want, and go.
func visit(ctx context.Context, cfg simenvoy.FleetConfig, visits int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connecting)
	for i := range visits {
		group.Go(func() error {
			one, err := cfg.Envoy(i % cfg.Size)
			if err != nil {
				return err
			}
			e, err := simenvoy.Connect(ctx, one)
			if err != nil {
				return err
			}
			defer e.Close()
			for !e.Warm() {
				r, err := e.Receive()
				if err != nil {
					return err
				}
				if err := e.Answer(r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
