package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// replica is one of several lambdameshes that serve the same Envoys.
type replica struct {
	*testmesh.Lambdamesh
	name string
	wire *recorder.Proxy // what is said to it
	link *testmesh.Link  // between Envoys and the wire
	api  *testmesh.Link  // between it and Consul's API
}

// lockingRules let the registrators elect one, as the README has it.
const lockingRules = testmesh.LambdameshRules + `
key_prefix "lambdamesh/" { policy = "write" }
session_prefix ""        { policy = "write" }`

// drained is how long a replica that ends takes to send its Envoys away.
const drained = 2 * time.Second

// replicas starts some, each with the registrator inside.
func (s *story) replicas(names ...string) []*replica {
	s.t.Helper()
	var all []*replica
	for _, name := range names {
		r := &replica{name: name}
		var err error
		r.api, err = testmesh.StartLink(s.Ports(), s.Consul.HTTPAddr())
		s.must(err)
		s.t.Cleanup(r.api.Close)
		r.Lambdamesh, err = s.NewLambdamesh(s.ctx, "lambdamesh-"+name,
			"--consul-http-addr", r.api.Addr(), "--lock-ttl", "2s", "--drain-timeout", drained.String())
		s.must(err)
		s.t.Cleanup(func() {
			if err := r.Stop(); err != nil {
				s.t.Error(err)
			}
		})
		r.wire = s.record(r.XDSAddr())
		r.link, err = testmesh.StartLink(s.Ports(), r.wire.Addr())
		s.must(err)
		s.t.Cleanup(r.link.Close)
		all = append(all, r)
	}
	return all
}

// TestReplicas: three replicas serve the same Envoys. One is killed, one drained and
// one cut off; its Envoys move to the others, are sent nothing that did not change, and
// what changes then arrives. No call fails. The registrator's lock moves alike.
func TestReplicas(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoLambdamesh: true, Rules: lockingRules, Consul: testmesh.ConsulConfig{
		ProxyNode: "vm", Config: `session_ttl_min = "1s"`,
	}})
	all := s.replicas("a", "b", "c")
	m := &replicated{story: s, replicas: all, homes: map[string]*replica{}}
	m.begin()

	s.run("killed", func(t *testing.T) {
		lost := m.homes["web-sidecar-proxy"]
		m.moves(lost, func() { lost.Kill() }, 5*time.Second)
		s.must(lost.Start(s.ctx))
	})
	s.run("drained", func(t *testing.T) {
		lost := m.homes["web-sidecar-proxy"]
		m.moves(lost, func() { lost.Signal(syscall.SIGTERM) }, drained+5*time.Second)
		<-lost.Exited()
		if err := lost.Err(); err != nil {
			t.Error(err)
		}
		s.must(lost.Start(s.ctx))
	})
	s.run("cut off", func(t *testing.T) {
		lost := m.homes["web-sidecar-proxy"]
		m.moves(lost, lost.link.Darken, 10*time.Second)
		s.must(lost.link.Mend())
	})
	s.run("the lock", func(t *testing.T) {
		m.elects("killed", func(r *replica) { r.Kill() }, 10*time.Second)
		m.elects("ended", func(r *replica) { r.Signal(syscall.SIGTERM) }, drained+5*time.Second)
		m.elects("cut off", func(r *replica) { r.api.Darken() }, 10*time.Second)
	})
	for name, stop := range m.loads {
		calls, failures := stop()
		t.Logf("%s: %d calls while all of that happened", name, calls)
		if len(failures) > 0 {
			t.Errorf("%s: of %d calls failed: %v", name, calls, failures)
		}
	}
	s.signed()
}

// replicated are the Envoys of some replicas: a gateway that fronts a function, web,
// which calls it there and another one directly, and two that only stand there.
type replicated struct {
	*story
	replicas []*replica
	ids      []string
	web      *testmesh.Sidecar
	homes    map[string]*replica // of each Envoy, by its proxy ID
	loads    map[string]func() (calls int, failures []string)
	changes  int
}

func (m *replicated) begin() {
	m.t.Helper()
	arn := m.function("zero", "hello", nil)
	m.byHand("fronted", meta(arn))
	m.byHand("near", meta(arn))
	m.allow("web", "fronted", "near")
	var o testmesh.ProxyOptions
	for _, r := range m.replicas {
		o.XDSAddrs = append(o.XDSAddrs, r.link.Addr())
	}
	gateway, err := m.AddTerminatingGateway(m.ctx, "gateway", []string{"fronted"}, o)
	m.must(err)
	m.healthy(gateway.Envoy)
	m.ids = []string{gateway.Name}
	for _, name := range []string{"web", "idle", "idler"} {
		c, err := m.AddSidecar(m.ctx, name, []string{"fronted", "near"}, o)
		m.must(err)
		m.healthy(c.Envoy)
		m.ids = append(m.ids, c.ProxyID)
		if name == "web" {
			m.web = c
		}
	}
	// A replica that is cut off from its Envoys goes on to hold their streams to Consul for
	// up to 50 s, until its own pings tell it; and a server of Consul takes 1.1 times as many
	// streams as there are proxies for each server. So there are some without an Envoy.
	for i := range len(m.ids) + 1 {
		_, err := m.AddSidecar(m.ctx, fmt.Sprintf("elsewhere-%d", i), nil, testmesh.ProxyOptions{NoEnvoy: true})
		m.must(err)
	}
	m.until(m.web, "fronted", arn)
	m.until(m.web, "near", arn)
	m.find(nil)
	m.loads = map[string]func() (int, []string){"fronted": m.load(m.web, "fronted", 1), "near": m.load(m.web, "near", 1)}
}

