package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// DefaultMaxMessageSize is what Consul itself takes in one message; the default
// of grpc-go, 4 MiB, is too small for the clusters of a large mesh.
const DefaultMaxMessageSize = 50 << 20

// keepaliveTime: Consul 1.22.5 ends connections that ping more often than every
// 15 s.
const keepaliveTime = 30 * time.Second

// UpstreamConfig says where Consul's xDS is. Addrs is required.
type UpstreamConfig struct {
	Addrs          []GRPCAddr // the first is used
	CAFile         string     // PEM; turns TLS on; empty: the system's roots
	ServerName     string     // in the server's certificate; empty: the address's host
	MaxMessageSize int        // bytes, both ways; zero: DefaultMaxMessageSize
	Log            *slog.Logger
}

// Upstream is a connection to Consul's gRPC API that Run keeps open.
type Upstream struct {
	conn *grpc.ClientConn
	addr GRPCAddr
	log  *slog.Logger

	mu     sync.Mutex
	reason string // why it cannot be used; guarded by mu
}

// NewUpstream makes an Upstream. It reads files and does not connect.
func NewUpstream(cfg UpstreamConfig) (*Upstream, error) {
	if len(cfg.Addrs) == 0 {
		return nil, errors.New("setting up the connection to Consul's xDS: no address")
	}
	size := cfg.MaxMessageSize
	if size == 0 {
		size = DefaultMaxMessageSize
	}
	creds, err := cfg.credentials()
	if err != nil {
		return nil, fmt.Errorf("setting up TLS to Consul's xDS: %w", err)
	}
	addr := cfg.Addrs[0]
	conn, err := grpc.NewClient(addr.Target,
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: 20 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size), grpc.MaxCallSendMsgSize(size)),
		// Idleness would close the connection that readiness is judged by.
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up the connection to Consul's xDS: %w", err)
	}
	return &Upstream{conn: conn, addr: addr, log: orDiscard(cfg.Log), reason: "not connected yet"}, nil
}

func (c UpstreamConfig) credentials() (credentials.TransportCredentials, error) {
	if !c.Addrs[0].TLS && c.CAFile == "" {
		return insecure.NewCredentials(), nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
		}
	}
	return credentials.NewTLS(conf), nil
}

// Run keeps the connection open until the context ends, then closes it.
func (u *Upstream) Run(ctx context.Context) error {
	defer u.conn.Close()
	for {
		state := u.conn.GetState()
		switch state {
		case connectivity.Idle:
			u.conn.Connect()
		case connectivity.Ready:
			u.set("")
		case connectivity.TransientFailure:
			u.set(u.lastError(ctx))
		}
		if !u.conn.WaitForStateChange(ctx, state) {
			return nil
		}
	}
}

// Choice is what there is to know for choosing a server of a stream.
type Choice struct {
	Pinned bool   // always the same server
	Avoid  string // one that has just failed the stream
}

// NewStream opens a stream to Consul, and says to which server.
func (u *Upstream) NewStream(ctx context.Context, _ Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	stream, err := u.conn.NewStream(ctx, desc, method, opts...)
	return stream, u.addr.String(), err
}

// Close ends the connection; after it Run returns.
func (u *Upstream) Close() { _ = u.conn.Close() }

// Unready says why Consul's gRPC API cannot be used now; empty if it can.
func (u *Upstream) Unready() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reason
}

// set takes a new reason, and logs where usable turns into unusable or back.
func (u *Upstream) set(reason string) {
	u.mu.Lock()
	before := u.reason
	u.reason = reason
	u.mu.Unlock()
	switch {
	case reason == before:
	case reason == "":
		u.log.Info("connected to Consul's xDS", "address", u.addr.String())
	case before == "" || before == "not connected yet":
		u.log.Warn("Consul's xDS cannot be reached, trying on", "address", u.addr.String(), "reason", reason)
	}
}

// lastError is why the connection failed. A ClientConn tells that only to a call
// that does not wait; in this state such a call fails before anything is sent.
func (u *Upstream) lastError(ctx context.Context) string {
	stream, err := u.conn.NewStream(ctx, &grpc.StreamDesc{}, "/lambdamesh.Probe/LastError")
	if err != nil {
		return status.Convert(err).Message()
	}
	_ = stream.CloseSend()
	return "connecting"
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
