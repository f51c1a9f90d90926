package consul

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"
)

// fakeNet is a network in memory, for tests in whose bubble time is faked. Servers on
// it are at addresses of the tests' choice, and fail when they are told to.
type fakeNet struct {
	t *testing.T

	mu      sync.Mutex
	servers map[string]*fakeServer
	names   map[string][]netip.Addr // what DNS says; a name that is not there cannot be looked up
	dialled map[string][]time.Time
	lookUps int
	log     bytes.Buffer
}

// fakeServer takes any stream, and keeps it until one side goes.
type fakeServer struct {
	listener *bufconn.Listener
	grpc     *grpc.Server
	dark     atomic.Bool  // a black hole: nothing passes, and nobody is told
	conns    atomic.Int32 // open ones
}

func inFakeNet(t *testing.T, test func(*testing.T, *fakeNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, &fakeNet{t: t, servers: map[string]*fakeServer{}, names: map[string][]netip.Addr{}, dialled: map[string][]time.Time{}})
	})
}

// pass lets time pass.
func (n *fakeNet) pass(d time.Duration) { pause(n.t.Context(), d) }

// serve starts servers.
func (n *fakeNet) serve(addrs ...string) {
	for _, addr := range addrs {
		n.add(addr)
		n.run(addr)
	}
}

// add makes a server that run starts.
func (n *fakeNet) add(addr string, options ...grpc.ServerOption) *fakeServer {
	// As Consul 1.22.5 has it: 15 s, and no ping without a stream.
	options = append(options, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second}))
	options = append(options, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return nil
	}))
	s := &fakeServer{listener: bufconn.Listen(64 << 10), grpc: grpc.NewServer(options...)}
	n.mu.Lock()
	n.servers[addr] = s
	n.mu.Unlock()
	return s
}

// run lets a server take connections, when its services are registered.
func (n *fakeNet) run(addr string) {
	s := n.server(addr)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.grpc.Serve(s.listener) // it ends when stop says so
	}()
	n.t.Cleanup(func() {
		s.grpc.Stop()
		<-served
	})
}

// stop ends a server as a kill does.
func (n *fakeNet) stop(addr string) {
	s := n.server(addr)
	n.mu.Lock()
	delete(n.servers, addr)
	n.mu.Unlock()
	s.grpc.Stop()
}

func (n *fakeNet) server(addr string) *fakeServer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.servers[addr]
}

func (n *fakeNet) name(name string, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.names, name)
	for _, ip := range ips {
		n.names[name] = append(n.names[name], netip.MustParseAddr(ip))
	}
}

func (n *fakeNet) lookUp(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lookUps++
	if ips := n.names[host]; ips != nil {
		return slices.Clone(ips), nil
	}
	return nil, errors.New("lookup " + host + ": no such host")
}

func (n *fakeNet) dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled[addr] = append(n.dialled[addr], time.Now())
	s := n.servers[addr]
	n.mu.Unlock()
	if s == nil {
		return nil, errors.New("dial " + addr + ": connection refused")
	}
	if s.dark.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := s.listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	s.conns.Add(1)
	return &fakeConn{Conn: conn, server: s}, nil
}

// dials are the times at which an address was dialled so far.
func (n *fakeNet) dials(addr string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dialled[addr])
}

// fakeConn is the client's end of a connection.
type fakeConn struct {
	net.Conn
	server *fakeServer
	once   sync.Once
}

func (c *fakeConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.server.dark.Load() {
			return n, err
		}
	}
}

func (c *fakeConn) Write(b []byte) (int, error) {
	if c.server.dark.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *fakeConn) Close() error {
	c.once.Do(func() { c.server.conns.Add(-1) })
	return c.Conn.Close()
}

// Write is where the Upstream logs.
func (n *fakeNet) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(line)
}

func (n *fakeNet) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// pool is an Upstream to these addresses that runs until its test ends. It has done
// what it does at the start.
func (n *fakeNet) pool(addrs string, cfg UpstreamConfig) *pool {
	n.t.Helper()
	var err error
	if cfg.Addrs, err = ParseGRPCAddrs(addrs); err != nil {
		n.t.Fatal(err)
	}
	cfg.dial, cfg.lookUp = n.dial, n.lookUp
	cfg.Log = slog.New(slog.NewTextHandler(n, nil))
	u, err := NewUpstream(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := u.Run(ctx); err != nil {
			n.t.Error(err)
		}
	}()
	n.t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return &pool{u, n.t}
}

type pool struct {
	*Upstream
	t *testing.T
}

// opened is a stream of a test.
type opened struct {
	grpc.ClientStream
	server string
	end    func()
}

// open opens a stream that must come to a server.
func (p *pool) open(choice Choice) opened {
	p.t.Helper()
	s, err := p.try(choice)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (p *pool) try(choice Choice) (opened, error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	stream, server, err := p.NewStream(ctx, choice, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test/Any")
	if err != nil {
		cancel()
	}
	return opened{stream, server, cancel}, err
}

// carried is how many streams each server carries, when all has settled.
func (p *pool) carried() map[string]int {
	synctest.Wait()
	carried := map[string]int{}
	for _, s := range p.Servers() {
		carried[s.Address] = s.Streams
	}
	return carried
}
