package xds

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// What a peer can make us hold. Each is far more than an Envoy or a consul-dataplane
// takes, which have a connection with one to a few streams.
const (
	// maxStreams is Consul's own bound of streams on a connection (1.22.5).
	maxStreams = 2048

	// maxHeaders bounds the metadata of a stream, in bytes; grpc-go would take 16 MiB.
	maxHeaders = 64 << 10

	// handshakeTimeout bounds how long a connection takes to become one, TLS included.
	handshakeTimeout = 10 * time.Second

	// idleTimeout ends connections on which there is no stream.
	idleTimeout = 10 * time.Minute

	// surplusInterval is how often at most the log speaks of streams turned away.
	surplusInterval = 10 * time.Second
)

// limits are the options of a grpc.Server that bound what peers cost. Its pings find
// out within a minute that one is gone. What goes to an Envoy has no bound of its own:
// it is Consul's response, which has one, and patches, which make that larger (10,000
// functions on one gateway: 86 MB, most of it authorities).
func (s *Server) limits() []grpc.ServerOption {
	gate := &admission{
		limiter: rate.NewLimiter(rate.Limit(s.cfg.MaxNewStreams), s.cfg.MaxNewStreams),
		log:     s.cfg.Log, metrics: s.metrics,
		say: rate.Sometimes{Interval: surplusInterval},
	}
	return []grpc.ServerOption{
		grpc.InTapHandle(gate.admit),
		grpc.StreamInterceptor(s.awaitFirst),
		grpc.WaitForHandlers(true), // as Wait wants it
		grpc.MaxRecvMsgSize(s.cfg.MaxMessageSize),
		grpc.MaxConcurrentStreams(maxStreams),
		// An Envoy sends little and is sent much, rarely (grpc-go holds a buffer for
		// writing only while it writes).
		grpc.ReadBufferSize(4 << 10), grpc.WriteBufferSize(128 << 10),
		// Windows that are set spare the pings by which grpc-go would find them out.
		grpc.InitialWindowSize(1 << 20), grpc.InitialConnWindowSize(1 << 20),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 20 * time.Second, MaxConnectionIdle: idleTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}

// admission bounds how many streams begin a second, those of all peers and methods
// together, with a burst of as many. It turns the surplus away before anything is
// spent on it.
type admission struct {
	limiter *rate.Limiter
	log     *slog.Logger
	metrics *metrics
	say     rate.Sometimes
}

// admit is a tap.ServerInHandle. The surplus is told Unavailable: Envoy takes that for
// a passing matter and comes again with backoff and jitter, as after any end of its
// stream, while a consul-dataplane would leave this server with all its streams on
// ResourceExhausted.
func (a *admission) admit(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if a.limiter.Allow() {
		return ctx, nil
	}
	a.metrics.surplus.Inc()
	a.say.Do(func() {
		a.log.Warn("more streams begin than are let in, the surplus is told to come again", "at_most_per_second", a.limiter.Burst())
	})
	return nil, status.Error(codes.Unavailable, "more streams begin at this lambdamesh than it lets in (--max-new-streams), come again")
}
