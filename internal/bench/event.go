package main

import (
	"context"
	"fmt"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// eventRounds are how many functions are created one after the other.
const eventRounds = 20

// event measures a registrator that has the event of a function that was created, until a
// real Consul, with 1,000 functions in it, has its service. Whose credentials it has it
// knows by then: that is asked once in a process.
func event(ctx context.Context, s *stage) error {
	b, err := s.startSides(ctx, awsLatency)
	if err != nil {
		return err
	}
	functions := fakeaws.Functions{Total: 1000, Enabled: 1000}
	b.aws.Set(functions)
	// Unpaced: one event does not wait for its turn, as the rounds here would.
	r, err := b.registrator(ctx, unpaced, true)
	if err != nil {
		return err
	}
	if _, err := r.Sync(ctx); err != nil {
		return err
	}
	if _, err := r.Look(ctx, fakeaws.ARN(0)); err != nil {
		return err
	}
	var times []float64
	var calls, writes float64
	for range eventRounds {
		functions.Total++
		functions.Enabled++
		b.aws.Set(functions)
		b.aws.Calls()
		b.writes.Store(0)
		took, err := timed(func() error { return created(ctx, r, functions.Total-1) })
		if err != nil {
			return err
		}
		times = append(times, took)
		calls, writes = max(calls, sum(b.aws.Calls())), max(writes, float64(b.writes.Load()))
	}
	s.add(report.AtMost("event/aws-calls", calls, "calls", 2))
	s.add(report.AtMost("event/writes", writes, "writes", 2))
	s.add(report.Plain("event/time", report.Median(times), "ms"))
	return nil
}

// created hands the event of the i-th function to the registrator.
func created(ctx context.Context, r *registrator.Registrator, i int) error {
	arn := fakeaws.ARN(i)
	event, err := registrator.ParseEvent(fmt.Appendf(nil, `{
		"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail", "account": %q, "region": %q,
		"detail": {"eventName": "CreateFunction20150331", "requestParameters": {"functionName": %q}}}`, arn.Account, arn.Region, arn.Name))
	if err != nil {
		return err
	}
	result, err := r.Handle(ctx, event)
	if err == nil && result.Applied != 1 {
		err = fmt.Errorf("%d services were changed, not 1", result.Applied)
	}
	return err
}
