package main

import (
	"cmp"
	"context"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/traces"
	"github.com/spf13/cobra"
)

// serveCommand is `lambdamesh serve`.
type serveCommand struct {
	log         logFlags
	xds         xdsFlags
	consul      consulFlags
	upstream    upstreamFlags
	patch       patchFlags
	admin       adminFlags
	registrator registratorFlags
	embedded    bool // run the registrator too
}

func newServe() *cobra.Command { return (&serveCommand{}).command() }

func (c *serveCommand) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve xDS to the mesh's Envoys, between them and Consul",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd)
		},
	}
	flags := cmd.Flags()
	c.log.declare(flags)
	c.xds.declare(flags)
	c.consul.declare(flags)
	c.upstream.declare(flags)
	c.patch.declare(flags)
	c.admin.declare(flags)
	flags.BoolVar(&c.embedded, "registrator", false, "run the registrator inside, with the flags of the registrator command")
	c.registrator.declare(flags)
	return cmd
}

// validate says what is wrong with the flags, without touching anything but the files
// that they name.
func (c *serveCommand) validate() error {
	_, err := c.patch.options()
	return cmp.Or(c.xds.validate(), c.admin.validate(), err)
}

func (c *serveCommand) run(ctx context.Context, cmd *cobra.Command) error {
	log := c.log.logger(cmd.ErrOrStderr())
	reload := newReloader(cmd, log, &c.log)
	defer reload.stop()
	sent := traces.Open(ctx, "lambdamesh", versionText(), log)
	defer sent.Close(ctx)
	s, err := c.build(ctx, log, sent.Tracer())
	if err != nil {
		return err
	}
	log.Info("lambdamesh starts", "version", versionText(), "consul_http", s.client.Address, "consul_grpc", c.upstream.addr)
	if len(s.tables.options.AllowARNs) == 0 {
		log.Info("whoever may write a service's service-defaults entry chooses which function is invoked (--allow-arns bounds it)")
	}
	if c.xds.certFile == "" && !admin.Loopback(c.xds.addr) {
		log.Warn("Envoys connect without TLS: their ACL tokens and private keys cross the network in the clear (--xds-insecure)", "address", c.xds.addr)
	}
	if s.registrator == nil {
		reload.start(nil)
	} else {
		reload.start(c.registrator.adjust(ctx, s.registrator, log, s.metrics))
	}
	if err := s.run(ctx); err != nil {
		return failed(err)
	}
	log.Info("lambdamesh ends")
	return nil
}
