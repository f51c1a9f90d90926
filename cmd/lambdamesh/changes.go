package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/lambdamesh/lambdamesh/lambda"
	"go.opentelemetry.io/otel/attribute"
)

// change is a service in two Tables.
type change struct{ was, is *lambda.Service } // nil: the Table does not have it

// changes are what a Table has otherwise than the one before, sorted by service.
type changes struct {
	all   []change
	first bool // there was none before
}

func changesOf(was, is *lambda.Table) changes {
	c := changes{first: was == nil}
	names := is.Since(was)
	slices.SortFunc(names, lambda.ServiceName.Compare)
	for _, name := range names {
		c.all = append(c.all, change{was.Lookup(name), is.Lookup(name)})
	}
	return c
}

// absent is the state of a service that a Table does not have.
const absent lambda.State = "absent"

func stateOf(s *lambda.Service) lambda.State {
	if s == nil {
		return absent
	}
	return s.State
}

// log logs one line for each service that has changed, from what to what. The first
// Table changes nothing: of it those lines are logged that a person must see.
func (c changes) log(ctx context.Context, log *slog.Logger) {
	for _, one := range c.all {
		level := slog.LevelInfo
		switch state := stateOf(one.is); {
		case !one.tells():
			level = slog.LevelDebug
		case state == lambda.StateError, state == lambda.StateConflict:
			level = slog.LevelWarn
		case c.first:
			level = slog.LevelDebug
		}
		log.Log(ctx, level, "a Lambda service has changed", one.logged()...)
	}
}

// tells reports whether people are to hear of it: what differs may be only who may call,
// or where gateways listen.
func (c change) tells() bool {
	return stateOf(c.was) != stateOf(c.is) || c.was == nil || c.is == nil ||
		c.was.Function != c.is.Function || c.was.Fronted != c.is.Fronted ||
		!slices.Equal(c.was.Errors, c.is.Errors) || !slices.Equal(c.was.Warnings, c.is.Warnings)
}

// logged are the attributes of its line.
func (c change) logged() []any {
	some := c.is
	if some == nil {
		some = c.was
	}
	attributes := []any{"service", some.Name.String(), "was", stateOf(c.was), "is", stateOf(c.is)}
	if arn := some.Function.ARN; !arn.IsZero() {
		attributes = append(attributes, "arn", arn.String(), "region", arn.Region)
	}
	if c.is == nil {
		return attributes
	}
	if c.was != nil {
		if before := c.was.Function.ARN; before != c.is.Function.ARN && !before.IsZero() {
			attributes = append(attributes, "arn_was", before.String())
		}
		if c.was.Fronted != c.is.Fronted {
			attributes = append(attributes, "gateway_lists_it", c.is.Fronted)
		}
	}
	if len(c.is.Errors) > 0 {
		attributes = append(attributes, "errors", c.is.Errors)
	}
	if len(c.is.Warnings) > 0 {
		attributes = append(attributes, "warnings", c.is.Warnings)
	}
	return attributes
}

// namedServices is how many services the span of a Table names; it counts all.
const namedServices = 20

// attributes are those of the Table's span.
func (c changes) attributes() []attribute.KeyValue {
	var names, arns []string
	for _, one := range c.all[:min(len(c.all), namedServices)] {
		for _, s := range []*lambda.Service{one.is, one.was} {
			if s == nil {
				continue
			}
			names = append(names, s.Name.String())
			if !s.Function.ARN.IsZero() {
				arns = append(arns, s.Function.ARN.String())
			}
			break
		}
	}
	return []attribute.KeyValue{
		attribute.Int("lambdamesh.services_changed", len(c.all)),
		attribute.StringSlice("lambdamesh.services", names),
		attribute.StringSlice("lambdamesh.arns", arns),
	}
}
