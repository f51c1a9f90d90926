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
		if err := only.WriteChain(&out); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", "inspect-"+strings.ToLower(name)+".txt"), out.Bytes())
	}
	if _, found := state.Only("check"); found {
		t.Error("a part of a name is found")
	}
}

// TestInspectPrintsText: a name cannot steer the terminal.
func TestInspectPrintsText(t *testing.T) {
	one := function("x", true, nil, "\x1b[2Jgone\r\nService  other")
	only, _ := shown(one).State(time.Now()).Only("x")
	var out bytes.Buffer
	if err := only.WriteChain(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\r") || strings.Count(out.String(), "\nService") > 0 {
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
