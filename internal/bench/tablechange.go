package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

// tableChange measures how long it takes from Meta's being written to the last of
// 1,000 gateways having the cluster that it asks for.
func tableChange(ctx context.Context, s *stage) error {
	g, err := s.startGateways(ctx, gatewaysConfig{proxies: 1000, functions: 20, table: 100})
	if err != nil {
		return err
	}
	defer g.fleet.Close()
	const changes = 10
	changed, err := g.changes(ctx, changes)
	if err != nil {
		return err
	}
	s.add(report.Plain("table-change/last-of-1000-proxies/p50", report.Median(changed.took), "ms"))
	s.add(report.Plain("table-change/last-of-1000-proxies/max", report.Quantile(changed.took, 1), "ms"))
	s.add(report.Plain("table-change/cpu-per-change", changed.cpu/changes*1000, "ms"))
	return nil
}

// gatewaysConfig says how many terminating gateways there are, how many functions
// each of them fronts, and how many functions are in the Table.
type gatewaysConfig struct{ proxies, functions, table int }

// gateways are terminating gateways behind a lambdamesh.
type gateways struct {
	gatewaysConfig
	catalog    *catalog
	lambdamesh *measured
	fleet      *simenvoy.Fleet
	arrivals   arrivals
	tally      tally
}

// startGateways starts them, and returns when all have the clusters of their
// functions.
func (s *stage) startGateways(ctx context.Context, cfg gatewaysConfig) (*gateways, error) {
	c, err := s.startConsul(ctx)
	if err != nil {
		return nil, err
	}
	g := &gateways{gatewaysConfig: cfg}
	if g.catalog, err = s.catalog(c); err != nil {
		return nil, err
	}
	if err := g.catalog.functions(ctx, 0, cfg.table); err != nil {
		return nil, err
	}
	if err := g.catalog.proxies(ctx, api.ServiceKindTerminatingGateway, cfg.proxies); err != nil {
		return nil, err
	}
	upstream, err := s.startUpstream(ctx)
	if err != nil {
		return nil, err
	}
	if g.lambdamesh, err = s.startLambdamesh(ctx, c, upstream); err != nil {
		return nil, err
	}
	fleet := fleetOf(g.lambdamesh.XDSAddr(), cfg.proxies, fakeconsul.Script{Functions: cfg.functions})
	fleet.Parallel = connecting
	fleet.After = func(i int, r *frames.Response) {
		g.tally.note(r)
		g.arrivals.note(i, r)
	}
	g.fleet, err = simenvoy.Start(ctx, fleet)
	return g, err
}

// changesResult is what came of some changes of one function each.
type changesResult struct {
	took      []float64 // milliseconds, each to the last proxy
	resources int64     // clusters received, by all proxies
	cpu       float64   // seconds, of lambdamesh
}

// changes changes one function after another, n of them, and waits each time until
// all proxies have its cluster.
func (g *gateways) changes(ctx context.Context, n int) (changesResult, error) {
	var result changesResult
	fail := func(i int, err error) (changesResult, error) {
		return result, fmt.Errorf("change %d: %w", i, err)
	}
	before, err := g.lambdamesh.cpu(ctx)
	if err != nil {
		return fail(0, err)
	}
	counted := g.tally.clusters.Load()
	for i := range n {
		function := i % g.functions
		alias := fmt.Sprintf("v%d", i+1)
		arn := []byte(functionARN(function, alias))
		all := g.arrivals.expect(g.proxies, func(r *frames.Response) bool {
			return r.TypeURL == frames.Clusters && bytes.Contains(r.Frame, arn)
		})
		begun := time.Now()
		if err := g.catalog.function(ctx, function, alias); err != nil {
			return fail(i, err)
		}
		if err := g.arrivals.wait(g.fleet.Context(), all); err != nil {
			return fail(i, err)
		}
		result.took = append(result.took, report.Milliseconds(time.Since(begun)))
	}
	after, err := g.lambdamesh.cpu(ctx)
	if err != nil {
		return fail(n, err)
	}
	result.cpu, result.resources = after-before, g.tally.clusters.Load()-counted
	return result, nil
}
