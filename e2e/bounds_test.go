package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestBounds: which functions and roles the mesh may be made to use. A function outside
// of them is a mistake that is shown, and is not invoked; one with a role is never
// invoked with Envoy's own credentials, also if the role cannot be assumed, as here,
// where there is no STS.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	s.must(s.StartLambdamesh(s.ctx,
		"--allow-arns", "arn:aws:lambda:us-east-1:*:function:in*,https://in*.lambda-url.us-east-1.on.aws", "--allow-roles", "arn:aws:iam::*:role/mesh/*"))
	inside := s.function("inside", "hello", nil)
	outside := s.function("outside", "hello", nil)
	s.byHand("inside", meta(inside))
	s.byHand("outside", meta(outside))
	s.byHand("roled", meta(inside, "role-arn", "arn:aws:iam::123456789012:role/mesh/invoker", "external-id", "an-id"))
	s.byHand("deputy", meta(inside, "role-arn", "arn:aws:iam::123456789012:role/admin"))
	s.byHand("roled-url", meta(inside, "role-arn", "arn:aws:iam::123456789012:role/mesh/invoker",
		"invoke-mode", "url", "url", "https://inside.lambda-url.us-east-1.on.aws"))
	s.byHand("strayed", meta(inside, "invoke-mode", "url", "url", "https://outside.lambda-url.us-east-1.on.aws"))
	services := []string{"inside", "outside", "roled", "roled-url", "deputy", "strayed"}
	s.allow("web", services...)
	web := s.sidecar("web", services...)
	s.answers(web, "inside", testmesh.Request{}, 200)
	for service, words := range map[string]string{"outside": "--allow-arns", "deputy": "--allow-roles", "strayed": "--allow-arns"} {
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			if got := s.state().service(service); got.State != "error" || !strings.Contains(fmt.Sprint(got.Errors), words) {
				return fmt.Errorf("%s is %+v", service, got)
			}
			return nil
		}))
		s.unreachable(web, service)
	}
	before := len(s.AWS.Invoke.Calls())
	for _, roled := range []string{"roled", "roled-url"} {
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			r, err := web.Call(ctx, roled, testmesh.Request{})
			if err != nil {
				return err
			}
			if r.Status == 200 {
				t.Errorf("it is invoked: %s", r.Body)
			}
			if got := s.state().proxy(web.ProxyID).form(roled); got != "cluster direct" {
				return errors.New(roled + " is " + got)
			}
			return nil
		}))
	}
	for _, c := range s.AWS.Invoke.Calls()[before:] {
		if c.Status == 200 || c.Signer == s.AWS.Credentials().AccessKeyID {
			t.Errorf("a call went to AWS in the name of %q: %d %v", c.Signer, c.Status, c.Header)
		}
	}
}
