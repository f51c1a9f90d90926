package consul

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// fakeDiscovery tells of servers as Consul does. A list that is nil ends the watch.
type fakeDiscovery struct {
	pbserverdiscovery.UnimplementedServerDiscoveryServiceServer
	lists  chan []string
	tokens chan []string
	asked  []time.Time
	end    error
}

func (d *fakeDiscovery) WatchServers(_ *pbserverdiscovery.WatchServersRequest, stream pbserverdiscovery.ServerDiscoveryService_WatchServersServer) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	d.tokens <- md.Get(tokenKey)
	d.asked = append(d.asked, time.Now())
	for {
		select {
		case list := <-d.lists:
			if list == nil {
				return d.end
			}
			answer := &pbserverdiscovery.WatchServersResponse{}
			for _, ip := range list {
				answer.Servers = append(answer.Servers, &pbserverdiscovery.Server{Address: ip})
			}
			if err := stream.Send(answer); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

// discovering is a pool that learns of servers from the one that it is given.
func discovering(t *testing.T, n *fakeNet, addr string) (*fakeDiscovery, *pool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &fakeDiscovery{lists: make(chan []string), tokens: make(chan []string, 1000), end: status.Error(codes.Aborted, "it restarts")}
	n.add(one)
	pbserverdiscovery.RegisterServerDiscoveryServiceServer(n.server(one).grpc, d)
	n.run(one)
	return d, n.pool(addr, UpstreamConfig{Discover: &ClientConfig{TokenFile: file}})
}

func TestServersAreLearned(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(two)
		d, p := discovering(t, n, one)
		if diff := cmp.Diff([]string{"ours"}, <-d.tokens); diff != "" {
			t.Error("the token:", diff)
		}
		d.lists <- []string{"10.0.0.2", "10.0.0.1"}
		if diff := cmp.Diff([]string{one, two}, p.addresses()); diff != "" {
			t.Error(diff)
		}
		d.lists <- []string{"10.0.0.3"}
		if diff := cmp.Diff([]string{one, tri}, p.addresses()[:2]); diff == "" {
			t.Error("a server goes before its connection has been of no use for a while")
		}
		n.pass(2 * upkeepEvery)
		if diff := cmp.Diff([]string{one, tri}, p.addresses()); diff != "" {
			t.Error("the configured one stays, what is not named goes:", diff)
		}
		d.lists <- []string{}
		if diff := cmp.Diff([]string{one, tri}, p.addresses()); diff != "" {
			t.Error("no server at all is no answer:", diff)
		}
		if s := p.open(Choice{Pinned: true}); s.server != one {
			t.Errorf("pinned to %s", s.server)
		}
	})
}

// A watch that ends is begun again, later and later, and what was learned stays. It is
// said once.
func TestWatchEnds(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		d, p := discovering(t, n, one)
		d.lists <- []string{"10.0.0.1", "10.0.0.2"}
		synctest.Wait()
		for range 50 {
			d.lists <- nil
		}
		synctest.Wait()
		if took := d.asked[49].Sub(d.asked[0]); took < time.Minute || took > 15*time.Minute {
			t.Errorf("it was asked 50 times in %s", took)
		}
		if diff := cmp.Diff([]string{one, two}, p.addresses()); diff != "" {
			t.Error(diff)
		}
		if got := strings.Count(n.logged(), "does not tell"); got != 1 {
			t.Errorf("it is said %d times", got)
		}
		d.lists <- []string{"10.0.0.1"}
		n.pass(2 * upkeepEvery)
		if diff := cmp.Diff([]string{one}, p.addresses()); diff != "" {
			t.Error(diff)
		}
	})
}

// What is learned is called as the configured name, which Consul's certificates have
// in common; an IP names one server alone.
func TestNameOfLearnedServers(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.name("consul.example", "10.0.0.1")
		for addr, want := range map[string]string{"consul.example": "consul.example:8502", "10.0.0.1": two} {
			p := n.pool(addr, UpstreamConfig{})
			p.learn(one, []*pbserverdiscovery.Server{{Address: "10.0.0.2"}})
			p.mu.Lock()
			if got := find(p.servers, two).authority; got != want {
				t.Errorf("%s: %q, want %q", addr, got, want)
			}
			p.mu.Unlock()
		}
	})
}
