package main

import (
	"context"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/traces"
	"github.com/spf13/cobra"
)

// registratorCommand is `lambdamesh registrator`.
type registratorCommand struct {
	log         logFlags
	consul      consulFlags
	registrator registratorFlags
}

func newRegistrator() *cobra.Command {
	c := &registratorCommand{}
	cmd := &cobra.Command{
		Use:   "registrator",
		Short: "Keep Consul in step with the tags of Lambda functions",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd)
		},
	}
	c.log.declare(cmd.Flags())
	c.consul.declare(cmd.Flags())
	c.registrator.declare(cmd.Flags())
	return cmd
}

func (c *registratorCommand) run(ctx context.Context, cmd *cobra.Command) error {
	log := c.log.logger(cmd.ErrOrStderr())
	reload := newReloader(cmd, log, &c.log)
	defer reload.stop()
	client, err := consul.NewClient(c.consul.ClientConfig)
	if err != nil {
		return err
	}
	defer client.Close()
	sent := traces.Open(ctx, "lambdamesh", versionText(), log)
	defer sent.Close(ctx)
	r, err := c.registrator.open(ctx, client, log, nil, sent.Tracer())
	if err != nil {
		return err
	}
	log.Info("registrator starts", "version", versionText(), "interval", c.registrator.interval.String())
	reload.start(c.registrator.adjust(ctx, r, log, nil))
	if err := r.Run(ctx); err != nil {
		return failed(err)
	}
	log.Info("registrator ends")
	return nil
}
