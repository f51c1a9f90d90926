package registrator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// many puts functions f00 and so on into AWS.
func (m *mesh) many(n int) {
	for i := range n {
		m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
	}
}

// atEntry calls do once, before the n-th write of a config entry.
func (w *wire) atEntry(n int64, do func()) {
	var entries atomic.Int64
	w.breakWith(func(r *http.Request) error {
		if r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/config") && entries.Add(1) == n {
			do()
		}
		return nil
	})
}

// completed checks that of many all are there, and that nothing is left to be done.
func (m *mesh) completed(n int) {
	m.Helper()
	for i := range n {
		name := fmt.Sprintf("f%02d", i)
		m.whole(name, m.aws.ARN(name))
	}
	m.expect(m.sync(m.registrator(nil)).Plan)
}

// A token that is revoked while a run writes ends that run's success, and nothing
// else; with another one the next run goes on.
func testTokenRevokedInMidSync(t *testing.T, m *mesh) {
	client, token := m.as(recommendedRules)
	m.aws.Put("first", Enabled())
	m.aws.Put("gone", Enabled())
	m.sync(m.registrator(func(c *Config) { c.Consul = client }))
	m.aws.Delete("gone")
	m.many(40)
	r, w := m.wired(nil)
	w.token.Store(&token.SecretID)
	w.atEntry(10, func() {
		if _, err := m.consul.ACL().TokenDelete(token.AccessorID, nil); err != nil {
			t.Error(err)
		}
	})
	if result, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "ACL not found") || strings.Contains(err.Error(), token.SecretID) {
		t.Errorf("applied %d, error %v", result.Applied, err)
	}
	if m.entry("f00") == nil || len(m.services("f39")) > 0 {
		t.Error("this is not mid-sync")
	}
	m.whole("first", m.aws.ARN("first"))
	m.whole("gone", m.aws.ARN("gone"))
	if _, err := r.Sync(t.Context()); err == nil { // now nothing can be read either
		t.Error("a run without a token went well")
	}
	_, token = m.as(recommendedRules)
	w.token.Store(&token.SecretID)
	m.sync(r)
	m.gone("gone")
	m.completed(40)
}

// A real replica that gets SIGTERM in mid-sync ends at once and well, and the next one
// finishes what it began.
func testReplicaIsEndedInMidSync(t *testing.T, m *mesh) {
	bin, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, token := m.as(lockRules)
	m.many(20)
	addr, reached := stalling(t, m.server.HTTPAddr())
	one := m.replica(bin, "one", addr, token.SecretID)
	select {
	case <-reached:
	case <-testmesh.Context(t).Done():
		t.Fatalf("it does not begin:\n%s", one.Tail(20))
	}
	if m.entry("f00") == nil || len(m.services("f00")) > 0 {
		t.Error("this is not mid-sync")
	}
	if err := one.Stop(); err != nil || one.Err() != nil {
		t.Errorf("it ended with %v, %v:\n%s", err, one.Err(), one.Tail(20))
	}
	for key, session := range m.locks() {
		if session != "" {
			t.Errorf("the lock %s is still held", key)
		}
	}
	result := m.sync(m.registrator(nil))
	if result.Applied != 20 {
		t.Errorf("%d changes", result.Applied)
	}
	m.completed(20)
}

// The leader of three servers dies while a run writes through another one: the run
// fails or not, and the same registrator finishes the work with the next leader.
func TestLeaderIsLostInMidSync(t *testing.T) {
	servers, err := testmesh.StartConsulServers(testmesh.Context(t), 3, testmesh.ConsulConfig{
		Bin: testmesh.Bin(t, (*parts.Cache).Consul), Dir: t.TempDir(), Ports: testmesh.TestPorts(t), NoACL: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range servers {
		t.Cleanup(func() { c.Kill() })
	}
	addr, err := servers[0].API().Status().Leader()
	if err != nil {
		t.Fatal(err)
	}
	leader, follower := servers[0], servers[1]
	for i, c := range servers {
		if c.RPCAddr() == addr {
			leader, follower = c, servers[(i+1)%len(servers)]
		}
	}
	m := newMesh(t, follower)
	m.aws.Put("first", Enabled())
	m.aws.Put("gone", Enabled())
	m.sync(m.registrator(nil))
	m.aws.Delete("gone")
	m.many(40)
	r, w := m.wired(nil)
	w.atEntry(10, leader.Kill)
	eventually(t, func() error {
		_, err := r.Sync(t.Context())
		return err
	})
	if now, err := m.consul.Status().Leader(); err != nil || now == addr {
		t.Errorf("the leader is %s, as before: %v", now, err)
	}
	m.whole("first", m.aws.ARN("first"))
	m.gone("gone")
	m.completed(40)
}
