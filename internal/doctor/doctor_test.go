package doctor

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
)

// said is the report as people read it.
func said(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReport(t *testing.T) {
	r := &Report{}
	r.add("a", OK, "well", "")
	r.add("other", Warn, "not\n quite", "do this")
	if want := "ok    a      well\nwarn  other  not quite\n             -> do this\n"; said(t, r) != want {
		t.Errorf("%q, want %q", said(t, r), want)
	}
	if r.Failed() {
		t.Error("a warning fails")
	}
	r.add("third", Fail, "no", "")
	if !r.Failed() {
		t.Error("a failure does not fail")
	}
}

func TestClock(t *testing.T) {
	for skew, want := range map[time.Duration]Verdict{time.Second: OK, -2 * time.Minute: OK, 3 * time.Minute: Warn, -6 * time.Minute: Fail, time.Hour: Fail} {
		r := &Report{}
		checkClock(r, skew)
		if got := r.Findings[0].Verdict; got != want {
			t.Errorf("%s: %s, want %s", skew, got, want)
		}
	}
}

// fakeEnvoy answers as Envoy's admin does in states in which a real one is not to be had
// at will.
func fakeEnvoy(t *testing.T, state, stats string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/server_info", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version": "abc/1.40.0/Clean/RELEASE/BoringSSL", "state": "` + state + `"}`))
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"stats": [` + stats + `, {"histograms": {}}]}`))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestEnvoy(t *testing.T) {
	stat := func(name, value string) string { return `{"name": "` + name + `", "value": ` + value + `}` }
	connected := stat("control_plane.connected_state", "1")
	const refreshes = "aws.metadata_credentials_provider.ec2_instance_metadata_server_internal.credential_refreshes_"
	for _, test := range []struct {
		state, stats string
		want         []string
	}{
		{"LIVE", connected, []string{"ok    envoy ", "1.40.0, live", "ok    envoy xds"}},
		{"PRE_INITIALIZING", connected, []string{"warn  envoy ", "PRE_INITIALIZING"}},
		{"LIVE", stat("control_plane.connected_state", "0"), []string{"fail  envoy xds"}},
		{"LIVE", connected + "," + stat("cluster_manager.cds.update_rejected", "2"), []string{"warn  envoy refusals", "update_rejected is 2"}},
		{"LIVE", connected + "," + stat(refreshes+"failed", "3"), []string{"fail  envoy credentials", "3 attempts failed"}},
		{"LIVE", connected + "," + stat(refreshes+"failed", "3") + "," + stat(refreshes+"succeeded", "1"), []string{"ok    envoy credentials"}},
	} {
		r := &Report{}
		Envoy(t.Context(), r, fakeEnvoy(t, test.state, test.stats))
		for _, words := range test.want {
			if text := squeeze(said(t, r)); !strings.Contains(text, squeeze(words)) {
				t.Errorf("%s, %s: no %q in\n%s", test.state, test.stats, words, said(t, r))
			}
		}
	}
	for _, wrong := range []string{"127.0.0.1:19000", "http://127.0.0.1:1", "ftp://x"} {
		r := &Report{}
		if Envoy(t.Context(), r, wrong); !r.Failed() {
			t.Errorf("%s: %s", wrong, said(t, r))
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// fakeConsul answers as Consul does, but for what it is told.
func fakeConsul(t *testing.T, leader, rights string) *consul.Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`"` + leader + `"`)) })
	mux.HandleFunc("GET /v1/acl/token/self", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"AccessorID": "a-1", "ExpirationTime": "2030-01-01T00:00:00Z"}`))
	})
	mux.HandleFunc("POST /v1/internal/acl/authorize", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(rights)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv(api.HTTPTokenEnvName, "s3cret")
	client, err := consul.NewClient(consul.ClientConfig{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestConsulThatIsOdd(t *testing.T) {
	for _, test := range []struct {
		leader, rights string
		want           string
	}{
		{"", "", "fail  consul http"},
		{"127.0.0.1:8300", "[]", "warn  consul rights"},
		{"127.0.0.1:8300", "no JSON", "warn  consul rights"},
		{"127.0.0.1:8300", "[]", "warn  consul acl  the token runs out at 2030-01-01T00:00:00Z"},
	} {
		r := &Report{}
		Consul{Client: fakeConsul(t, test.leader, test.rights), NodeName: "lambdas"}.Check(t.Context(), r)
		if text := said(t, r); !strings.Contains(squeeze(text), squeeze(test.want)) || strings.Contains(text, "s3cret") {
			t.Errorf("leader %q, rights %q: no %q in\n%s", test.leader, test.rights, test.want, text)
		}
	}
}
