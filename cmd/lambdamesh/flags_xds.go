package main

import (
	"fmt"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/xds"
	"github.com/spf13/pflag"
)

// xdsFlags say where Envoys connect.
type xdsFlags struct {
	addr           string
	insecure       bool
	maxMessageSize size
	drainTimeout   time.Duration
	grace          time.Duration
}

func (f *xdsFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.addr, "xds-addr", "127.0.0.1:8512", "where Envoys connect (gRPC); off loopback only with --xds-insecure")
	flags.BoolVar(&f.insecure, "xds-insecure", false, "let --xds-addr be off loopback without TLS: tokens and keys cross the network in the clear")
	f.maxMessageSize = consul.DefaultMaxMessageSize
	flags.Var(&f.maxMessageSize, "max-message-size", "largest message taken from Envoy or Consul")
	flags.DurationVar(&f.grace, "upstream-grace", xds.DefaultGrace, "how long an Envoy's stream outlives the loss of every Consul server")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", 15*time.Second, "how long SIGTERM spreads Envoys away")
}

func (f *xdsFlags) validate() error {
	if err := hostPort("xds-addr", f.addr); err != nil {
		return err
	}
	if !admin.Loopback(f.addr) && !f.insecure {
		return fmt.Errorf("--xds-addr %s is not on loopback: that demands TLS, which is not built yet, or --xds-insecure spelled out", f.addr)
	}
	if f.grace <= 0 {
		return fmt.Errorf("--upstream-grace: %s is not a time to wait", f.grace)
	}
	if f.drainTimeout < 0 {
		return fmt.Errorf("--drain-timeout: %s is not a time to wait", f.drainTimeout)
	}
	return nil
}
