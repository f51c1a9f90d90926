package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// fullSync measures a full sync of 1,000 functions, with every default, into a real
// Consul that has none of them, and when nothing has changed: by a registrator that
// has just started, and by one that runs. The baseline does the same.
func fullSync(ctx context.Context, s *stage) error {
	functions := fakeaws.Functions{Total: 1000, Enabled: 1000}
	if s.smoke {
		functions = fakeaws.Functions{Total: 300, Enabled: 300}
	}
	baseline, err := s.syncsOfBaseline(ctx, functions)
	if err != nil {
		return fmt.Errorf("the baseline: %w", err)
	}
	ours, err := s.syncsOfOurs(ctx, functions)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("full-sync/%d-functions/", functions.Total)
	s.add(report.AtLeast(name+"cold/to-baseline", baseline.cold/ours.cold, "ratio", 5))
	s.add(report.AtLeast(name+"unchanged/to-baseline", baseline.unchanged/ours.unchanged, "ratio", 20))
	if !s.smoke { // with fewer functions too little of it is calls
		s.add(report.AtLeast(name+"unchanged-at-start/to-baseline", baseline.unchanged/ours.unchangedAtStart, "ratio", 20))
	}
	s.add(report.Exactly(name+"unchanged/writes", ours.writes, "writes", 0))
	s.add(report.Plain(name+"cold/time", ours.cold, "ms"))
	s.add(report.Plain(name+"cold/baseline-time", baseline.cold, "ms"))
	s.add(report.Plain(name+"unchanged/time", ours.unchanged, "ms"))
	s.add(report.Plain(name+"unchanged-at-start/time", ours.unchangedAtStart, "ms"))
	s.add(report.Plain(name+"unchanged/baseline-time", baseline.unchanged, "ms"))
	return nil
}

// syncs are what full syncs took, in milliseconds.
type syncs struct {
	cold, unchanged, unchangedAtStart float64

	writes float64 // while nothing changed, of all
}

func (s *stage) syncsOfBaseline(ctx context.Context, functions fakeaws.Functions) (syncs, error) {
	own, err := s.open("baseline") // with a Consul of its own
	if err != nil {
		return syncs{}, err
	}
	defer own.close()
	b, err := own.startSides(ctx, awsLatency)
	if err != nil {
		return syncs{}, err
	}
	b.aws.Set(functions)
	var took syncs
	if took.cold, err = timed(func() error { return b.baseline().sync(ctx) }); err != nil {
		return syncs{}, err
	}
	took.unchanged, err = timed(func() error { return b.baseline().sync(ctx) })
	return took, err
}

func (s *stage) syncsOfOurs(ctx context.Context, functions fakeaws.Functions) (syncs, error) {
	b, err := s.startSides(ctx, awsLatency)
	if err != nil {
		return syncs{}, err
	}
	b.aws.Set(functions)
	// once makes a full sync that is to change so many services.
	once := func(r *registrator.Registrator, changes int) (float64, error) {
		return timed(func() error {
			result, err := r.Sync(ctx)
			if err == nil && result.Applied != changes {
				err = fmt.Errorf("%d services were changed, not %d", result.Applied, changes)
			}
			return err
		})
	}
	r, err := b.registrator(ctx, 0, true)
	if err != nil {
		return syncs{}, err
	}
	var took syncs
	if took.cold, err = once(r, functions.Enabled); err != nil {
		return syncs{}, err
	}
	b.writes.Store(0)
	const rounds = 5
	var running, starting []float64
	for range rounds {
		same, err := once(r, 0)
		if err != nil {
			return syncs{}, err
		}
		fresh, err := b.registrator(ctx, 0, true)
		if err != nil {
			return syncs{}, err
		}
		started, err := once(fresh, 0)
		if err != nil {
			return syncs{}, err
		}
		running, starting = append(running, same), append(starting, started)
	}
	took.unchanged, took.unchangedAtStart = report.Median(running), report.Median(starting)
	took.writes = float64(b.writes.Load())
	return took, nil
}

// timed is how many milliseconds it took.
func timed(do func() error) (float64, error) {
	begun := time.Now()
	err := do()
	return report.Milliseconds(time.Since(begun)), err
}
