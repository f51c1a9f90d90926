package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/prometheus/client_golang/prometheus"
)

// evil is a name as nobody should be able to make one. Were it not escaped, it would
// run.
const evil = `<script>document.title="taken over"</script>`

// shown is what the tests of the pages show: a bit of everything.
func shown(services ...lambda.Service) admin.Sources {
	run := time.Now().Add(-90 * time.Second)
	checkout := "checkout.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul"
	return admin.Sources{
		Unready: func() string { return "" },
		Table: func() admin.Table {
			return admin.Table{Confirmed: time.Now(), Table: lambda.NewTable(append([]lambda.Service{
				function("checkout", true, nil),
				function("thumbnails", false, nil),
				extended(function("mail", true, nil, `mail: serverless.consul.hashicorp.com/v1alpha1/lambda/timeout = "1h": not a whole number from 1 to 900`)),
				{Name: lambda.NewServiceName("reports", "", ""), State: lambda.StateDisabled},
			}, services...)...)}
		},
		Proxies: func() []admin.Proxy {
			return []admin.Proxy{
				{
					ID: "gateway-1", Kind: "terminating-gateway", EnvoyVersion: "1.40.0", Connected: true,
					Patched: []admin.Patched{
						{Service: "checkout", Form: "cluster", Path: "gateway", Cluster: checkout},
						{Service: "mail", Path: "gateway", Cluster: strings.Replace(checkout, "checkout", "mail", 1), Reason: "its state is error"},
					},
					Rejected: []admin.Rejected{{Resource: checkout, Error: "Didn't find a registered implementation for 'envoy.filters.http.aws_lambda'"}},
				},
				{ID: "web-sidecar-proxy", Kind: "connect-proxy", EnvoyVersion: "1.38.3", Connected: true, Patched: []admin.Patched{
					{Service: "thumbnails", Form: "cluster", Path: "direct", Cluster: strings.Replace(checkout, "checkout", "thumbnails", 1)},
				}},
				{ID: "api-sidecar-proxy", Kind: "connect-proxy", EnvoyVersion: "1.40.0", Connected: true, Unpatched: []admin.Unpatched{
					{Service: "checkout", Cluster: "failover-target~0~" + checkout, Reason: "it is a failover's target"},
				}},
			}
		},
		Registrator: func() admin.Registrator {
			return admin.Registrator{LastRun: &run, LastSuccess: &run, Changes: []admin.Change{
				{Kind: "create", Service: "checkout", Reason: "arn:aws:lambda:us-east-1:123456789012:function:checkout is tagged"},
				{Kind: "conflict", Service: "mail", Reason: "its service-defaults entry was made by somebody else"},
			}}
		},
	}
}

func function(name string, fronted bool, change func(*lambda.Function), errors ...string) lambda.Service {
	s := lambda.Service{
		Name: lambda.NewServiceName(name, "", ""), State: lambda.StateOK, Source: lambda.SourceMeta, Fronted: fronted, Errors: errors,
		Function: lambda.Function{
			ARN:     lambda.ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: name},
			Timeout: 30 * time.Second,
		},
	}
	if change != nil {
		change(&s.Function)
	}
	if len(errors) > 0 {
		s.State = lambda.StateError
	}
	return s
}

// extended is a service that Consul's own extension makes a function.
func extended(s lambda.Service) lambda.Service {
	s.Source, s.Extended = lambda.SourceExtension, true
	return s
}

func handler(s admin.Sources) http.Handler { return admin.Handler(s, prometheus.NewRegistry(), "") }

// TestPages: each page tells what it is there for.
func TestPages(t *testing.T) {
	h := handler(shown())
	for path, words := range map[string][]string{
		"/":                           {"Ready", "2</b><span>functions in the mesh", "3</b><span>Envoys connected", "not a whole number", "envoy.filters.http.aws_lambda"},
		"/functions":                  {`href="/functions/checkout"`, "terminating gateway", "callers themselves", "disabled"},
		"/functions?q=THUMB":          {`href="/functions/thumbnails"`},
		"/functions?q=nothing":        {"No service fits"},
		"/functions/checkout":         {"arn:aws:lambda:us-east-1:123456789012:function:checkout", "gateway-1", "30", "What its Meta says", "find a registered implementation"},
		"/functions/CHECKOUT":         {"gateway-1"},
		"/functions/mail":             {"Why it is not invoked", "not a whole number", "no endpoints", "What its Envoy extension says"},
		"/proxies":                    {"gateway-1", "terminating-gateway", "1.38.3"},
		"/proxies/gateway-1":          {"checkout.default.dc1", "its state is error", "find a registered implementation"},
		"/proxies/api-sidecar-proxy":  {"all as Consul made it"},
		"/registrator":                {"90 s ago", "is tagged", "conflict"},
		"/functions/default/blue/one": {"blue/one"},
	} {
		sources := h
		if strings.Contains(path, "blue") {
			one := function("one", true, nil)
			one.Name = lambda.NewServiceName("one", "blue", "")
			sources = handler(shown(one))
		}
		got := get(sources, path, "")
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %s", path, got.Code, got.Header().Get("Content-Type"))
		}
		if !strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy for its contents", path)
		}
		for _, word := range words {
			if !strings.Contains(strings.ReplaceAll(got.Body.String(), "&#39;", "'"), word) {
				t.Errorf("%s does not say %q:\n%s", path, word, got.Body)
			}
		}
	}
	if body := get(h, "/functions?q=thumb", "").Body.String(); strings.Contains(body, "checkout") {
		t.Error("the filter lets others through")
	}
}

