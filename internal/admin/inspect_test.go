package admin_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/prometheus/client_golang/prometheus"
)

// TestInspectGolden: what a person reads of all services, and of one.
func TestInspectGolden(t *testing.T) {
	state := shown().State(time.Now())
	var out bytes.Buffer
	if err := state.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "inspect-all.txt"), out.Bytes())
	for _, name := range []string{"Checkout", "mail"} {
		only, found := state.Only(name)
		if !found {
			t.Fatalf("%s is not found", name)
		}
		out.Reset()
		if err := inspected(only).WriteChain(&out); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", "inspect-"+strings.ToLower(name)+".txt"), out.Bytes())
	}
	if _, found := state.Only("check"); found {
		t.Error("a part of a name is found")
	}
}

// inspected is a state with what the command alone reads: checkout is kept by a
// registrator, mail's entry and tags cannot be read.
func inspected(only admin.State) admin.Inspection {
	if only.Services[0].Name == "mail" {
		return admin.Inspection{
			State: only, Entry: &admin.Entry{Error: "permission denied"}, Tags: &admin.Tags{Error: "no credentials"}, Unknown: "not known: it is away",
		}
	}
	one := admin.Inspection{
		State: only,
		Entry: &admin.Entry{Managed: true, Meta: map[string]string{lambda.Prefix + "enabled": "true", lambda.Prefix + "timeout": "30"}, Arguments: map[string]any{"arn": "x"}},
		Tags: &admin.Tags{
			Values: map[string]string{lambda.Prefix + "enabled": "true", lambda.Prefix + "retries": "many"}, Others: 2,
			Mistakes: []string{`checkout: ` + lambda.Prefix + `retries = "many": not a whole number from 0 to 10`},
		},
	}
	_, one.Resources = resourceful()
	after := `{"loadAssignment":{"endpoints":[{"lbEndpoints":[{"endpoint":{"hostname":"lambda.us-east-1.amazonaws.com","address":{"socketAddress":{"address":"lambda.us-east-1.amazonaws.com","portValue":443}}}}]}]},"transportSocket":{},` +
		`"typedExtensionProtocolOptions":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{"httpFilters":[{"name":"envoy.filters.http.aws_lambda"},{"name":"envoy.filters.http.upstream_codec"}]}}}`
	one.Resources[0].After = []byte(after)
	return one
}

// TestInspectJSON: the shape that -o json has beside that of the state.
func TestInspectJSON(t *testing.T) {
	only, _ := shown().State(time.Now()).Only("checkout")
	only.Registrator = nil
	for i := range only.Proxies {
		if last := only.Proxies[i].LastRefusal; last != nil {
			fixed := *last
			fixed.At = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			only.Proxies[i].LastRefusal = &fixed
		}
	}
	var out bytes.Buffer
	if err := inspected(only).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "inspect-checkout.json"), age.ReplaceAll(out.Bytes(), []byte(`"age_seconds": 0.5`)))
}

// TestMending: each mistake is followed by what to do, in terms of who keeps the entry.
func TestMending(t *testing.T) {
	wrong := func(key string) string { return "one: " + lambda.Prefix + key + ` = "x": no` }
	for _, c := range []struct {
		mistake string
		entry   *admin.Entry
		want    string
	}{
		{wrong("timeout"), &admin.Entry{Managed: true}, "correct the function's tag timeout (1 to 900 (seconds)): aws lambda tag-resource --resource arn:aws:lambda:us-east-1:123456789012:function:one "},
		{wrong("timeout"), &admin.Entry{}, "correct timeout (1 to 900 (seconds)) in the Meta of service-defaults one"},
		{wrong("enabled"), nil, "else correct enabled (true, false) in the Meta"},
		{wrong("region"), &admin.Entry{}, "that of the ARN"},
		{`one: Protocol is "tcp" by service-defaults: it must be http, http2 or grpc`, &admin.Entry{}, `write Protocol = "http" into service-defaults one`},
		{"one: " + lambda.Prefix + `arn = "x": outside of what this lambdamesh may have invoked (--allow-arns)`, &admin.Entry{}, "name it in that flag"},
	} {
		only, _ := shown(function("one", true, nil, c.mistake)).State(time.Now()).Only("one")
		var out bytes.Buffer
		if err := (admin.Inspection{State: only, Entry: c.entry}).WriteChain(&out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: want %q in\n%s", c.mistake, c.want, out.String())
		}
	}
}

