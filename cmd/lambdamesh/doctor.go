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
	roles    roles
	queueURL string
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
	flags.Var(&c.roles, "assume-role", "`ARN[,EXTERNAL-ID]` of a role of a further account that the registrator reads, to check it too; may be repeated")
	flags.StringVar(&c.queueURL, "sqs-queue-url", "", "`URL` of the queue that the registrator reads, to check the rights on it too; takes no message")
	flags.StringSliceVar(&c.aws.Parameters, "parameter", nil, "`NAME` of a parameter that the registrator in AWS Lambda reads (CA, token), to check the right to it too; may be repeated")
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
	for _, role := range c.roles {
		c.aws.Roles = append(c.aws.Roles, doctor.Role(role))
	}
	if c.queueURL != "" {
		options := registrator.AWSOptions{}
		if c.aws.Region != "" {
			options.Regions = []string{c.aws.Region}
		}
		queue, err := registrator.LoadQueue(ctx, c.queueURL, options)
		if err != nil {
			return err
		}
		c.aws.Queue = doctor.Queue{URL: queue.URL, SQS: queue.SQS}
	}
	// One that hangs does not hold up the others.
	report, err := doctor.All(
		func(r *doctor.Report) error {
			doctor.Consul{Client: client, NodeName: c.nodeName}.Check(ctx, r)
			return nil
		},
		func(r *doctor.Report) error { return c.checkXDS(ctx, r, pool) },
		func(r *doctor.Report) error { c.aws.Check(ctx, r); return nil },
		func(r *doctor.Report) error {
			if c.envoy != "" {
				doctor.Envoy(ctx, r, c.envoy)
			}
			return nil
		},
	)
	if err != nil {
		return failed(err)
	}
	if err := context.Cause(ctx); err != nil {
		return failed(err)
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
