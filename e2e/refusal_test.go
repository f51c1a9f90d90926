package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// refusing is a mesh with three functions behind a gateway and three that a sidecar
// invokes directly, whose Envoys get what a flawedServer makes. The names end alike: one
// of them in Envoy's words must not be taken for another.
type refusing struct {
	*flawedServer
	gateway *testmesh.Gateway
	web     *testmesh.Sidecar
	arn     string
}

var (
	fronted = []string{"fn", "bad-fn", "worse-fn"}
	direct  = []string{"near", "bad-near", "worse-near"}
)

func beginRefusing(t *testing.T) *refusing {
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	r := &refusing{arn: s.function("one", "hello", nil)}
	for _, name := range slices.Concat(fronted, direct) {
		s.byHand(name, meta(r.arn))
	}
	s.allow("web", slices.Concat(fronted, direct)...)
	r.flawedServer = s.flawed()
	var err error
	r.gateway, err = s.AddTerminatingGateway(s.ctx, "gateway", fronted, r.through())
	s.must(err)
	r.web, err = s.AddSidecar(s.ctx, "web", slices.Concat(fronted, direct), r.through())
	s.must(err)
	return r
}

// start starts both Envoys, and stop stops them.
func (r *refusing) start() {
	r.t.Helper()
	var both errgroup.Group
	both.Go(func() error { return r.gateway.StartEnvoy(r.ctx) })
	both.Go(func() error { return r.web.StartEnvoy(r.ctx) })
	r.must(both.Wait())
}

func (r *refusing) stop() {
	r.t.Helper()
	r.must(r.web.Envoy.Stop())
	r.must(r.gateway.Envoy.Stop())
}

// spoil makes the clusters of services flawed: of a gateway's and a direct one.
func (r *refusing) spoil(bad, worse *flaw) {
	flaws := map[string]flaw{}
	for i, f := range []*flaw{bad, worse} {
		if f != nil {
			flaws[fronted[i+1]], flaws[direct[i+1]] = *f, *f
		}
	}
	r.makes(flaws)
}

// answer waits until each service answers 200, or 503 if it is flawed.
func (r *refusing) answer(flawed ...string) {
	r.t.Helper()
	for _, name := range slices.Concat(fronted, direct) {
		if slices.Contains(flawed, name) {
			r.answers(r.web, name, testmesh.Request{}, 503)
		} else {
			r.until(r.web, name, r.arn)
		}
	}
}

// refused waits until each Envoy has refused so many responses since it started.
func (r *refusing) refused(times int64) {
	r.t.Helper()
	const refusals = "cluster_manager.cds.update_rejected"
	for _, e := range []*testmesh.Envoy{r.gateway.Envoy, r.web.Envoy} {
		r.must(e.WaitStat(r.ctx, refusals, func(n int64) bool { return n >= times }))
		if n, err := e.Rejected(r.ctx); err != nil || n != times {
			r.t.Errorf("%s refused %d updates (%v), want %d", e.LogPath(), n, err, times)
		}
	}
}

// shows waits until the state shows exactly these clusters as rejected, each with words
// that hold those of the flaw.
func (r *refusing) shows(words map[string]string) {
	r.t.Helper()
	for id, services := range map[string][]string{r.gateway.Name: fronted, r.web.ProxyID: direct} {
		r.must(testmesh.Poll(r.ctx, func(context.Context) error {
			shown := r.rejected(id)
			for _, name := range services {
				want, flawed := words[name[:len(name)-len(services[0])]]
				var got string
				for resource, text := range shown {
					if strings.HasPrefix(resource, name+".") {
						got = text
						delete(shown, resource)
					}
				}
				if flawed && (got == "" || !strings.Contains(got, want)) || !flawed && got != "" {
					return fmt.Errorf("the state of %s says of %s: %q, want %q", id, name, got, want)
				}
			}
			if len(shown) > 0 {
				return fmt.Errorf("the state of %s says also: %v", id, shown)
			}
			return nil
		}))
	}
}

