package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/doctor"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/lambdamesh/lambdamesh/xds"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// doctorCommand is `lambdamesh doctor`.
type doctorCommand struct {
	consul   consulFlags
	upstream upstreamFlags
	aws      doctor.AWS
	nodeName string
	envoy    string
	output   string
}

func newDoctor() *cobra.Command {
	c := &doctorCommand{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what is missing to work: Consul, AWS, the rights in both, an Envoy",
		Long: `Checks from where it stands, with the credentials that it finds there, and changes nothing. Each line is ok, warn (something
works less well), fail or skip, with what to do; a fail exits with 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd)
		},
	}
	flags := cmd.Flags()
	c.consul.declare(flags)
	c.upstream.declare(flags)
	flags.StringVar(&c.nodeName, "node-name", registrator.DefaultNodeName, "Consul node that carries the registrator's services")
	flags.StringVar(&c.aws.Region, "region", "", "AWS region to check (default AWS_REGION or the profile's)")
	flags.StringVar(&c.aws.Function, "function", "", "function to try lambda:InvokeFunction on, without running it (DryRun)")
	flags.StringVar(&c.envoy, "envoy-admin", "", "`URL` of an Envoy's admin, to check that Envoy too")
	choiceVarP(flags, &c.output, "output", "o", "form of the report on stdout", "table", "json")
	return cmd
}

var errUnwell = errors.New("a check failed")

func (c *doctorCommand) run(ctx context.Context, cmd *cobra.Command) error {
	client, err := consul.NewClient(c.consul.ClientConfig)
	if err != nil {
		return err
	}
	defer client.Close()
	quiet := slog.New(slog.DiscardHandler)
	pool, err := c.upstream.open(xds.DefaultMaxMessageSize, c.consul.ClientConfig, quiet, nil)
	if err != nil {
		return err
	}
	report := &doctor.Report{}
	doctor.Consul{Client: client, NodeName: c.nodeName}.Check(ctx, report)
	if err := c.checkXDS(ctx, report, pool); err != nil {
		return failed(err)
	}
	c.aws.Check(ctx, report)
	if c.envoy != "" {
		doctor.Envoy(ctx, report, c.envoy)
	}
	write := report.WriteTable
	if c.output == "json" {
		write = report.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return failed(err)
	}
	if report.Failed() {
		return failed(errUnwell)
	}
	return nil
}

// checkXDS opens a stream by the pool that `serve` uses.
func (c *doctorCommand) checkXDS(ctx context.Context, report *doctor.Report, pool *consul.Upstream) error {
	ctx, cancel := context.WithCancel(ctx)
	var running errgroup.Group
	running.Go(func() error { return pool.Run(ctx) })
	doctor.XDS(ctx, report, c.upstream.addr, func(ctx context.Context, desc *grpc.StreamDesc, method string) (grpc.ClientStream, string, error) {
		return pool.NewStream(ctx, consul.Choice{}, desc, method)
	})
	cancel()
	return running.Wait()
}
