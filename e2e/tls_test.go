package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// The conversations of these stories are not recorded: the recorder has no TLS.

// TestTLS: Envoys with the bootstrap that Consul's own command writes, over TLS. The
// certificate changes while one of them is connected.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := beginTLS(t)
	server := s.authority("server")
	certFile, keyFile := s.issue(server, "lambdamesh")
	s.must(s.StartLambdamesh(s.ctx, "--xds-cert-file", certFile, "--xds-key-file", keyFile))
	web := s.added("web")
	envoy := s.overTLS(web, server)
	s.must(envoy.WaitReady(s.ctx))
	s.until(web, "hello", s.arn)

	// Without TLS it gets nowhere, and the log says what it lacks.
	plain := s.added("plain")
	bootstrap, admin := s.bootstrap(plain, s.Lambdamesh.XDSAddr())
	refused := s.start(plain, bootstrap, admin)
	s.logged("bootstrapped without TLS")
	s.unconnected(refused)

	next := s.authority("next")
	s.must(next.IssueTo("lambdamesh", certFile, keyFile))
	s.presents(next)
	s.must(s.overTLS(s.added("late"), next).WaitReady(s.ctx))
	s.unconnected(s.overTLS(s.added("behind"), server))
	// The one from before is on the stream that it had, and it is served on.
	other := s.function("other", "hello", nil)
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hello", meta(other))))
	s.until(web, "hello", other)
	if n, err := envoy.Stat(s.ctx, "cluster.local_agent.upstream_rq_total"); err != nil || n != 1 {
		t.Errorf("Envoy has opened %d streams, want 1 (%v)", n, err)
	}
}

// TestMutualTLS: Envoys show a certificate. Consul's command writes none into a
// bootstrap, so it is added as docs/install.md says.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	s := beginTLS(t)
	server, clients := s.authority("server"), s.authority("clients")
	certFile, keyFile := s.issue(server, "lambdamesh")
	s.must(s.StartLambdamesh(s.ctx, "--xds-cert-file", certFile, "--xds-key-file", keyFile, "--xds-client-ca-file", clients.CAFile))

	s.unconnected(s.overTLS(s.added("nameless"), server))
	s.logged("didn't provide a certificate")
	s.unconnected(s.overTLS(s.added("stranger"), server, s.showing(server)))
	web := s.added("web")
	s.must(s.overTLS(web, server, s.showing(clients)).WaitReady(s.ctx))
	s.until(web, "hello", s.arn)
	if got := s.state().Proxies; len(got) != 1 || got[0].ID != web.ProxyID {
		t.Errorf("connected are %+v, want %s alone", got, web.ProxyID)
	}
}

// TestTLSMinVersion: an Envoy speaks at most TLS 1.2 unless its bootstrap says
// otherwise.
func TestTLSMinVersion(t *testing.T) {
	t.Parallel()
	s := beginTLS(t)
	server := s.authority("server")
	certFile, keyFile := s.issue(server, "lambdamesh")
	s.must(s.StartLambdamesh(s.ctx, "--xds-cert-file", certFile, "--xds-key-file", keyFile, "--xds-tls-min-version", "1.3"))
	s.unconnected(s.overTLS(s.added("old"), server))
	s.logged("tls_maximum_protocol_version")
	web := s.added("web")
	s.must(s.overTLS(web, server, func(tls object) {
		tls["tls_params"] = object{"tls_maximum_protocol_version": "TLSv1_3"}
	}).WaitReady(s.ctx))
	s.until(web, "hello", s.arn)
}

// tlsStory is a mesh with a function and without a lambdamesh yet.
type tlsStory struct {
	*story
	arn string
}

func beginTLS(t *testing.T) *tlsStory {
	t.Helper()
	s := &tlsStory{story: begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})}
	s.arn = s.function("hello", "hello", nil)
	s.byHand("hello", meta(s.arn))
	s.allow("*", "hello")
	return s
}

func (s *tlsStory) authority(name string) *testmesh.Authority {
	s.t.Helper()
	a, err := testmesh.NewAuthority(s.Dir(), name)
	s.must(err)
	return a
}

func (s *tlsStory) issue(a *testmesh.Authority, name string) (certFile, keyFile string) {
	s.t.Helper()
	certFile, keyFile, err := a.Issue(name)
	s.must(err)
	return certFile, keyFile
}

