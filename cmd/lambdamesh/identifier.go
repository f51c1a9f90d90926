package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/xds"
)

// identifier tells the xDS server what an Envoy is, by Consul's catalog.
type identifier struct {
	client   *consul.Client
	log      *slog.Logger
	withheld sync.Once // says once that our token is too narrow
}

func (i *identifier) identify(ctx context.Context, node *corev3.Node) xds.Identity {
	field := func(name string) string { return node.GetMetadata().GetFields()[name].GetStringValue() }
	found, err := i.client.Identify(ctx, consul.ProxyRef{
		ID: node.GetId(), NodeName: field("node_name"), Namespace: field("namespace"), Partition: field("partition"),
	})
	switch {
	case errors.Is(err, consul.ErrWithheld):
		i.withheld.Do(func() {
			i.log.Warn("kinds of proxies stay unknown: only what is safe by its shape is patched, and hardly any direct invocation", "reason", err)
		})
	case err != nil:
		i.log.Debug("the kind of a proxy stays unknown", "reason", err)
	}
	return xds.Identity(found)
}
