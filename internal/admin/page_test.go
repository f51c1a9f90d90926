package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
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
	const refusal = "Didn't find a registered implementation for 'envoy.filters.http.aws_lambda'"
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
					Rejected:    []admin.Rejected{{Resource: checkout, Error: refusal}},
					LastRefusal: &admin.Refusal{At: run, Type: "cluster", Ours: true, Error: refusal},
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
				{Kind: "create", Service: "checkout", Reason: arnOf("checkout") + " is tagged"},
				{Kind: "conflict", Service: "mail", Reason: "its service-defaults entry was made by somebody else"},
			}}
		},
		Runs: func() admin.Runs { return runs(run) },
	}
}

// runs are the registrator's last ones: a bit of everything, too.
func runs(last time.Time) admin.Runs {
	theirs := strings.ReplaceAll(arnOf("billing"), "123456789012", "210987654321")
	const unread = "us-east-1 of account 210987654321 was not read in this run: it is another registrator's, or could not be read"
	created := admin.Change{Kind: "create", Service: "checkout", Reason: arnOf("checkout") + " is tagged"}
	updated := admin.Change{Kind: "update", Service: "thumbnails", Reason: "Meta differs: timeout"}
	return admin.Runs{
		Latest: []admin.Latest{{At: last, Change: created}, {At: last.Add(-3 * time.Minute), Change: updated}},
		Recent: []admin.Run{
			{Kind: "sync", Ended: last, TookSeconds: 1.234, Functions: 4, Made: 1, Changes: []admin.Change{created}},
			{Kind: "look", Ended: last.Add(-3 * time.Minute), TookSeconds: 0.08, Functions: 1, Made: 4, Changes: []admin.Change{updated}},
			{Kind: "sync", Ended: last.Add(-5 * time.Minute), TookSeconds: 0.4, Functions: 4, Error: "writing the service-defaults entry of checkout: no leader", Changes: []admin.Change{{Kind: "create", Service: "checkout", Undone: "no leader"}}},
		},
		Skipped: []admin.Skipped{
			{Function: arnOf("invoices"), Reason: `enabled = "maybe": neither true nor false`},
			{Function: arnOf("old-thumbnails"), Reason: "service old-thumbnails is kept: the policy is upsert-only", Expected: true},
		},
		Kept: []admin.Kept{
			{Service: "old-thumbnails", Function: arnOf("old-thumbnails"), By: "policy", Reason: "service old-thumbnails is kept: the policy is upsert-only"},
			{Service: "reports", Function: arnOf("reports"), By: "aws", Reason: "service reports stays: the listing did not show it, but the function is there and tagged for it"},
			{Service: "billing", Function: theirs, By: "scope", Reason: unread},
			{Service: "ledger", Function: theirs, By: "scope", Reason: unread},
		},
	}
}

func arnOf(name string) string { return "arn:aws:lambda:us-east-1:123456789012:function:" + name }

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
		"/":                          {"Ready", "5</b><span>problems", "2</b><span>functions in the mesh", "3</b><span>Envoys connected", "not a whole number", "envoy.filters.http.aws_lambda", "skipped: enabled", "changed last"},
		"/functions":                 {`href="/functions/checkout"`, "terminating gateway", "callers themselves", "disabled"},
		"/functions?q=THUMB":         {`href="/functions/thumbnails"`},
		"/functions?q=nothing":       {"No service fits"},
		"/functions/checkout":        {"arn:aws:lambda:us-east-1:123456789012:function:checkout", "gateway-1", "30", "What its Meta says", "find a registered implementation", "failover's target", "is tagged"},
		"/functions/CHECKOUT":        {"gateway-1"},
		"/functions/mail":            {"Why it is not invoked", "not a whole number", "no endpoints", "What its Envoy extension says", "stands", "made by somebody else"},
		"/proxies":                   {"gateway-1", "terminating-gateway", "1.38.3"},
		"/proxies/gateway-1":         {"checkout.default.dc1", "its state is error", "find a registered implementation", "90 s ago", "a cluster response, with something of lambdamesh's in it"},
		"/proxies/api-sidecar-proxy": {"all as Consul made it", "refused nothing"},
		"/registrator": {
			"In step, but for 1 conflict", "90 s ago", "is tagged", "made by somebody else", "the policy is upsert-only", "AWS</span>",
			"2 services: us-east-1 of account 210987654321", "passed over", "an event", "all functions", "no leader", "1.23s", "and 3 more",
		},
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

