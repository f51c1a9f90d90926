package main

import (
	"context"
	"fmt"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
)

// unpaced lets as many calls of Lambda through as are made.
const unpaced = 1e6

// awsCalls counts the calls of AWS that a full sync makes. Consul is empty, and the
// plan is not carried out: that would ask AWS nothing more. Nor does anything take its
// time, which changes no count.
func awsCalls(ctx context.Context, s *stage) error {
	b, err := s.startSides(ctx, 0)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name      string
		functions fakeaws.Functions
		timeouts  bool
		limit     float64
	}{
		// Pages of functions, one that finds none with the misprinted prefix, and pages of
		// timeouts.
		{"10000-all-enabled", fakeaws.Functions{Total: 10_000, Enabled: 10_000}, true, 100 + 1 + 200},
		{"1000-enabled-of-100000", fakeaws.Functions{Total: 100_000, Enabled: 1000}, false, 10 + 1},
	} {
		b.aws.Set(c.functions)
		r, err := b.registrator(ctx, unpaced, c.timeouts)
		if err != nil {
			return err
		}
		plan, err := r.DryRun(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if n := len(plan.Changes); n != c.functions.Enabled {
			return fmt.Errorf("%s: %d services are planned, of %d", c.name, n, c.functions.Enabled)
		}
		s.add(report.AtMost("aws-calls/"+c.name, sum(b.aws.Calls()), "calls", c.limit))
		if s.smoke {
			continue
		}
		if _, err := b.baseline().read(ctx); err != nil {
			return fmt.Errorf("%s, by the baseline: %w", c.name, err)
		}
		s.add(report.Plain("aws-calls/"+c.name+"/baseline", sum(b.aws.Calls()), "calls"))
	}
	return nil
}
