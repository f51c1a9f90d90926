package xds_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lambdamesh/lambdamesh/xds"
)

// bubble is an Envoy's end of a connection to a Server, and the fake servers behind it,
// where time is faked: all connections are in memory, so minutes pass at once when
// everybody waits.
type bubble struct {
	t       *testing.T
	server  *xds.Server
	envoy   discoveryv3.AggregatedDiscoveryServiceClient
	servers []*bubbleServer
	log     bubbleLog
}

// inBubble runs a test in a bubble with fake servers named a, b and so on. Nothing may
// be left when it ends: synctest sees to that.
func inBubble(t *testing.T, servers int, cfg xds.Config, test func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t}
		for i := range servers {
			b.servers = append(b.servers, newBubbleServer(t, string(rune('a'+i))))
		}
		cfg.Upstream, cfg.Log = firstOther(b.servers), slog.New(slog.NewTextHandler(&b.log, nil))
		b.server = xds.NewServer(cfg)
		b.server.SetPatcher(namePatcher("one"))
		t.Cleanup(b.server.Wait)
		down := grpc.NewServer(b.server.ServerOptions()...)
		b.server.Register(down)
		b.envoy = discoveryv3.NewAggregatedDiscoveryServiceClient(recordedConn{newPipe(t, down).conn, newRecords(t, "of envoy")})
		test(t, b)
	})
}

// bubbleLog is what the Server logs.
type bubbleLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *bubbleLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *bubbleLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// firstOther is an Upstream that takes the first server if the Choice is pinned, and
// else the first that is not to be avoided.
type firstOther []*bubbleServer

func (f firstOther) NewStream(ctx context.Context, choice xds.Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	taken := f[0]
	if taken.name == choice.Avoid && !choice.Pinned && len(f) > 1 {
		taken = f[1]
	}
	taken.note(choice)
	stream, err := taken.pipe.conn.NewStream(ctx, desc, method, opts...)
	return stream, taken.name, err
}

// bubbleServer is a fake server of Consul's that may be full.
type bubbleServer struct {
	fakeConsul
	name string
	grpc *grpc.Server
	pipe *pipe

	mu       sync.Mutex
	full     bool
	attempts []attempt
}

// attempt is one that a stream made to reach this server.
type attempt struct {
	xds.Choice
	at time.Time
}

func newBubbleServer(t *testing.T, name string) *bubbleServer {
	s := &bubbleServer{name: name, grpc: grpc.NewServer(), fakeConsul: fakeConsul{
		streams: make(chan *fakeStream, 10), records: newRecords(t, "at server "+name),
	}}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, s)
	s.pipe = newPipe(t, s.grpc)
	return s
}

// DeltaAggregatedResources refuses as Consul does if the server is full.
func (s *bubbleServer) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	s.mu.Lock()
	full := s.full
	s.mu.Unlock()
	if full {
		return status.Error(codes.ResourceExhausted, "this server has too many xDS streams open, please try another")
	}
	return s.fakeConsul.DeltaAggregatedResources(stream)
}

func (s *bubbleServer) fill(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

func (s *bubbleServer) note(choice xds.Choice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts = append(s.attempts, attempt{choice, time.Now()})
}

// taken gives the attempts so far and forgets them.
func (s *bubbleServer) taken() []attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.attempts
	s.attempts = nil
	return all
}

// upstream waits for the stream that has come to this server, and its first request.
func (s *bubbleServer) upstream(t *testing.T) (*fakeStream, *discoveryv3.DeltaDiscoveryRequest) {
	t.Helper()
	select {
	case st := <-s.streams:
		return st, st.next(t)
	case <-time.After(time.Minute):
		t.Fatalf("no stream has come to server %s", s.name)
		return nil, nil
	}
}

// pipe is a connection in memory to a gRPC server, with the keepalive that lambdamesh
// has towards Consul. Every connection can be cut, and turned into a black hole.
type pipe struct {
	conn     *grpc.ClientConn
	listener *bufconn.Listener

	mu   sync.Mutex
	open []*pipeConn
	dark bool // of connections to come
}

func newPipe(t *testing.T, server *grpc.Server) *pipe {
	t.Helper()
	p := &pipe{listener: bufconn.Listen(1 << 16)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(p.listener) })
	conn, err := grpc.NewClient("passthrough:///pipe", grpc.WithContextDialer(p.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithIdleTimeout(0),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}))
	must(t, err)
	p.conn = conn
	t.Cleanup(func() {
		_ = conn.Close()
		p.cut()
		server.Stop()
		serving.Wait()
	})
	return p
}

