package registrator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// answering has Consul answer writes with a status, from the n-th on. A fake: no
// real server does that on demand.
type answering struct {
	http.RoundTripper
	status int
	body   string
	from   int64

	writes atomic.Int64
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		if a.writes.Add(1) >= a.from {
			return &http.Response{
				StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(a.body)), Request: r,
			}, nil
		}
	}
	return a.RoundTripper.RoundTrip(r)
}

// A Consul without a leader, or one that has too much to do, ends the run's writes;
// the next run goes on where that one stopped.
func testConsulInTrouble(t *testing.T, m *mesh) {
	for name, broken := range map[string]*answering{
		"no leader":    {status: 500, body: "No cluster leader", from: 4},
		"rate limited": {status: 429, body: "rate limit exceeded", from: 4},
		"unavailable":  {status: 503, body: "try again later", from: 4},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, m.server)
			r, w := m.wired(nil)
			m.aws.Put("first", Enabled())
			m.aws.Put("gone", Enabled())
			m.sync(r)
			m.aws.Delete("gone")
			for i := range 40 {
				m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
			}
			consul := w.RoundTripper
			broken.RoundTripper, w.RoundTripper = consul, broken
			result, err := r.Sync(t.Context())
			if err == nil || !strings.Contains(err.Error(), broken.body) || result.Applied != 0 {
				t.Errorf("applied %d, error %v", result.Applied, err)
			}
			if n := broken.writes.Load(); n > 20 {
				t.Errorf("it went on for %d writes", n)
			}
			m.whole("first", m.aws.ARN("first"))
			m.whole("gone", m.aws.ARN("gone")) // its removal did not come so far
			w.RoundTripper = consul
			if result := m.sync(r); result.Applied != 41 {
				t.Errorf("%d changes", result.Applied)
			}
			m.whole("f39", m.aws.ARN("f39"))
			m.gone("gone")
			m.expect(m.sync(r).Plan)
		})
	}
}

// AWS lists functions late and early: one deleted is still listed, a new one is
// not yet, one is deleted and created again, tags flip between two runs.
func testListingThatLags(t *testing.T, m *mesh) {
	r := m.registrator(nil)
	m.aws.Put("f", Enabled())
	m.aws.Put("new", Enabled())
	m.aws.Unlist("new", true)
	m.expect(m.sync(r).Plan, "create f")
	m.aws.Unlist("new", false)
	m.expect(m.sync(r).Plan, "create new")

	// It is deleted, and the listing shows it still: it stays until the listing knows.
	m.aws.Linger("new", true)
	m.expect(m.sync(r).Plan)
	m.whole("new", m.aws.ARN("new"))
	m.aws.Linger("new", false)
	m.expect(m.sync(r).Plan, "delete new")
	m.aws.Put("new", Enabled())
	m.expect(m.sync(r).Plan, "create new")

	before := m.indexes()
	m.aws.Delete("f") // and created again, before the next run
	m.aws.Put("f", Enabled())
	m.aws.Put("new", nil) // tags flip twice
	m.aws.Put("new", Enabled())
	m.expect(m.sync(r).Plan)
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}

	// The listing shows it deleted; it is back when AWS is asked about it.
	m.aws.Unlist("f", true)
	m.expect(m.sync(r).Plan)
	m.whole("f", m.aws.ARN("f"))
	if n := m.said("the function is there and tagged for it"); n != 1 {
		t.Errorf("that was said %d times", n)
	}
	m.aws.Unlist("f", false)

	// The tag that switches it on is gone, and another one is mistaken: that may be a
	// mistake too, so it stays, and a person hears of it.
	m.aws.Put("f", map[string]string{lambda.Prefix + lambda.KeyRetries: "many"})
	for range 2 {
		m.expect(m.sync(r).Plan)
	}
	m.whole("f", m.aws.ARN("f"))
	if n := m.said(lambda.KeyRetries); n != 1 {
		t.Errorf("the mistaken tag was said %d times", n)
	}

	// Credentials run out in mid-run: after the listing, before the confirmation.
	m.aws.Delete("f")
	m.aws.Fail(Fault{Operation: "ListTags", Status: http.StatusForbidden, Code: "ExpiredTokenException"})
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "ExpiredTokenException") {
		t.Errorf("error %v", err)
	}
	m.whole("f", m.aws.ARN("f"))
	m.aws.Heal()
	m.expect(m.sync(r).Plan, "delete f")
}

