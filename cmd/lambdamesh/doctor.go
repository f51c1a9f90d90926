package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/doctor"
	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/lambdamesh/lambdamesh/xds"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// doctorCommand is `lambdamesh doctor`.
type doctorCommand struct {
	consul   consulFlags
	upstream upstreamFlags
	aws      doctor.AWS
	roles    roles
	nodeName string
	envoy    envoyAdmin
	timeout  time.Duration
	output   string
}

func newDoctor() *cobra.Command {
	c := &doctorCommand{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what is missing to work: Consul, AWS, the rights in both, an Envoy",
		Long: `Checks from where it stands, with the credentials that it finds there, and changes nothing. Each line is ok, warn (something
works less well), fail or skip, with what to do; rules that are missing in a policy follow, to be pasted. A fail exits with 1.
All is asked at once, and each question is bounded by --timeout, so what hangs holds nothing else.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd)
		},
	}
	flags := cmd.Flags()
	c.consul.declare(flags)
	c.upstream.declare(flags)
	flags.StringVar(&c.nodeName, "node-name", registrator.DefaultNodeName, "Consul node that carries the registrator's services")
	flags.StringSliceVar(&c.aws.Regions, flagRegions, nil, "AWS regions to check, by commas (default AWS_REGION or the profile's)")
	flags.Var(&c.roles, "assume-role", "`ARN[,EXTERNAL-ID]` of a role of a further account to check; may be repeated")
	flags.StringVar(&c.aws.QueueURL, flagQueueURL, "", "`URL` of the registrator's SQS queue, to check the rights on it; no message is taken out of it")
	flags.StringSliceVar(&c.aws.Parameters, "parameter", nil, "`NAME` of a parameter that the registrator in AWS Lambda is to read (CONSUL_HTTP_TOKEN_PATH, CONSUL_CACERT_PATH there); may be repeated")
	flags.StringVar(&c.aws.Function, "function", "", "function, by name or ARN, to try lambda:InvokeFunction on, without running it (DryRun)")
	flags.Var(&c.envoy, "envoy-admin", "`URL` of an Envoy's admin, to check that Envoy too")
	flags.DurationVar(&c.timeout, "timeout", doctor.DefaultTimeout, "the most that one question to anybody may take")
	choiceVarP(flags, &c.output, "output", "o", "form of the report on stdout", "table", "json")
	return cmd
}

// envoyAdmin is the value of --envoy-admin.
type envoyAdmin struct{ doctor.Envoy }

var _ pflag.Value = &envoyAdmin{}

// Set is part of pflag.Value.
func (e *envoyAdmin) Set(text string) (err error) {
	e.Envoy, err = doctor.ParseAdmin(text)
	return err
}

// String is part of pflag.Value.
func (e *envoyAdmin) String() string { return e.Admin }

// Type is part of pflag.Value.
func (e *envoyAdmin) Type() string { return "URL" }

var (
	errUnwell  = errors.New("a check failed")
	errStopped = errors.New("stopped before all was checked")
)

func (c *doctorCommand) run(ctx context.Context, cmd *cobra.Command) error {
	checks, err := c.checks()
	if err != nil {
		return err
	}
	logs.Libraries(slog.New(slog.DiscardHandler)) // what goes wrong, the report says
	report := doctor.Run(ctx, c.timeout, checks...)
	if ctx.Err() != nil {
		return failed(errStopped)
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

// checks are those that the flags ask for. They read files and talk to nobody until they
// are made.
func (c *doctorCommand) checks() ([]doctor.Check, error) {
	if c.timeout <= 0 {
		return nil, badValue("timeout", errors.New("not a time to wait for"))
	}
	if c.aws.QueueURL != "" {
		var err error
		if c.aws.QueueRegion, err = registrator.QueueRegion(c.aws.QueueURL); err != nil {
			return nil, err
		}
	}
	client, err := consul.NewClient(c.consul.ClientConfig)
	if err != nil {
		return nil, err
	}
	pool, err := c.upstream.open(xds.DefaultMaxMessageSize, c.consul.ClientConfig, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return nil, err
	}
	for _, role := range c.roles {
		c.aws.Roles = append(c.aws.Roles, doctor.Role(role))
	}
	checks := []doctor.Check{
		func(ctx context.Context, r *doctor.Report) {
			defer client.Close()
			doctor.Consul{Client: client, NodeName: c.nodeName}.Check(ctx, r)
		},
		doctor.XDS{Upstream: pool, Addr: c.upstream.addr}.Check,
		c.aws.Check,
	}
	if c.envoy.Admin != "" {
		checks = append(checks, c.envoy.Check)
	}
	return checks, nil
}
