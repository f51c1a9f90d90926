package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestConsulRestarts: the only server goes away, politely and not, and comes back. The
// Envoys keep their streams, calls go on, and what changes then arrives.
func TestConsulRestarts(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	m := s.observe(testmesh.ProxyOptions{})
	for i, stop := range []func() error{
		s.Consul.Stop,
		func() error { s.Consul.Kill(); return nil },
	} {
		gone := time.Now()
		s.must(stop())
		s.must(s.Consul.Start(s.ctx))
		back := time.Now()
		m.changesArrive(fmt.Sprintf("after-%d", i))
		m.unnoticed()
		t.Logf("Consul was away for %v, and what changed then was there %v later", back.Sub(gone), time.Since(back))
	}
	m.quiet()
	s.signed()
}
