package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestBodies: what AWS takes and gives passes, through a gateway and directly; what is
// larger than AWS takes once it is in the envelope is answered before AWS is called.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("weigh", "weigh", nil)
	echo := s.function("echo", "echo", nil)
	for _, path := range []string{"fronted", "near"} {
		s.byHand(path, meta(arn))
		s.byHand(path+"-bare", meta(echo, "payload-passthrough", "true"))
	}
	s.allow("web", "fronted", "fronted-bare", "near", "near-bare")
	s.gateway("gateway", "fronted", "fronted-bare")
	web := s.sidecar("web", "fronted", "near", "fronted-bare", "near-bare")
	text := func(size int) string { return `"` + strings.Repeat("a", size-2) + `"` }
	kinds := []struct {
		name, contentType, body string
		taken                   bool
	}{
		{"5 MB of JSON", "application/json", text(5_000_000), true},
		{"4.4 MB of anything", "application/octet-stream", strings.Repeat("\xff\x00", 2_200_000), true},
		{"6.4 MB of JSON", "application/json", text(6_400_000), false},
		{"5 MB of anything", "application/octet-stream", strings.Repeat("\xff\x00", 2_500_000), false},
		{"12 MB of anything", "application/octet-stream", strings.Repeat("\xff\x00", 6_000_000), false},
	}
	for _, upstream := range []string{"fronted", "near"} {
		s.answers(web, upstream, testmesh.Request{}, 200)
		for _, kind := range kinds {
			s.run(upstream+" "+kind.name, func(t *testing.T) {
				before := len(s.AWS.Invoke.Calls())
				r, err := web.Call(s.ctx, upstream, testmesh.Request{Method: "POST", Body: kind.body, Header: http.Header{"Content-Type": {kind.contentType}}})
				s.must(err)
				called := len(s.AWS.Invoke.Calls()) > before
				if kind.taken && (r.Status != 200 || r.Header.Get("X-Given") != strconv.Itoa(len(kind.body))) {
					t.Errorf("answered %d: %.200s", r.Status, r.Body)
				}
				if !kind.taken {
					tooLarge(t, r, called)
				}
			})
		}
		s.run(upstream+" an answer of 5 MB", func(t *testing.T) {
			r := s.answers(web, upstream, testmesh.Request{Path: "/?size=5000000"}, 200)
			if len(r.Body) != 5_000_000 {
				t.Errorf("the answer has %d bytes", len(r.Body))
			}
		})
		bare := upstream + "-bare"
		s.run(bare+" 5 MB both ways", func(t *testing.T) {
			r := s.answers(web, bare, testmesh.Request{Method: "POST", Body: text(5_000_000)}, 200)
			if len(r.Body) < 5_000_000 {
				t.Errorf("the answer has %d bytes", len(r.Body))
			}
		})
		s.run(bare+" 6.4 MB", func(t *testing.T) {
			before := len(s.AWS.Invoke.Calls())
			r, err := web.Call(s.ctx, bare, testmesh.Request{Method: "POST", Body: text(6_400_000)})
			s.must(err)
			tooLarge(t, r, len(s.AWS.Invoke.Calls()) > before)
		})
	}
	s.signed()
}

func tooLarge(t *testing.T, r testmesh.Response, called bool) {
	t.Helper()
	if r.Status != 413 || string(r.Body) != "Payload Too Large" || called {
		t.Errorf("answered %d %.200s, AWS called: %t", r.Status, r.Body, called)
	}
}
