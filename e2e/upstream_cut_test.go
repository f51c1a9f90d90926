package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestConnectionToConsulIsCut: the connection that carries the streams is reset. They are
// attached again, and Consul sends again what lambdamesh patches; nothing of all that
// reaches the Envoys, as the wire shows on both sides.
func TestConnectionToConsulIsCut(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	up := s.record(s.Consul.GRPCAddr())
	link, err := testmesh.StartLink(s.Ports(), up.Addr())
	s.must(err)
	t.Cleanup(link.Close)
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", link.Addr()))
	m := s.observe(testmesh.ProxyOptions{})

	began := time.Now()
	for range 2 {
		before, cut := len(up.Conversations()), time.Now()
		link.Cut()
		// Each Envoy is attached again when Consul's clusters for it are acknowledged.
		s.must(up.Wait(s.ctx, func(all []*recorder.Conversation) bool {
			again := slices.DeleteFunc(slices.Clone(all[min(before, len(all)):]), func(c *recorder.Conversation) bool {
				return c.Ended() != nil || len(recorder.Settled(c.Snapshot())) > 0 || len(c.Resources(recorder.ClusterType)) == 0
			})
			return len(again) == 2
		}))
		t.Logf("attached again after %v", time.Since(cut))
		m.unnoticed()
	}
	if sent := m.sent(began); len(sent) > 0 {
		t.Errorf("the Envoys were sent %v", sent)
	}
	two := s.function("two", "hello", nil)
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("fronted", meta(two)), testmesh.LambdaDefaults("near", meta(two))))
	s.until(m.web, "fronted", two)
	s.until(m.web, "near", two)
	sent := m.sent(began)
	slices.Sort(sent)
	if diff := cmp.Diff([]string{"fronted", "near"}, sent); diff != "" {
		t.Errorf("after the change the Envoys were sent (-want +got):\n%s", diff)
	}
	m.changesArrive("three")
	m.unnoticed()
	m.quiet()
	s.signed()
}

// TestConsulRefusesConnections: nothing listens where Consul was. After the grace the
// Envoys are told, so that their own connected_state tells the truth; they serve on, and
// are back by themselves when Consul is.
func TestConsulRefusesConnections(t *testing.T) {
	t.Parallel()
	const grace = time.Second
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	link, err := testmesh.StartLink(s.Ports(), s.Consul.GRPCAddr())
	s.must(err)
	t.Cleanup(link.Close)
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", link.Addr(), "--upstream-grace", grace.String()))
	m := s.observe(testmesh.ProxyOptions{})

	refused := time.Now()
	link.Refuse()
	for _, e := range m.envoys() {
		s.must(e.WaitStat(s.ctx, "control_plane.connected_state", func(n int64) bool { return n == 0 }))
	}
	if told := time.Since(refused); told < grace {
		t.Errorf("Envoy was told after %v, within the grace of %v", told, grace)
	}
	gone := time.Now()
	for _, name := range []string{"fronted", "near"} {
		s.answers(m.web, name, testmesh.Request{}, 200)
	}
	s.must(link.Mend())
	for _, e := range m.envoys() {
		s.must(e.WaitStat(s.ctx, "control_plane.connected_state", func(n int64) bool { return n == 1 }))
	}
	m.changesArrive("two")
	t.Logf("Envoy was back and had what changed %v after it was told", time.Since(gone))
	m.quiet()
	s.signed()
}