// added is a sidecar without its Envoy.
func (s *tlsStory) added(name string) *testmesh.Sidecar {
	s.t.Helper()
	c, err := s.Mesh.AddSidecar(s.ctx, name, []string{"hello"}, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)
	return c
}

func (s *tlsStory) bootstrap(c *testmesh.Sidecar, addr string, args ...string) (bootstrap []byte, admin int) {
	s.t.Helper()
	s.must(s.Ports().Fill(&admin))
	bootstrap, err := s.Consul.Bootstrap(s.ctx, testmesh.BootstrapConfig{
		GRPCAddr: addr, AdminAddr: fmt.Sprintf("127.0.0.1:%d", admin), Token: c.Token.SecretID, ProxyID: c.ProxyID, NodeName: s.Consul.NodeName(), Args: args,
	})
	s.must(err)
	return bootstrap, admin
}

// overTLS starts a sidecar's Envoy, which trusts one authority. change gets the TLS
// context of its bootstrap.
func (s *tlsStory) overTLS(c *testmesh.Sidecar, trusted *testmesh.Authority, change ...func(tls object)) *testmesh.Envoy {
	s.t.Helper()
	bootstrap, admin := s.bootstrap(c, "https://"+s.Lambdamesh.XDSAddr(), "-grpc-ca-file", trusted.CAFile)
	for _, change := range change {
		bootstrap = s.changed(bootstrap, change)
	}
	return s.start(c, bootstrap, admin)
}

// changed gives change the TLS context of a bootstrap's connection to lambdamesh.
func (s *tlsStory) changed(bootstrap []byte, change func(tls object)) []byte {
	s.t.Helper()
	var whole object
	s.must(json.Unmarshal(bootstrap, &whole))
	at := any(map[string]any(whole))
	for _, key := range []string{"static_resources", "clusters", "0", "transport_socket", "typed_config", "common_tls_context"} {
		if list, ok := at.([]any); ok {
			at = list[0]
			continue
		}
		at = at.(map[string]any)[key]
	}
	change(at.(map[string]any))
	bootstrap, err := json.Marshal(whole)
	s.must(err)
	return bootstrap
}

// showing lets an Envoy show a certificate of an authority.
func (s *tlsStory) showing(a *testmesh.Authority) func(tls object) {
	s.t.Helper()
	certFile, keyFile := s.issue(a, "envoy")
	return func(tls object) {
		tls["tls_certificates"] = []object{{
			"certificate_chain": object{"filename": certFile}, "private_key": object{"filename": keyFile},
		}}
	}
}

func (s *tlsStory) start(c *testmesh.Sidecar, bootstrap []byte, admin int) *testmesh.Envoy {
	s.t.Helper()
	credentials := s.AWS.Credentials()
	return testmesh.TestEnvoy(s.t, testmesh.EnvoyConfig{
		Dir: s.Dir(), Name: "envoy-" + c.ProxyID, Bootstrap: bootstrap, AdminPort: admin, Credentials: &credentials,
	})
}

// unconnected waits until an Envoy has failed to connect, which it has not done since.
func (s *tlsStory) unconnected(e *testmesh.Envoy) {
	s.t.Helper()
	s.must(e.WaitStat(s.ctx, "cluster_manager.cds.update_failure", func(n int64) bool { return n > 0 }))
	// An attempt counts as connected until it has failed (1.40.0).
	s.must(e.WaitStat(s.ctx, "control_plane.connected_state", func(n int64) bool { return n == 0 }))
	if n, err := e.Updates(s.ctx); err != nil || n != 0 {
		s.t.Errorf("%s has had %d updates (%v)", e.LogPath(), n, err)
	}
}

// logged waits until lambdamesh has logged something.
func (s *tlsStory) logged(part string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		text, err := os.ReadFile(s.Lambdamesh.LogPath())
		if err == nil && !strings.Contains(string(text), part) {
			err = errors.New("the log does not say " + part)
		}
		return err
	}))
}

// presents waits until lambdamesh shows a certificate of this authority.
func (s *tlsStory) presents(a *testmesh.Authority) {
	s.t.Helper()
	pem, err := os.ReadFile(a.CAFile)
	s.must(err)
	conf := &tls.Config{RootCAs: x509.NewCertPool(), NextProtos: []string{"h2"}}
	conf.RootCAs.AppendCertsFromPEM(pem)
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", s.Lambdamesh.XDSAddr())
		if err == nil {
			_ = conn.Close()
		}
		return err
	}))
}
