package testmesh

import (
	"context"
	"errors"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// TestConsulServers: three servers outlive one of them, whichever leads, and take it
// back.
func TestConsulServers(t *testing.T) {
	ctx := Context(t)
	servers, err := StartConsulServers(ctx, 3, ConsulConfig{
		Bin: Bin(t, (*parts.Cache).Consul), Dir: t.TempDir(), Ports: TestPorts(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range servers {
		t.Cleanup(func() { end(t, c.Process, c.Stop) })
	}
	lost := servers[2]
	lost.Kill()
	// A lost leader is replaced within seconds; until then a write fails.
	err = Poll(ctx, func(ctx context.Context) error {
		return servers[0].SetEntry(ctx, LambdaDefaults("hello", map[string]string{"enabled": "true"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := lost.Start(ctx); err != nil {
		t.Fatal(err)
	}
	err = Poll(ctx, func(context.Context) error {
		entry, _, err := lost.API().ConfigEntries().Get("service-defaults", "hello", nil)
		if err == nil && entry.GetMeta()[MetaPrefix+"enabled"] != "true" {
			err = errors.New("the entry that was written meanwhile is not there")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := lost.XDSStreams(ctx); n != 0 || err != nil {
		t.Errorf("a server without Envoys counts %d streams (%v)", n, err)
	}
}
