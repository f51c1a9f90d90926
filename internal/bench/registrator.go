package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// awsLatency is what a call of AWS's control plane takes here.
const awsLatency = 20 * time.Millisecond

// sides are the two sides of a registrator: a fake AWS and a real Consul.
type sides struct {
	aws    *fakeaws.Server
	server *testmesh.Consul
	consul *api.Client
	writes atomic.Int64 // requests that write, through consul
}

// startSides starts both, empty. AWS's SDK, in this process, then finds the fake.
func (s *stage) startSides(ctx context.Context, latency time.Duration) (*sides, error) {
	aws, err := fakeaws.Start(latency)
	if err != nil {
		return nil, err
	}
	s.atEnd(aws.Close)
	for name, value := range aws.Env() {
		before, was := os.LookupEnv(name)
		s.atEnd(func() {
			if was {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		})
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	c, err := s.startConsul(ctx)
	if err != nil {
		return nil, err
	}
	both := &sides{aws: aws, server: c}
	transport := &http.Transport{MaxIdleConnsPerHost: writers}
	s.atEnd(transport.CloseIdleConnections)
	both.consul, err = api.NewClient(&api.Config{
		Address: c.HTTPAddr(), Scheme: "http",
		HttpClient: &http.Client{Transport: countingWrites{transport, &both.writes}},
	})
	return both, err
}

// countingWrites counts the requests that write.
type countingWrites struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c countingWrites) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		c.n.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// registrator makes one, as a process that has just started has it: nothing is
// remembered. rate is the most calls of Lambda a second; 0: the default.
func (b *sides) registrator(ctx context.Context, rate float64, timeouts bool) (*registrator.Registrator, error) {
	regions, err := registrator.LoadRegions(ctx, registrator.AWSOptions{Rate: rate})
	if err != nil {
		return nil, err
	}
	return registrator.New(registrator.Config{
		Consul: b.consul, Regions: regions, NoTimeouts: !timeouts, MaxDeleteRatio: registrator.DefaultMaxDeleteRatio,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// sum is how many calls there were of all operations.
func sum(calls map[string]int) (n float64) {
	for _, c := range calls {
		n += float64(c)
	}
	return n
}
