package xds

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Server is the xDS server. Make it with NewServer.
type Server struct {
	cfg      Config
	metrics  *metrics
	rereads  *rate.Limiter
	patchers patchers
	forms    *forms
	readers  sync.WaitGroup // the goroutines that read from Envoys

	draining chan struct{} // closed by Drain, after drainOver is set

	mu        sync.Mutex
	streams   map[*stream]struct{}
	drainOver time.Duration
}

// NewServer makes a Server. It answers nobody before the first SetPatcher.
func NewServer(cfg Config) *Server {
	s := &Server{
		cfg:     cfg.withDefaults(),
		rereads: rate.NewLimiter(rereadRate, rereadRate),
		streams: map[*stream]struct{}{},

		draining: make(chan struct{}),
	}
	s.patchers.now.replaced = make(chan struct{})
	s.metrics = newMetrics(cfg.Registry, s)
	s.forms = newForms(s.metrics.patches)
	return s
}

// ServerOptions are what a grpc.Server must be made with to carry this Server: frames
// that need not be decoded, calls of other services passed on to Consul, and limits.
func (s *Server) ServerOptions() []grpc.ServerOption {
	return append(s.limits(),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.UnknownServiceHandler(s.pass),
	)
}

// Register adds the Aggregated Discovery Service to a grpc.Server.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.discovery.v3.AggregatedDiscoveryService",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{
				StreamName: "DeltaAggregatedResources", Handler: s.handle,
				ServerStreams: true, ClientStreams: true,
			},
			{
				StreamName: "StreamAggregatedResources", Handler: refuseStateOfTheWorld,
				ServerStreams: true, ClientStreams: true,
			},
		},
	}, s)
}

// Wait returns when no goroutine of a stream is left. Call it after the
// grpc.Server has stopped.
func (s *Server) Wait() { s.readers.Wait() }

// Drain ends the streams of all Envoys, connected and to come, each at a random
// moment within the time given, so that they do not all knock at the next server
// at once. It does not wait for them. Call it once.
func (s *Server) Drain(over time.Duration) {
	s.mu.Lock()
	s.drainOver = over
	s.mu.Unlock()
	close(s.draining)
}

func (s *Server) leaveAfter() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rand.N(s.drainOver + 1)
}

// handle serves one Envoy. A bug that panics ends that Envoy's stream, not the
// process: Envoy keeps what it has and connects again.
func (s *Server) handle(_ any, down grpc.ServerStream) (err error) {
	st := &stream{server: s, down: down, log: s.cfg.Log, ended: make(chan error, 1)}
	defer func() {
		if p := recover(); p != nil {
			err = st.panicked(p)
		}
	}()
	return st.serve(down.Context())
}

// errLeaving is what a call is told that is sent away by a Drain.
var errLeaving = status.Error(codes.Unavailable, "this lambdamesh stops, another or the next one serves")

func refuseStateOfTheWorld(any, grpc.ServerStream) error {
	return status.Error(codes.Unimplemented,
		"lambdamesh speaks the delta variant of xDS only: use api_type DELTA_GRPC, as in the bootstrap that Consul makes")
}

// SetPatcher puts a Patcher in force for all streams, connected and to come. It
// does not wait for them.
func (s *Server) SetPatcher(p Patcher) { s.SetPatcherFor(context.Background(), p) }

// SetPatcherFor is SetPatcher for a change that is traced: what Envoys are sent because
// of it belongs to the trace of ctx, a span for each push.
func (s *Server) SetPatcherFor(ctx context.Context, p Patcher) { s.patchers.set(p, tracedBy(ctx)) }

// Proxies lists the connected Envoys, sorted by ID.
func (s *Server) Proxies() []ProxyState {
	connected := s.all()
	states := make([]ProxyState, 0, len(connected))
	for _, st := range connected {
		states = append(states, st.state())
	}
	slices.SortFunc(states, func(a, b ProxyState) int { return cmp.Compare(a.ID, b.ID) })
	return states
}

// all are the streams of the connected Envoys, in no order.
func (s *Server) all() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.streams))
}

// connected is how many Envoys are.
func (s *Server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// patched is how many resources of a type Envoys have in a form of ours, all together.
func (s *Server) patched(typeURL string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for st := range s.streams {
		n += st.patched(typeURL)
	}
	return n
}

func (s *Server) add(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st] = struct{}{}
}

func (s *Server) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// firstPatcher waits for a Patcher: without one, an answer would be Consul's
// unpatched one. An Envoy that is told Unavailable keeps what it has.
func (s *Server) firstPatcher(ctx context.Context) (inForce, error) {
	timeout := time.NewTimer(s.cfg.TableWait)
	defer timeout.Stop()
	for {
		p := s.patchers.get()
		if p.patcher != nil {
			return p, nil
		}
		select {
		case <-p.replaced:
		case <-timeout.C:
			return inForce{}, status.Error(codes.Unavailable,
				"lambdamesh has not read the Lambda services from Consul yet, see its /readyz")
		case <-ctx.Done():
			return inForce{}, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// identify puts together what the Node and the catalog say of an Envoy.
func (s *Server) identify(ctx context.Context, node *corev3.Node) Proxy {
	version := node.GetUserAgentBuildVersion().GetVersion()
	identity := s.cfg.Identify(ctx, node)
	return Proxy{
		ID:         node.GetId(),
		NodeName:   node.GetMetadata().GetFields()["node_name"].GetStringValue(),
		Version:    Version{version.GetMajorNumber(), version.GetMinorNumber(), version.GetPatch()},
		Kind:       identity.Kind,
		Datacenter: identity.Datacenter,
		Service:    identity.Service,
	}
}
