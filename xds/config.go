package xds

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	// DefaultTableWait: an Envoy that connects before the first Patcher waits this
	// long, then is told Unavailable and keeps the configuration it has.
	DefaultTableWait = 10 * time.Second

	// DefaultHold bounds how long an Envoy's first clusters wait for the endpoints
	// that decide on them. Consul took about 10 ms for those (1.22.5).
	DefaultHold = 2 * time.Second

	// DefaultLinger is how long a patch that serves calls outlives the wish to have
	// Consul's form instead. Consul tells a gateway and its callers of a change at
	// the same time; a caller that was faster would find the gateway not ready.
	DefaultLinger = 2 * time.Second

	// DefaultGrace is how long an Envoy's stream outlives the loss of every Consul
	// server; then it is ended, so that Envoy's own connected_state tells the truth.
	DefaultGrace = 5 * time.Minute

	// rereadRate is how often a second all streams together ask Consul anew for
	// clusters they have not seen. Consul itself updates 250 proxies a second.
	rereadRate = 250

	// DefaultFirstRequestWait is how long a stream may be open without a request.
	DefaultFirstRequestWait = 10 * time.Second

	// DefaultMaxNewStreams is how many streams may begin each second. Consul itself
	// updates 250 proxies a second, so more would only wait there.
	DefaultMaxNewStreams = 500

	// DefaultMaxMessageSize is Consul's own limit of a request.
	DefaultMaxMessageSize = 50 << 20
)

// Identity is what the catalog knows of a proxy; empty fields are unknown.
type Identity struct {
	Kind       string
	Datacenter string
	Service    string // whose sidecar it is
}

// Config is what a Server needs. Upstream is required.
type Config struct {
	// Upstream opens streams to Consul.
	Upstream Upstream

	// Identify looks a proxy up; nil, or a zero answer, leaves its kind unknown.
	// It is called once a stream, before anything is sent to Consul, and must
	// return when the context ends.
	Identify func(ctx context.Context, node *corev3.Node) Identity

	// AdvertiseAddr is the IP by which Consul's clients learn of this server when they
	// ask for Consul's servers; empty: the one that each dialled.
	AdvertiseAddr string

	Log      *slog.Logger          // nil: none
	Registry prometheus.Registerer // nil: metrics are counted and not exposed

	TableWait        time.Duration // zero: DefaultTableWait
	Hold             time.Duration // zero: DefaultHold
	Linger           time.Duration // zero: DefaultLinger
	Grace            time.Duration // zero: DefaultGrace
	FirstRequestWait time.Duration // zero: DefaultFirstRequestWait
	MaxNewStreams    int           // a second, and at once; zero: DefaultMaxNewStreams
	MaxMessageSize   int           // bytes; zero: DefaultMaxMessageSize
}

// withDefaults fills in what was left zero.
func (c Config) withDefaults() Config {
	c.TableWait = cmp.Or(c.TableWait, DefaultTableWait)
	c.Hold = cmp.Or(c.Hold, DefaultHold)
	c.Linger = cmp.Or(c.Linger, DefaultLinger)
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.FirstRequestWait = cmp.Or(c.FirstRequestWait, DefaultFirstRequestWait)
	c.MaxNewStreams = cmp.Or(c.MaxNewStreams, DefaultMaxNewStreams)
	c.MaxMessageSize = cmp.Or(c.MaxMessageSize, DefaultMaxMessageSize)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Identify == nil {
		c.Identify = func(context.Context, *corev3.Node) Identity { return Identity{} }
	}
	return c
}
