package consul_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
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
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

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
