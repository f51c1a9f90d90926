package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it ran, and failed
	exitUsage  = 2 // a wrong command, flag or value: nothing was begun
)

// failure is an error of work that was begun. All other errors are mistakes in
// what was typed, those that cobra finds included.
type failure struct{ error }

// Unwrap gives the error itself.
func (f failure) Unwrap() error { return f.error }

// failed marks an error as a failure; nil stays nil.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// run is the whole program: it returns the exit code. A failure or a mistake is
// one line on stderr, in the form of the log where that is known.
func run(ctx context.Context, args []string, env environment, stdout, stderr io.Writer) int {
	root := newRoot(env, stdout, stderr)
	root.SetArgs(longFlags(root, args))
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if format := cmd.Flags().Lookup(flagLogFormat); format != nil && format.Value.String() == logs.JSON {
		logs.New(stderr, logs.JSON, slog.LevelError).Error("lambdamesh ends", "error", text)
	} else {
		fmt.Fprintf(stderr, "lambdamesh: %s\n", text)
	}
	if errors.As(err, new(failure)) {
		return exitFailed
	}
	return exitUsage
}

func newRoot(env environment, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "lambdamesh",
		Short:         "AWS Lambda functions as services of a Consul mesh",
		Version:       versionText(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return env.fill(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetGlobalNormalizationFunc(aliases)
	root.PersistentFlags().String(flagConfig, "", "YAML `file` of flags and their values; flags and environment go before it")
	root.AddCommand(newServe(), newRegistrator(), newSync(), newInspect(), newDoctor(), newConfig(), newVersion())
	return root
}
