package e2e

import (
	"net/http"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// intentions: the gateway refuses before it invokes.
func (s *topologies) intentions(t *testing.T) {
	s.documented("Intentions at the gateway")
	before := len(s.AWS.Invoke.Calls())
	read := testmesh.Request{Path: "/public/report"}
	s.invoked(s.web, "ledger", read, s.arnOf("ledger"))
	for _, refused := range []struct {
		upstream string
		request  testmesh.Request
	}{
		{"vault", testmesh.Request{}},
		{"ledger", testmesh.Request{Path: "/private"}},
		{"ledger", testmesh.Request{Path: "/public/report", Method: http.MethodPost, Body: "x"}},
	} {
		s.answers(s.web, refused.upstream, refused.request, http.StatusForbidden)
	}
	s.invoked(s.web, "ledger", read, s.arnOf("ledger"))
	if got := s.invocations(before); got["vault"] != 0 || got["ledger"] != 2 {
		t.Errorf("what was refused reached AWS: %v", got)
	}
}
