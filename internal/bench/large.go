package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

// largeClusters make a response of more than 20 MB.
const largeClusters = 9000

// large has one response of 20 MB pass: a mesh of 9,000 services, all of which are
// upstreams of one proxy.
func large(ctx context.Context, s *stage) error {
	c, upstream, err := s.startIdle(ctx)
	if err != nil {
		return err
	}
	l, err := s.startLambdamesh(ctx, c, upstream)
	if err != nil {
		return err
	}
	script := fakeconsul.Script{Services: largeClusters}
	if _, _, err := firstClusters(ctx, upstream, script); err != nil { // the upstream makes it once
		return fmt.Errorf("direct: %w", err)
	}
	_, straight, err := firstClusters(ctx, upstream, script)
	if err != nil {
		return fmt.Errorf("direct: %w", err)
	}
	size, through, err := firstClusters(ctx, l.XDSAddr(), script)
	if err != nil {
		return fmt.Errorf("lambdamesh: %w", err)
	}
	s.add(report.AtLeast("large/response-passed", float64(size)/1e6, "MB", 20))
	s.add(report.Plain("large/time/direct", report.Milliseconds(straight), "ms"))
	s.add(report.Plain("large/time/lambdamesh", report.Milliseconds(through), "ms"))
	return nil
}

// firstClusters is the size of the first response about clusters, and how long it
// took from the connection on.
func firstClusters(ctx context.Context, addr string, script fakeconsul.Script) (size int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cfg, err := fleetOf(addr, 1, script).Envoy(0)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	e, err := simenvoy.Connect(ctx, cfg)
	if err != nil {
		return 0, 0, err
	}
	defer e.Close()
	r, err := e.Receive()
	if err != nil {
		return 0, 0, err
	}
	if r.TypeURL != frames.Clusters {
		return 0, 0, fmt.Errorf("the first response is about %s", r.TypeURL)
	}
	return len(r.Frame), time.Since(begun), e.Acknowledge(r)
}
