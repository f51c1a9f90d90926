package e2e

import (
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestUntrustedEndpoint: what answers at Lambda's address with the right name, and a
// certificate of an authority that is not the one trusted, gets no call.
func TestUntrustedEndpoint(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	other, err := testmesh.NewAuthority(t.TempDir(), "other")
	s.must(err)
	s.must(s.StartLambdamesh(s.ctx, "--lambda-ca-file", other.CAFile)) // the last one counts
	arn := s.function("hello", "hello", nil)
	s.byHand("near", meta(arn))
	s.allow("web", "near")
	web := s.sidecar("web", "near")
	cluster, err := clusterNamed(s.ctx, web.Envoy, "near")
	s.must(err)
	s.answers(web, "near", testmesh.Request{}, 503)
	refused, err := web.Envoy.Stat(s.ctx, "cluster."+cluster+".ssl.fail_verify_error")
	s.must(err)
	if called := len(s.AWS.Invoke.Calls()); called != 0 || refused == 0 {
		t.Errorf("%d calls reached it, %d certificates were refused", called, refused)
	}
	if got := s.state().proxy(web.ProxyID).form("near"); got != "cluster direct" {
		t.Errorf("it is %q", got)
	}
}