// TestNotReadyFirst: what is wrong is the first thing that is said.
func TestNotReadyFirst(t *testing.T) {
	s := shown()
	s.Unready = func() string { return "Consul's xDS: no server answers" }
	body := strings.ReplaceAll(get(handler(s), "/", "").Body.String(), "&#39;", "'")
	if !strings.Contains(body, "Not ready</h1>") || !strings.Contains(body, "Consul's xDS: no server answers") {
		t.Error(body)
	}
}

// TestNothingThere: pages of what is not there say so, with 404.
func TestNothingThere(t *testing.T) {
	for path, word := range map[string]string{
		"/functions/nobody": "No service of this name", "/proxies/nobody": "No Envoy of this ID",
		"/api/v1/functions/nobody": "No service of this name", "/api/v1/proxies/nobody": "No Envoy of this ID",
	} {
		if got := get(handler(shown()), path, ""); got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), word) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	empty := admin.Sources{}
	for _, path := range []string{"/", "/functions", "/proxies", "/registrator"} {
		if got := get(handler(empty), path, ""); got.Code != http.StatusOK {
			t.Errorf("%s with nothing there: %d", path, got.Code)
		}
	}
}

// TestNamesAreEscaped: a name out of Consul, AWS or Envoy is text on every page.
func TestNamesAreEscaped(t *testing.T) {
	one := function("x", true, nil, evil)
	one.Name.Name, one.Function.ARN.Name, one.Warnings = evil, evil, []string{evil}
	s := shown(one)
	s.Unready = func() string { return evil }
	s.Proxies = func() []admin.Proxy {
		return []admin.Proxy{{
			ID: evil, Kind: evil, EnvoyVersion: evil,
			Patched:  []admin.Patched{{Service: evil, Form: evil, Path: evil, Cluster: evil, Reason: evil}},
			Rejected: []admin.Rejected{{Resource: evil, Error: evil}},
		}}
	}
	s.Registrator = func() admin.Registrator {
		return admin.Registrator{Error: evil, Changes: []admin.Change{{Kind: evil, Service: evil, Reason: evil}}}
	}
	const escaped = "/%3Cscript%3Edocument.title=%22taken%20over%22%3C%2Fscript%3E"
	for _, path := range []string{"/", "/functions", "/functions?q=" + escaped[1:], "/functions" + escaped, "/functions/" + escaped[1:] + "x", "/proxies", "/proxies" + escaped, "/registrator"} {
		got := get(handler(s), path, "")
		if body := got.Body.String(); strings.Contains(body, "<script>document") || !strings.Contains(body, "taken over") {
			t.Errorf("%s: %d\n%s", path, got.Code, body)
		}
	}
}

// TestManyRows: a page shows a part of very many, and says so.
func TestManyRows(t *testing.T) {
	var many []lambda.Service
	for i := range 700 {
		many = append(many, function(fmt.Sprintf("one-of-many-%d", i), true, nil))
	}
	body := get(handler(shown(many...)), "/functions?q=one-of-many", "").Body.String()
	if n := strings.Count(body, `href="/functions/one-of-many`); n != 500 || !strings.Contains(body, "500 of 700 are shown") {
		t.Errorf("%d rows", n)
	}
}

// TestTwinsGolden: the JSON of each page.
func TestTwinsGolden(t *testing.T) {
	s := shown()
	fixed := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	s.Registrator = func() admin.Registrator { return admin.Registrator{LastRun: &fixed, LastSuccess: &fixed} }
	h := handler(s)
	for name, path := range map[string]string{
		"overview": "overview", "functions": "functions?q=checkout", "function": "functions/checkout",
		"proxies": "proxies?q=1.38", "proxy": "proxies/gateway-1", "registrator": "registrator",
	} {
		got := get(h, "/api/v1/"+path, "")
		if got.Code != http.StatusOK || !json.Valid(got.Body.Bytes()) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
		golden(t, filepath.Join("testdata", "api-"+name+".json"), age.ReplaceAll(got.Body.Bytes(), []byte(`"age_seconds": 0.5`)))
	}
	none := shown()
	none.Registrator = nil
	if got := get(handler(none), "/api/v1/registrator", ""); strings.TrimSpace(got.Body.String()) != "null" {
		t.Errorf("no registrator: %s", got.Body)
	}
}
