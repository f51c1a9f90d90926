package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// topologies is the mesh in which what docs/topologies.md shows within one datacenter is
// built, all of it at once: each section is a part of one story, with its config entries
// as the document has them.
type topologies struct {
	*story
	gateway *testmesh.Gateway // fronts all functions but near
	web     *testmesh.Sidecar // calls them all
}

// The functions of these stories. That of the registrator's service hello-blue is hello's alias blue.
var (
	functions = []string{"hello", "goodbye", "near", "first", "vault", "ledger"}
	services  = append([]string{"hello-blue", "hello-green"}, functions...)
)

// arnOf is that of a function or alias ("hello", "hello:blue").
func (s *story) arnOf(function string) string {
	return "arn:aws:lambda:" + s.AWS.Region() + ":" + testmesh.AccountID + ":function:" + function
}

func TestTopologies(t *testing.T) {
	t.Parallel()
	s := &topologies{story: begin(t, testmesh.MeshConfig{})}
	for _, name := range functions {
		var aliases []string
		tags := testmesh.EnabledTags()
		if name == "hello" {
			aliases = []string{"blue", "green"}
			tags = testmesh.EnabledTags("aliases", "blue+green")
		}
		s.function(name, "hello", tags, aliases...)
	}
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		state := s.state()
		for _, name := range services {
			if state.service(name).State != "ok" {
				return fmt.Errorf("%s is no function yet: %v", name, state.service(name))
			}
		}
		return nil
	}))
	open := slices.DeleteFunc(slices.Clone(services), func(name string) bool { return name == "vault" || name == "ledger" })
	for _, caller := range []string{"web", "worker", "api", "ingress"} {
		s.allow(caller, append(open, "app", "legacy", "external", "raw")...)
	}
	s.documented("Ordinary services beside Lambda ones")
	s.app("app")
	s.documented("Several functions behind one terminating gateway")
	var err error
	s.gateway, err = s.AddTerminatingGateway(s.ctx, "gateway", nil, fronting)
	s.must(err)
	s.healthy(s.gateway.Envoy)
	s.web = s.sidecar("web", append([]string{"halves", "mixed", "canary", "shop", "old-hello", "app", "external", "legacy", "raw"}, services...)...)

	s.run("several functions behind one gateway", s.severalFunctions)
	s.run("service splitter", s.splitter)
	s.run("service router, redirect and subsets", s.routerAndResolver)
	s.run("failover", s.failover)
	s.run("ordinary services beside Lambda ones", s.untouched)
	s.run("intentions at the gateway", s.intentions)
	s.run("API gateway and ingress gateway", s.edges)
	s.run("transparent proxy", s.transparent)
	s.run("tcp, and instances of its own", s.noFunctions)
	s.run("admin partitions", s.partitions)
	s.run("every service", s.everyService)
	s.signed()
}

// invoked calls an upstream until it answers 200, and checks which function did.
func (s *story) invoked(c *testmesh.Sidecar, upstream string, r testmesh.Request, arn string) greeting {
	s.t.Helper()
	g := s.greets(s.answers(c, upstream, r, http.StatusOK))
	if g.ARN != arn {
		s.t.Errorf("%s %s reached %s, want %s", upstream, r.Path, g.ARN, arn)
	}
	return g
}

// invocations counts what reached the invoke endpoint since the first so many calls, by
// the name that the signed ARN ends in ("hello", "hello:blue").
func (s *story) invocations(since int) map[string]int {
	counts := map[string]int{}
	for _, c := range s.AWS.Invoke.Calls()[since:] {
		counts[functionOf(c)]++
	}
	return counts
}