// replaced checks on the wire of one Envoy that each response with clusters that it
// refused was followed by one that brings all of it that Envoy never took in any form,
// and something else in place of what was wrong. It returns how many were refused.
func (r *refusing) replaced(c *recorder.Conversation) (refusals int) {
	r.t.Helper()
	taken := map[string]bool{}
	sent := map[string]map[string]string{} // versions by name, by nonce
	var owed map[string]string             // what the next response must bring, in another version or not
	for _, e := range c.Snapshot() {
		if e.Response.GetTypeUrl() == recorder.ClusterType {
			versions := map[string]string{}
			for _, res := range e.Response.GetResources() {
				versions[res.GetName()] = res.GetVersion()
			}
			changed := len(owed) == 0
			for name, version := range owed {
				changed = changed || versions[name] != version
				if versions[name] == "" {
					r.t.Errorf("%s was refused with others, and not sent again", name)
				}
			}
			if !changed {
				r.t.Error("what Envoy refused was sent again unchanged")
			}
			sent[e.Response.GetNonce()], owed = versions, nil
		}
		if e.Request.GetTypeUrl() != recorder.ClusterType {
			continue
		}
		versions := maps.Clone(sent[e.Request.GetResponseNonce()])
		if e.Request.GetErrorDetail() != nil {
			refusals++
			maps.DeleteFunc(versions, func(name, _ string) bool { return taken[name] })
			owed = versions
			continue
		}
		for name := range versions {
			taken[name] = true
		}
	}
	if len(owed) > 0 {
		r.t.Errorf("nothing followed what Envoy refused: %v", slices.Sorted(maps.Keys(owed)))
	}
	return refusals
}

// latest are the newest conversations of the gateway and of web.
func (r *refusing) latest() []*recorder.Conversation {
	newest := map[string]*recorder.Conversation{}
	for _, c := range r.down.Conversations() {
		newest[c.FirstRequest(recorder.ClusterType).GetNode().GetId()] = c
	}
	return []*recorder.Conversation{newest[r.gateway.Name], newest[r.web.ProxyID]}
}

// unheard checks that Consul was never told of a refusal.
func (r *refusing) unheard() {
	r.t.Helper()
	for _, c := range r.up.Conversations() {
		for _, e := range c.Snapshot() {
			if e.Request.GetErrorDetail() != nil {
				r.t.Errorf("Consul was told: %.200s", e.Request.GetErrorDetail().GetMessage())
			}
		}
	}
}

// TestEnvoyRefusesAFunctionAtItsStart starts Envoys while the clusters of some functions
// are such that Envoy refuses them. Those answer 503, all others work; and so do those
// when the flaw is mended.
func TestEnvoyRefusesAFunctionAtItsStart(t *testing.T) {
	t.Parallel()
	r := beginRefusing(t)
	for _, c := range []struct {
		name       string
		bad, worse *flaw
		refusals   int64             // of each Envoy
		words      map[string]string // that the state shows, by what the services' names begin with
	}{
		{
			"one", &unknownExtension, nil, 1,
			map[string]string{"bad-": "no.such.extension"},
		},
		{
			"an invalid value", &invalidWeight, nil, 1,
			map[string]string{"bad-": `name: "bad-`},
		},
		{
			"two", &unknownExtension, &unknownExtension, 1,
			map[string]string{"bad-": "no.such.extension", "worse-": "no.such.extension"},
		},
		{
			"two, of which its words name one", &longWinded, &longWinded, 2,
			map[string]string{"bad-": "xxx", "worse-": "xxx"},
		},
		{
			"one, of which its words name none", &negativeTimeout, nil, 2,
			map[string]string{"bad-": "Invalid duration"},
		},
		{
			"a Patcher that panics", &panics, nil, 0,
			map[string]string{"bad-": "a bug"},
		},
		{
			"a Patcher that panics later", nil, &panicsLater, 0,
			map[string]string{"worse-": "a bug in the making"},
		},
	} {
		if t.Failed() {
			break // the Envoys are where that left them
		}
		r.run(c.name, func(t *testing.T) {
			before, _ := r.refusals()
			r.spoil(c.bad, c.worse)
			r.start()
			var flawed []string
			for prefix := range c.words {
				flawed = append(flawed, prefix+fronted[0], prefix+direct[0])
			}
			r.answer(flawed...)
			r.refused(c.refusals)
			r.shows(c.words)
			for _, conversation := range r.latest() {
				if n := r.replaced(conversation); n != int(c.refusals) {
					t.Errorf("on the wire %d responses were refused, want %d", n, c.refusals)
				}
			}
			if ours, others := r.refusals(); ours-before != 2*int(c.refusals) || others != 0 {
				t.Errorf("counted: %d refusals of ours, %d of others; want %d and none", ours-before, others, 2*c.refusals)
			}
			stopFronted, stopDirect := r.load(r.web, fronted[0], 1), r.load(r.web, direct[0], 1)
			r.makes(nil)
			r.answer()
			r.shows(nil)
			r.refused(c.refusals)
			for _, stop := range []func() (int, []string){stopFronted, stopDirect} {
				if calls, failures := stop(); len(failures) > 0 {
					t.Errorf("of %d calls to others failed: %v", calls, failures)
				}
			}
			r.stop()
		})
	}
	r.unheard()
	r.signed()
}

