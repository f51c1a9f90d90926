package main

import (
	"context"
	"fmt"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
)

// functions changes one function of a Table of 10,000, and of one of 100. The
// gateways have the same 100 clusters in both, so what differs is the Table.
func functions(ctx context.Context, s *stage) error {
	for _, table := range []int{100, 10_000} {
		if err := s.functionsOf(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) functionsOf(ctx context.Context, table int) error {
	own, err := s.open(fmt.Sprint("functions-", table)) // with a Consul of its own
	if err != nil {
		return err
	}
	defer own.close()
	g, err := own.startGateways(ctx, gatewaysConfig{proxies: 100, functions: 100, table: table})
	if err != nil {
		return err
	}
	defer g.fleet.Close()
	has, err := settle(g.fleet.Context(), g.lambdamesh)
	if err != nil {
		return err
	}
	const changes = 20
	changed, err := g.changes(ctx, changes)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("functions/table-of-%d/", table)
	s.add(report.Exactly(name+"resources-sent-per-change", float64(changed.resources)/changes, "resources", float64(g.proxies)))
	s.add(report.Plain(name+"last-of-100-proxies/p50", report.Median(changed.took), "ms"))
	s.add(report.Plain(name+"cpu-per-change", changed.cpu/changes*1000, "ms"))
	s.add(report.Plain(name+"memory", has.bytes/1e6, "MB"))
	return nil
}
