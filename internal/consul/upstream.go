package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultMaxMessageSize is what Consul itself takes in one message; the default
	// of grpc-go, 4 MiB, is too small for the clusters of a large mesh.
	DefaultMaxMessageSize = 50 << 20

	// maxStreams is how many streams one connection carries. Consul 1.22.5 takes
	// 2,048, and lets the next one wait instead of refusing it.
	maxStreams = 1000

	// upkeepEvery is how often an Upstream looks after itself.
	upkeepEvery = 5 * time.Second

	// lookUpRounds is how many of those rounds pass between two look-ups of the
	// names, 30 s, while a server can be used. If none can, each round looks up.
	lookUpRounds = 6
)

// UpstreamConfig says where Consul's xDS is. Addrs is required.
type UpstreamConfig struct {
	Addrs          []GRPCAddr // a name stands for all its addresses; each is a server
	CAFile         string     // PEM; turns TLS on, and is read again for new connections; empty: the system's roots
	ServerName     string     // in the servers' certificates; empty: the host of the address
	MaxMessageSize int        // bytes, both ways; zero: DefaultMaxMessageSize

	// Discover lets Consul itself tell of further servers, to the token that such a
	// client would use; nil: Addrs are all there are.
	Discover *ClientConfig

	Log      *slog.Logger          // nil: none
	Registry prometheus.Registerer // nil: no metrics

	// What tests put in place of the network.
	dial   func(ctx context.Context, addr string) (net.Conn, error)
	lookUp func(ctx context.Context, host string) ([]netip.Addr, error)

	streams int // a connection; zero: maxStreams
}

// Upstream is the pool of Consul's servers: those that were configured and those
// that Consul told of. Each has at least one connection, which Run keeps open.
// NewStream chooses a server for each stream.
//
// A server that is no longer named, by DNS or by Consul, gets no new streams; those
// that it has stay until they end.
type Upstream struct {
	cfg       UpstreamConfig
	roots     *roots // nil: the system's, or no TLS
	log       *slog.Logger
	following sync.WaitGroup // a goroutine for each connection

	mu      sync.Mutex
	seeds   []*seed       // guarded by mu, like all below
	learned []endpoint    // from Consul, the last time that it told
	pinned  string        // the address that the first seed stands for; empty: not known yet
	servers []*server     // as the seeds name them, then learned, then those that are gone
	changed chan struct{} // closed, and replaced, when a choice may come out differently
	closed  bool
}

// NewUpstream makes an Upstream. It reads files, and opens nothing.
func NewUpstream(cfg UpstreamConfig) (*Upstream, error) {
	if len(cfg.Addrs) == 0 {
		return nil, errors.New("setting up the connection to Consul's xDS: no address")
	}
	cfg = cfg.withDefaults()
	u := &Upstream{cfg: cfg, log: cfg.Log, changed: make(chan struct{})}
	if cfg.CAFile != "" {
		var err error
		if u.roots, err = readRoots(cfg.CAFile, cfg.Log); err != nil {
			return nil, fmt.Errorf("setting up TLS to Consul's xDS: %w", err)
		}
	}
	for _, addr := range cfg.Addrs {
		u.seeds = append(u.seeds, newSeed(addr))
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(upstreamMetrics{u})
	}
	return u, nil
}

func (c UpstreamConfig) withDefaults() UpstreamConfig {
	c.Log = orDiscard(c.Log)
	if c.MaxMessageSize == 0 {
		c.MaxMessageSize = DefaultMaxMessageSize
	}
	if c.streams == 0 {
		c.streams = maxStreams
	}
	if c.dial == nil {
		c.dial = dial
	}
	if c.lookUp == nil {
		c.lookUp = lookUp
	}
	return c
}

// Run keeps the servers connected until the context ends, and then closes all
// connections. It never fails: what goes wrong is logged, shown by Unready, and tried
// again.
func (u *Upstream) Run(ctx context.Context) error {
	defer u.close()
	var discovering sync.WaitGroup
	defer discovering.Wait()
	if u.cfg.Discover != nil {
		discovering.Go(func() { u.discover(ctx) })
	}
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for round := 0; ; round++ {
		if round%lookUpRounds == 0 || u.Unready() != "" {
			u.lookUpSeeds(ctx)
		}
		u.roots.read()
		u.sweep()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// close ends all connections and waits for what follows them.
func (u *Upstream) close() {
	u.mu.Lock()
	u.closed = true
	servers := u.servers
	u.servers = nil
	u.wakeLocked()
	u.mu.Unlock()
	for _, s := range servers {
		for _, c := range s.conns {
			_ = c.grpc.Close()
		}
	}
	u.following.Wait()
}

// Unready says why no server can be used now; empty if one can.
func (u *Upstream) Unready() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.unreadyLocked()
}

func (u *Upstream) unreadyLocked() string {
	var reasons []string
	for _, s := range u.servers {
		problem := s.problem()
		switch {
		case s.gone:
		case problem == "":
			return ""
		default:
			reasons = append(reasons, s.addr+": "+problem)
		}
	}
	for _, s := range u.seeds {
		if s.problem != "" {
			reasons = append(reasons, s.problem)
		}
	}
	if len(reasons) == 0 {
		return notYet
	}
	return strings.Join(reasons, "; ")
}

// ServerState is what is to be known of one of Consul's servers.
type ServerState struct {
	Address     string // host:port, or unix:///path
	Problem     string // why it cannot be used now; empty if it can
	Gone        bool   // no longer named: it gets no new streams
	Streams     int    // of ours
	Connections int
}

// Servers are all that there are, in the order of the configuration.
func (u *Upstream) Servers() []ServerState {
	u.mu.Lock()
	defer u.mu.Unlock()
	var states []ServerState
	for _, s := range u.servers {
		states = append(states, ServerState{s.addr, s.problem(), s.gone, s.streams(), len(s.conns)})
	}
	return states
}

// reconcileLocked makes the servers those that are named now.
func (u *Upstream) reconcileLocked() {
	if u.closed {
		return
	}
	before := u.servers
	u.servers = nil
	for _, e := range u.endpointsLocked() {
		s := find(before, e.addr)
		if s == nil {
			s = &server{endpoint: e}
			if err := u.openLocked(s); err != nil {
				u.log.Error("a Consul server cannot be used", "address", e.addr, "error", err)
				continue
			}
			u.log.Info("a Consul server has come", "address", e.addr)
		}
		s.gone = false
		u.servers = append(u.servers, s)
	}
	for _, s := range before {
		if find(u.servers, s.addr) != nil {
			continue
		}
		if !s.gone {
			u.log.Info("a Consul server has gone, it gets no new streams", "address", s.addr, "streams", s.streams())
		}
		s.gone = true
		u.servers = append(u.servers, s)
	}
	if first := u.seeds[0].addrs; len(first) > 0 && !slices.Contains(first, u.pinned) {
		u.pinned = first[0]
	}
	u.wakeLocked()
}

// endpointsLocked are the servers that are named now, each once.
func (u *Upstream) endpointsLocked() []endpoint {
	var all []endpoint
	add := func(e endpoint) {
		if !slices.ContainsFunc(all, func(other endpoint) bool { return other.addr == e.addr }) {
			all = append(all, e)
		}
	}
	for _, s := range u.seeds {
		for _, addr := range s.addrs {
			add(endpoint{addr: addr, authority: s.authority()})
		}
	}
	for _, e := range u.learned {
		add(e)
	}
	return all
}

// wakeLocked lets those who wait for a server choose anew.
func (u *Upstream) wakeLocked() {
	close(u.changed)
	u.changed = make(chan struct{})
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
