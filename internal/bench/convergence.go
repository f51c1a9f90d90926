package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// convergenceLimit is how much longer than direct from Consul it may take.
const convergenceLimit = 1.2

// convergenceSizes are the fleets, and how often Consul is written for each in a
// round.
var convergenceSizes = []struct{ proxies, writes int }{{1, 15}, {50, 16}, {200, 12}}

// convergenceRounds are how many quantiles of each fleet the median is taken of. The
// p99 of a round is its slowest write: over all writes it would be one hiccup of the
// machine.
const convergenceRounds = 5

// convergence measures, on a real Consul, how long it takes from the writing of a
// config entry to the last sidecar's having acknowledged the cluster that it changes.
// Sidecars with and without lambdamesh stand side by side, with upstreams of their
// own, so that they can be written for in turns.
func convergence(ctx context.Context, s *stage) error {
	c, err := s.startConsul(ctx)
	if err != nil {
		return err
	}
	l, err := s.startLambdamesh(ctx, c, c.GRPCAddr())
	if err != nil {
		return err
	}
	cat, err := s.catalog(c)
	if err != nil {
		return err
	}
	if err := c.SetEntry(ctx, testmesh.HTTPByDefault()); err != nil {
		return err
	}
	if err := cat.functions(ctx, 0, 100); err != nil {
		return err
	}
	sides := []*side{{name: "direct", addr: c.GRPCAddr(), catalog: cat}, {name: "lambdamesh", addr: l.XDSAddr(), catalog: cat}}
	for _, one := range sides {
		if err := one.register(ctx, convergenceSizes[len(convergenceSizes)-1].proxies); err != nil {
			return err
		}
	}
	for _, size := range convergenceSizes {
		rounds, err := converge(ctx, sides, size.proxies, size.writes)
		if err != nil {
			return err
		}
		for _, q := range []struct {
			name  string
			value float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			var straight, through, ratio []float64
			for _, took := range rounds {
				a, b := report.Quantile(took[0], q.value), report.Quantile(took[1], q.value)
				straight, through, ratio = append(straight, a), append(through, b), append(ratio, b/a)
			}
			name := fmt.Sprintf("convergence/last-of-%d/%s", size.proxies, q.name)
			s.add(report.AtMost(name+"/lambdamesh-to-direct", report.Median(ratio), "ratio", convergenceLimit))
			s.add(report.Plain(name+"/direct", report.Median(straight), "ms"))
			s.add(report.Plain(name+"/lambdamesh", report.Median(through), "ms"))
		}
	}
	return nil
}

// converge connects fleets on all sides and writes for each side in turns. The result
// is milliseconds, by round and side.
func converge(ctx context.Context, sides []*side, proxies, writes int) (rounds [convergenceRounds][2][]float64, err error) {
	for _, one := range sides {
		if err := one.connect(ctx, proxies); err != nil {
			return rounds, fmt.Errorf("%s: %w", one.name, err)
		}
		defer one.fleet.Close()
	}
	const warmUp = 3
	for write := -warmUp; write < convergenceRounds*writes; write++ {
		for turn := range sides {
			at := (turn + write + warmUp) % len(sides)
			d, err := sides[at].write(ctx, proxies)
			if err != nil {
				return rounds, fmt.Errorf("%s: %w", sides[at].name, err)
			}
			if write >= 0 {
				took := &rounds[write/writes][at]
				*took = append(*took, report.Milliseconds(d))
			}
		}
	}
	return rounds, nil
}

// side is sidecars with one upstream in common.
type side struct {
	name    string
	addr    string // where its sidecars connect
	catalog *catalog

	fleet    *simenvoy.Fleet
	arrivals arrivals
	timeout  time.Duration // of the upstream's connections: what is changed
}

func (s *side) upstream() string { return "api-" + s.name }

func (s *side) proxy(i int) string { return fmt.Sprintf("web-%s-%d-sidecar-proxy", s.name, i) }

// register registers the upstream and so many sidecars.
func (s *side) register(ctx context.Context, sidecars int) error {
	if err := s.catalog.register(ctx, &api.AgentService{ID: s.upstream(), Service: s.upstream(), Address: "127.0.0.1", Port: 9}); err != nil {
		return err
	}
	return each(ctx, sidecars, func(ctx context.Context, i int) error {
		return s.catalog.register(ctx, &api.AgentService{
			Kind: api.ServiceKindConnectProxy, ID: s.proxy(i), Service: "web-" + s.name + "-sidecar-proxy", Address: "127.0.0.1", Port: 9,
			Proxy: &api.AgentServiceConnectProxyConfig{
				DestinationServiceName: "web-" + s.name, DestinationServiceID: fmt.Sprintf("web-%s-%d", s.name, i),
				Upstreams: []api.Upstream{{DestinationName: s.upstream(), LocalBindPort: 9191}},
			},
		})
	})
}

// connect starts the sidecars, and returns when they have all they want.
func (s *side) connect(ctx context.Context, sidecars int) (err error) {
	s.fleet, err = simenvoy.Start(ctx, simenvoy.FleetConfig{
		Size: sidecars,
		Envoy: func(i int) (simenvoy.Config, error) {
			node, err := simenvoy.Node(s.proxy(i), consulNode, "web-"+s.name)
			return simenvoy.Config{Addr: s.addr, Node: node}, err
		},
		After: s.arrivals.note,
	})
	return err
}

// write changes the connection timeout of the upstream, and says how long it took
// the last sidecar to acknowledge that.
func (s *side) write(ctx context.Context, sidecars int) (time.Duration, error) {
	s.timeout += time.Millisecond
	timeout := 5*time.Second + s.timeout
	want, err := proto.Marshal(durationpb.New(timeout))
	if err != nil {
		return 0, err
	}
	all := s.arrivals.expect(sidecars, func(r *frames.Response) bool {
		if r.TypeURL != frames.Clusters {
			return false
		}
		for cluster := range r.Resources() {
			const fieldConnectTimeout = 4
			if strings.HasPrefix(cluster.Name, s.upstream()+".") && bytes.Equal(frames.At(cluster.Body, fieldConnectTimeout), want) {
				return true
			}
		}
		return false
	})
	begun := time.Now()
	if _, _, err := s.catalog.api.ConfigEntries().Set(&api.ServiceResolverConfigEntry{
		Kind: api.ServiceResolver, Name: s.upstream(), ConnectTimeout: timeout,
	}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return 0, fmt.Errorf("writing the resolver of %s: %w", s.upstream(), err)
	}
	if err := s.arrivals.wait(s.fleet.Context(), all); err != nil {
		return 0, err
	}
	return time.Since(begun), nil
}
