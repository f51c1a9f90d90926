package consul_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"go.uber.org/goleak"
)

// server is a real Consul with ACLs on and default deny, for all tests here.
var server *testmesh.Consul

func TestMain(m *testing.M) {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CONSUL_") && name != "CONSUL_BIN" {
			_ = os.Unsetenv(name)
		}
	}
	code, err := withServer(m.Run)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withServer(run func() int) (int, error) {
	// Building Consul, where it is not there yet, takes minutes.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return 0, err
	}
	bin, err := cache.Consul(ctx)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "lambdamesh-consul-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ports := testmesh.NewPorts()
	defer ports.Close()
	if server, err = testmesh.StartConsul(ctx, testmesh.ConsulConfig{Bin: bin, Dir: dir, Ports: ports}); err != nil {
		return 0, err
	}
	code := run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, server.Tail(30))
	}
	return code, server.Stop()
}

// within is a context for one test that waits for real processes.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// clientWith is a client with a token, or none.
func clientWith(t *testing.T, token string) *consul.Client {
	t.Helper()
	cfg := consul.ClientConfig{Address: server.HTTPAddr()}
	if token != "" {
		cfg.TokenFile = filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(cfg.TokenFile, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := consul.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// tokenWith is a client with a new token that has these rules.
func tokenWith(ctx context.Context, t *testing.T, rules string) *consul.Client {
	t.Helper()
	token, err := server.Token(ctx, "test", rules)
	if err != nil {
		t.Fatal(err)
	}
	return clientWith(t, token.SecretID)
}

// must ends a test at once for an error of the set-up.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
