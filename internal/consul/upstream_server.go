package consul

import (
	"context"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// A black hole is noticed by the streams in it 50 s after the last byte at the
	// latest. Consul 1.22.5 ends connections that ping more often than every 15 s, or
	// without a stream.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 20 * time.Second

	// connectTimeout bounds one attempt to connect, and connectBackoff, with a fifth of
	// it as jitter, the time between two: a server that comes back is found within it.
	connectTimeout = 5 * time.Second
	connectBackoff = 2 * time.Second

	// connectPause is the least time between two connections that were taken: grpc's
	// backoff begins anew with each.
	connectPause = time.Second
)

// notYet is the problem of what has not been tried to its end.
const notYet = "not connected yet"

// endpoint is where a server listens, and what it is called there.
type endpoint struct {
	addr      string // host:port with an IP or localhost, or unix:///path
	authority string // host:port as configured; its host is the name in the certificate
}

// Bounds of what a server's connection takes in before it is read, in bytes.
const (
	streamWindow     = 1 << 20
	connectionWindow = 16 << 20
	readBuffer       = 256 << 10
)

// server is one of Consul's servers. Its fields are guarded by Upstream.mu.
type server struct {
	endpoint
	conns []*conn // at least one; the first stays open while the server is named
	gone  bool    // no longer named: it gets no new streams, and ends with its last one
}

// conn is one HTTP/2 connection to a server, opened again when it is lost. Its fields
// but grpc and server, which never change, are guarded by Upstream.mu.
type conn struct {
	grpc   *grpc.ClientConn
	server *server

	streams int // of ours
	unused  bool
	state   connectivity.State
	problem string // empty while it is connected, and while it is connecting anew
}

// state is Ready if one of its connections is, else that of the first.
func (s *server) state() connectivity.State {
	for _, c := range s.conns {
		if c.state == connectivity.Ready {
			return connectivity.Ready
		}
	}
	return s.conns[0].state
}

// problem says why it cannot be used; empty if it can.
func (s *server) problem() string {
	for _, c := range s.conns {
		if c.problem == "" {
			return ""
		}
	}
	return s.conns[0].problem
}

func (s *server) streams() int {
	n := 0
	for _, c := range s.conns {
		n += c.streams
	}
	return n
}

// find is the server with this address, or nil.
func find(servers []*server, addr string) *server {
	for _, s := range servers {
		if s.addr == addr {
			return s
		}
	}
	return nil
}

// openLocked adds a connection to a server. It does not wait for it.
func (u *Upstream) openLocked(s *server) error {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(u.credentials()),
		// No proxy of the environment's: an Envoy would use none on this way either.
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return u.cfg.dial(ctx, s.addr) }),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: connectBackoff},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(u.cfg.MaxMessageSize), grpc.MaxCallSendMsgSize(u.cfg.MaxMessageSize)),
		// Idleness would close the connection that readiness is judged by.
		grpc.WithIdleTimeout(0),
		// A response of a few hundred kB arrives without waiting for room in between.
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithReadBufferSize(readBuffer),
	}
	if !u.tls() || u.cfg.ServerName == "" {
		options = append(options, grpc.WithAuthority(s.authority))
	}
	client, err := grpc.NewClient("passthrough:///consul", options...)
	if err != nil {
		return err
	}
	c := &conn{grpc: client, server: s, problem: notYet}
	s.conns = append(s.conns, c)
	u.following.Go(func() { u.follow(c) })
	return nil
}

// tls reports whether the servers speak TLS.
func (u *Upstream) tls() bool { return u.cfg.Addrs[0].TLS || u.roots != nil }

func (u *Upstream) credentials() credentials.TransportCredentials {
	if !u.tls() {
		return insecure.NewCredentials()
	}
	return newTLS(u.cfg.ServerName, u.roots)
}

// follow keeps a connection open, and the Upstream informed of its state, until it is
// closed.
func (u *Upstream) follow(c *conn) {
	var began time.Time
	for {
		state := c.grpc.GetState()
		u.note(c, state)
		switch since := time.Since(began); {
		case state == connectivity.Shutdown:
			return
		case state == connectivity.Idle && since < connectPause:
			c.wait(state, connectPause-since)
			continue
		case state == connectivity.Idle:
			began = time.Now()
			c.grpc.Connect()
			c.wait(state, connectPause) // it may have come and gone by now, unseen
			continue
		}
		c.grpc.WaitForStateChange(context.Background(), state) // closing is a change
	}
}

// wait waits for another state, so long at most.
func (c *conn) wait(state connectivity.State, most time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	c.grpc.WaitForStateChange(ctx, state)
}

// note takes a connection's state, and logs where its server turns from usable to
// unusable or back.
func (u *Upstream) note(c *conn, state connectivity.State) {
	reason := ""
	if state == connectivity.TransientFailure {
		reason = c.lastError()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	before := c.server.problem()
	c.state = state
	switch state {
	case connectivity.Ready:
		c.problem = ""
	case connectivity.TransientFailure:
		c.problem = reason
	}
	u.wakeLocked()
	after := c.server.problem()
	switch {
	case u.closed, c.server.gone:
	case before != "" && after == "":
		u.log.Info("connected to Consul's xDS", "address", c.server.addr)
	case after != "" && after != notYet && (before == "" || before == notYet):
		level := u.log.Info
		if u.unreadyLocked() != "" {
			level = u.log.Warn
		}
		level("Consul's xDS cannot be reached, trying on", "address", c.server.addr, "reason", after)
	}
}

// lastError is why the connection failed. A ClientConn tells that only to a call
// that does not wait; in this state such a call fails before anything is sent.
func (c *conn) lastError() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := c.grpc.NewStream(ctx, &grpc.StreamDesc{}, "/lambdamesh.Probe/LastError"); err != nil {
		return status.Convert(err).Message()
	}
	return notYet
}

// sweep closes connections that carried nothing at the last sweep either, but for the
// first of each server that is named.
func (u *Upstream) sweep() {
	u.mu.Lock()
	var unused []*conn
	var servers []*server
	for _, s := range u.servers {
		var kept []*conn
		for i, c := range s.conns {
			if c.unused && (i > 0 || s.gone) {
				unused = append(unused, c)
				continue
			}
			c.unused = c.streams == 0
			kept = append(kept, c)
		}
		if len(kept) > 0 { // else it is gone; its connections may still look at it
			s.conns = kept
			servers = append(servers, s)
		}
	}
	u.servers = servers
	u.mu.Unlock()
	for _, c := range unused {
		_ = c.grpc.Close()
	}
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, unixScheme); ok {
		network, addr = "unix", path
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}
