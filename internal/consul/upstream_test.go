package consul_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"
)

func upstream(t *testing.T, cfg consul.UpstreamConfig, addr string) *consul.Upstream {
	t.Helper()
	var err error
	cfg.Addrs, err = consul.ParseGRPCAddrs(addr)
	must(t, err)
	u, err := consul.NewUpstream(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := u.Run(ctx); err != nil {
			t.Errorf("the connection failed: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return u
}

// It connects without being asked for anything, notices that Consul is gone, and
// comes back with it.
func TestUpstreamOutlivesConsul(t *testing.T) {
	ctx := within(t)
	u := upstream(t, consul.UpstreamConfig{}, "grpc://"+server.GRPCAddr())
	until(ctx, t, "it is connected", func() bool { return u.Unready() == "" })
	must(t, server.Stop())
	until(ctx, t, "it is not", func() bool { return strings.Contains(u.Unready(), "refused") })
	must(t, server.Start(ctx))
	until(ctx, t, "it is again", func() bool { return u.Unready() == "" })
}

func TestUpstreamTLS(t *testing.T) {
	ctx := within(t)
	cert, ca := certificate(t, "server.dc1.consul")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	serveGRPC(t, l, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))

	good := upstream(t, consul.UpstreamConfig{CAFile: ca, ServerName: "server.dc1.consul"}, l.Addr().String())
	until(ctx, t, "it is connected", func() bool { return good.Unready() == "" })
	for name, test := range map[string]struct {
		cfg  consul.UpstreamConfig
		addr string
		says string
	}{
		"a wrong name":          {consul.UpstreamConfig{CAFile: ca, ServerName: "other"}, l.Addr().String(), "certificate"},
		"roots of the system":   {consul.UpstreamConfig{ServerName: "server.dc1.consul"}, "grpcs://" + l.Addr().String(), "certificate"},
		"a server without TLS":  {consul.UpstreamConfig{CAFile: ca}, server.GRPCAddr(), "handshake"},
		"nobody at the address": {consul.UpstreamConfig{}, "127.0.0.1:1", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			u := upstream(t, test.cfg, test.addr)
			until(ctx, t, "it says why: "+test.says, func() bool { return strings.Contains(u.Unready(), test.says) })
		})
	}
}

// Consul tells of its servers to any token that it knows, whatever its rights, and to
// nobody without one.
func TestUpstreamLearnsFromConsul(t *testing.T) {
	ctx := within(t)
	_, port, err := net.SplitHostPort(server.GRPCAddr())
	must(t, err)
	seed := "localhost:" + port // so that Consul's own name for itself is another
	token, err := server.Token(ctx, "watch", `key "x" { policy = "read" }`)
	must(t, err)
	for name, test := range map[string]struct {
		token   string
		servers []string
		log     string
	}{
		"a token of no rights": {token.SecretID, []string{seed, server.GRPCAddr()}, "a Consul server has come"},
		"no token":             {"", []string{seed}, "An ACL token must be provided"},
		"an unknown token":     {"6b5ab7a4-9ef8-4d31-8a8c-3a2b0b8b3a3b", []string{seed}, "ACL not found"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			file := filepath.Join(t.TempDir(), "token")
			must(t, os.WriteFile(file, []byte(test.token), 0o600))
			var log text
			u := upstream(t, consul.UpstreamConfig{
				Discover: &consul.ClientConfig{TokenFile: file}, Log: slog.New(slog.NewTextHandler(&log, nil)),
			}, seed)
			until(ctx, t, "it says: "+test.log, func() bool { return strings.Count(log.String(), test.log) == len(test.servers) })
			var addrs []string
			for _, s := range u.Servers() {
				addrs = append(addrs, s.Address)
			}
			if diff := cmp.Diff(test.servers, addrs); diff != "" {
				t.Error(diff)
			}
			if test.token != "" && strings.Contains(log.String(), test.token) {
				t.Error("the token is in the log")
			}
		})
	}
}

// text is a log that is written and read at the same time.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *text) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(line)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// One address, more streams than a connection takes, a real Consul. The next one would
// wait for ever if they were all on one connection.
func TestUpstreamCarriesManyStreams(t *testing.T) {
	const streams, mostOfAConnection = 3000, 2048
	ctx := within(t)
	u := upstream(t, consul.UpstreamConfig{}, server.GRPCAddr())
	streamsCtx, end := context.WithCancel(ctx)
	defer end()
	began := time.Now()
	for range streams {
		_, _, err := u.NewStream(streamsCtx, consul.Choice{}, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
			"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources")
		must(t, err)
	}
	t.Logf("%d streams in %s", streams, time.Since(began))
	if s := u.Servers()[0]; s.Streams != streams || s.Connections != 3 {
		t.Errorf("%+v", s)
	}
	// Consul's own count is off by a few when many begin at once.
	until(ctx, t, "Consul has them", func() bool {
		got, err := server.XDSStreams(ctx)
		must(t, err)
		return got > mostOfAConnection
	})
	end()
	until(ctx, t, "none is left", func() bool { return u.Servers()[0].Streams == 0 })
}

