package simenvoy_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/relay"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on a free port until the test ends.
func serve(t *testing.T, run func(context.Context, net.Listener) error) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// start starts a fake Consul, the bare relay before it, and a fleet before that.
func start(t *testing.T, script string, hook func(i int, r *frames.Response)) (*simenvoy.Fleet, error) {
	t.Helper()
	dir := t.TempDir()
	if err := fakeconsul.WriteTemplates(dir); err != nil {
		t.Fatal(err)
	}
	upstream := serve(t, func(ctx context.Context, l net.Listener) error { return fakeconsul.Serve(ctx, l, dir) })
	addr := serve(t, func(ctx context.Context, l net.Listener) error { return relay.Serve(ctx, l, upstream) })
	fleet, err := simenvoy.Start(t.Context(), simenvoy.FleetConfig{
		Size: 3, Parallel: 2, After: hook,
		Envoy: func(int) (simenvoy.Config, error) {
			node, err := simenvoy.Node("proxy", "node", script)
			return simenvoy.Config{Addr: addr, Node: node}, err
		},
	})
	if err == nil {
		t.Cleanup(fleet.Close)
	}
	return fleet, err
}

// TestWarm sees that a fleet gets clusters, the endpoints of those that are EDS, and
// listeners, through the relay.
func TestWarm(t *testing.T) {
	var clusters, endpoints, listeners atomic.Int64
	_, err := start(t, fakeconsul.Script{Services: 4, Functions: 2}.String(), func(_ int, r *frames.Response) {
		for range r.Resources() {
			map[string]*atomic.Int64{frames.Clusters: &clusters, frames.Endpoints: &endpoints, frames.Listeners: &listeners}[r.TypeURL].Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, e, l := clusters.Load(), endpoints.Load(), listeners.Load(); c != 3*6 || e != 3*4 || l != 3*6 {
		t.Errorf("%d clusters, %d endpoints, %d listeners, want 18, 12, 18", c, e, l)
	}
}

// TestLoop sees that each acknowledgement is answered, by clusters that have changed.
func TestLoop(t *testing.T) {
	for _, work := range []bool{false, true} {
		enough := make(chan struct{})
		var n atomic.Int64
		var last [3]string
		fleet, err := start(t, fakeconsul.Script{Services: 1, Loop: true, Work: work}.String(), func(i int, r *frames.Response) {
			if r.TypeURL != frames.Clusters {
				return
			}
			for one := range r.Resources() {
				if one.Version == last[i] {
					t.Error("a cluster came again unchanged")
				}
				last[i] = one.Version
			}
			if n.Add(1) == 100 {
				close(enough)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-enough:
		case <-fleet.Context().Done():
			t.Fatal(context.Cause(fleet.Context()))
		}
	}
}

// TestFailure sees that a fleet says why it failed.
func TestFailure(t *testing.T) {
	_, err := start(t, "no script", nil)
	if err == nil || !strings.Contains(err.Error(), "script") {
		t.Errorf("error %v, want the upstream's", err)
	}
}
