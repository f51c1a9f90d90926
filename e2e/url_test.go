package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// visit is what testdata/functions/visited.py answers.
type visit struct {
	ARN     string            `json:"arn"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

// hostOf is the host of a URL as AWS gives it.
func hostOf(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/") }

func (s *story) visited(r testmesh.Response) (got visit) {
	s.t.Helper()
	if err := json.Unmarshal(r.Body, &got); err != nil {
		s.t.Fatalf("the answer is not the function's: %.300s", r.Body)
	}
	return got
}

// TestFunctionURL: a function is called by its URL through a gateway and directly, on
// each Envoy: signed for the URL's host, the request and the answer as they are, and an
// answer in parts as its parts come.
func TestFunctionURL(t *testing.T) {
	t.Parallel()
	versions := append([]string{parts.EnvoyVersion}, parts.OlderEnvoys...)
	for _, version := range versions {
		testmesh.Bin(t, func(c *parts.Cache, ctx context.Context) (parts.Part, error) { return c.EnvoyOf(ctx, version) })
	}
	s := begin(t, testmesh.MeshConfig{})
	s.function("tagged", "visited", testmesh.EnabledTags("invoke-mode", "url", "aliases", "live"), "live")
	arn := s.function("visited", "visited", nil)
	url, err := s.AWS.CreateURL(s.ctx, "visited", "", false)
	s.must(err)
	s.must(s.Consul.RegisterLambda(s.ctx, "near"))
	s.documented("A function called by its URL",
		"arn:aws:lambda:us-east-1:123456789012:function:chat", arn, "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws", strings.TrimSuffix(url, "/"))
	s.byHand("retried", meta(arn, "invoke-mode", "url", "url", url))
	s.must(s.Consul.SetEntry(s.ctx, &api.ServiceRouterConfigEntry{
		Kind: api.ServiceRouter, Name: "retried",
		Routes: []api.ServiceRoute{{Destination: &api.ServiceRouteDestination{NumRetries: 2, RetryOnStatusCodes: []uint32{502}}}},
	}))
	s.byHand("profiled", meta(arn, "invoke-mode", "url", "url", url, "credentials-profile", "payments"))
	s.must(s.profile("payments"))
	// The endpoint's certificate is for URLs of us-east-1 alone.
	elsewhere := strings.NewReplacer("us-east-1", "eu-west-1")
	s.byHand("mistrusted", meta(elsewhere.Replace(arn), "invoke-mode", "url", "url", elsewhere.Replace(url), "region", "eu-west-1"))
	s.allow("*", "near", "retried", "profiled", "mistrusted", "tagged", "tagged-live")
	s.onWire(new(testmesh.ProxyOptions)) // one recorder for all versions
	callers := map[string]*testmesh.Sidecar{}
	for _, version := range versions {
		s.run(version, func(*testing.T) {
			name := strings.ReplaceAll(version, ".", "-")
			fronted, web := "fronted-"+name, "web-"+name
			s.byHand(fronted, meta(arn, "invoke-mode", "url", "url", url))
			s.allow(web, fronted)
			o := testmesh.ProxyOptions{EnvoyVersion: version}
			gateway, err := s.AddTerminatingGateway(s.ctx, "gateway-"+name, []string{fronted}, o)
			s.must(err)
			s.healthy(gateway.Envoy)
			caller, err := s.AddSidecar(s.ctx, web, []string{fronted, "near", "retried", "profiled", "mistrusted", "tagged", "tagged-live"}, o)
			s.must(err)
			s.healthy(caller.Envoy)
			for _, upstream := range []string{fronted, "near"} {
				s.run(upstream, func(*testing.T) {
					s.visits(caller, upstream, arn, url)
					s.inParts(caller, upstream)
					s.bounds(caller, upstream)
				})
			}
			s.run("retried by its route", func(t *testing.T) {
				s.answers(caller, "retried", testmesh.Request{}, 201)
				before := len(s.AWS.Invoke.Calls())
				s.answers(caller, "retried", testmesh.Request{Path: "/raise"}, 502)
				if got := len(s.AWS.Invoke.Calls()) - before; got != 3 {
					t.Errorf("AWS was called %d times, want 3", got)
				}
			})
			s.run("a certificate of another name", func(t *testing.T) {
				before := len(s.AWS.Invoke.Calls())
				s.answers(caller, "mistrusted", testmesh.Request{}, 503)
				cluster, err := clusterNamed(s.ctx, caller.Envoy, "mistrusted")
				s.must(err)
				mismatches, err := caller.Envoy.Stat(s.ctx, "cluster."+cluster+".ssl.fail_verify_san")
				s.must(err)
				if got := len(s.AWS.Invoke.Calls()) - before; got != 0 || mismatches == 0 {
					t.Errorf("%d calls reached it, %d certificates were refused", got, mismatches)
				}
			})
			callers[version] = caller
		})
	}
	s.run("a tag is all there is to do", func(t *testing.T) {
		caller := callers[parts.EnvoyVersion]
		s.unreachable(caller, "tagged")
		hosts := map[string]string{}
		for upstream, alias := range map[string]string{"tagged": "", "tagged-live": "live"} {
			url, err := s.AWS.CreateURL(s.ctx, "tagged", alias, alias != "") // the alias's takes unsigned calls too
			s.must(err)
			hosts[upstream] = hostOf(url)
		}
		for upstream, host := range hosts {
			s.answers(caller, upstream, testmesh.Request{}, 201)
			calls := s.AWS.Invoke.Calls()
			if got := calls[len(calls)-1].Host; got != host {
				t.Errorf("%s is at %s, want %s", upstream, got, host)
			}
		}
	})
	s.signed()
	for version, caller := range callers {
		s.run(version+" with a profile", func(t *testing.T) {
			before := len(s.AWS.Invoke.Calls())
			s.answers(caller, "profiled", testmesh.Request{}, 403)
			if call := s.AWS.Invoke.Calls()[before]; call.Signer != "AKIDPROFILE" {
				t.Errorf("%q signed", call.Signer)
			}
		})
	}
	s.run("without credentials", func(*testing.T) { s.unsignedURL() })
}

// visits: the function gets the request, but for what is between the caller, us and AWS.
func (s *story) visits(c *testmesh.Sidecar, upstream, arn, url string) {
	const path, query = "/p%20q/%C3%A9~(x)", "a=1&a=2&b&c=x%2Fy&d=%20"
	forged := testmesh.Request{Header: http.Header{"X-Forwarded-Authorization": {"Bearer nobody-looked-at"}}}
	if got := s.visited(s.answers(c, upstream, forged, 201)); got.Headers["x-forwarded-authorization"] != "" {
		s.t.Errorf("the function saw an Authorization: %+v", got.Headers)
	}
	before := len(s.AWS.Invoke.Calls())
	r := s.answers(c, upstream, testmesh.Request{
		Method: "PUT", Path: path + "?" + query, Body: "as it is",
		Header: http.Header{
			"Content-Type": {"text/plain"}, "Authorization": {"Bearer of-the-caller"}, "Cookie": {"a=1; b=2"},
			"X-Amz-Tenant-Id": {"another"}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}, "X-Amz-Security-Token": {"forged"},
			"X-Forwarded-Port": {"81"},
		},
	}, 201)
	got := s.visited(r)
	if got.ARN != arn || got.Method != "PUT" || got.Body != "as it is" {
		s.t.Errorf("the function saw %+v", got)
	}
	for name, want := range map[string]string{
		"x-forwarded-authorization": "Bearer of-the-caller", "cookie": "a=1; b=2", "x-amz-tenant-id": "", "content-type": "text/plain",
	} {
		if got.Headers[name] != want {
			s.t.Errorf("the function saw %s %q, want %q", name, got.Headers[name], want)
		}
	}
	if strings.HasPrefix(upstream, "fronted") != strings.Contains(got.Headers["x-forwarded-client-cert"], "URI=spiffe://") {
		s.t.Errorf("the caller's identity is %q", got.Headers["x-forwarded-client-cert"])
	}
	call := s.AWS.Invoke.Calls()[before]
	host := hostOf(url)
	if call.Path != path+"?"+query || call.Host != host || call.SNI != host {
		s.t.Errorf("%s for %s reached %s", call.Path, call.Host, call.SNI)
	}
}

// inParts: the caller has the first part of an answer before the function gives the last,
// and an answer may be larger than what an Envoy holds.
func (s *story) inParts(c *testmesh.Sidecar, upstream string) {
	had := make(chan struct{})
	stop := s.AWS.Invoke.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-had:
			_, _ = io.WriteString(w, strings.Repeat("x", 8<<20)+"last")
		case <-r.Context().Done():
		}
	}))
	defer stop()
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, c.URL(upstream, "/"), struct{ io.Reader }{strings.NewReader("of unknown length")})
	s.must(err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	s.must(err)
	defer resp.Body.Close()
	first := make([]byte, len("first"))
	_, err = io.ReadFull(resp.Body, first)
	s.must(err)
	close(had)
	rest, err := io.ReadAll(resp.Body)
	s.must(err)
	if string(first) != "first" || len(rest) != 8<<20+len("last") || !strings.HasSuffix(string(rest), "last") {
		s.t.Errorf("the answer is %s and %d bytes", first, len(rest))
	}
}

// bounds: a request is held until its hash is known, and up to what AWS takes.
func (s *story) bounds(c *testmesh.Sidecar, upstream string) {
	r := s.answers(c, upstream, testmesh.Request{Method: "POST", Body: strings.Repeat("a", 5_000_000), Header: http.Header{"Content-Type": {"text/plain"}}}, 201)
	got := s.visited(r)
	if len(got.Body) != 5_000_000 {
		s.t.Errorf("the function got %d bytes", len(got.Body))
	}
	before := len(s.AWS.Invoke.Calls())
	r, err := c.Call(s.ctx, upstream, testmesh.Request{Method: "POST", Body: strings.Repeat("a", 6_400_000)})
	s.must(err)
	tooLarge(s.t, r, len(s.AWS.Invoke.Calls()) > before)
}

// profile gives every Envoy a credentials file, with a profile of a key of its own.
func (s *story) profile(name string) error {
	dir := filepath.Join(s.Dir(), ".aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf("[%s]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = of-no-use\n", name)
	return os.WriteFile(filepath.Join(dir, "credentials"), []byte(text), 0o600)
}

// unsignedURL: without credentials nothing is signed, and nothing of the caller's stands
// in its place.
func (s *story) unsignedURL() {
	bare, err := s.AddSidecar(s.ctx, "bare", []string{"near"}, testmesh.ProxyOptions{NoCredentials: true})
	s.must(err)
	before := len(s.AWS.Invoke.Calls())
	s.answers(bare, "near", testmesh.Request{Header: http.Header{"Authorization": {"Bearer of-the-caller"}}}, 403)
	// With any Authorization it would be another refusal.
	if call := s.AWS.Invoke.Calls()[before]; call.Refused != sigv4proxy.CodeMissingToken {
		s.t.Errorf("AWS refused with %s (%s)", call.Refused, call.Reason)
	}
}
