package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/spf13/pflag"
)

// adminFlags say where the process can be asked about itself.
type adminFlags struct {
	addr  string
	probe string
	guard admin.Guard
}

func (f *adminFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.addr, "admin-addr", "127.0.0.1:8513", "health, metrics and state (HTTP); off loopback only with certificate and token")
	flags.StringVar(&f.probe, "probe-addr", "", "/livez and /readyz alone, for orchestrators, without authentication (default off)")
	flags.StringVar(&f.guard.CertFile, "admin-cert-file", "", "PEM certificate for --admin-addr")
	flags.StringVar(&f.guard.KeyFile, "admin-key-file", "", "PEM key for --admin-addr")
	flags.StringVar(&f.guard.TokenFile, "admin-token-file", "", "file with the bearer token for --admin-addr")
}

func (f *adminFlags) validate() error {
	if err := hostPort("admin-addr", f.addr); err != nil {
		return err
	}
	if f.probe != "" {
		if err := hostPort("probe-addr", f.probe); err != nil {
			return err
		}
	}
	return f.guard.Validate(f.addr)
}

// certificates are those of the address, nil without TLS.
func (f *adminFlags) certificates(log *slog.Logger) *certificates {
	if f.guard.CertFile == "" {
		return nil
	}
	return &certificates{of: "admin", certFile: f.guard.CertFile, keyFile: f.guard.KeyFile, minVersion: tls.VersionTLS12, log: log}
}

// badValue is the error for a value of a flag.
func badValue(flag string, err error) error { return fmt.Errorf("--%s: %w", flag, err) }
