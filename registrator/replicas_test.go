package registrator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

const lockRules = recommendedRules + ` key_prefix "lambdamesh/" { policy = "write" } session_prefix "" { policy = "write" }`

// locks are the keys of the locks with the session that holds each.
func (m *mesh) locks() map[string]string {
	m.Helper()
	pairs, _, err := m.consul.KV().List("lambdamesh/", nil)
	if err != nil {
		m.Fatal(err)
	}
	all := map[string]string{}
	for _, pair := range pairs {
		all[pair.Key] = pair.Session
	}
	return all
}

// vanish ends the session that holds the lock, as its time to live does when the
// holder is dead.
func (m *mesh) vanish() {
	m.Helper()
	for key, session := range m.locks() {
		if session == "" {
			m.Fatalf("nobody holds %s", key)
		}
		if _, err := m.consul.Session().Destroy(session, nil); err != nil {
			m.Fatal(err)
		}
	}
}

// run has a registrator run until the test, or stop, ends it.
func (m *mesh) run(r *Registrator) (stop func()) {
	ctx, cancel := context.WithCancel(m.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	m.Cleanup(stop)
	return stop
}

// One of two replicas works; when it ends, the other does at once.
func testLockElectsOne(t *testing.T, m *mesh) {
	client, _ := m.as(lockRules)
	replica := func() *Registrator { return m.registrator(func(c *Config) { c.Consul = client }) }
	m.aws.Put("f", Enabled())
	one, two := replica(), replica()
	stop := m.run(one)
	eventually(t, func() error {
		if one.Status().LastSuccess.IsZero() {
			return errors.New("the first has not run")
		}
		return nil
	})
	m.run(two)
	eventually(t, func() error {
		if m.said("another replica holds the lock") == 0 {
			return errors.New("the second does not say that it waits")
		}
		return nil
	})
	if status := two.Status(); !status.LastRun.IsZero() || !status.Standby || one.Status().Standby {
		t.Errorf("the second: %+v", status)
	}
	stop()
	eventually(t, func() error {
		if two.Status().LastSuccess.IsZero() {
			return errors.New("the second does not take over")
		}
		return nil
	})
	if two.Status().Standby {
		t.Error("the second still says that it waits")
	}
	if n := len(m.locks()); n != 1 {
		t.Errorf("%d locks", n)
	}
}

// A replica that loses the lock while it writes stops; whoever gets it next ends
// what was begun.
func testLockLostWhileWriting(t *testing.T, m *mesh) {
	m.aws.Put("first", Enabled())
	m.sync(m.registrator(nil))
	for i := range 30 {
		m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
	}
	one, w := m.wired(nil)
	writing, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.breakWith(func(r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/v1/txn") {
			once.Do(func() { close(writing) })
			select {
			case <-release:
			case <-r.Context().Done():
				return r.Context().Err()
			}
		}
		return nil
	})
	m.run(one)
	<-writing
	two := m.registrator(nil)
	m.run(two)
	m.vanish()
	eventually(t, func() error {
		if status := one.Status(); !strings.Contains(status.Error, "the lock was lost") {
			return fmt.Errorf("the first goes on: %+v", status)
		}
		return nil
	})
	close(release)
	eventually(t, func() error { // the second, or the first if it is quicker to take the lock again
		if two.Status().LastSuccess.IsZero() && one.Status().LastSuccess.IsZero() {
			return fmt.Errorf("neither goes on: %s", two.Status().Error)
		}
		return nil
	})
	for i := range 30 {
		name := fmt.Sprintf("f%02d", i)
		m.whole(name, m.aws.ARN(name))
	}
}

// stalling is Consul as a replica sees it that dies in mid-sync: from the first
// transaction on nothing is answered any more.
func stalling(t *testing.T, addr string) (proxied string, reached <-chan struct{}) {
	t.Helper()
	at := make(chan struct{})
	var once sync.Once
	transport := &http.Transport{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.Transport = transport
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // the replica was killed
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/txn" {
			_, _ = io.Copy(io.Discard, r.Body) // else the client's end is not noticed
			once.Do(func() { close(at) })
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return strings.TrimPrefix(server.URL, "http://"), at
}

// replica starts `lambdamesh registrator` against a Consul, with a token.
func (m *mesh) replica(bin, name, consulAddr, token string) *testmesh.Process {
	m.Helper()
	dir := m.TempDir()
	p, err := testmesh.StartProcess(testmesh.Command{
		Name: name, Path: bin, Dir: dir,
		Args: []string{"registrator", "--consul-http-addr", consulAddr, "--sync-interval", "500ms", "--aws-rate", "1000"},
		Env: append(testmesh.Environ(dir), "CONSUL_HTTP_TOKEN="+token, "AWS_ENDPOINT_URL="+os.Getenv("AWS_ENDPOINT_URL"),
			"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"),
	})
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(p.Kill)
	return p
}

// Two real replicas, of which one is killed in mid-sync: with a lock the other one
// takes over, without one both have worked all along, and the end is the same.
func testReplicaIsKilledInMidSync(t *testing.T, m *mesh) {
	bin, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, rules := range map[string]string{"with a lock": lockRules, "without": recommendedRules} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, m.server)
			locked := rules == lockRules
			_, token := m.as(rules)
			m.aws.Put("gone", Enabled())
			m.sync(m.registrator(nil))
			m.aws.Delete("gone")
			for i := range 20 {
				m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
			}
			addr, reached := stalling(t, m.server.HTTPAddr())
			one := m.replica(bin, "one", addr, token.SecretID)
			select { // its entries are written, its services are not
			case <-reached:
			case <-testmesh.Context(t).Done():
				t.Fatalf("the first does not begin:\n%s", one.Tail(20))
			}
			if m.entry("f00") == nil || len(m.services("f00")) > 0 {
				t.Error("this is not mid-sync")
			}
			two := m.replica(bin, "two", m.server.HTTPAddr(), token.SecretID)
			one.Kill()
			if locked {
				m.vanish()
			}
			eventually(t, func() error {
				for i := range 20 {
					if len(m.services(fmt.Sprintf("f%02d", i))) == 0 {
						return fmt.Errorf("f%02d is not there; the second says:\n%s", i, two.Tail(20))
					}
				}
				if m.entry("gone") != nil {
					return errors.New("what is gone is still there")
				}
				return nil
			})
			for i := range 20 {
				name := fmt.Sprintf("f%02d", i)
				m.whole(name, m.aws.ARN(name))
			}
			m.expect(m.sync(m.registrator(nil)).Plan)
			said := strings.Contains(two.Tail(100), `key_prefix \"lambdamesh/\"`)
			if said == locked {
				t.Errorf("locked %t; the second says:\n%s", locked, two.Tail(20))
			}
			if err := two.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
