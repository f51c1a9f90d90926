package main

import (
	"context"
	"errors"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
)

// patchesMetric counts the patches that were computed, not taken from those of other
// proxies.
const patchesMetric = "lambdamesh_xds_patches_total"

// patchOnce counts how often lambdamesh patches what 100 gateways have in common, a
// cluster and a route configuration of each function: when they connect, and when one
// function's ARN changes, which stands in its cluster alone.
func patchOnce(ctx context.Context, s *stage) error {
	const changes = 5
	cfg := gatewaysConfig{proxies: 100, functions: 50, table: 100}
	g, err := s.startGateways(ctx, cfg)
	if err != nil {
		return err
	}
	defer g.fleet.Close()
	first, err := g.patches(ctx)
	if err != nil {
		return err
	}
	s.add(report.Exactly("patch-once/50-functions-of-100-proxies", first, "patches", float64(2*cfg.functions)))
	if _, err := g.changes(ctx, changes); err != nil {
		return err
	}
	after, err := g.patches(ctx)
	if err != nil {
		return err
	}
	s.add(report.Exactly("patch-once/one-function-changes", (after-first)/changes, "patches", 1))
	return nil
}

func (g *gateways) patches(ctx context.Context) (float64, error) {
	m, err := g.lambdamesh.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	n, ok := m[patchesMetric]
	if !ok {
		return 0, errors.New("lambdamesh has no metric " + patchesMetric)
	}
	return n, nil
}
