package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(searched{m}) }

// patience bounds what a whole story waits for; a good run needs a fraction.
const patience = 3 * time.Minute

// story is a mesh with what most tests need of it.
type story struct {
	*testmesh.Mesh
	t   *testing.T
	ctx context.Context

	wire    *recorder.Proxy // between Envoys and lambdamesh; nil before the first Envoy
	up      *recorder.Proxy // between lambdamesh and Consul; nil but in stories that compare
	secrets []string        // tokens that no bootstrap holds
}

// begin starts a story's mesh. LAMBDAMESH_E2E_DIR names a folder in which its logs
// stay. At the end of the test they are searched for secrets.
func begin(t *testing.T, cfg testmesh.MeshConfig) *story {
	t.Helper()
	cfg.Dir = t.TempDir()
	if keep := os.Getenv("LAMBDAMESH_E2E_DIR"); keep != "" {
		cfg.Dir = filepath.Join(keep, t.Name())
		if cfg.Beside != nil {
			cfg.Dir = filepath.Join(cfg.Dir, "beside")
		}
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &story{t: t, ctx: ctx}
	t.Cleanup(s.discreet) // when all has ended
	s.Mesh = testmesh.TestMesh(t, cfg)
	return s
}

// run is a part of the story.
func (s *story) run(name string, part func(t *testing.T)) {
	whole := s.t
	defer func() { s.t = whole }()
	whole.Run(name, func(t *testing.T) {
		s.t = t
		part(t)
	})
}

// must ends the test on an error.
func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// function creates a function from a source in testdata/functions.
func (s *story) function(name, source string, tags map[string]string, aliases ...string) (arn string) {
	s.t.Helper()
	file := s.source(source)
	arn, err := s.AWS.CreateFunction(s.ctx, testmesh.Function{Name: name, File: file, Tags: tags, Aliases: aliases})
	s.must(err)
	return arn
}

func (s *story) source(name string) string {
	s.t.Helper()
	file, err := testmesh.FunctionFile(name + ".py")
	s.must(err)
	return file
}

// byHand makes a service a function as Consul's document tells people to, with
// curl and the consul command in mind: the catalog first, then the entry.
func (s *story) byHand(name string, meta map[string]string) {
	s.t.Helper()
	s.must(s.Consul.RegisterLambda(s.ctx, name))
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta)))
}

// meta is the Meta of an enabled function, with more keys and values in turn.
func meta(arn string, more ...string) map[string]string {
	m := map[string]string{"enabled": "true", "arn": arn, "region": "us-east-1"}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

// AddSidecar is the mesh's, with the sidecar's Envoy on the recorded wire unless the
// options send it elsewhere.
func (s *story) AddSidecar(ctx context.Context, service string, upstreams []string, o testmesh.ProxyOptions) (*testmesh.Sidecar, error) {
	s.onWire(&o)
	return s.Mesh.AddSidecar(ctx, service, upstreams, o)
}

// AddTerminatingGateway is the mesh's, with the gateway's Envoy on the recorded wire
// unless the options send it elsewhere.
func (s *story) AddTerminatingGateway(ctx context.Context, name string, services []string, o testmesh.ProxyOptions) (*testmesh.Gateway, error) {
	s.onWire(&o)
	return s.Mesh.AddTerminatingGateway(ctx, name, services, o)
}

// AddEdgeGateway is the mesh's, with the gateway's Envoy on the recorded wire unless the
// options send it elsewhere.
func (s *story) AddEdgeGateway(ctx context.Context, kind api.ServiceKind, name string, o testmesh.ProxyOptions) (*testmesh.EdgeGateway, error) {
	s.onWire(&o)
	return s.Mesh.AddEdgeGateway(ctx, kind, name, o)
}

func (s *story) onWire(o *testmesh.ProxyOptions) {
	if o.XDSAddr != "" || s.Lambdamesh == nil {
		return
	}
	if s.wire == nil {
		s.wire = s.record(s.Lambdamesh.XDSAddr())
	}
	o.XDSAddr = s.wire.Addr()
}

func (s *story) gateway(name string, services ...string) *testmesh.Gateway {
	s.t.Helper()
	g, err := s.AddTerminatingGateway(s.ctx, name, services, testmesh.ProxyOptions{})
	s.must(err)
	s.healthy(g.Envoy)
	return g
}

func (s *story) sidecar(name string, upstreams ...string) *testmesh.Sidecar {
	s.t.Helper()
	c, err := s.AddSidecar(s.ctx, name, upstreams, testmesh.ProxyOptions{})
	s.must(err)
	s.healthy(c.Envoy)
	return c
}

// healthy checks at the end of the test that Envoy took updates and refused none.
func (s *story) healthy(e *testmesh.Envoy) {
	s.t.Cleanup(func() {
		if !e.Running() {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 10*time.Second)
		defer cancel()
		rejected, err := e.Rejected(ctx)
		if err != nil {
			s.t.Error(err)
		}
		updates, err := e.Updates(ctx)
		if err != nil {
			s.t.Error(err)
		}
		if rejected != 0 || updates == 0 {
			s.t.Errorf("%s: %d updates, %d rejected; want some and none", e.LogPath(), updates, rejected)
		}
	})
}

func (s *story) allow(source string, destinations ...string) {
	s.t.Helper()
	for _, d := range destinations {
		s.must(s.Consul.Allow(s.ctx, source, d))
	}
}

// answers waits until an upstream answers with a status.
func (s *story) answers(c *testmesh.Sidecar, upstream string, r testmesh.Request, status int) testmesh.Response {
	s.t.Helper()
	got, err := c.WaitStatus(s.ctx, upstream, r, status)
	s.must(err)
	return got
}

// unreachable waits until calls to an upstream fail: with 503, or, where Consul
// knows nothing of it and so not that it speaks HTTP, with a closed connection.
func (s *story) unreachable(c *testmesh.Sidecar, upstream string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		r, err := c.Call(ctx, upstream, testmesh.Request{})
		if err == nil && r.Status != http.StatusServiceUnavailable {
			return fmt.Errorf("%s answers %d", upstream, r.Status)
		}
		return nil
	}))
}

