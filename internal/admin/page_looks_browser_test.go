//go:build extra

package admin_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/lambdamesh/lambdamesh/internal/admin"
)

// TestBrowserFits: on a wide screen and on a telephone, with nothing to show, with very
// much, and with names of any length, no page and no table is wider than the screen.
// With -gallery each is kept as a picture, light and dark.
func TestBrowserFits(t *testing.T) {
	ctx := browser(t)
	for name, look := range looks() {
		server := httptest.NewServer(handler(look.sources))
		for _, path := range append([]string{"/", "/functions", "/proxies", "/registrator"}, look.more...) {
			for _, width := range []int64{wide, narrow} {
				do(t, ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(server.URL+path))
				if found := ask(t, ctx, chromedp.Evaluate[string](sticksOut)); found != "" {
					t.Errorf("%s: %s, %d pixels wide: %s", name, path, width, found)
				}
				if *gallery == "" {
					continue
				}
				for _, colours := range []string{"light", "dark"} {
					do(t, ctx, scheme(colours))
					picture(t, ctx, *gallery, fmt.Sprintf("%s%.24s-%d-%s", name, strings.NewReplacer("/", "-", "?", "-").Replace(path), width, colours))
				}
			}
		}
		server.Close()
	}
}

// sticksOut finds what is wider than there is room for.
const sticksOut = `[document.documentElement, ...document.querySelectorAll(".sheet, .figures li, h1, nav a")]
	.filter((e) => e.scrollWidth > e.clientWidth + 1)
	.map((e) => e.tagName + "." + e.className + " takes " + e.scrollWidth + " of " + e.clientWidth + ": " + e.textContent.trim().slice(0, 60))
	.join("; ")`

// look is something to be shown.
type look struct {
	sources admin.Sources
	more    []string // paths beside those that are always there
}

func looks() map[string]look {
	const checkout, gateway = "/functions/checkout", "/proxies/gateway-1"
	ready := func() string { return "" }
	fresh, waiting, stopped := shown(), shown(), shown()
	fresh.Registrator = func() admin.Registrator { return admin.Registrator{} }
	began := time.Now().Add(-12 * time.Second)
	fresh.Runs = func() admin.Runs { return admin.Runs{Running: &began} }
	waiting.Registrator = fresh.Registrator
	waiting.Runs = func() admin.Runs { return admin.Runs{Standby: true} }
	run := time.Now().Add(-90 * time.Second)
	stopped.Registrator = func() admin.Registrator {
		return admin.Registrator{LastRun: &run, Changes: stoppedChanges(), Error: "800 of 1000 services of functions in us-east-1 of account 123456789012 would be deleted, more than the share of 0.5 that --max-delete-ratio allows: nothing was changed; --force goes on"}
	}
	stopped.Runs = func() admin.Runs { return stoppedRuns(run) }
	return map[string]look{
		"full":    {shown(), []string{checkout, "/functions/mail", "/functions/reports", gateway, "/proxies/api-sidecar-proxy", "/functions/nobody", "/functions?q=nobody"}},
		"long":    {long(), []string{"/functions/" + strings.Repeat("x", 120), "/proxies/" + strings.Repeat("y", 120)}},
		"many":    {crowd(), []string{"/functions?page=10", "/proxies/gateway-1"}},
		"empty":   {admin.Sources{Unready: ready, Table: func() admin.Table { return admin.Table{} }, Proxies: func() []admin.Proxy { return nil }}, nil},
		"fresh":   {fresh, nil},
		"waiting": {waiting, nil},
		"stopped": {stopped, nil},
	}
}

