package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/lambdamesh/lambdamesh/internal/traces"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/spf13/cobra"
)

// syncCommand is `lambdamesh sync`.
type syncCommand struct {
	log         logFlags
	consul      consulFlags
	registrator registratorFlags
	dryRun      bool
	output      string
}

func newSync() *cobra.Command {
	c := &syncCommand{}
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Make one full sync and exit; with --dry-run only print the plan",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd)
		},
	}
	flags := cmd.Flags()
	c.log.declare(flags)
	c.consul.declare(flags)
	c.registrator.declare(flags)
	flags.BoolVar(&c.dryRun, "dry-run", false, "print the plan and change nothing")
	choiceVarP(flags, &c.output, "output", "o", "form of the plan on stdout", "table", "json")
	return cmd
}

func (c *syncCommand) run(ctx context.Context, cmd *cobra.Command) error {
	client, err := consul.NewClient(c.consul.ClientConfig)
	if err != nil {
		return err
	}
	defer client.Close()
	log := c.log.logger(cmd.ErrOrStderr())
	sent := traces.Open(ctx, "lambdamesh", versionText(), log)
	defer sent.Close(ctx)
	r, err := c.registrator.open(ctx, client, log, nil, sent.Tracer())
	if err != nil {
		return err
	}
	steps := newProgress(cmd.ErrOrStderr())
	if c.log.format == logs.JSON {
		steps.log = log
	}
	plan, err := c.sync(registrator.WithProgress(ctx, steps.step), r)
	steps.close()
	// With some errors there is a plan, or the part of it that was carried out.
	if err == nil || plan.Changes != nil {
		write := plan.WriteTable
		if c.output == "json" {
			write = plan.WriteJSON
		}
		err = errors.Join(err, write(cmd.OutOrStdout()))
	}
	return failed(err)
}

func (c *syncCommand) sync(ctx context.Context, r *registrator.Registrator) (registrator.Plan, error) {
	if c.dryRun {
		return r.DryRun(ctx)
	}
	result, err := r.Sync(ctx)
	if ctx.Err() != nil {
		err = fmt.Errorf("%d of %d changes were made: %w", result.Applied, len(result.Plan.Changes), err)
	}
	return result.Plan, err
}