// TestEnvoyRefusesAnUpdate: functions that work are given an update that Envoy refuses.
// They go on in the form that Envoy has, until there is one that it takes.
func TestEnvoyRefusesAnUpdate(t *testing.T) {
	t.Parallel()
	r := beginRefusing(t)
	r.start()
	r.answer()
	stops := map[string]func() (int, []string){}
	for _, name := range slices.Concat(fronted, direct) {
		stops[name] = r.load(r.web, name, 1)
	}
	var refusals int64
	for i, c := range []struct {
		name       string
		bad, worse *flaw
		refusals   int64
		words      map[string]string
	}{
		{
			"one", &unknownExtension, nil, 1,
			map[string]string{"bad-": "no.such.extension"},
		},
		{
			"two", &unknownExtension, &longWinded, 1,
			map[string]string{"bad-": "no.such.extension", "worse-": ""},
		},
		{
			"its words name none", &unknownField, nil, 1,
			map[string]string{"bad-": "unknown field"},
		},
		{
			"a Patcher that panics", &panics, &panicsLater, 0,
			map[string]string{"bad-": "a bug", "worse-": "a bug in the making"},
		},
	} {
		if t.Failed() {
			break // the Envoys are where that left them
		}
		r.run(c.name, func(*testing.T) {
			r.spoil(c.bad, c.worse)
			refusals += c.refusals
			r.refused(refusals)
			r.shows(c.words)
			// Nobody else has to wait for it.
			two := r.function(fmt.Sprintf("two-%d", i), "hello", nil)
			for _, name := range []string{fronted[0], direct[0]} {
				r.must(r.Consul.SetEntry(r.ctx, testmesh.LambdaDefaults(name, meta(two))))
				r.until(r.web, name, two)
				r.must(r.Consul.SetEntry(r.ctx, testmesh.LambdaDefaults(name, meta(r.arn))))
				r.until(r.web, name, r.arn)
			}
			r.refused(refusals)
			r.makes(nil)
			r.shows(nil)
		})
	}
	r.run("the last refusal is known when all is mended", func(t *testing.T) {
		for _, p := range r.server.Proxies() {
			if last := p.LastRefusal; last == nil || last.Type != "cluster" || !last.Ours || last.Error == "" || len(p.Rejected) > 0 {
				t.Errorf("%s refused last %+v, and still %v", p.ID, last, p.Rejected)
			}
		}
	})
	r.run("an update of Consul's", func(*testing.T) {
		f := unknownExtension
		f.when = func(consuls *clusterv3.Cluster) bool { return consuls.GetLbPolicy() == clusterv3.Cluster_LEAST_REQUEST }
		r.spoil(&f, nil)
		for _, name := range []string{fronted[1], direct[1]} {
			r.must(r.Consul.SetEntry(r.ctx, &api.ServiceResolverConfigEntry{
				Kind: api.ServiceResolver, Name: name, LoadBalancer: &api.LoadBalancer{Policy: "least_request"},
			}))
		}
		refusals++
		r.refused(refusals)
		r.shows(map[string]string{"bad-": "no.such.extension"})
		// It was sent again with what Envoy had, and so Consul was answered: else it would
		// send no cluster any more.
		r.must(r.up.Wait(r.ctx, func(all []*recorder.Conversation) bool {
			return !slices.ContainsFunc(all, func(c *recorder.Conversation) bool {
				return c.Ended() == nil && len(recorder.Settled(c.Snapshot())) > 0
			})
		}))
		r.makes(nil)
		r.shows(nil)
		r.refused(refusals)
	})
	for _, name := range slices.Sorted(maps.Keys(stops)) {
		if calls, failures := stops[name](); len(failures) > 0 || calls < 20 {
			t.Errorf("%s: of %d calls failed: %v", name, calls, failures)
		}
	}
	r.answer()
	r.unheard()
	r.signed()
}
