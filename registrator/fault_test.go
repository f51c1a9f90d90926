package registrator_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// wire stands between a client and Consul. It notes the writes, and lets before
// break a request.
type wire struct {
	http.RoundTripper
	token atomic.Pointer[string] // nil: none

	mu     sync.Mutex
	before func(*http.Request) error // nil: nothing breaks
	writes []string
	reads  []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	if r.Method == http.MethodGet {
		w.reads = append(w.reads, r.URL.Path)
	} else {
		w.writes = append(w.writes, r.Method+" "+r.URL.Path)
	}
	w.mu.Unlock()
	if token := w.token.Load(); token != nil {
		r = r.Clone(r.Context())
		r.Header.Set("X-Consul-Token", *token)
	}
	return w.RoundTripper.RoundTrip(r)
}

func (w *wire) breakWith(before func(*http.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = before
}

// written are the writes since the last call.
func (w *wire) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	writes := w.writes
	w.writes = nil
	return writes
}

// read are the reads since the last call.
func (w *wire) read() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	reads := w.reads
	w.reads = nil
	return reads
}

// wired is a registrator behind a wire.
func (m *mesh) wired(change func(*Config)) (*Registrator, *wire) {
	m.Helper()
	transport := &http.Transport{}
	m.Cleanup(transport.CloseIdleConnections)
	w := &wire{RoundTripper: transport}
	client, err := api.NewClient(&api.Config{Address: m.server.HTTPAddr(), HttpClient: &http.Client{Transport: w}})
	if err != nil {
		m.Fatal(err)
	}
	return m.registrator(func(c *Config) {
		c.Consul = client
		if change != nil {
			change(c)
		}
	}), w
}

var errBroken = errors.New("the wire is broken")

// breakAt breaks writes to a path.
func breakAt(path string) func(*http.Request) error {
	return func(r *http.Request) error {
		if r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, path) {
			return errBroken
		}
		return nil
	}
}

func testOrderOfWrites(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("g", Enabled())
	m.sync(r) // makes the node
	m.aws.Put("f", Enabled())

	w.breakWith(breakAt("/v1/txn")) // as a crash between the two
	if result, err := r.Sync(t.Context()); !errors.Is(err, errBroken) || result.Applied != 0 {
		t.Errorf("applied %d, error %v", result.Applied, err)
	}
	if m.entry("f") == nil || len(m.services("f")) > 0 {
		t.Error("the service was added before its entry")
	}
	w.breakWith(nil)
	w.written()
	m.expect(m.sync(r).Plan, "update f")
	if diff := cmp.Diff([]string{"PUT /v1/txn"}, w.written()); diff != "" {
		t.Error(diff)
	}
	m.whole("f", m.aws.ARN("f"))

	m.aws.Delete("f")
	w.breakWith(breakAt("/v1/config"))
	if _, err := r.Sync(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	if m.entry("f") == nil || len(m.services("f")) > 0 {
		t.Error("the entry was removed before its service")
	}
	w.breakWith(nil)
	m.expect(m.sync(r).Plan, "delete f")
	m.gone("f")
}

func testEntryChangedMeanwhile(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("f", Enabled())
	m.sync(r)
	// quicker has somebody write the entry just before the registrator does.
	quicker := func(team string) {
		w.breakWith(func(request *http.Request) error {
			if request.Method != http.MethodGet && strings.HasPrefix(request.URL.Path, "/v1/config") {
				w.breakWith(nil)
				e := m.entry("f")
				e.Meta["team"] = team
				m.put(e)
			}
			return nil
		})
		if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else changed") {
			t.Errorf("%s: error %v", team, err)
		}
		if e := m.entry("f"); e == nil || e.Meta["team"] != team {
			t.Fatalf("%s: what somebody wrote is lost: %+v", team, e)
		}
	}
	m.aws.Put("f", Enabled("retries", "3"))
	quicker("one")
	m.expect(m.sync(r).Plan, "update f")
	if e := m.entry("f"); e.Meta["team"] != "one" || e.Meta[lambda.Prefix+"retries"] != "3" {
		t.Errorf("Meta %v", e.Meta)
	}

	e := m.entry("f")
	delete(e.Meta, "team")
	m.put(e)
	m.aws.Delete("f")
	quicker("two")
	m.expect(m.sync(r).Plan, "delete f")
	if diff := cmp.Diff(map[string]string{"team": "two"}, m.entry("f").Meta); diff != "" {
		t.Error(diff)
	}
}

func testFailedReadOfConsulWritesNothing(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	m.sync(m.registrator(nil))
	m.aws.Put("g", Enabled())
	m.aws.Delete("f")
	for _, path := range []string{"/v1/config/service-defaults", "/v1/catalog/node-services/lambdas", "/v1/catalog/services", "/v1/catalog/datacenters"} {
		r, w := m.wired(nil)
		w.breakWith(func(request *http.Request) error {
			if request.Method == http.MethodGet && request.URL.Path == path {
				return errBroken
			}
			return nil
		})
		if _, err := r.Sync(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v", path, err)
		}
		if writes := w.written(); len(writes) > 0 {
			t.Errorf("%s: wrote %v", path, writes)
		}
	}
}

func testRunGoesOnUntilConsulIsThere(t *testing.T, m *mesh) {
	registry := prometheus.NewRegistry()
	r, w := m.wired(func(c *Config) {
		c.SyncInterval = 50 * time.Millisecond
		c.Registerer = registry
	})
	m.aws.Put("f", Enabled())
	w.breakWith(func(*http.Request) error { return errBroken })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	eventually(t, func() error {
		if status := r.Status(); !strings.Contains(status.Error, errBroken.Error()) || !status.LastSuccess.IsZero() {
			return errors.New("the status does not say that Consul is not there")
		}
		return nil
	})
	w.breakWith(nil)
	eventually(t, func() error {
		if status := r.Status(); status.Error != "" || status.LastSuccess.IsZero() {
			return errors.New("no run went well: " + status.Error)
		}
		return nil
	})
	m.whole("f", m.aws.ARN("f"))
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
	metrics := Counted(t, registry)
	if metrics["lambdamesh_registrator_changes_total create"] != 1 || metrics["lambdamesh_registrator_last_success_timestamp_seconds"] == 0 {
		t.Errorf("metrics %v", metrics)
	}
}