// TestRefusedForm: what stands in for a refused form need not be without endpoints.
func TestRefusedForm(t *testing.T) {
	state := shown().State(time.Now())
	state.Proxies[0].Patched[0].Form, state.Proxies[0].Patched[0].Reason = "", "another stands in"
	only, _ := state.Only("checkout")
	var out bytes.Buffer
	if err := (admin.Inspection{State: only}).WriteChain(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "gateway, refused: another stands in\n") {
		t.Error(out.String())
	}
}

// TestRefusedByService: a refused listener is told of the services that it concerns.
func TestRefusedByService(t *testing.T) {
	state := shown().State(time.Now())
	state.Proxies = append(state.Proxies, admin.Proxy{ID: "old-1", Rejected: []admin.Rejected{{Resource: "checkout:127.0.0.1:1", Error: "no", Services: []string{"checkout"}}}})
	only, _ := state.Only("Checkout")
	var out bytes.Buffer
	if err := (admin.Inspection{State: only}).WriteChain(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "old-1") || !strings.Contains(out.String(), "checkout:127.0.0.1:1: no") {
		t.Error(out.String())
	}
	if other, _ := state.Only("mail"); len(other.Proxies) != 1 {
		t.Errorf("%+v", other.Proxies)
	}
}

// TestInspectPrintsText: a name cannot steer the terminal.
func TestInspectPrintsText(t *testing.T) {
	one := function("x", true, nil, "\x1b[2Jgone\r\nService  other")
	only, _ := shown(one).State(time.Now()).Only("x")
	var out bytes.Buffer
	if err := (admin.Inspection{State: only, Tags: &admin.Tags{Error: "\x1b[2J\r\nService  other"}}).WriteChain(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\r") || strings.Count(out.String(), "\nService") > 1 {
		t.Errorf("%q", out.String())
	}
}

// TestFetch: the state of a server, with and without TLS and token.
func TestFetch(t *testing.T) {
	want := shown()
	plain := httptest.NewServer(handler(want))
	defer plain.Close()
	got, err := admin.Fetch(t.Context(), admin.ClientConfig{Addr: plain.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.State(time.Now()).Proxies, got.Proxies); diff != "" {
		t.Error(diff)
	}
	secured := httptest.NewUnstartedServer(admin.Handler(want, prometheus.NewRegistry(), "s3cret"))
	secured.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secured.StartTLS()
	defer secured.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw})))
	addr := secured.Listener.Addr().String()
	if _, err := admin.Fetch(t.Context(), admin.ClientConfig{Addr: addr, CAFile: ca, TokenFile: file("token", "s3cret\n")}); err != nil {
		t.Error(err)
	}
	for words, cfg := range map[string]admin.ClientConfig{
		"401":                        {Addr: addr, CAFile: ca, TokenFile: file("wrong", "guess")},
		"certificate":                {Addr: addr, TokenFile: file("token", "s3cret")},
		"holds no certificate":       {Addr: addr, CAFile: file("none.pem", "nothing")},
		"reading the admin token":    {Addr: addr, TokenFile: filepath.Join(dir, "missing")},
		"connection refused":         {Addr: "127.0.0.1:1"},
		"it is not that of a lambda": {Addr: httptestText(t)},
	} {
		_, err := admin.Fetch(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %q: %v", words, err)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "guess") {
			t.Errorf("a token is in %v", err)
		}
	}
}

// httptestText is the address of a server of something else.
func httptestText(t *testing.T) string {
	t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(other.Close)
	return other.Listener.Addr().String()
}