func TestUpstreamMetrics(t *testing.T) {
	ctx := within(t)
	registry := prometheus.NewRegistry()
	u := upstream(t, consul.UpstreamConfig{Registry: registry}, server.GRPCAddr()+",127.0.0.1:1")
	_, _, err := u.NewStream(ctx, consul.Choice{}, &grpc.StreamDesc{}, "/test/Any")
	must(t, err)
	until(ctx, t, "the other one has failed", func() bool { return u.Servers()[1].Problem != "not connected yet" })
	families, err := registry.Gather()
	must(t, err)
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got[family.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		"lambdamesh_upstream_connected 127.0.0.1:1":          0,
		"lambdamesh_upstream_connected " + server.GRPCAddr(): 1,
		"lambdamesh_upstream_streams 127.0.0.1:1":            0,
		"lambdamesh_upstream_streams " + server.GRPCAddr():   1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The authorities are changed while a stream is open, to what is none at first. The
// stream stays; new connections use those that were good last.
func TestUpstreamTLSRotates(t *testing.T) {
	ctx := within(t)
	dir := t.TempDir()
	before, err := testmesh.NewAuthority(dir, "before")
	must(t, err)
	after, err := testmesh.NewAuthority(dir, "after")
	must(t, err)
	certFile, keyFile, err := before.Issue("server.dc1.consul")
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var cert atomic.Pointer[tls.Certificate]
	var handshakes atomic.Int32
	use := func() {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		must(t, err)
		cert.Store(&pair)
	}
	use()
	serveGRPC(t, l, grpc.Creds(credentials.NewTLS(&tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			handshakes.Add(1)
			return cert.Load(), nil
		},
	})), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return nil
	}))

	ca := filepath.Join(dir, "ca.pem")
	replace := func(text []byte) {
		must(t, os.WriteFile(ca+".next", text, 0o600))
		must(t, os.Rename(ca+".next", ca))
	}
	read := func(file string) []byte {
		text, err := os.ReadFile(file)
		must(t, err)
		return text
	}
	replace(read(before.CAFile))
	ports := testmesh.NewPorts()
	t.Cleanup(ports.Close)
	link, err := testmesh.StartLink(ports, l.Addr().String())
	must(t, err)
	t.Cleanup(link.Close)
	var log text
	// The stream is on the direct way; the link is where new connections are made.
	u := upstream(t, consul.UpstreamConfig{
		CAFile: ca, ServerName: "server.dc1.consul", Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, l.Addr().String()+","+link.Addr())
	until(ctx, t, "both are connected", func() bool { return strings.Count(log.String(), "connected to Consul's xDS") == 2 })
	linked := func() string { return u.Servers()[1].Problem }
	stream, _, err := u.NewStream(ctx, consul.Choice{Pinned: true}, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test/Any")
	must(t, err)

	replace([]byte("none"))
	link.Cut()
	until(ctx, t, "it says that the file is bad", func() bool { return strings.Contains(log.String(), "holds no certificate") })
	until(ctx, t, "it has connected again", func() bool { return handshakes.Load() == 3 })
	until(ctx, t, "the last good ones are good enough", func() bool {
		ctx, end := context.WithCancel(ctx)
		defer end()
		_, to, err := u.NewStream(ctx, consul.Choice{}, &grpc.StreamDesc{}, "/test/Any")
		return err == nil && to == link.Addr()
	})
	must(t, after.IssueTo("server.dc1.consul", certFile, keyFile))
	use()
	link.Cut()
	until(ctx, t, "the new certificate is refused", func() bool { return strings.Contains(linked(), "unknown authority") })
	replace(read(after.CAFile))
	until(ctx, t, "the new authority is used", func() bool { return linked() == "" })
	must(t, stream.SendMsg(&emptypb.Empty{}))
	if err := stream.Context().Err(); err != nil {
		t.Error("the stream was dropped:", err)
	}
	if got := strings.Count(log.String(), "cannot be used, the last ones stay"); got != 1 {
		t.Errorf("it was said %d times", got)
	}
}

// serveGRPC serves until the test ends.
func serveGRPC(t *testing.T, l net.Listener, options ...grpc.ServerOption) {
	t.Helper()
	g := grpc.NewServer(options...)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestUpstreamMistakes(t *testing.T) {
	addrs, err := consul.ParseGRPCAddrs("127.0.0.1:1")
	must(t, err)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	for name, cfg := range map[string]consul.UpstreamConfig{
		"no address":     {},
		"a missing file": {Addrs: addrs, CAFile: empty + "x"},
		"an empty file":  {Addrs: addrs, CAFile: empty},
	} {
		if _, err := consul.NewUpstream(cfg); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

// certificate makes a certificate for a name that is its own authority, and the
// file of that authority.
func certificate(t *testing.T, name string) (cert tls.Certificate, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caFile
}
