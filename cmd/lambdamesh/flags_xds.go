package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/xds"
	"github.com/spf13/pflag"
)

// xdsFlags say where Envoys connect, and how.
type xdsFlags struct {
	addr           string
	insecure       bool
	certFile       string
	keyFile        string
	clientCAFile   string
	tlsMinVersion  string
	advertiseAddr  string
	maxMessageSize size
	maxNewStreams  perSecond
	drainTimeout   time.Duration
	grace          time.Duration
}

// leastMessageSize is room for the first request of an Envoy that connects again: its Node
// (Envoy 1.40: 61 kB), and name and version of all that it has, 200 bytes for each. A
// number without a unit, bytes then, is mostly one of MiB.
const leastMessageSize = 1 << 20

func (f *xdsFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.addr, "xds-addr", "127.0.0.1:8512", "where Envoys connect (gRPC); off loopback only with TLS or --xds-insecure")
	flags.BoolVar(&f.insecure, "xds-insecure", false, "let --xds-addr be off loopback without TLS: tokens and keys cross the network in the clear")
	flags.StringVar(&f.certFile, "xds-cert-file", "", "PEM certificate for --xds-addr; turns TLS on, and is read again when it changes")
	flags.StringVar(&f.keyFile, "xds-key-file", "", "PEM key for --xds-addr")
	flags.StringVar(&f.clientCAFile, "xds-client-ca-file", "", "PEM bundle that must have signed the certificate of each Envoy (mutual TLS)")
	choiceVar(flags, &f.tlsMinVersion, "xds-tls-min-version", "least version of TLS that is spoken; Envoy speaks at most 1.2 unless told otherwise", "1.2", "1.3")
	flags.StringVar(&f.advertiseAddr, "xds-advertise-addr", "", "IP without port that clients which ask for Consul's servers are told (default the one that each dialled)")
	f.maxMessageSize = consul.DefaultMaxMessageSize
	flags.Var(&f.maxMessageSize, "max-message-size", "largest message taken from Envoy or Consul")
	f.maxNewStreams = xds.DefaultMaxNewStreams
	flags.Var(&f.maxNewStreams, "max-new-streams", "how many streams may begin; the surplus is told to come again")
	flags.DurationVar(&f.grace, "upstream-grace", xds.DefaultGrace, "how long an Envoy's stream outlives the loss of every Consul server")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", 15*time.Second, "how long SIGTERM spreads Envoys away")
}

func (f *xdsFlags) validate() error {
	if err := hostPort("xds-addr", f.addr); err != nil {
		return err
	}
	if err := f.validateTLS(); err != nil {
		return err
	}
	if f.advertiseAddr != "" {
		// Clients add the port that they were given, and take nothing but an IP.
		if ip, err := netip.ParseAddr(f.advertiseAddr); err != nil || ip.Zone() != "" || ip.IsUnspecified() {
			return fmt.Errorf("--xds-advertise-addr: %q is not an IP address without port", f.advertiseAddr)
		}
	}
	if f.maxMessageSize < leastMessageSize {
		return fmt.Errorf("--max-message-size: %s is less than the first request of an Envoy may take (1MiB)", &f.maxMessageSize)
	}
	if f.grace <= 0 {
		return fmt.Errorf("--upstream-grace: %s is not a time to wait", f.grace)
	}
	if f.drainTimeout < 0 {
		return fmt.Errorf("--drain-timeout: %s is not a time to wait", f.drainTimeout)
	}
	return nil
}

func (f *xdsFlags) validateTLS() error {
	switch {
	case (f.certFile == "") != (f.keyFile == ""):
		return errors.New("--xds-cert-file and --xds-key-file go together")
	case f.certFile != "":
		return nil
	case f.clientCAFile != "":
		return errors.New("--xds-client-ca-file needs --xds-cert-file and --xds-key-file")
	case f.tlsMinVersion != "1.2":
		return errors.New("--xds-tls-min-version needs --xds-cert-file and --xds-key-file")
	case !f.insecure && !admin.Loopback(f.addr):
		return fmt.Errorf("--xds-addr %s is not on loopback: it needs --xds-cert-file and --xds-key-file, or --xds-insecure spelled out", f.addr)
	}
	return nil
}

// certificates are those of the address, nil without TLS.
func (f *xdsFlags) certificates(log *slog.Logger) *certificates {
	if f.certFile == "" {
		return nil
	}
	c := &certificates{
		of: "xds", certFile: f.certFile, keyFile: f.keyFile, caFile: f.clientCAFile,
		minVersion: tls.VersionTLS12, log: log,
	}
	if f.tlsMinVersion == "1.3" {
		c.minVersion = tls.VersionTLS13
	}
	return c
}
