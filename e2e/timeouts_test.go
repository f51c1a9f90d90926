package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestSlowFunctions: a call may take as long as the function may, through a gateway and
// directly, where Envoy would cut it off after 15 s. What an operator set stays. An ARN
// stands in a cluster alone, a timeout in routes alone.
func TestSlowFunctions(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	create := func(name string) string {
		arn, err := s.AWS.CreateFunction(s.ctx, testmesh.Function{Name: name, File: s.source("tell"), Timeout: 20})
		s.must(err)
		return arn
	}
	slow, other := create("slow"), create("other")
	all := []string{"fronted", "near", "kept", "near-kept", "split"}
	for _, name := range all[:4] {
		s.byHand(name, meta(slow, "timeout", "20"))
	}
	s.must(s.Consul.SetEntry(s.ctx,
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "split", Protocol: "http"},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "kept", RequestTimeout: time.Second},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "near-kept", Routes: []api.ServiceRoute{
			{Destination: &api.ServiceRouteDestination{RequestTimeout: time.Second}},
		}},
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{
			{Weight: 50, Service: "fronted"}, {Weight: 50, Service: "near"},
		}},
	))
	s.allow("web", all...)
	s.gateway("gateway", "fronted", "kept")
	web := s.sidecar("web", all...)
	told := func(what string) testmesh.Request {
		return testmesh.Request{Method: "POST", Body: what, Header: http.Header{"Content-Type": {"application/json"}}}
	}
	for _, name := range all {
		s.answers(web, name, told(`{}`), 200)
	}

	s.run("an operator's timeout stays", func(t *testing.T) {
		for _, name := range []string{"kept", "near-kept"} {
			began := time.Now()
			s.answers(web, name, told(`{"sleep":5}`), 504)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("%s was cut off after %s", name, took)
			}
		}
	})
	s.run("only what changes is sent", func(t *testing.T) {
		before := s.sent()
		change := func(arn, timeout string, sent ...string) {
			t.Helper()
			for _, name := range []string{"fronted", "near"} {
				s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta(arn, "timeout", timeout))))
			}
			var got []string
			err := s.wire.Wait(s.ctx, func([]*recorder.Conversation) bool {
				got = added(before, s.sent())
				return len(got) >= len(sent)
			})
			if slices.Sort(sent); err != nil || !slices.Equal(got, sent) {
				t.Fatalf("%v, sent:\n got %q\nwant %q", err, got, sent)
			}
			before = s.sent()
		}
		change(other, "20", "gateway Cluster fronted", "web-sidecar-proxy Cluster near")
		// Of the splitter's two functions the slower counts.
		change(other, "30", "gateway RouteConfiguration fronted",
			"web-sidecar-proxy Listener fronted", "web-sidecar-proxy Listener near", "web-sidecar-proxy RouteConfiguration split")
		change(slow, "30", "gateway Cluster fronted", "web-sidecar-proxy Cluster near")
	})
	s.run("a slow call", func(t *testing.T) {
		results := make(chan string)
		slowOnes := []string{"fronted", "near", "split"}
		for _, name := range slowOnes {
			go func() {
				began := time.Now()
				r, err := web.Call(s.ctx, name, told(`{"sleep":16,"return":{"statusCode":200}}`))
				result := ""
				if took := time.Since(began); err != nil || r.Status != 200 || took < 16*time.Second {
					result = fmt.Sprintf("%s: %d %s after %s: %v", name, r.Status, r.Body, took, err)
				}
				results <- result
			}()
		}
		for range slowOnes {
			if result := <-results; result != "" {
				t.Error(result)
			}
		}
	})
	s.signed()
}

// sent counts what Envoys were sent so far: who, which type, the first part of its name.
func (s *story) sent() map[string]int {
	counts := map[string]int{}
	for _, c := range s.wire.Conversations() {
		for _, url := range []string{recorder.ClusterType, recorder.ListenerType, recorder.RouteType} {
			for _, r := range c.Resources(url) {
				name, _, _ := strings.Cut(r.Name, ".")
				name, _, _ = strings.Cut(name, ":")
				counts[fmt.Sprintf("%s %s %s", c.FirstRequest(recorder.ClusterType).GetNode().GetId(), url[strings.LastIndex(url, ".")+1:], name)]++
			}
		}
	}
	return counts
}

// added is what was sent between two counts, sorted.
func added(before, after map[string]int) (names []string) {
	for name, count := range after {
		for range count - before[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
