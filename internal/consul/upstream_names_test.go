package consul

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (p *pool) addresses() []string { return slices.Sorted(maps.Keys(p.carried())) }

// A name stands for all its addresses. They are looked up again, and streams stay where
// they are when their server is not named any more.
func TestNameOfSeveralServers(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two, tri)
		n.name("consul.example", "10.0.0.2", "10.0.0.1", "::ffff:10.0.0.2")
		p := n.pool("consul.example", UpstreamConfig{})
		for range 2 {
			p.open(Choice{})
		}
		if diff := cmp.Diff(map[string]int{one: 1, two: 1}, p.carried()); diff != "" {
			t.Error(diff)
		}
		pinned := p.open(Choice{Pinned: true})
		if pinned.server != one {
			t.Errorf("pinned to %s, want the first in order", pinned.server)
		}

		n.name("consul.example", "10.0.0.3", "10.0.0.1", "10.0.0.0")
		n.pass(31 * time.Second)
		for range 2 {
			if s := p.open(Choice{}); s.server != tri {
				t.Errorf("it went to %s", s.server)
			}
		}
		if s := p.open(Choice{Pinned: true}); s.server != one {
			t.Errorf("pinned to %s, want the one from before", s.server)
		}
		if diff := cmp.Diff(map[string]int{"10.0.0.0:8502": 0, one: 3, tri: 2, two: 1}, p.carried()); diff != "" {
			t.Error(diff)
		}

		n.name("consul.example", "10.0.0.3")
		n.pass(31 * time.Second)
		if s := p.open(Choice{Pinned: true}); s.server != tri {
			t.Errorf("pinned to %s, want the first that the name still has", s.server)
		}
		if got := strings.Count(n.logged(), "has gone"); got != 3 {
			t.Errorf("%d servers are said to have gone, want 3:\n%s", got, n.logged())
		}
	})
}

func TestLookUpFails(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one)
		p := n.pool("consul.example", UpstreamConfig{})
		for _, said := range []string{p.Unready(), message(p.try(Choice{}))} {
			if !strings.Contains(said, "lookup consul.example") {
				t.Errorf("it does not say why: %q", said)
			}
		}
		n.name("consul.example", "10.0.0.1")
		n.pass(6 * time.Second)
		p.open(Choice{})

		n.name("consul.example") // fails again
		n.pass(time.Hour)
		if p.Unready() != "" {
			t.Error("the last answer does not count any more:", p.Unready())
		}
		p.open(Choice{})
		n.mu.Lock()
		lookUps := n.lookUps
		n.mu.Unlock()
		if lookUps > 125 {
			t.Errorf("%d look-ups in an hour", lookUps)
		}
		if got := strings.Count(n.logged(), "cannot be looked up"); got != 2 {
			t.Errorf("it is said %d times, want twice", got)
		}
	})
}

// A server that is named twice is one.
func TestNameAndItsAddress(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		n.name("consul.example", "10.0.0.1")
		p := n.pool("10.0.0.2,consul.example,10.0.0.1", UpstreamConfig{})
		if diff := cmp.Diff([]string{one, two}, p.addresses()); diff != "" {
			t.Error(diff)
		}
	})
}

// Nothing is looked up for localhost, whose two addresses are one server, nor for a
// Unix socket.
func TestNotLookedUp(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve("localhost:8502", "unix:///run/consul.sock")
		p := n.pool("localhost,unix:///run/consul.sock", UpstreamConfig{})
		for range 2 {
			p.open(Choice{})
		}
		if diff := cmp.Diff(map[string]int{"localhost:8502": 1, "unix:///run/consul.sock": 1}, p.carried()); diff != "" {
			t.Error(diff)
		}
		if n.lookUps > 0 {
			t.Errorf("%d look-ups", n.lookUps)
		}
	})
}

// A dead pod's address is replaced in DNS: while no server is left the name is looked up
// at each round.
func TestAllMoved(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one)
		n.name("consul.example", "10.0.0.1")
		p := n.pool("consul.example", UpstreamConfig{})
		n.pass(7 * time.Second)
		n.stop(one)
		n.serve(two)
		n.name("consul.example", "10.0.0.2")
		synctest.Wait()
		if _, err := p.try(Choice{}); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		n.pass(upkeepEvery)
		if s := p.open(Choice{}); s.server != two {
			t.Errorf("it went to %s", s.server)
		}
	})
}
