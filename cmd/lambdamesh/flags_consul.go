package main

import (
	"log/slog"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
)

// Flags that Consul's users know by other names too; see consulNames.
const (
	flagConsulHTTPAddr  = "consul-http-addr"
	flagConsulGRPCAddr  = "consul-grpc-addr"
	flagConsulTokenFile = "consul-token-file"
)

// consulFlags say how Consul's HTTP API is reached. What they leave open, the
// CONSUL_* environment says.
type consulFlags struct{ consul.ClientConfig }

func (f *consulFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.Address, flagConsulHTTPAddr, "", "Consul's HTTP API (default CONSUL_HTTP_ADDR or 127.0.0.1:8500)")
	fallBack(flags, flagConsulHTTPAddr, "CONSUL_HTTP_ADDR")
	flags.StringVar(&f.TokenFile, flagConsulTokenFile, "", "file with lambdamesh's own ACL token (default CONSUL_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN)")
}

// upstreamFlags say where Consul's xDS is.
type upstreamFlags struct {
	addr       string
	caFile     string
	serverName string
	watch      bool
}

func (f *upstreamFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.addr, flagConsulGRPCAddr, "127.0.0.1:8502", "Consul's xDS (gRPC): host:port, several by commas; a name stands for all its addresses; grpcs:// for TLS")
	fallBack(flags, flagConsulGRPCAddr, "CONSUL_GRPC_ADDR")
	flags.StringVar(&f.caFile, "consul-grpc-ca-file", "", "PEM bundle to verify Consul's xDS with, read again when it changes; turns TLS on")
	fallBack(flags, "consul-grpc-ca-file", "CONSUL_GRPC_CACERT")
	flags.StringVar(&f.serverName, "consul-grpc-server-name", "", "name in the certificate of Consul's xDS (default the address's host)")
	flags.BoolVar(&f.watch, "consul-server-watch", false, "learn of Consul's servers from Consul too; needs any token of lambdamesh's own where ACLs are on")
}

// open makes the pool of Consul's servers, which asks for more of them with the
// client's token if it is to.
func (f *upstreamFlags) open(maxMessageSize int, client consul.ClientConfig, log *slog.Logger, registry prometheus.Registerer) (*consul.Upstream, error) {
	addrs, err := consul.ParseGRPCAddrs(f.addr)
	if err != nil {
		return nil, badValue(flagConsulGRPCAddr, err)
	}
	cfg := consul.UpstreamConfig{
		Addrs: addrs, CAFile: f.caFile, ServerName: f.serverName,
		MaxMessageSize: maxMessageSize, Log: log, Registry: registry,
	}
	if f.watch {
		cfg.Discover = &client
	}
	return consul.NewUpstream(cfg)
}