// Where the tagging API is denied that is said once, and stands in the metrics for as
// long as it is so.
func testTaggingDenied(t *testing.T, m *mesh) {
	registry := prometheus.NewRegistry()
	r := m.registrator(func(c *Config) { c.Registerer = registry })
	m.aws.Put("f", Enabled())
	m.aws.Put("gone", Enabled())
	const slow = "lambdamesh_registrator_one_by_one_listings"
	m.aws.Fail(Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "AccessDeniedException"})
	m.expect(m.sync(r).Plan, "create f", "create gone")
	m.aws.Delete("gone")
	m.expect(m.sync(r).Plan, "delete gone")
	if n := m.said("tag:GetResources is denied"); n != 1 || Counted(t, registry)[slow] != 1 {
		t.Errorf("said %d times, metrics %v", n, Counted(t, registry))
	}
	m.aws.Heal()
	m.expect(m.sync(r).Plan)
	if n := Counted(t, registry)[slow]; n != 0 {
		t.Errorf("the metric is still %v", n)
	}
}

// A run that is told to end in mid-sync ends between two writes and says so; the
// next one goes on.
func testEndInMidSync(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("first", Enabled())
	m.sync(r)
	for i := range 40 {
		m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var entries atomic.Int64
	w.breakWith(func(request *http.Request) error {
		if strings.HasPrefix(request.URL.Path, "/v1/config") && request.Method != http.MethodGet && entries.Add(1) == 10 {
			cancel()
		}
		return nil
	})
	if result, err := r.Sync(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stopped before it") || result.Applied != 0 {
		t.Errorf("applied %d, error %v", result.Applied, err)
	}
	w.breakWith(nil)
	if n := entries.Load(); n > 20 {
		t.Errorf("%d entries were written", n)
	}
	// A write that was under way when it ended may come to Consul after the next run has
	// read: then that one finds it changed, and the run after it goes on.
	applied := 0
	for range 2 {
		result, err := r.Sync(t.Context())
		if applied += result.Applied; err == nil {
			break
		} else if !strings.Contains(err.Error(), "somebody else changed it meanwhile") {
			t.Fatal(err)
		}
	}
	if applied != 40 {
		t.Errorf("%d changes", applied)
	}
	m.expect(m.sync(r).Plan)
}

// A server that restarts, and with it the leader, costs failed runs and nothing
// else: the lock is still held, and what changed meanwhile is caught up on.
func testConsulRestarts(t *testing.T, m *mesh) {
	r := m.registrator(func(c *Config) { c.SyncInterval = 100 * time.Millisecond })
	m.aws.Put("f", Enabled())
	m.aws.Put("gone", Enabled())
	m.run(r)
	there := func(name string) {
		t.Helper()
		eventually(t, func() error {
			if services, _, err := m.consul.Catalog().Service(name, "", nil); err != nil || len(services) != 1 {
				return fmt.Errorf("%d services %s, error %w", len(services), name, err)
			}
			return nil
		})
	}
	there("f")
	there("gone")
	before := m.locks()
	if err := m.server.Stop(); err != nil {
		t.Fatal(err)
	}
	m.aws.Put("new", Enabled())
	m.aws.Delete("gone")
	eventually(t, func() error {
		if r.Status().Error == "" {
			return errors.New("no run has failed")
		}
		return nil
	})
	if err := m.server.Start(testmesh.Context(t)); err != nil {
		t.Fatal(err)
	}
	there("new")
	eventually(t, func() error {
		if status := r.Status(); status.Error != "" {
			return errors.New(status.Error)
		}
		return nil
	})
	m.whole("f", m.aws.ARN("f"))
	m.gone("gone")
	if diff := cmp.Diff(before, m.locks()); diff != "" {
		t.Errorf("the lock changed hands:\n%s", diff)
	}
}
