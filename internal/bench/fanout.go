package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

const (
	fanOutStreams  = 200
	fanOutClusters = 11 // in each response: 25 kB
	fanOutSlice    = 500 * time.Millisecond

	// fanOutLimit is the least share of the direct throughput.
	fanOutLimit = 0.5
)

// fanOut measures how many resources a second are acknowledged when 200 proxies do
// nothing but acknowledge, while the upstream, lambdamesh and the proxies share the
// machine. The upstream does for each response what a Consul server does. What is left
// of the throughput before one that does nothing is reported, too, and has no limit: a
// relay handles each frame twice, where the direct way handles it once, so even the
// bare one hardly keeps half of that.
func fanOut(ctx context.Context, s *stage) error {
	addrs, err := s.startWays(ctx)
	if err != nil {
		return err
	}
	rates, ratio, err := s.fanOutBefore(ctx, addrs, fakeconsul.Script{Services: fanOutClusters, Loop: true, Work: true})
	if err != nil {
		return err
	}
	s.add(report.AtLeast("fan-out/lambdamesh-to-direct", ratio[ours], "ratio", fanOutLimit))
	s.add(report.Plain("fan-out/bare-relay-to-direct", ratio[bare], "ratio"))
	for way, name := range ways {
		s.add(report.Plain("fan-out/rate/"+name, report.Median(rates[way]), "resources/s"))
	}
	_, ratio, err = s.fanOutBefore(ctx, addrs, fakeconsul.Script{Services: fanOutClusters, Loop: true})
	if err != nil {
		return err
	}
	s.add(report.Plain("fan-out/upstream-without-cost/lambdamesh-to-direct", ratio[ours], "ratio"))
	s.add(report.Plain("fan-out/upstream-without-cost/bare-relay-to-direct", ratio[bare], "ratio"))
	return nil
}

// fanOutBefore measures the ways in turns. rates are resources a second, ratio the
// median of each way's share of the direct one.
func (s *stage) fanOutBefore(ctx context.Context, addrs [len(ways)]string, script fakeconsul.Script) (rates [len(ways)][]float64, ratio [len(ways)]float64, err error) {
	var crowds [len(ways)]*crowd
	for way, addr := range addrs {
		if crowds[way], err = newCrowd(ctx, addr, script); err != nil {
			return rates, ratio, fmt.Errorf("%s: %w", ways[way], err)
		}
		defer crowds[way].close()
	}
	rounds := 8
	if s.smoke {
		rounds = 4
	}
	var ratios [len(ways)][]float64
	for round := range rounds + 1 { // the first one warms up
		var now [len(ways)]float64
		for turn := range ways {
			way := (turn + round) % len(ways)
			if now[way], err = crowds[way].run(fanOutSlice); err != nil {
				return rates, ratio, fmt.Errorf("%s: %w", ways[way], err)
			}
		}
		for way := range ways {
			if round > 0 {
				rates[way] = append(rates[way], now[way])
				ratios[way] = append(ratios[way], now[way]/now[direct])
			}
		}
	}
	for way := range ways {
		ratio[way] = report.Median(ratios[way])
	}
	return rates, ratio, nil
}

// crowd is proxies that answer as fast as they can while their gate is open.
type crowd struct {
	fleet *simenvoy.Fleet
	gate  sync.RWMutex // locked: shut
	held  atomic.Int64 // proxies that wait at the gate
	acked atomic.Int64 // resources
}

// newCrowd connects the proxies; the gate is shut then.
func newCrowd(ctx context.Context, addr string, script fakeconsul.Script) (*crowd, error) {
	c := &crowd{}
	cfg := fleetOf(addr, fanOutStreams, script)
	cfg.Before = func(_ int, r *frames.Response) {
		if r.TypeURL != frames.Clusters {
			return
		}
		c.held.Add(1)
		c.gate.RLock()
		c.gate.RUnlock() //nolint:staticcheck // SA2001: passing is all there is to do
		c.held.Add(-1)
		c.acked.Add(fanOutClusters)
	}
	var err error
	if c.fleet, err = simenvoy.Start(ctx, cfg); err != nil {
		return nil, err
	}
	return c, c.shut()
}

// close ends the proxies, whose gate must be shut.
func (c *crowd) close() {
	c.gate.Unlock()
	c.fleet.Close()
}

// run opens the gate for a while and returns the resources acknowledged a second.
func (c *crowd) run(d time.Duration) (float64, error) {
	before, begun := c.acked.Load(), time.Now()
	c.gate.Unlock()
	select {
	case <-time.After(d):
	case <-c.fleet.Context().Done():
	}
	rate := float64(c.acked.Load()-before) / time.Since(begun).Seconds()
	return rate, c.shut()
}

// shut shuts the gate and returns when all proxies stand before it.
func (c *crowd) shut() error {
	c.gate.Lock()
	return wait(c.fleet.Context(), func(context.Context) error {
		if held := c.held.Load(); held < fanOutStreams {
			return fmt.Errorf("%d of %d proxies wait at the gate", held, fanOutStreams)
		}
		return nil
	})
}
