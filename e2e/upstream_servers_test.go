package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// streams are how many xDS streams each of some servers carries, and their sum.
func (s *story) streams(ctx context.Context, servers []*testmesh.Consul) (each []int, sum int, err error) {
	for _, c := range servers {
		n, err := c.XDSStreams(ctx)
		if err != nil {
			return nil, 0, err
		}
		each, sum = append(each, n), sum+n
	}
	return each, sum, nil
}

// carry waits until these servers carry so many streams together, each at most so many,
// and returns how many each does.
func (s *story) carry(servers []*testmesh.Consul, sum, most int) (each []int) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		var all int
		var err error
		if each, all, err = s.streams(ctx, servers); err != nil {
			return err
		}
		if all != sum {
			return fmt.Errorf("the servers carry %v streams, want %d together", each, sum)
		}
		for _, n := range each {
			if n > most {
				return fmt.Errorf("the servers carry %v streams, want at most %d each", each, most)
			}
		}
		return nil
	}))
	return each
}

// TestOneOfThreeServersDies: the server that carries an Envoy's stream is killed. The
// stream goes to another one; the killed one comes back, and another dies.
func TestOneOfThreeServersDies(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, Servers: 3, Consul: testmesh.ConsulConfig{ProxyNode: "vm"}})
	m := s.observe(testmesh.ProxyOptions{})
	for round := range 2 {
		each := s.carry(s.Servers, 2, 1) // each stream chose the least loaded server
		// Not the first: its API is what lambdamesh and this test ask.
		dies := 1
		if each[dies] == 0 {
			dies = 2
		}
		lost := s.Servers[dies]
		lost.Kill()
		var left []*testmesh.Consul
		for _, c := range s.Servers {
			if c != lost {
				left = append(left, c)
			}
		}
		s.carry(left, 2, 1)
		m.changesArrive(fmt.Sprintf("round-%d", round))
		m.unnoticed()
		t.Logf("the servers carried %v streams, %s died", each, lost.NodeName())
		s.must(lost.Start(s.ctx))
	}
	m.quiet()
	s.signed()
}

// TestServerDrains: a server that has more than its share of the streams ends some with
// RESOURCE_EXHAUSTED, as Consul's servers do when there are fewer proxies than there were.
// Only the streams that it ends move.
func TestServerDrains(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{
		NoRegistrator: true, NoLambdamesh: true, Servers: 3, Consul: testmesh.ConsulConfig{ProxyNode: "vm"},
	})
	addrs := []string{s.Consul.GRPCAddr()}
	var links []*testmesh.Link
	for _, c := range s.Servers[1:] {
		link, err := testmesh.StartLink(s.Ports(), c.GRPCAddr())
		s.must(err)
		t.Cleanup(link.Close)
		link.Refuse()
		links, addrs = append(links, link), append(addrs, link.Addr())
	}
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", strings.Join(addrs, ",")))
	// A server takes 1.1 times the proxies divided by the servers, rounded up: with four
	// proxies two streams, with two proxies one.
	idle := []string{"idle", "idler"}
	for _, name := range idle {
		_, err := s.AddSidecar(s.ctx, name, nil, testmesh.ProxyOptions{NoEnvoy: true})
		s.must(err)
	}
	m := s.observe(testmesh.ProxyOptions{})
	s.carry(s.Servers[:1], 2, 2)
	for _, link := range links {
		s.must(link.Mend())
	}
	for _, name := range idle {
		s.must(s.Consul.DeregisterAgentService(s.ctx, name+"-sidecar-proxy"))
	}
	t.Logf("the servers carry %v streams", s.carry(s.Servers, 2, 1))
	m.changesArrive("two")
	m.unnoticed()
	m.quiet()
	s.signed()
}

// TestServersAreLearned: lambdamesh is told of one server, and learns of the others from
// it. Streams go to them too, and to one that it learned of when the first is away.
func TestServersAreLearned(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{
		NoRegistrator: true, NoLambdamesh: true, Servers: 3,
		Consul: testmesh.ConsulConfig{ProxyNode: "vm", OwnIPs: true},
	})
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", s.Consul.GRPCAddr(), "--consul-server-watch"))
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		text, err := os.ReadFile(s.Lambdamesh.LogPath())
		if n := strings.Count(string(text), "a Consul server has come"); err == nil && n != len(s.Servers) {
			err = fmt.Errorf("the log tells of %d servers", n)
		}
		return err
	}))
	m := s.observe(testmesh.ProxyOptions{})
	each := s.carry(s.Servers, 2, 1)
	t.Logf("the servers carry %v streams", each)
	// Not the first: its API is what lambdamesh and this test ask.
	dies := 1
	if each[dies] == 0 {
		dies = 2
	}
	s.Servers[dies].Kill()
	s.carry([]*testmesh.Consul{s.Servers[0], s.Servers[3-dies]}, 2, 1)
	m.changesArrive("two")
	m.unnoticed()
	m.quiet()
	s.signed()
}

// TestProxyBesideAnAgent: Envoys without -node-name belong to the agent that stands first.
// When it cannot be reached they wait for it, and the log says so.
func TestProxyBesideAnAgent(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true, Servers: 3})
	link, err := testmesh.StartLink(s.Ports(), s.Consul.GRPCAddr())
	s.must(err)
	t.Cleanup(link.Close)
	// At info an outage is one line, and not one for each attempt.
	s.must(s.StartLambdamesh(s.ctx, "--log-level", "debug", "--consul-grpc-addr",
		strings.Join([]string{link.Addr(), s.Servers[1].GRPCAddr(), s.Servers[2].GRPCAddr()}, ",")))
	m := s.observe(testmesh.ProxyOptions{NoNodeName: true})
	s.carry(s.Servers[:1], 2, 2)
	link.Refuse()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		text, err := os.ReadFile(s.Lambdamesh.LogPath())
		if err != nil {
			return err
		}
		for _, id := range []string{m.gateway.Name, m.web.ProxyID} {
			tried := 0
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, "attached again") && strings.Contains(line, "proxy="+id+" ") {
					tried++
				}
			}
			if tried < 4 {
				return fmt.Errorf("the log tells of %d attempts for %s", tried, id)
			}
		}
		return nil
	}))
	if each, sum, err := s.streams(s.ctx, s.Servers[1:]); err != nil || sum > 0 {
		t.Errorf("the other servers carry %v streams (%v)", each, err)
	}
	s.must(link.Mend())
	s.carry(s.Servers[:1], 2, 2)
	m.changesArrive("two")
	m.unnoticed()
	if each, sum, err := s.streams(s.ctx, s.Servers[1:]); err != nil || sum > 0 {
		t.Errorf("the other servers carry %v streams (%v)", each, err)
	}
	m.quiet()
	s.signed()
}
