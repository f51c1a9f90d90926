package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/spf13/cobra"
)

// inspectCommand is `lambdamesh inspect`.
type inspectCommand struct {
	consul consulFlags
	patch  patchFlags
	server admin.ClientConfig
	output string
}

const outputYAML = "yaml"

func newInspect() *cobra.Command {
	c := &inspectCommand{}
	cmd := &cobra.Command{
		Use:   "inspect [SERVICE]",
		Short: "Tell why a service is or is not a Lambda function, and which Envoys have it",
		Long: `Without a name: all services whose Meta speaks of Lambda. With one, the chain from the function to Envoys: its tags, if AWS
credentials are found, its Meta, each mistake and how to mend it, the patch, which Envoys have it, which refused it and which do
not invoke it, and why. ` + "`-o yaml`" + ` shows Envoy's resources before and after the patch, without what is secret in them.

A running lambdamesh is asked. Where none answers, Consul is, which knows of no Envoys: the patch is then made here, by the flags
of this command.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), cmd, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	c.consul.declare(flags)
	c.patch.declare(flags)
	flags.StringVar(&c.server.Addr, "admin-addr", "127.0.0.1:8513", "where a running lambdamesh is asked")
	flags.StringVar(&c.server.CAFile, "admin-ca-file", "", "PEM bundle to verify its certificate with (default the system's)")
	flags.StringVar(&c.server.TokenFile, "admin-token-file", "", "file with its bearer token")
	choiceVarP(flags, &c.output, "output", "o", "form of the answer on stdout", "table", "json", outputYAML)
	return cmd
}

func (c *inspectCommand) run(ctx context.Context, cmd *cobra.Command, service string) error {
	if err := hostPort("admin-addr", c.server.Addr); err != nil {
		return err
	}
	if c.output == outputYAML && service == "" {
		return errors.New("-o yaml shows the resources of one service: name it")
	}
	options, err := c.patch.options()
	if err != nil {
		return err
	}
	client, err := consul.NewClient(c.consul.ClientConfig)
	if err != nil {
		return err
	}
	defer client.Close()
	i := &inspection{client: client, server: c.server, options: options}
	state, err := i.read(ctx, cmd.ErrOrStderr())
	if err != nil {
		return failed(err)
	}
	return failed(c.write(ctx, cmd.OutOrStdout(), i, state, service))
}

func (c *inspectCommand) write(ctx context.Context, out io.Writer, i *inspection, state admin.State, service string) error {
	if service == "" {
		if c.output == "json" {
			return state.WriteJSON(out)
		}
		return state.WriteTable(out)
	}
	only, found := state.Only(service)
	if !found {
		return fmt.Errorf("%s is no Lambda service: %s", service, i.whyNot(ctx, state, service))
	}
	one := admin.Inspection{State: only}
	if c.output != outputYAML {
		one.Tags, one.Entry = readTags(ctx, only.Services[0].ARN), i.entry(ctx, service)
	}
	if c.output == "json" {
		return one.WriteJSON(out)
	}
	resources, err := i.resources(ctx, only.Services[0].FullName())
	if c.output == outputYAML {
		if err != nil {
			return err
		}
		return admin.WriteYAML(out, resources)
	}
	if one.Resources = resources; err != nil {
		one.Unknown = "not known: " + firstLine(err)
	}
	return one.WriteChain(out)
}

// inspection is where one run of the command reads.
type inspection struct {
	client  *consul.Client
	server  admin.ClientConfig
	options patch.Options

	table *lambda.Table // Consul's; nil: a running lambdamesh answers
}

// read is the state of a running lambdamesh, or what Consul knows of it.
func (i *inspection) read(ctx context.Context, notes io.Writer) (admin.State, error) {
	state, asked := admin.Fetch(ctx, i.server)
	if asked == nil {
		return state, nil
	}
	status, err := consul.ReadOnce(ctx, consul.WatcherConfig{Client: i.client, Check: i.options.Check, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		// Both are said where both fail: either may be what was meant to answer.
		return admin.State{}, errors.Join(asked, err)
	}
	i.table = status.Table
	fmt.Fprintf(notes, "no running lambdamesh answers (%s), so this is what Consul says; Envoys are not known\n", firstLine(asked))
	return admin.Sources{Table: func() admin.Table { return admin.Table(status) }}.State(time.Now()), nil
}

// resources are those of Envoys, or the one that is made here.
func (i *inspection) resources(ctx context.Context, service string) ([]admin.Resource, error) {
	if i.table == nil {
		return admin.FetchResources(ctx, i.server, service)
	}
	one, err := made(ctx, i.client, i.table, i.options, lambda.ParseServiceName(service))
	if err != nil {
		return nil, err
	}
	return []admin.Resource{one}, nil
}

// entry is what stands in Consul.
func (i *inspection) entry(ctx context.Context, service string) *admin.Entry {
	read, err := i.client.ReadEntry(ctx, lambda.ParseServiceName(service))
	if err != nil {
		return &admin.Entry{Meta: map[string]string{}, Error: firstLine(err)}
	}
	return &admin.Entry{Meta: read.Meta, Arguments: read.Arguments, Managed: read.Managed}
}

// whyNot says why a service is none of the state's, and which one may be meant.
func (i *inspection) whyNot(ctx context.Context, state admin.State, service string) string {
	why := i.client.WhyNot(ctx, service)
	names := map[string]bool{}
	for _, one := range state.Services {
		names[one.FullName()] = true
	}
	if near := closest(service, names); near != "" {
		why += "; is " + near + " meant?"
	}
	return why
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
