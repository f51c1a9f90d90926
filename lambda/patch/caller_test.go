package patch

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// caller is as whom the proxies of recordings call: the name in testdata/pki.
var caller = lambda.NewServiceName("test", "", "")

func TestCallerOf(t *testing.T) {
	for _, recording := range []string{"sidecar-without-gateway", "ingress-gateway"} {
		found := 0
		for _, c := range recordingOf(t, recording).clusters {
			shape, _ := readShape(c.raw)
			got, ok := callerOf(c.raw)
			if ok != shape.mtls || ok && got != caller {
				t.Errorf("%s: %s: %v, %t", recording, c.name, got, ok)
			}
			if ok {
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s: no cluster has a certificate", recording)
		}
	}
	for _, c := range recordingOf(t, "terminating-gateway").clusters {
		if got, ok := callerOf(c.raw); ok {
			t.Errorf("%s, which has no certificate: %v", c.name, got)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	for uri, want := range map[string]string{
		"spiffe://x.consul/ns/default/dc/dc1/svc/web":             "web",
		"spiffe://x.consul/ns/team/dc/dc1/svc/web":                "default/team/web",
		"spiffe://x.consul/ap/east/ns/team/dc/dc1/svc/web":        "east/team/web",
		"spiffe://x.consul/ap/default/ns/default/dc/dc1/svc/Web":  "Web",
		"spiffe://x.consul/ns/default/dc/dc1/svc/we%2Fb":          "default/default/we/b",
		"spiffe://x.consul/agent/client/dc/dc1/id/node":           "",
		"spiffe://x.consul/gateway/mesh/dc/dc1":                   "",
		"spiffe://x.consul/ns/default/dc/dc1/svc/":                "",
		"spiffe://x.consul/ns/default/dc/dc1/svc/web/more":        "",
		"spiffe://x.consul/xx/east/ns/default/dc/dc1/svc/web":     "",
		"https://x.consul/ns/default/dc/dc1/svc/web":              "",
		"spiffe://x.consul":                                       "",
		"spiffe://x.consul/ap/east/ns/default/dc/dc1/svc/web/x/y": "",
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := parseIdentity(u)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v, %t", uri, got, ok)
		}
	}
}

// Whoever may not call a function gets nothing that calls it, whatever else
// changes; and nobody does while intentions are not known.
func TestIntentionsDecide(t *testing.T) {
	const name = "solo" + domain
	rule := func(source string, allow bool) lambda.Intention {
		return lambda.Intention{Source: lambda.ParseServiceName(source), Destination: lambda.ParseServiceName("solo"), Allow: allow}
	}
	for what, test := range map[string]struct {
		intentions *lambda.Intentions
		form       string
		patched    bool
	}{
		"allowed":            {lambda.NewIntentions(false, rule("test", true)), FormCluster, true},
		"allowed by default": {lambda.NewIntentions(true), FormCluster, true},
		"denied":             {lambda.NewIntentions(true, rule("test", false)), "", true},
		"denied by default":  {lambda.NewIntentions(false, rule("another", true)), "", true},
		"not known":          {nil, "", false},
	} {
		r := recordingOf(t, "sidecar-without-gateway")
		r.table = r.table.WithIntentions(test.intentions)
		p := r.patcher(t, options(t))
		v := r.verdicts(p)[name]
		if (v.Patch != nil) != test.patched || !v.Keep {
			t.Errorf("%s: %+v", what, v)
		}
		if got := p.Candidate(name, r.proxy); got != test.patched {
			t.Errorf("%s: candidate = %t", what, got)
		}
		if v.Patch == nil {
			continue
		}
		made := v.Patch.Make()
		if made.Form != test.form || (test.form == "") != strings.Contains(made.Reason, "intentions") {
			t.Errorf("%s: form %q, reason %q", what, made.Form, made.Reason)
		}
		// A gateway has begun to front it: only who may call it goes on for a while.
		r.endpoints[name] = EndpointsSome
		if got := r.verdicts(p)[name].Linger; got != (test.form == FormCluster) {
			t.Errorf("%s: lingers = %t", what, got)
		}
		// By its entry, before its endpoints are there.
		var fronted []lambda.Service
		for _, s := range r.table.Services() {
			s := *s
			s.Fronted = true
			fronted = append(fronted, s)
		}
		r.table = lambda.NewTable(fronted...).WithIntentions(test.intentions)
		if got := r.verdicts(r.patcher(t, options(t)))[name].Linger; got != (test.form == FormCluster) {
			t.Errorf("%s: lingers when fronted = %t", what, got)
		}
	}
	// A cluster whose certificate tells nobody.
	r := recordingOf(t, "sidecar-without-gateway")
	i := slices.IndexFunc(r.clusters, func(c cluster) bool { return c.name == name })
	r.clusters[i].raw = []byte(strings.ReplaceAll(string(r.clusters[i].raw), "-----BEGIN CERTIFICATE", "-----BEGIN_CERTIFICATE"))
	if made := r.verdicts(r.patcher(t, options(t)))[name].Patch.Make(); made.Form != "" {
		t.Errorf("somebody unknown calls: %+v", made)
	}
}
