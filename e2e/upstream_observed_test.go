package e2e

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// observed is a mesh under calls whose Envoys must not notice what befalls Consul: a
// gateway that fronts a function, and a sidecar that calls it there and another one
// directly.
type observed struct {
	*story
	gateway *testmesh.Gateway
	web     *testmesh.Sidecar
	arn     string // of the function that all services are at first

	streams map[*testmesh.Envoy]int64
	loads   map[string]func() (calls int, failures []string)
}

// observe adds the two Envoys to a mesh whose lambdamesh runs, and begins to call. The
// service "later" does not exist yet.
func (s *story) observe(o testmesh.ProxyOptions) *observed {
	s.t.Helper()
	m := &observed{story: s, arn: s.function("one", "hello", nil), streams: map[*testmesh.Envoy]int64{}}
	s.byHand("fronted", meta(m.arn))
	s.byHand("near", meta(m.arn))
	s.allow("web", "fronted", "later", "near")
	var err error
	m.gateway, err = s.AddTerminatingGateway(s.ctx, "gateway", []string{"fronted", "later"}, o)
	s.must(err)
	m.web, err = s.AddSidecar(s.ctx, "web", []string{"fronted", "near", "later"}, o)
	s.must(err)
	for _, name := range []string{"fronted", "near"} {
		s.until(m.web, name, m.arn)
	}
	for _, e := range m.envoys() {
		s.healthy(e)
		n, err := e.Stat(s.ctx, streamsOpened)
		s.must(err)
		m.streams[e] = n
	}
	m.call()
	return m
}

func (m *observed) envoys() []*testmesh.Envoy {
	return []*testmesh.Envoy{m.gateway.Envoy, m.web.Envoy}
}

// call calls both functions all the time until quiet.
func (m *observed) call() {
	m.loads = map[string]func() (int, []string){"fronted": m.load(m.web, "fronted", 1), "near": m.load(m.web, "near", 1)}
}

// quiet ends the calls: none may have failed.
func (m *observed) quiet() {
	m.t.Helper()
	for name, stop := range m.loads {
		if calls, failures := stop(); len(failures) > 0 {
			m.t.Errorf("%s: of %d calls failed: %v", name, calls, failures)
		}
	}
}

// streamsOpened counts what Envoy opens towards its xDS server, which a bootstrap of
// Consul's calls local_agent. It carries one stream and nothing else.
const streamsOpened = "cluster.local_agent.upstream_rq_total"

// unnoticed checks that the Envoys' streams are those that they were, by what Envoy
// counts and by the wire, and that no call failed. Calls go on.
func (m *observed) unnoticed() {
	m.t.Helper()
	m.quiet()
	m.call()
	for _, e := range m.envoys() {
		stats, err := e.Stats(m.ctx, "")
		m.must(err)
		for name, want := range map[string]int64{
			streamsOpened:                   m.streams[e],
			"control_plane.connected_state": 1,
			// Envoy counts the end of a stream as a failed update of each type.
			"cluster_manager.cds.update_failure":   0,
			"listener_manager.lds.update_failure":  0,
			"cluster_manager.cds.update_rejected":  0,
			"listener_manager.lds.update_rejected": 0,
		} {
			if stats[name] != want {
				m.t.Errorf("%s: %s is %d, want %d", e.LogPath(), name, stats[name], want)
			}
		}
	}
	for i, c := range m.open() {
		if c == nil {
			m.t.Errorf("the stream of %s is not the only one, or has ended", m.envoys()[i].LogPath())
		}
	}
}

// open are the conversations of the gateway and of web, nil for one that is not alone
// or not open.
func (m *observed) open() [2]*recorder.Conversation {
	var open [2]*recorder.Conversation
	for i, id := range []string{m.gateway.Name, m.web.ProxyID} {
		all := slices.DeleteFunc(m.wire.Conversations(), func(c *recorder.Conversation) bool {
			first := c.FirstRequest(recorder.ClusterType)
			return first == nil || first.GetNode().GetId() != id
		})
		if len(all) == 1 && all[0].Ended() == nil {
			open[i] = all[0]
		}
	}
	return open
}

// sent are the names of the clusters, listeners and routes that the Envoys were sent
// since then, as far as the first dot or colon.
func (m *observed) sent(since time.Time) []string {
	var names []string
	for _, c := range m.wire.Conversations() {
		for _, e := range c.Snapshot() {
			if e.Time.Before(since) || e.Response.GetTypeUrl() == recorder.EndpointType {
				continue
			}
			for _, r := range e.Response.GetResources() {
				names = append(names, r.GetName()[:strings.IndexAny(r.GetName()+".", ".:")])
			}
		}
	}
	return names
}

// changesArrive changes the functions of both services, which only the Table tells, and
// adds a service, which only Consul tells. Both arrive.
func (m *observed) changesArrive(name string) {
	m.t.Helper()
	arn := m.function(name, "hello", nil)
	m.must(testmesh.Poll(m.ctx, func(ctx context.Context) error { // Consul may be electing a leader
		for _, service := range []string{"fronted", "near"} {
			if err := m.Consul.SetEntry(ctx, testmesh.LambdaDefaults(service, meta(arn))); err != nil {
				return err
			}
		}
		return nil
	}))
	m.until(m.web, "fronted", arn)
	m.until(m.web, "near", arn)
	m.byHand("later", meta(arn))
	m.until(m.web, "later", arn)
}
