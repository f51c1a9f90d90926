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
	"github.com/spf13/cobra"
)

// inspectCommand is `lambdamesh inspect`.
type inspectCommand struct {
	consul consulFlags
	patch  patchFlags
	server admin.ClientConfig
	output string
}

func newInspect() *cobra.Command {
	c := &inspectCommand{}
	cmd := &cobra.Command{
		Use:   "inspect [SERVICE]",
		Short: "Tell why a service is or is not a Lambda function, and which Envoys have it",
		Long: `Without a name: all services whose Meta speaks of Lambda. With one: what its Meta says, each mistake in it, and which Envoys
have it and in which form. A running lambdamesh is asked; where none answers, Consul is, which knows of no Envoys.`,
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
	choiceVarP(flags, &c.output, "output", "o", "form of the answer on stdout", "table", "json")
	return cmd
}

func (c *inspectCommand) run(ctx context.Context, cmd *cobra.Command, service string) error {
	if err := hostPort("admin-addr", c.server.Addr); err != nil {
		return err
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
	state, err := admin.Fetch(ctx, c.server)
	if err != nil {
		// Both are said where both fail: either may be what was meant to answer.
		asked := err
		if state, err = fromConsul(ctx, client, options.Check); err != nil {
			return failed(errors.Join(asked, err))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "no running lambdamesh answers (%s), so this is what Consul says; Envoys are not known\n", firstLine(asked))
	}
	return failed(c.write(ctx, cmd.OutOrStdout(), client, state, service))
}

func (c *inspectCommand) write(ctx context.Context, out io.Writer, client *consul.Client, state admin.State, service string) error {
	write := state.WriteTable
	if service != "" {
		only, found := state.Only(service)
		if !found {
			return fmt.Errorf("%s is no Lambda service: %s", service, client.WhyNot(ctx, service))
		}
		state, write = only, only.WriteChain
	}
	if c.output == "json" {
		write = state.WriteJSON
	}
	return write(out)
}

// fromConsul is the state as far as Consul alone knows it.
func fromConsul(ctx context.Context, client *consul.Client, check func(lambda.Function) error) (admin.State, error) {
	status, err := consul.ReadOnce(ctx, consul.WatcherConfig{Client: client, Check: check, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return admin.State{}, err
	}
	return admin.Sources{Table: func() admin.Table { return admin.Table(status) }}.State(time.Now()), nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
