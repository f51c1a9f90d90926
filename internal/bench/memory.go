package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

const (
	idleProxies  = 1000
	idleClusters = 20 // of each proxy

	// connecting is how many proxies of a large fleet connect at the same time.
	connecting = 50
)

// memory measures what lambdamesh holds for a proxy that has all it wants: in plain
// text and over TLS.
func memory(ctx context.Context, s *stage) error {
	c, upstream, err := s.startIdle(ctx)
	if err != nil {
		return err
	}
	plain, err := s.startLambdamesh(ctx, c, upstream)
	if err != nil {
		return err
	}
	if err := s.perProxy(ctx, plain, "plain text", 80, nil); err != nil {
		return err
	}
	plain.Kill()
	pki, client, err := serverTLS()
	if err != nil {
		return err
	}
	secured, err := s.startLambdamesh(ctx, c, upstream,
		"--xds-cert-file", filepath.Join(pki, golden.Leaf), "--xds-key-file", filepath.Join(pki, golden.LeafKey))
	if err != nil {
		return err
	}
	return s.perProxy(ctx, secured, "TLS", 128, client)
}

// startIdle starts what a fleet of idle sidecars needs.
func (s *stage) startIdle(ctx context.Context) (c *testmesh.Consul, upstream string, err error) {
	if c, err = s.startConsul(ctx); err != nil {
		return nil, "", err
	}
	cat, err := s.catalog(c)
	if err != nil {
		return nil, "", err
	}
	if err := cat.functions(ctx, 0, 100); err != nil {
		return nil, "", err
	}
	if err := cat.proxies(ctx, api.ServiceKindConnectProxy, idleProxies); err != nil {
		return nil, "", err
	}
	upstream, err = s.startUpstream(ctx)
	return c, upstream, err
}

// perProxy connects the proxies and says what each adds.
func (s *stage) perProxy(ctx context.Context, l *measured, how string, limit float64, client *tls.Config) error {
	cfg := idleFleet(l.XDSAddr(), client)
	if err := visit(ctx, cfg, connecting); err != nil {
		return err
	}
	before, err := settle(ctx, l)
	if err != nil {
		return err
	}
	fleet, err := simenvoy.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer fleet.Close()
	after, err := settle(fleet.Context(), l)
	if err != nil {
		return err
	}
	const kB = 1000 * idleProxies
	s.add(report.AtMost("memory/"+how+"/per-proxy", (after.bytes-before.bytes)/kB, "kB", limit))
	s.add(report.Plain("memory/"+how+"/per-proxy/live-heap", (after.live-before.live)/kB, "kB"))
	s.add(report.Plain("memory/"+how+"/per-proxy/stacks", (after.stacks-before.stacks)/kB, "kB"))
	return nil
}

// idleFleet is proxies that do nothing once they have all they want.
func idleFleet(addr string, client *tls.Config) simenvoy.FleetConfig {
	cfg := fleetOf(addr, idleProxies, fakeconsul.Script{Services: idleClusters})
	cfg.Parallel = connecting
	plain := cfg.Envoy
	cfg.Envoy = func(i int) (simenvoy.Config, error) {
		one, err := plain(i)
		one.TLS = client
		return one, err
	}
	return cfg
}

// serverTLS is the folder of the test certificates, and what a client needs that
// trusts them.
func serverTLS() (pki string, client *tls.Config, err error) {
	root, err := testmesh.SourceRoot()
	if err != nil {
		return "", nil, err
	}
	pki = filepath.Join(root, "testdata", "pki")
	pem, err := os.ReadFile(filepath.Join(pki, golden.CA))
	if err != nil {
		return "", nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return "", nil, errors.New("the CA of the tests is no certificate")
	}
	// Envoy's default.
	return pki, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, nil
}
