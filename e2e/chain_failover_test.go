package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// failover: what no gateway fronts is not invoked, which is reported; what one fronts is.
func (s *topologies) failover(t *testing.T) {
	s.documented("Failover")
	said := func(want bool) {
		t.Helper()
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			reason := s.state().proxy(s.web.ProxyID).unpatched("first")
			if strings.Contains(reason, "failover") != want {
				return fmt.Errorf("of first it is said: %q", reason)
			}
			return nil
		}))
	}
	said(true)
	// The gateway fronts goodbye alone.
	s.until(s.web, "first", s.arnOf("goodbye"))
	before := len(s.AWS.Invoke.Calls())
	for range 10 {
		s.invoked(s.web, "first", testmesh.Request{}, s.arnOf("goodbye"))
	}
	if n := s.invocations(before)["first"]; n != 0 {
		t.Errorf("first was invoked %d times", n)
	}
	inspected, err := s.Lambdamesh.Run(s.ctx, "inspect", "--admin-addr", s.Lambdamesh.AdminAddr(), "first")
	s.must(err)
	if !strings.Contains(inspected, "not invoked: it is a target") {
		t.Errorf("inspect says:\n%s", inspected)
	}
	s.documented("Failover, through a gateway")
	s.until(s.web, "first", s.arnOf("first"))
	said(false)
}

// unpatched is why a proxy does not invoke a service; empty if nothing is said.
func (p proxyState) unpatched(service string) string {
	for _, one := range p.Unpatched {
		if one.Service == service {
			return one.Reason
		}
	}
	return ""
}
