package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// consulNames are the flags of Consul's own tools that have other names here.
var consulNames = map[string]string{
	"http-addr":  flagConsulHTTPAddr,
	"grpc-addr":  flagConsulGRPCAddr,
	"token-file": flagConsulTokenFile,
}

// aliases lets Consul's names stand for ours.
func aliases(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if ours, ok := consulNames[name]; ok {
		name = ours
	}
	return pflag.NormalizedName(name)
}

// longFlags turns -name into --name where a long flag of that name exists, since
// Consul's users type it so. Names of one letter stay short flags.
func longFlags(root *cobra.Command, args []string) []string {
	long := map[string]bool{"help": true, "version": true}
	for name := range consulNames {
		long[name] = true
	}
	collect(root, long)
	out := make([]string, len(args))
	copy(out, args)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && len(name) > 1 && long[name] {
			out[i] = "-" + arg
		}
	}
	return out
}

func collect(cmd *cobra.Command, long map[string]bool) {
	note := func(f *pflag.Flag) { long[f.Name] = true }
	cmd.Flags().VisitAll(note)
	cmd.PersistentFlags().VisitAll(note)
	for _, sub := range cmd.Commands() {
		collect(sub, long)
	}
}