func (p *pipe) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := p.listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	made := &pipeConn{Conn: conn, gone: make(chan struct{}), dark: make(chan struct{})}
	p.open = append(p.open, made)
	if p.dark {
		close(made.dark)
	}
	return made, nil
}

// cut ends every connection, as the death of the server does.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.open {
		_ = conn.Close()
	}
	p.open = nil
}

// darken makes black holes of every connection, and of those to come.
func (p *pipe) darken() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dark = true
	for _, conn := range p.open {
		close(conn.dark)
	}
}

// pipeConn is the client's end of a connection. In the dark what is written goes
// nowhere, and nothing comes.
type pipeConn struct {
	net.Conn
	once sync.Once
	gone chan struct{}
	dark chan struct{}
}

func (c *pipeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.dark:
		<-c.gone
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *pipeConn) Write(b []byte) (int, error) {
	select {
	case <-c.dark:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

func (c *pipeConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// bubbleEnvoy is an Envoy's stream.
type bubbleEnvoy struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	versions map[string]string
}

// connect opens an Envoy's stream. Without a node's name it is one beside an agent.
func (b *bubble) connect(ctx context.Context, nodeName string) *bubbleEnvoy {
	b.t.Helper()
	stream, err := b.envoy.DeltaAggregatedResources(ctx)
	must(b.t, err)
	node := &corev3.Node{Id: "web-1"}
	if nodeName != "" {
		node.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"node_name": structpb.NewStringValue(nodeName)}}
	}
	must(b.t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: clusterType}))
	return &bubbleEnvoy{stream, map[string]string{}}
}

// takes checks that the next response brings these clusters and nothing else, and
// acknowledges it.
func (e *bubbleEnvoy) takes(t *testing.T, names ...string) {
	t.Helper()
	resp, err := e.Recv()
	must(t, err)
	got := map[string]bool{}
	for _, res := range resp.GetResources() {
		got[res.GetName()] = true
		if e.versions[res.GetName()] == res.GetVersion() {
			t.Errorf("%s is sent again, at the version that envoy has", res.GetName())
		}
		e.versions[res.GetName()] = res.GetVersion()
	}
	for _, name := range names {
		if !got[name] {
			t.Errorf("%s is not in the response", name)
		}
	}
	if len(got) != len(names) {
		t.Errorf("envoy is sent %v, want %v", got, names)
	}
	must(t, e.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
}

// started is an Envoy that a server has given two clusters, one of them patched.
func (b *bubble) started(ctx context.Context, from *bubbleServer, nodeName string) (*bubbleEnvoy, *fakeStream) {
	b.t.Helper()
	envoy := b.connect(ctx, nodeName)
	up, _ := from.upstream(b.t)
	must(b.t, up.Send(clusters(b.t, "c1", "fn-a", "plain")))
	envoy.takes(b.t, "fn-a", "plain")
	if got := up.next(b.t).GetResponseNonce(); got != "c1" {
		b.t.Fatalf("consul was answered with nonce %q", got)
	}
	from.taken()
	return envoy, up
}

// resumed checks that a stream which has come to a server says what Envoy has, and that
// Envoy is sent what it has not, and nothing else.
func (b *bubble) resumed(envoy *bubbleEnvoy, by *bubbleServer, news string) *fakeStream {
	b.t.Helper()
	up, first := by.upstream(b.t)
	if id := first.GetNode().GetId(); id != "web-1" {
		b.t.Errorf("the node is %q", id)
	}
	for name, want := range map[string]string{"fn-a": "", "plain": "v1"} {
		if got, ok := first.GetInitialResourceVersions()[name]; !ok || got != want {
			b.t.Errorf("the initial version of %s is %q", name, got)
		}
	}
	must(b.t, up.Send(clusters(b.t, "again", "fn-a")))
	if got := up.next(b.t).GetResponseNonce(); got != "again" {
		b.t.Errorf("what envoy has was not acknowledged for it, but %q", got)
	}
	must(b.t, up.Send(clusters(b.t, "news", news)))
	envoy.takes(b.t, news)
	if got := up.next(b.t).GetResponseNonce(); got != "news" {
		b.t.Errorf("the news were answered with nonce %q", got)
	}
	return up
}
