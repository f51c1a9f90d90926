package main

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
	"github.com/lambdamesh/lambdamesh/internal/golden"
)

// stillFor is long enough for what runs every few seconds to be met.
const stillFor = 20 * time.Second

// cpu measures what 1,000 proxies cost lambdamesh in CPU time, in plain text and over TLS:
// when they come, as many at a time as it takes, and while they have all they want and
// nothing changes.
func cpu(ctx context.Context, s *stage) error {
	c, upstream, err := s.startIdle(ctx)
	if err != nil {
		return err
	}
	pki, client, err := serverTLS()
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name   string
		client *tls.Config
		args   []string
	}{
		{"plain text", nil, nil},
		{"TLS", client, []string{"--xds-cert-file", filepath.Join(pki, golden.Leaf), "--xds-key-file", filepath.Join(pki, golden.LeafKey)}},
	} {
		l, err := s.startLambdamesh(ctx, c, upstream, way.args...)
		if err != nil {
			return err
		}
		if err := s.cpuOf(ctx, l, way.name, way.client); err != nil {
			return err
		}
		l.Kill()
	}
	return nil
}

func (s *stage) cpuOf(ctx context.Context, l *measured, how string, client *tls.Config) error {
	begun, err := l.cpu(ctx)
	if err != nil {
		return err
	}
	fleet, err := simenvoy.Start(ctx, idleFleet(l.XDSAddr(), client))
	if err != nil {
		return err
	}
	defer fleet.Close()
	come, err := l.cpu(ctx)
	if err != nil {
		return err
	}
	// The heap is that of their coming until it was collected.
	if _, err := settle(fleet.Context(), l); err != nil {
		return err
	}
	settled, err := l.cpu(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(stillFor):
	case <-fleet.Context().Done():
		return context.Cause(fleet.Context())
	}
	still, err := l.cpu(ctx)
	if err != nil {
		return err
	}
	s.add(report.Plain("cpu/"+how+"/1000-proxies-come", come-begun, "s"))
	s.add(report.Plain("cpu/"+how+"/1000-proxies-still", (still-settled)/stillFor.Seconds()*1000, "ms/s"))
	return nil
}

// cpu is the CPU time that it has used, in seconds.
func (m *measured) cpu(ctx context.Context) (float64, error) {
	metrics, err := m.Metrics(ctx)
	return metrics["process_cpu_seconds_total"], err
}