// TestRegistratorVerdict: how the registrator stands is the first thing that its page says.
func TestRegistratorVerdict(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		want        string
		registrator admin.Registrator
		runs        admin.Runs
	}{
		{"No run yet", admin.Registrator{}, admin.Runs{}},
		{"The first run is under way", admin.Registrator{}, admin.Runs{Running: &now}},
		{"Waiting", admin.Registrator{}, admin.Runs{Standby: true}},
		{"In step", admin.Registrator{LastRun: &now}, admin.Runs{}},
		{"In step, but for 2 conflicts", admin.Registrator{LastRun: &now, Changes: []admin.Change{{Kind: "conflict"}, {Kind: "conflict"}, {Kind: "create"}}}, admin.Runs{}},
		{"The last run failed", admin.Registrator{LastRun: &now, Error: "no"}, admin.Runs{}},
		{"The last run failed", admin.Registrator{LastRun: &now, Error: "no", Changes: []admin.Change{{Kind: "conflict"}}}, admin.Runs{Running: &now}},
	} {
		s := admin.Sources{Registrator: func() admin.Registrator { return test.registrator }, Runs: func() admin.Runs { return test.runs }}
		if body := get(handler(s), "/registrator", "").Body.String(); !strings.Contains(body, ">"+test.want+"</h1>") {
			t.Errorf("want %q:\n%s", test.want, body)
		}
	}
	if body := get(handler(admin.Sources{}), "/registrator", "").Body.String(); !strings.Contains(body, "No registrator here</h1>") {
		t.Error(body)
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

// TestHotRestart: of two Envoys of one ID the one that has more is shown.
func TestHotRestart(t *testing.T) {
	s := shown()
	gateway := s.Proxies()[0]
	s.Proxies = func() []admin.Proxy { return []admin.Proxy{{ID: gateway.ID}, gateway, {ID: gateway.ID}} }
	if body := get(handler(s), "/proxies/gateway-1", "").Body.String(); !strings.Contains(body, "2 functions") {
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
			Patched:   []admin.Patched{{Service: evil, Form: evil, Path: evil, Cluster: evil, Reason: evil}},
			Rejected:  []admin.Rejected{{Resource: evil, Error: evil}},
			Unpatched: []admin.Unpatched{{Service: evil, Cluster: evil, Reason: evil}},

			LastRefusal: &admin.Refusal{Type: evil, Error: evil},
		}}
	}
	s.Registrator = func() admin.Registrator {
		return admin.Registrator{Error: evil, Changes: []admin.Change{{Kind: evil, Service: evil, Reason: evil, Undone: evil}, {Kind: "conflict", Service: evil, Reason: evil}}}
	}
	s.Runs = func() admin.Runs {
		return admin.Runs{
			Latest:  []admin.Latest{{Change: admin.Change{Kind: evil, Service: evil, Reason: evil}}},
			Recent:  []admin.Run{{Kind: evil, Error: evil}, {Changes: []admin.Change{{Kind: evil, Service: evil, Reason: evil}}}},
			Skipped: []admin.Skipped{{Function: evil, Reason: evil}},
			Kept:    []admin.Kept{{Service: evil, Function: evil, By: evil, Reason: evil}, {By: "scope", Reason: evil}},
		}
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
	h := handler(shown(many(1_000)...))
	for _, test := range []struct {
		query       string
		rows        int
		words, link string
	}{
		{"?q=one-of-many", 100, "1 to 100 of 1,000", "?page=2&amp;q=one-of-many"},
		{"?q=one-of-many&page=10", 100, "901 to 1,000 of 1,000", "?page=9&amp;q=one-of-many"},
		{"?q=one-of-many&page=11", 100, "901 to 1,000 of 1,000", "?page=9&amp;q=one-of-many"},
		{"?page=11", 2, "1,001 to 1,004 of 1,004", "?page=10"},
		{"?q=one-of-many-0500", 1, "1 service", "/functions/one-of-many-0500"},
		{"?q=one-of-many&page=x", 100, "1 to 100 of 1,000", "?page=2&amp;q=one-of-many"},
	} {
		body := get(h, "/functions"+test.query, "").Body.String()
		if n := strings.Count(body, `<a href="/functions/one-of-many`); n != test.rows || !strings.Contains(body, test.words) || !strings.Contains(body, test.link) {
			t.Errorf("%s: %d rows, want %d, %q and %q", test.query, n, test.rows, test.words, test.link)
		}
	}
	var twin []admin.Function
	if err := json.Unmarshal(get(h, "/api/v1/functions?q=one-of-many", "").Body.Bytes(), &twin); err != nil || len(twin) != 1_000 {
		t.Errorf("the twin has %d, %v", len(twin), err)
	}
}

// many are services with names that sort as their numbers do.
func many(n int) []lambda.Service {
	var all []lambda.Service
	for i := range n {
		all = append(all, function(fmt.Sprintf("one-of-many-%04d", i), true, nil))
	}
	return all
}

// TestTwinsGolden: the JSON of each page.
func TestTwinsGolden(t *testing.T) {
	s := shown()
	fixed := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	s.Registrator = func() admin.Registrator { return admin.Registrator{LastRun: &fixed, LastSuccess: &fixed} }
	s.Runs = func() admin.Runs { return runs(fixed) }
	proxies := s.Proxies()
	proxies[0].LastRefusal.At = fixed
	s.Proxies = func() []admin.Proxy { return proxies }
	h := handler(s)
	for name, path := range map[string]string{
		"overview": "overview", "functions": "functions?q=checkout", "function": "functions/checkout",
		"proxies": "proxies?q=1.38", "proxy": "proxies/gateway-1", "registrator": "registrator",
	} {
		got := get(h, "/api/v1/"+path, "")
		if got.Code != http.StatusOK || !json.Valid(got.Body.Bytes()) || got.Header().Get("X-Content-Type-Options") != "nosniff" {
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

// TestMistakeIsOneProblem: what keeps a function from being invoked is said once, not once
// more for each Envoy that therefore does not.
func TestMistakeIsOneProblem(t *testing.T) {
	sources := shown(function("one", true, nil, "one: a mistake"))
	sources.Proxies = func() []admin.Proxy {
		return []admin.Proxy{{ID: "web-1", Unpatched: []admin.Unpatched{
			{Service: "one", Reason: "its state is error: one: a mistake"}, {Service: "checkout", Reason: "it is a failover's target"},
		}}}
	}
	var twin admin.Overview
	if err := json.Unmarshal(get(handler(sources), "/api/v1/overview", "").Body.Bytes(), &twin); err != nil {
		t.Fatal(err)
	}
	var of []string
	for _, problem := range twin.Problems {
		if problem.Subject == "one" || problem.Subject == "web-1" {
			of = append(of, problem.Subject+": "+problem.Text)
		}
	}
	if want := []string{"one: a mistake", "web-1: does not invoke checkout: it is a failover's target"}; !slices.Equal(of, want) {
		t.Errorf("%q, want %q", of, want)
	}
}
