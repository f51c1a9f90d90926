package testmesh

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// StartTimeout bounds a start or a wait in a test: far more than two busy cores need,
// as only a failing test ever waits so long.
const StartTimeout = 60 * time.Second

// Context is the test's context with StartTimeout, for starts and waits.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), StartTimeout)
	t.Cleanup(cancel)
	return ctx
}

// TestPorts are Ports that are given back when the test ends.
func TestPorts(t testing.TB) *Ports {
	t.Helper()
	ports := NewPorts()
	t.Cleanup(ports.Close)
	return ports
}

// Bin fetches a part: Bin(t, (*parts.Cache).Consul).
func Bin(t testing.TB, get func(*parts.Cache, context.Context) (parts.Part, error)) parts.Part {
	t.Helper()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	// Not bounded as a start is: the first fetch of Consul builds it for minutes.
	part, err := get(cache, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// TestConsul starts a Consul server that ends with the test. Bin, Dir and Ports are
// filled if empty.
func TestConsul(t testing.TB, cfg ConsulConfig) *Consul {
	t.Helper()
	if cfg.Bin.Path == "" {
		cfg.Bin = Bin(t, (*parts.Cache).Consul)
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Ports == nil {
		cfg.Ports = TestPorts(t)
	}
	c, err := StartConsul(Context(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, c.Process, c.Stop) })
	return c
}

// TestAWS starts the emulated AWS, which ends with the test. Bin, Dir and Ports are
// filled if empty.
func TestAWS(t testing.TB, cfg AWSConfig) *AWS {
	t.Helper()
	if cfg.Bin.Path == "" {
		cfg.Bin = Bin(t, (*parts.Cache).Ministack)
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Ports == nil {
		cfg.Ports = TestPorts(t)
	}
	a, err := StartAWS(Context(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, a.Process, a.Close) })
	return a
}

// TestEnvoy starts an Envoy that ends with the test. Bin and Dir are filled if empty.
func TestEnvoy(t testing.TB, cfg EnvoyConfig) *Envoy {
	t.Helper()
	if cfg.Bin.Path == "" {
		cfg.Bin = Bin(t, (*parts.Cache).Envoy)
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	e, err := StartEnvoy(Context(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, e.Process, e.Stop) })
	return e
}

// TestMesh starts a mesh that ends with the test. Dir is filled if empty.
func TestMesh(t testing.TB, cfg MeshConfig) *Mesh {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Progress == nil {
		cfg.Progress = os.Stderr
	}
	// Fetched before the clock of the start runs.
	Bin(t, (*parts.Cache).Consul)
	Bin(t, (*parts.Cache).Ministack)
	Bin(t, (*parts.Cache).Envoy)
	m, err := StartMesh(Context(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, p := range m.Processes() {
				t.Logf("last lines of %s:\n%s", p.LogPath(), p.Tail(40))
			}
		}
	})
	return m
}

// end stops a part and shows the end of its log if the test failed.
func end(t testing.TB, p *Process, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("last lines of %s:\n%s", p.LogPath(), p.Tail(40))
	}
}
