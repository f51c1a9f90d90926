package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

func authority(t *testing.T, name string) *testmesh.Authority {
	t.Helper()
	a, err := testmesh.NewAuthority(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *testmesh.Authority, name string) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := a.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// trusting is a client's TLS that trusts one authority, with a certificate of another
// one if that is given.
func trusting(t *testing.T, server, client *testmesh.Authority) *tls.Config {
	t.Helper()
	ca, err := os.ReadFile(server.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", NextProtos: []string{"h2"}}
	conf.RootCAs.AppendCertsFromPEM(ca)
	if client != nil {
		pair, err := tls.LoadX509KeyPair(issue(t, client, "client"))
		if err != nil {
			t.Fatal(err)
		}
		// Whatever authorities the server names.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return conf
}

// shake makes a connection over handshakes and says how the server's end of it went.
func shake(t *testing.T, h handshakes, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return
		}
		defer conn.Close()
		if client == nil {
			_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		} else if tls.Client(conn, client).Handshake() != nil {
			return
		}
		_, _ = io.ReadAll(conn) // until the server's end is closed
	}()
	defer func() { <-done }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _, err = h.ServerHandshake(conn)
	return err
}

// TestCertificatesAreReadAgain: what changes serves the next connection, and what
// cannot be used changes nothing but the log.
func TestCertificatesAreReadAgain(t *testing.T) {
	one, two, clients, others := authority(t, "one"), authority(t, "two"), authority(t, "clients"), authority(t, "others")
	certFile, keyFile := issue(t, one, "server")
	var log buffer
	c := &certificates{
		of: "xds", certFile: certFile, keyFile: keyFile, caFile: clients.CAFile, minVersion: tls.VersionTLS12,
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	h := newHandshakes(c.config(), c.log)
	want := func(when string, good, bad *tls.Config) {
		t.Helper()
		if err := shake(t, h, good); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if err := shake(t, h, bad); err == nil {
			t.Errorf("%s: somebody was let in who must not", when)
		}
	}
	write := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c.look()
		c.look() // what was said is not said again
	}
	read := func(file string) string {
		t.Helper()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	want("at first", trusting(t, one, clients), trusting(t, two, clients))

	key := read(keyFile)
	_, otherKey := issue(t, two, "other")
	write(keyFile, read(otherKey))
	want("with a key that does not fit", trusting(t, one, clients), trusting(t, two, clients))
	write(keyFile, "nonsense")
	write(clients.CAFile+"x", "")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	c.look()
	want("without a key", trusting(t, one, clients), trusting(t, two, clients))
	write(keyFile, key)

	if err := two.IssueTo("server", certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	c.look()
	want("with a new certificate", trusting(t, two, clients), trusting(t, one, clients))

	ca := read(clients.CAFile)
	write(clients.CAFile, "nonsense")
	want("with a bad client CA", trusting(t, two, clients), trusting(t, two, others))
	write(clients.CAFile, ca+read(others.CAFile))
	want("with two client CAs", trusting(t, two, others), trusting(t, two, nil))
	write(clients.CAFile, read(others.CAFile))
	want("with the other client CA", trusting(t, two, others), trusting(t, two, clients))

	text := log.String()
	for part, times := range map[string]int{"stay in force": 4, "have changed": 3, "does not match": 1, "--xds-client-ca-file": 1} {
		if got := strings.Count(text, part); got != times {
			t.Errorf("the log says %q %d times, want %d", part, got, times)
		}
	}
	for _, secret := range []string{"BEGIN", key[40:80], ca[40:80]} {
		if strings.Contains(text, secret) {
			t.Error("the log holds what is in the files")
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestCertificatesRun: changes are found by themselves.
func TestCertificatesRun(t *testing.T) {
	one, two := authority(t, "one"), authority(t, "two")
	certFile, keyFile := issue(t, one, "server")
	c := &certificates{
		of: "admin", certFile: certFile, keyFile: keyFile, minVersion: tls.VersionTLS12,
		interval: time.Millisecond, log: slog.New(slog.DiscardHandler),
	}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	before := c.inForce.Load()
	ran := make(chan error, 1)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	go func() { ran <- c.run(ctx) }()
	if err := two.IssueTo("server", certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	if err := testmesh.Poll(ctx, func(context.Context) error {
		if c.inForce.Load() == before {
			return errors.New("the old ones are in force")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// TestFailedHandshakesAreExplained, at most one of a kind of flood, and silence is no
// failure.
func TestFailedHandshakesAreExplained(t *testing.T) {
	server, clients := authority(t, "server"), authority(t, "clients")
	certFile, keyFile := issue(t, server, "server")
	for _, test := range []struct {
		name   string
		client *tls.Config
		says   string
	}{
		{"an Envoy that speaks 1.2", func() *tls.Config {
			conf := trusting(t, server, clients)
			conf.MaxVersion = tls.VersionTLS12
			return conf
		}(), "tls_maximum_protocol_version"},
		{"no certificate", trusting(t, server, nil), "writes none"},
		{"another authority's certificate", trusting(t, server, server), "unknown authority"},
		{"a peer that does not trust us", trusting(t, clients, clients), "bad certificate"},
		{"no TLS", nil, "-grpc-ca-file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log buffer
			c := &certificates{
				of: "xds", certFile: certFile, keyFile: keyFile, caFile: clients.CAFile, minVersion: tls.VersionTLS13,
				log: slog.New(slog.NewTextHandler(&log, nil)),
			}
			if err := c.open(); err != nil {
				t.Fatal(err)
			}
			h := newHandshakes(c.config(), c.log).Clone().(handshakes)
			for range 3 {
				if shake(t, h, test.client) == nil {
					t.Error("it was let in")
				}
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, test.says) {
				t.Errorf("the log does not say once %q: %s", test.says, text)
			}
		})
	}
}

// TestFailedHandshakesAreNotRepeated: the same host for the same reason, for an hour.
func TestFailedHandshakesAreNotRepeated(t *testing.T) {
	peer := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	reset := func(port int) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: peer("192.0.2.1:" + strconv.Itoa(port)), Err: errors.New("connection timed out")}
	}
	all, now := &told{when: map[string]time.Time{}}, time.Now()
	for i, step := range []struct {
		peer  string
		err   error
		after time.Duration
		want  bool
	}{
		{"192.0.2.1:1000", errors.New("tls: a"), 0, true},
		{"192.0.2.1:1001", errors.New("tls: a"), time.Minute, false},
		{"192.0.2.1:1002", errors.New("tls: b"), 2 * time.Minute, true},
		{"192.0.2.2:1000", errors.New("tls: a"), 3 * time.Minute, true},
		{"192.0.2.1:1000", reset(1000), 4 * time.Minute, true},
		{"192.0.2.1:1003", reset(1003), 5 * time.Minute, false},
		{"192.0.2.1:1000", errors.New("tls: a"), 61 * time.Minute, true},
	} {
		if got := all.first(failureOf(peer(step.peer), step.err), now.Add(step.after)); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	all.first("last", now.Add(24*time.Hour))
	if len(all.when) != 1 {
		t.Errorf("%d are remembered", len(all.when))
	}
}

// TestPeersWithoutALPN: consul-dataplane offers no protocol, and speaks HTTP/2.
func TestPeersWithoutALPN(t *testing.T) {
	server := authority(t, "server")
	certFile, keyFile := issue(t, server, "server")
	c := &certificates{of: "xds", certFile: certFile, keyFile: keyFile, minVersion: tls.VersionTLS12, log: slog.New(slog.DiscardHandler)}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	conf := trusting(t, server, nil)
	conf.NextProtos = nil
	if err := shake(t, newHandshakes(c.config(), c.log), conf); err != nil {
		t.Error(err)
	}
}

// TestServeOverTLS: both addresses have TLS when told to, and the admin pages want their
// token.
func TestServeOverTLS(t *testing.T) {
	clean(t)
	ca := authority(t, "server")
	certFile, keyFile := issue(t, ca, "server")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, nil, "--consul-http-addr=127.0.0.1:1", "--consul-grpc-addr=127.0.0.1:1",
		"--xds-cert-file", certFile, "--xds-key-file", keyFile,
		"--admin-cert-file", certFile, "--admin-key-file", keyFile, "--admin-token-file", token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trusting(t, ca, nil)}}
	for bearer, want := range map[string]int{"s3cret": http.StatusOK, "other": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.admin+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with the token %q: %d", bearer, resp.StatusCode)
		}
	}
	conn, err := grpc.NewClient(s.address(t, "xds"), grpc.WithTransportCredentials(credentials.NewTLS(trusting(t, ca, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&discoveryv3.DiscoveryRequest{}) // the stream may have ended by now
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want the relay's own words", err)
	}
	s.ends(t)
}
