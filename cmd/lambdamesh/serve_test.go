package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// buffer is a bytes.Buffer for a writer and a reader at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serving is a `lambdamesh serve` in this process.
type serving struct {
	stderr buffer
	stop   context.CancelFunc
	code   chan int
	client *http.Client
	admin  string // host:port
	probe  string // host:port
}

// serve starts it on free ports; stopping it is the test's.
func serve(t *testing.T, env map[string]string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{
		stop: cancel, code: make(chan int, 1),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	args = append([]string{"serve", "--xds-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--probe-addr=127.0.0.1:0"}, args...)
	go func() { s.code <- run(ctx, args, variables(env), io.Discard, &s.stderr) }()
	s.admin, s.probe = s.address(t, "admin"), s.address(t, "probe")
	return s
}

// address waits for the log line that tells one.
func (s *serving) address(t *testing.T, of string) string {
	t.Helper()
	line := regexp.MustCompile(`msg=listening for=` + of + ` address=(\S+)`)
	var found string
	s.poll(t, func(context.Context) error {
		match := line.FindStringSubmatch(s.stderr.String())
		if match == nil {
			return fmt.Errorf("no address of %s in the log: %s", of, s.stderr.String())
		}
		found = match[1]
		return nil
	})
	return found
}

func (s *serving) poll(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := testmesh.Poll(ctx, try); err != nil {
		t.Fatal(err)
	}
}

func (s *serving) get(ctx context.Context, addr, path string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, strings.TrimSpace(string(body)), err
}

// answers waits until a path answers with a code and a body with this part.
func (s *serving) answers(t *testing.T, addr, path string, code int, part string) {
	t.Helper()
	s.poll(t, func(ctx context.Context) error {
		got, body, err := s.get(ctx, addr, path)
		if err == nil && (got != code || !strings.Contains(body, part)) {
			err = fmt.Errorf("%s answers %d %.300q, want %d %q", path, got, body, code, part)
		}
		return err
	})
}

func (s *serving) state(t *testing.T) admin.State {
	t.Helper()
	_, body, err := s.get(t.Context(), s.admin, "/api/v1/state")
	if err != nil {
		t.Fatal(err)
	}
	var state admin.State
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// ends stops it and wants exit code 0.
func (s *serving) ends(t *testing.T) {
	t.Helper()
	s.stop()
	if code := <-s.code; code != exitOK {
		t.Errorf("exit %d: %s", code, s.stderr.String())
	}
}

func TestServeWithoutConsul(t *testing.T) {
	clean(t)
	s := serve(t, nil, "--consul-http-addr=127.0.0.1:1", "--consul-grpc-addr=127.0.0.1:1")
	s.answers(t, s.admin, "/livez", 200, "ok")
	s.answers(t, s.probe, "/livez", 200, "ok")
	s.answers(t, s.admin, "/readyz", 503, "connection refused")
	s.answers(t, s.probe, "/readyz", 503, "unready")
	if state := s.state(t); state.Table.AgeSeconds != nil || !strings.Contains(state.Table.Problem, "refused") {
		t.Errorf("state %+v", state)
	}
	s.ends(t)
	log := s.stderr.String()
	for _, part := range []string{"no Lambda services yet", "Consul's xDS cannot be reached"} {
		if strings.Count(log, part) != 1 {
			t.Errorf("the log does not say once %q: %s", part, log)
		}
	}
}

// Streams that Envoys hold end at SIGTERM, within --drain-timeout.
func TestServeDrains(t *testing.T) {
	clean(t)
	s := serve(t, nil, "--consul-http-addr="+emptyConsul(t), "--consul-grpc-addr=127.0.0.1:1", "--drain-timeout=300ms")
	conn, err := grpc.NewClient(s.address(t, "xds"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{Id: "web-1"}, TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	}); err != nil {
		t.Fatal(err)
	}
	s.answers(t, s.admin, "/metrics", 200, "lambdamesh_xds_streams 1")
	start := time.Now()
	s.ends(t)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream goes on")
	}
}

// emptyConsul is the address of a Consul that has nothing, and no gRPC.
func emptyConsul(t *testing.T) string {
	t.Helper()
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/agent/version":
			_, _ = w.Write([]byte(`{"HumanVersion": "1.22.5"}`))
		case r.URL.Path == "/v1/connect/intentions/match":
			_, _ = w.Write([]byte(`{}`))
		case r.URL.Path == "/v1/connect/intentions/check":
			_, _ = w.Write([]byte(`{"Allowed": false}`))
		case !strings.HasPrefix(r.URL.Path, "/v1/config/"):
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("index") != "":
			<-r.Context().Done() // as a blocking query does
		default:
			w.Header().Set("X-Consul-Index", "7")
			_, _ = w.Write([]byte(`[]`))
		}
	}))
	t.Cleanup(fake.Close)
	return fake.URL
}

