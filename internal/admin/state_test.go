package admin_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// age is the one value of the state that depends on when it is asked for.
var age = regexp.MustCompile(`"age_seconds": [0-9.e+-]+`)

func TestStateGolden(t *testing.T) {
	run := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	fn, err := lambda.ParseARN("arn:aws:lambda:us-east-1:123456789012:function:one")
	if err != nil {
		t.Fatal(err)
	}
	full := admin.Sources{
		Table: func() admin.Table {
			return admin.Table{
				Confirmed: time.Now(), Problem: "reading service-defaults: it is away",
				Table: lambda.NewTable(
					lambda.Service{Name: lambda.NewServiceName("one", "", ""), State: lambda.StateOK, Source: lambda.SourceMeta, Function: lambda.Function{ARN: fn}, Warnings: []string{"one: a <key> nobody reads"}},
					lambda.Service{Name: lambda.NewServiceName("two", "blue", "east"), State: lambda.StateError, Source: lambda.SourceExtension, Errors: []string{"two: no", "two: nor this"}},
				),
			}
		},
		Proxies: func() []admin.Proxy {
			return []admin.Proxy{
				{
					ID: "gw-1", Kind: "terminating-gateway", EnvoyVersion: "1.40.0", Connected: true,
					Patched:  []admin.Patched{{Service: "one", Form: "cluster", Path: "gateway"}},
					Rejected: []admin.Rejected{{Resource: "one.default.dc1", Error: "no such filter"}},
				},
				{ID: "web-1", Unpatched: []admin.Unpatched{{Service: "one", Cluster: "failover-target~0~one.default.dc1", Reason: "no gateway lists it"}}},
			}
		},
		Registrator: func() admin.Registrator {
			return admin.Registrator{LastRun: &run, Error: "listing failed", Changes: []admin.Change{{Kind: "create", Service: "one", Reason: "tagged"}}}
		},
	}
	for name, sources := range map[string]admin.Sources{
		"empty": {Table: func() admin.Table { return admin.Table{} }, Proxies: func() []admin.Proxy { return nil }},
		"full":  full,
		"fresh registrator": {
			Table:       func() admin.Table { return admin.Table{} },
			Registrator: func() admin.Registrator { return admin.Registrator{} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := get(admin.Handler(sources, prometheus.NewRegistry(), ""), "/api/v1/state", "")
			if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("answered %d %s", answer.Code, answer.Header().Get("Content-Type"))
			}
			if !json.Valid(answer.Body.Bytes()) {
				t.Fatal("not JSON")
			}
			golden(t, filepath.Join("testdata", "state-"+filepath.Base(regexp.MustCompile(` `).ReplaceAllString(name, "-"))+".json"),
				age.ReplaceAll(answer.Body.Bytes(), []byte(`"age_seconds": 0.5`)))
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s: %s", path, cmp.Diff(string(want), string(got)))
	}
}

func get(h http.Handler, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
