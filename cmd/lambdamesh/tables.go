package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/xds"
)

// tables turns each new Table into a Patcher in force.
type tables struct {
	client  *consul.Client
	options patch.Options // from the watcher's goroutine alone
	server  *xds.Server
	log     *slog.Logger
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
	made, err := patch.New(table, t.options)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.problem = "the newest Lambda services could not be put in force: " + err.Error()
		t.log.Error("the last Lambda services stay in force", "reason", err)
		return
	}
	t.problem = ""
	t.server.SetPatcher(patcher{made})
	for _, name := range table.Since(t.last) {
		s := table.Lookup(name)
		if s == nil {
			t.log.Debug("no Lambda service any more", "service", name)
			continue
		}
		t.log.Debug("Lambda service", "service", s.Name, "state", s.State, "arn", s.Function.ARN, "errors", s.Errors)
	}
	t.last = table
}

func (t *tables) unready() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}
