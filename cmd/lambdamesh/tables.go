package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/xds"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// tables turns each new Table into a Patcher in force.
type tables struct {
	client  *consul.Client
	options patch.Options // from the watcher's goroutine alone
	server  *xds.Server
	log     *slog.Logger
	tracer  trace.Tracer
	last    *lambda.Table // from the watcher's goroutine alone

	mu      sync.Mutex
	problem string // why the newest Table is not in force; guarded by mu
}

// take puts a Table in force. A Table that no Patcher can be made of leaves the
// last one in force.
func (t *tables) take(ctx context.Context, table *lambda.Table) {
	if t.options.Datacenter == "" {
		// Of proxies whose datacenter nobody tells; unknown, they stay with Consul's way.
		t.options.Datacenter = t.client.Datacenter(ctx)
	}
	changes := changesOf(t.last, table)
	ctx, span := t.tracer.Start(ctx, "table", trace.WithAttributes(changes.attributes()...))
	defer span.End()
	made, err := patch.New(table, t.options)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.problem = "the newest Lambda services could not be put in force: " + err.Error()
		span.SetStatus(codes.Error, t.problem)
		t.log.ErrorContext(ctx, "the last Lambda services stay in force", "reason", err)
		return
	}
	t.problem = ""
	t.server.SetPatcherFor(ctx, patcher{made})
	changes.log(ctx, t.log)
	t.last = table
}

func (t *tables) unready() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}
