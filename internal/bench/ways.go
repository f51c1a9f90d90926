package main

import (
	"context"

	"github.com/hashicorp/consul/api"
)

// The ways that a response can take, from the upstream to a proxy.
const (
	direct = iota
	bare
	ours
)

var ways = [...]string{"direct", "bare relay", "lambdamesh"}

// startWays starts what leads a proxy to the fake upstream in each of the ways.
// lambdamesh knows functions, none of which the proxies of this measurement have.
func (s *stage) startWays(ctx context.Context) (addrs [len(ways)]string, err error) {
	c, err := s.startConsul(ctx)
	if err != nil {
		return addrs, err
	}
	cat, err := s.catalog(c)
	if err != nil {
		return addrs, err
	}
	if err := cat.functions(ctx, 0, 100); err != nil {
		return addrs, err
	}
	if err := cat.proxies(ctx, api.ServiceKindConnectProxy, fanOutStreams); err != nil {
		return addrs, err
	}
	if addrs[direct], err = s.startUpstream(ctx); err != nil {
		return addrs, err
	}
	if addrs[bare], err = s.startRelay(ctx, addrs[direct]); err != nil {
		return addrs, err
	}
	l, err := s.startLambdamesh(ctx, c, addrs[direct])
	if err != nil {
		return addrs, err
	}
	addrs[ours] = l.XDSAddr()
	return addrs, nil
}