// greeting is what testdata/functions/hello.py answers.
type greeting struct {
	Function string            `json:"function"`
	ARN      string            `json:"arn"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Message  string            `json:"message"`
	Body     string            `json:"body"`
	Headers  map[string]string `json:"headers"`
}

func (s *story) greets(r testmesh.Response) greeting {
	s.t.Helper()
	var g greeting
	if err := json.Unmarshal(r.Body, &g); err != nil {
		s.t.Fatalf("the answer is not the function's: %s", r.Body)
	}
	return g
}

// signed checks that every call reached the invoke endpoint with a good signature.
func (s *story) signed() {
	s.t.Helper()
	for _, call := range s.AWS.Invoke.Calls() {
		if call.Refused != "" {
			s.t.Errorf("%s %s was refused (%s, first on its connection: %v)", call.Method, call.Path, call.Reason, call.FirstOnConn)
		}
	}
}

// load calls an upstream from several goroutines until stop, and each at least
// enough times to tell something. stop returns how many calls were made and what
// went wrong with some.
func (s *story) load(c *testmesh.Sidecar, upstream string, workers int) (stop func() (calls int, failures []string)) {
	const enough = 20
	type outcome struct {
		calls    int
		failures []string
	}
	ctx, cancel := context.WithCancel(s.ctx)
	results := make(chan outcome, workers)
	for range workers {
		go func() {
			var o outcome
			for ctx.Err() == nil || o.calls < enough {
				began := time.Now()
				r, err := c.Call(context.WithoutCancel(ctx), upstream, testmesh.Request{})
				o.calls++
				switch {
				case err != nil:
					o.failures = append(o.failures, fmt.Sprintf("%s: %v", began.Format("15:04:05.000"), err))
				case r.Status != http.StatusOK:
					o.failures = append(o.failures, fmt.Sprintf("%s: %d %.200s", began.Format("15:04:05.000"), r.Status, r.Body))
				}
			}
			results <- o
		}()
	}
	var once struct {
		done bool
		outcome
	}
	stop = func() (int, []string) {
		if !once.done {
			once.done = true
			cancel()
			for range workers {
				o := <-results
				once.calls += o.calls
				once.failures = append(once.failures, o.failures...)
			}
		}
		return once.calls, once.failures
	}
	s.t.Cleanup(func() { stop() })
	return stop
}

// app is an ordinary service of the mesh that answers 200, with its sidecar.
func (s *story) app(name string) {
	s.t.Helper()
	s.serve(s.sidecar(name).AppPort, name)
}

// serve answers everything with a text, on loopback, until the end of the test.
func (s *story) serve(port int, says string) {
	server := &http.Server{
		Addr: fmt.Sprintf("127.0.0.1:%d", port), ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, says) }),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ListenAndServe()
	}()
	s.t.Cleanup(func() { _ = server.Close(); <-done })
}

// clusterNamed finds the name under which Envoy has a service's cluster.
func clusterNamed(ctx context.Context, e *testmesh.Envoy, service string) (string, error) {
	clusters, err := e.Clusters(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range clusters {
		if strings.HasPrefix(c.Name, service+".") {
			return c.Name, nil
		}
	}
	return "", fmt.Errorf("no cluster of %s", service)
}

// envoyNode is the Node of an Envoy 1.40.0 with this proxy's configuration.
func envoyNode(id string) *corev3.Node {
	return &corev3.Node{
		Id: id, Cluster: id, UserAgentName: "envoy",
		UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40},
		}},
	}
}
