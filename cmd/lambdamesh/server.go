package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/lambdamesh/lambdamesh/xds"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// server is the parts of `lambdamesh serve`.
type server struct {
	log      *slog.Logger
	client   *consul.Client
	upstream *consul.Upstream
	tables   *tables
	watcher  *consul.Watcher
	xds      *xds.Server
	metrics  *prometheus.Registry

	registrator *registrator.Registrator // nil: not asked for

	drainTimeout time.Duration
	draining     atomic.Bool

	xdsCerts      *certificates // nil: no TLS
	xdsListener   net.Listener
	adminCerts    *certificates // nil: no TLS
	adminListener net.Listener
	adminToken    string
	probeListener net.Listener // nil: not asked for
}

// build checks all flags, makes the parts and binds the addresses. Nothing runs
// after an error.
func (c *serveCommand) build(ctx context.Context, log *slog.Logger, tracer trace.Tracer) (*server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	options, err := c.patch.options()
	if err != nil {
		return nil, err
	}
	s := &server{
		log: log, metrics: prometheus.NewRegistry(), drainTimeout: c.xds.drainTimeout,
		xdsCerts: c.xds.certificates(log), adminCerts: c.admin.certificates(log),
	}
	if err := cmp.Or(s.xdsCerts.open(), s.adminCerts.open()); err != nil {
		return nil, err
	}
	if s.adminToken, err = c.admin.guard.Token(); err != nil {
		return nil, err
	}
	if s.client, err = consul.NewClient(c.consul.ClientConfig); err != nil {
		return nil, err
	}
	if c.embedded {
		if s.registrator, err = c.registrator.open(ctx, s.client, log, s.metrics, tracer); err != nil {
			return nil, err
		}
	}
	if s.upstream, err = c.upstream.open(int(c.xds.maxMessageSize), c.consul.ClientConfig, log, s.metrics); err != nil {
		return nil, err
	}
	identifier := &identifier{client: s.client, log: log}
	s.xds = xds.NewServer(xds.Config{
		Upstream: upstream{s.upstream}, Identify: identifier.identify,
		Log: log, Registry: s.metrics, Grace: c.xds.grace, AdvertiseAddr: c.xds.advertiseAddr,
		MaxMessageSize: int(c.xds.maxMessageSize), MaxNewStreams: int(c.xds.maxNewStreams),
	})
	s.tables = &tables{client: s.client, options: options, server: s.xds, log: log, tracer: tracer}
	s.watcher = consul.NewWatcher(consul.WatcherConfig{
		Client: s.client, Partitions: c.registrator.partitions, Check: options.Check,
		Intentions: options.Direct != patch.DirectNever, Log: log,
		OnTable: func(t *lambda.Table) { s.tables.take(ctx, t) },
	})
	s.metrics.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		admin.TableMetrics(s.table),
	)
	if err := s.listen(c); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// listen binds the addresses and says which they are.
func (s *server) listen(c *serveCommand) (err error) {
	if s.xdsListener, err = listen("xds-addr", c.xds.addr); err != nil {
		return err
	}
	if s.adminListener, err = listen("admin-addr", c.admin.addr); err != nil {
		return err
	}
	s.log.Info("listening", "for", "xds", "address", s.xdsListener.Addr().String())
	s.log.Info("listening", "for", "admin", "address", s.adminListener.Addr().String())
	if s.adminCerts != nil {
		s.adminListener = tls.NewListener(s.adminListener, s.adminCerts.config())
	}
	if c.admin.probe == "" {
		return nil
	}
	if s.probeListener, err = listen("probe-addr", c.admin.probe); err != nil {
		return err
	}
	s.log.Info("listening", "for", "probe", "address", s.probeListener.Addr().String())
	return nil
}

// close lets go of what build opened and run did not take over.
func (s *server) close() {
	for _, l := range []net.Listener{s.xdsListener, s.adminListener, s.probeListener} {
		if l != nil {
			_ = l.Close()
		}
	}
	s.client.Close()
}

// run runs the parts until the context ends, or one of them fails. At the end
// Envoys' streams go first; what they stand on, and what tells people about it,
// goes after them.
func (s *server) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	lateCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var early, late errgroup.Group
	start := func(group *errgroup.Group, ctx context.Context, part func(context.Context) error) {
		group.Go(func() error {
			err := part(ctx)
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	sources := s.sources()
	start(&late, lateCtx, s.upstream.Run)
	start(&late, lateCtx, s.xdsCerts.run)
	start(&late, lateCtx, s.adminCerts.run)
	start(&late, lateCtx, serveHTTP(s.adminListener, admin.Handler(sources, s.metrics, s.adminToken)))
	if s.probeListener != nil {
		start(&late, lateCtx, serveHTTP(s.probeListener, admin.Probes(sources)))
	}
	start(&early, ctx, s.serveXDS)
	start(&early, ctx, s.watcher.Run)
	if s.registrator != nil {
		start(&early, ctx, s.registrator.Run)
	}
	err := early.Wait()
	end()
	err = cmp.Or(err, late.Wait())
	s.client.Close()
	return err
}

func serveHTTP(l net.Listener, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error { return admin.Serve(ctx, l, h) }
}

// serveXDS serves Envoys until the context ends. Then their streams end one by
// one within most of drainTimeout, and the rest of it is for the slow.
func (s *server) serveXDS(ctx context.Context) error {
	options := s.xds.ServerOptions()
	if s.xdsCerts != nil {
		options = append(options, grpc.Creds(newHandshakes(s.xdsCerts.config(), s.log)))
	}
	g := grpc.NewServer(options...)
	s.xds.Register(g)
	defer s.xds.Wait()
	served := make(chan error, 1)
	go func() { served <- g.Serve(s.xdsListener) }()
	select {
	case err := <-served:
		g.Stop()
		return errors.Join(errors.New("serving xDS ended"), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("draining", "envoys", len(s.xds.Proxies()), "at_most", s.drainTimeout.String())
	s.xds.Drain(s.drainTimeout * 2 / 3)
	timer := time.AfterFunc(s.drainTimeout, g.Stop)
	defer timer.Stop()
	g.GracefulStop()
	if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // it is where stopping overtook serving
		return err
	}
	return nil
}