// streamOf is the open stream of an Envoy to a replica, nil if it has none or has not
// been answered on it.
func streamOf(r *replica, id string) *recorder.Conversation {
	for _, c := range slices.Backward(r.wire.Conversations()) {
		if first := c.FirstRequest(recorder.ClusterType); first != nil && first.GetNode().GetId() == id && c.Ended() == nil &&
			len(c.Requests(recorder.ListenerType)) > 0 && answered(c) {
			return c
		}
	}
	return nil
}

// find waits until every Envoy has a stream to another replica than lost, and notes to
// which.
func (m *replicated) find(lost *replica) {
	m.t.Helper()
	m.must(testmesh.Poll(m.ctx, func(context.Context) error {
		for _, id := range m.ids {
			at := slices.IndexFunc(m.replicas, func(r *replica) bool { return r != lost && streamOf(r, id) != nil })
			if at < 0 {
				return errors.New(id + " has no stream")
			}
			m.homes[id] = m.replicas[at]
		}
		return nil
	}))
}

// moves has a replica get lost. Its Envoys move within so long; those that moved are sent
// nothing, and those of the others notice nothing; then what changes reaches all.
func (m *replicated) moves(lost *replica, lose func(), within time.Duration) {
	m.t.Helper()
	before := map[*recorder.Conversation]bool{}
	stayed := map[string]*recorder.Conversation{}
	moved := 0
	for _, r := range m.replicas {
		for _, c := range r.wire.Conversations() {
			before[c] = true
		}
	}
	for id, home := range m.homes {
		if home == lost {
			moved++
			continue
		}
		stayed[id] = streamOf(home, id)
	}
	began := time.Now()
	lose()
	m.find(lost)
	took := time.Since(began)
	m.t.Logf("%d Envoys of replica %s, and each has another after %s", moved, lost.name, took.Round(time.Millisecond))
	if moved == 0 || took > within {
		m.t.Errorf("%d Envoys moved in %s, want some in %s", moved, took, within)
	}
	for id, stream := range stayed {
		if stream == nil || stream.Ended() != nil {
			m.t.Errorf("%s is of another replica, and its stream has ended", id)
		}
	}
	changed := time.Now()
	m.changes++
	arn := m.function(fmt.Sprintf("change-%d", m.changes), "hello", nil)
	m.must(m.Consul.SetEntry(m.ctx, testmesh.LambdaDefaults("fronted", meta(arn))))
	m.must(m.Consul.SetEntry(m.ctx, testmesh.LambdaDefaults("near", meta(arn))))
	m.until(m.web, "fronted", arn)
	m.until(m.web, "near", arn)
	for _, r := range m.replicas {
		for _, c := range r.wire.Conversations() {
			if before[c] || r == lost {
				continue
			}
			for _, e := range c.Snapshot() {
				if e.Response.GetTypeUrl() == recorder.EndpointType {
					continue // Consul repeats what is subscribed to by name
				}
				for _, sent := range e.Response.GetResources() {
					if e.Time.Before(changed) {
						m.t.Errorf("an Envoy that moved to replica %s was sent %s again", r.name, sent.GetName())
					} else if name, _, _ := strings.Cut(sent.GetName(), "."); name != "fronted" && name != "near" {
						m.t.Errorf("sent on replica %s: %s, which did not change", r.name, sent.GetName())
					}
				}
			}
		}
	}
}

// holder is the session that holds the registrator's lock, and the replica that works.
func (m *replicated) holder(ctx context.Context) (session string, at *replica, err error) {
	pairs, _, err := m.Consul.API().KV().List("lambdamesh/registrator/", nil)
	if err != nil {
		return "", nil, err
	}
	for _, pair := range pairs {
		session = pair.Session
	}
	if len(pairs) != 1 || session == "" {
		return "", nil, fmt.Errorf("of %d locks none is held", len(pairs))
	}
	var latest time.Time
	for _, r := range m.replicas {
		if !r.Running() {
			continue
		}
		var st struct {
			Registrator struct {
				LastRun time.Time `json:"last_run"`
			} `json:"registrator"`
		}
		if err := r.State(ctx, &st); err != nil {
			return "", nil, err
		}
		if st.Registrator.LastRun.After(latest) {
			at, latest = r, st.Registrator.LastRun
		}
	}
	if at == nil {
		return "", nil, errors.New("no replica works")
	}
	return session, at, nil
}

// elects has the replica with the lock get lost: another one gets it within so long, and
// brings a function that is tagged then.
func (m *replicated) elects(how string, lose func(*replica), within time.Duration) {
	m.t.Helper()
	var session string
	var lost *replica
	m.must(testmesh.Poll(m.ctx, func(ctx context.Context) (err error) {
		session, lost, err = m.holder(ctx)
		return err
	}))
	began := time.Now()
	lose(lost)
	m.must(testmesh.Poll(m.ctx, func(ctx context.Context) error {
		pairs, _, err := m.Consul.API().KV().List("lambdamesh/registrator/", nil)
		if err != nil {
			return err
		}
		if len(pairs) != 1 || pairs[0].Session == "" || pairs[0].Session == session {
			return errors.New("nobody else has the lock")
		}
		return nil
	}))
	took := time.Since(began)
	m.t.Logf("%s, replica %s had the lock, and another one has it after %s", how, lost.name, took.Round(time.Millisecond))
	if took > within {
		m.t.Errorf("the lock moved in %s, want %s", took, within)
	}
	name := "elected-" + strings.ReplaceAll(how, " ", "-")
	m.function(name, "hello", testmesh.EnabledTags())
	m.present(name)
	m.must(lost.api.Mend())
	if how != "cut off" {
		<-lost.Exited()
		m.must(lost.Start(m.ctx))
	}
}
