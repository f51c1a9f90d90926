package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

// manyProxies is more than the streams that Consul takes on one connection.
const manyProxies = 3000

// proxies connects many proxies through one process to one address of Consul's, all
// at the same time, and sees that each gets all it wants.
func proxies(ctx context.Context, s *stage) error {
	c, upstream, err := s.startIdle(ctx)
	if err != nil {
		return err
	}
	l, err := s.startLambdamesh(ctx, c, upstream)
	if err != nil {
		return err
	}
	var converged atomic.Int64
	cfg := fleetOf(l.XDSAddr(), manyProxies, fakeconsul.Script{Services: 5})
	cfg.After = func(_ int, r *frames.Response) {
		if r.TypeURL == frames.Listeners { // the last that a proxy asks for
			converged.Add(1)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := time.Now()
	fleet, err := simenvoy.Start(ctx, cfg)
	took := time.Since(begun)
	result := report.Exactly("proxies/converged", float64(converged.Load()), "proxies", manyProxies)
	if err != nil {
		result.Note = firstLine(err)
		s.add(result)
		return nil
	}
	fleet.Close()
	s.add(result)
	s.add(report.Plain("proxies/all-converged-after", took.Seconds(), "s"))
	return nil
}
