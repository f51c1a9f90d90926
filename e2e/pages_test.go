package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestStatusPages: each page of a running server, and its JSON twin, tells what is there,
// what is wrong and what the registrator leaves alone, with Consul, Envoys and AWS behind it.
func TestStatusPages(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{LambdameshArgs: []string{"--policy", "upsert-only"}})
	s.allow("web", "hello")

	s.run("nothing yet", func(t *testing.T) {
		s.page("/", "Ready", "functions in the mesh")
		s.page("/functions", "0 services", "No service's Meta speaks of Lambda")
		s.page("/proxies", "No Envoy is connected")
		s.page("/registrator", "In step</h1>", "nothing had to be changed", "each service of its own is asked for")
		twin(s, "/functions", func(all []struct{}) bool { return all != nil && len(all) == 0 })
	})

	gateway := s.gateway("gateway", "*")
	web := s.sidecar("web", "hello")
	hello := s.function("hello", "hello", testmesh.EnabledTags())
	s.until(web, "hello", hello)

	s.run("a function, and its Envoys", func(t *testing.T) {
		s.page("/", ">1</b><span>function in the mesh", ">2</b><span>Envoys connected", "What the registrator changed last")
		s.page("/functions?q=HELL", `href="/functions/hello"`, "terminating gateway", hello)
		s.page("/functions/hello", hello, `href="/proxies/`+gateway.Name+`"`, "synchronous", "What the registrator did", ">create</span>")
		s.page("/proxies", `href="/proxies/`+gateway.Name+`"`, "terminating-gateway", "connect-proxy")
		s.page("/proxies/"+gateway.Name, `href="/functions/hello"`, "hello.default.dc1.internal.", "It has refused nothing")
		twin(s, "/functions/hello", func(f struct {
			ARN     string
			Proxies []struct{ ID, Form, Path string }
		},
		) bool {
			return f.ARN == hello && len(f.Proxies) == 1 && f.Proxies[0].Form == "cluster" && f.Proxies[0].Path == "gateway"
		})
		twin(s, "/proxies/"+gateway.Name, func(p struct{ Kind string }) bool { return p.Kind == "terminating-gateway" })
	})
	s.run("what is wrong", func(t *testing.T) {
		s.byHand("mistaken", meta(hello, "retries", "99"))
		s.must(s.Consul.SetEntry(s.ctx, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "theirs", Protocol: "http", Meta: map[string]string{"owner": "them"}}))
		s.function("theirs", "hello", testmesh.EnabledTags())
		s.page("/", "mistaken</a>", "retries", "theirs</a>", "conflict: ")
		s.page("/functions/mistaken", "Why it is not invoked", "retries")
		s.page("/registrator", "In step, but for 1 conflict", "theirs</a>")
	})
	s.run("what it would delete", func(t *testing.T) {
		s.must(s.AWS.Untag(s.ctx, hello, testmesh.MetaPrefix+"enabled"))
		theirs := testmesh.LambdaDefaults("billing", meta(strings.Replace(hello, ":hello", ":billing", 1)))
		theirs.Meta[testmesh.MetaPrefix+"arn"] = "arn:aws:lambda:us-east-1:210987654321:function:billing"
		theirs.Meta["managed-by-lambda-registrator"] = "true"
		s.must(s.Consul.SetEntry(s.ctx, theirs))
		s.page("/registrator", `href="/functions/hello"`, "the policy is upsert-only", "Left alone: 1 service: us-east-1 of account 210987654321")
		type kept struct {
			Kept []struct{ Service, By string } `json:"would_delete"`
		}
		twin(s, "/registrator", func(r kept) bool { return fmt.Sprint(r.Kept) == "[{billing scope} {hello policy}]" })
		s.until(web, "hello", hello)
	})
	s.run("not there", func(t *testing.T) {
		for _, path := range []string{"/functions/nobody", "/proxies/nobody", "/api/v1/functions/nobody", "/api/v1/proxies/nobody"} {
			if body, err := s.Lambdamesh.Admin(s.ctx, path); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("%s: %v %s", path, err, body)
			}
		}
	})
	s.run("Consul is away", func(t *testing.T) {
		s.must(s.Consul.Stop())
		s.page("/", "Not ready</h1>")
		s.page("/registrator", "The last run failed</h1>")
		s.page("/functions/hello", hello)
	})
}

// page waits until a page has these words.
func (s *story) page(path string, words ...string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		body, err := s.Lambdamesh.Admin(ctx, path)
		for _, word := range words {
			if err == nil && !strings.Contains(string(body), word) {
				err = fmt.Errorf("%s does not say %q: %s", path, word, body)
			}
		}
		return err
	}))
}

// errNotYet is what a JSON twin is until it is as is wanted.
var errNotYet = errors.New("it is not as it should be")

// twin waits until the JSON twin of a page is as is wanted.
func twin[T any](s *story, path string, wanted func(T) bool) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		body, err := s.Lambdamesh.Admin(ctx, "/api/v1"+path)
		if err != nil {
			return err
		}
		var got T
		if err := json.Unmarshal(body, &got); err != nil {
			return err
		}
		if !wanted(got) {
			return fmt.Errorf("%s: %w: %s", path, errNotYet, body)
		}
		return nil
	}))
}