func TestServeOnATakenAddressFails(t *testing.T) {
	clean(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"xds-addr", "admin-addr", "probe-addr"} {
		args := []string{"serve", "--xds-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--log-level=error", "--" + flag, l.Addr().String()}
		code, _, stderr := invoke(t, nil, args...)
		if code != exitFailed || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "--"+flag) {
			t.Errorf("%s: exit %d, %q", flag, code, stderr)
		}
	}
}

// With a real Consul: serve starts before it, becomes ready with it, follows it,
// outlives it, and prints no secret whatever happens.
func TestServeWithConsul(t *testing.T) {
	clean(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // Consul may have to be built
	defer cancel()
	consul := startConsul(ctx, t)
	token, err := consul.Token(ctx, "serve", testmesh.LambdameshRules)
	if err != nil {
		t.Fatal(err)
	}
	if err := consul.SetEntry(ctx,
		testmesh.LambdaDefaults("good", map[string]string{"enabled": "true", "arn": "arn:aws:lambda:us-east-1:123456789012:function:good"}),
		testmesh.LambdaDefaults("bad", map[string]string{"enabled": "true", "arn": "nonsense"}),
	); err != nil {
		t.Fatal(err)
	}
	if err := consul.Stop(); err != nil {
		t.Fatal(err)
	}

	t.Setenv("CONSUL_HTTP_TOKEN", token.SecretID)
	s := serve(t, map[string]string{"CONSUL_HTTP_ADDR": consul.HTTPAddr(), "CONSUL_GRPC_ADDR": "grpc://" + consul.GRPCAddr()}, "--log-level=debug")
	s.answers(t, s.admin, "/readyz", 503, "refused")
	if err := consul.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.answers(t, s.admin, "/readyz", 200, "ok")
	s.answers(t, s.probe, "/readyz", 200, "ok")
	state := s.state(t)
	if len(state.Services) != 2 || state.Services[0].State != "error" || state.Services[1].State != "ok" ||
		len(state.Services[0].Errors) != 1 || !strings.Contains(state.Services[0].Errors[0], "nonsense") {
		t.Errorf("services %+v", state.Services)
	}
	if state.Registrator != nil || len(state.Proxies) != 0 || state.Table.AgeSeconds == nil || state.Table.Problem != "" {
		t.Errorf("state %+v", state)
	}
	s.answers(t, s.admin, "/metrics", 200, `lambdamesh_services{state="ok"} 1`)
	s.answers(t, s.admin, "/metrics", 200, `lambdamesh_table_age_seconds`)
	s.answers(t, s.admin, "/metrics", 200, `go_goroutines`)

	if err := consul.SetRules(ctx, token, `service "good" { policy = "read" }`); err != nil {
		t.Fatal(err)
	}
	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "poke"}
	s.poll(t, func(ctx context.Context) error {
		entry.MaxInboundConnections++ // ends blocking queries, which keep the rights they began with
		if err := consul.SetEntry(ctx, entry); err != nil {
			return err
		}
		_, body, err := s.get(ctx, s.admin, "/readyz")
		if err == nil && !strings.Contains(body, `service_prefix "" { policy = "read" }`) {
			err = fmt.Errorf("readyz answers %q", body)
		}
		return err
	})
	if err := consul.DeleteToken(ctx, token); err != nil {
		t.Fatal(err)
	}
	s.answers(t, s.admin, "/readyz", 503, "ACL not found")
	if state := s.state(t); len(state.Services) != 2 {
		t.Errorf("a token without rights took services away: %+v", state.Services)
	}
	_, metrics, _ := s.get(ctx, s.admin, "/metrics")
	_, dump, _ := s.get(ctx, s.admin, "/api/v1/state")
	s.ends(t)
	for what, text := range map[string]string{"log": s.stderr.String(), "metrics": metrics, "state": dump} {
		if strings.Contains(text, token.SecretID) {
			t.Errorf("the %s holds the token", what)
		}
	}
}

func startConsul(ctx context.Context, t *testing.T) *testmesh.Consul {
	t.Helper()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := cache.Consul(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ports := testmesh.NewPorts()
	t.Cleanup(ports.Close)
	consul, err := testmesh.StartConsul(ctx, testmesh.ConsulConfig{Bin: bin, Dir: t.TempDir(), Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := consul.Stop(); err != nil {
			t.Error(err)
		}
	})
	return consul
}