// long has names and texts as long as they may be, and without a place to break them.
func long() admin.Sources {
	x, y, words := strings.Repeat("x", 120), strings.Repeat("y", 120), strings.Repeat("z", 300)
	one := function(x, true, nil, words, "a mistake: "+strings.Repeat("which is told in many words, ", 20))
	one.Function.ARN.Name, one.Warnings = strings.Repeat("n", 64)+":"+strings.Repeat("a", 128), []string{words}
	s := shown(one, function(strings.Repeat("a-rather-long-name-", 6)+"1", true, nil))
	s.Unready = func() string { return words }
	s.Proxies = func() []admin.Proxy {
		return []admin.Proxy{{
			ID: y, Kind: "terminating-gateway", EnvoyVersion: "1.40.0", Connected: true,
			Patched:     []admin.Patched{{Service: x, Form: "listener", Path: "gateway", Cluster: x + ".default.dc1." + y, Reason: words}},
			Unpatched:   []admin.Unpatched{{Service: x, Cluster: "failover-target~0~" + x, Reason: words}},
			Rejected:    []admin.Rejected{{Resource: x + ".default.dc1." + y, Error: words}},
			LastRefusal: &admin.Refusal{At: time.Now().Add(-72 * time.Hour), Type: "listener", Error: words},
		}}
	}
	s.Registrator = func() admin.Registrator {
		return admin.Registrator{Error: words, Changes: []admin.Change{{Kind: "delete", Service: x, Reason: words, Undone: words}, {Kind: "conflict", Service: x, Reason: words}}}
	}
	s.Runs = func() admin.Runs {
		return admin.Runs{
			Recent:  []admin.Run{{Kind: "sync", Ended: time.Now().Add(-72 * time.Hour), TookSeconds: 1e5, Functions: 100_000, Made: 100_000, Changes: []admin.Change{{Kind: "create", Service: x, Reason: words}}}},
			Skipped: []admin.Skipped{{Function: one.Function.ARN.String(), Reason: words}},
			Kept:    []admin.Kept{{Service: x, Function: one.Function.ARN.String(), By: "policy", Reason: words}, {Service: x, By: "scope", Reason: words}},
		}
	}
	return s
}

// crowd has a thousand functions, and as many Envoys, all of them in trouble.
func crowd() admin.Sources {
	s := shown(many(1_000)...)
	proxies := s.Proxies()
	for i := range 1_000 {
		proxies = append(proxies, admin.Proxy{
			ID: fmt.Sprintf("web-%04d-sidecar-proxy", i), Kind: "connect-proxy", EnvoyVersion: "1.40.0", Connected: true,
			Patched:  []admin.Patched{{Service: "one-of-many-0001", Form: "cluster", Path: "direct", Cluster: "one-of-many-0001.default.dc1"}},
			Rejected: []admin.Rejected{{Resource: "one-of-many-0001.default.dc1", Error: "no"}},
		})
	}
	for i := range 1_000 {
		proxies[0].Patched = append(proxies[0].Patched, admin.Patched{Service: fmt.Sprintf("one-of-many-%04d", i), Form: "cluster", Path: "gateway", Cluster: fmt.Sprintf("one-of-many-%04d.default.dc1", i)})
	}
	s.Proxies = func() []admin.Proxy { return proxies }
	return s
}

// stoppedChanges are those of a plan that the guard stopped.
func stoppedChanges() []admin.Change {
	var all []admin.Change
	for _, s := range many(800) {
		all = append(all, admin.Change{Kind: "delete", Service: s.Name.Name, Reason: s.Function.ARN.String() + " is not tagged for it any more", Undone: stoppedText})
	}
	return all
}

func stoppedRuns(at time.Time) admin.Runs {
	runs := admin.Runs{Recent: []admin.Run{{Kind: "sync", Ended: at, TookSeconds: 2.5, Functions: 200, Error: stoppedText, Changes: stoppedChanges()[:5]}}}
	for _, s := range many(800) {
		runs.Kept = append(runs.Kept, admin.Kept{Service: s.Name.Name, Function: s.Function.ARN.String(), By: "guard", Reason: stoppedText})
	}
	return runs
}

const stoppedText = "the run was stopped before it changed anything: too many deletions at once"
