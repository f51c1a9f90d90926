package consul

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Ports of Consul's gRPC API.
const (
	defaultGRPCPort    = "8502"
	defaultGRPCTLSPort = "8503"
)

// GRPCAddr is one address of Consul's gRPC API.
type GRPCAddr struct {
	Target string // for grpc.NewClient: dns:///host:port or unix:///path
	TLS    bool   // asked for by https:// or grpcs://
}

// String is the address as people write it.
func (a GRPCAddr) String() string {
	if rest, ok := strings.CutPrefix(a.Target, "dns:///"); ok {
		return rest
	}
	return a.Target
}

// ParseGRPCAddrs reads addresses separated by commas: host, host:port, each with
// http://, https://, grpc://, grpcs:// before it or nothing, or unix:///path. A
// missing port is 8502, with TLS 8503. All addresses are checked, and either all
// ask for TLS or none does.
func ParseGRPCAddrs(s string) ([]GRPCAddr, error) {
	var addrs []GRPCAddr
	for _, one := range strings.Split(s, ",") {
		addr, err := parseGRPCAddr(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		if len(addrs) > 0 && addr.TLS != addrs[0].TLS {
			return nil, fmt.Errorf("%q: some addresses ask for TLS and some do not", s)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func parseGRPCAddr(s string) (GRPCAddr, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if !strings.HasPrefix(path, "/") {
			return GRPCAddr{}, fmt.Errorf("%q: unix:// needs an absolute path", s)
		}
		return GRPCAddr{Target: "unix://" + path}, nil
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	var tls bool
	switch scheme {
	case "", "http", "grpc":
	case "https", "grpcs":
		tls = true
	default:
		return GRPCAddr{}, fmt.Errorf("%q: the scheme must be http, https, grpc, grpcs or unix", s)
	}
	hostport, err := joinPort(strings.TrimSuffix(rest, "/"), tls)
	if err != nil {
		return GRPCAddr{}, fmt.Errorf("%q: %w", s, err)
	}
	return GRPCAddr{Target: "dns:///" + hostport, TLS: tls}, nil
}

// joinPort checks host and port and adds the default port to a bare host.
func joinPort(s string, tls bool) (string, error) {
	host, port := strings.Trim(s, "[]"), defaultGRPCPort
	if tls {
		port = defaultGRPCTLSPort
	}
	if net.ParseIP(host) == nil && strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", errors.New("not host:port")
		}
	}
	if host == "" || strings.ContainsAny(host, "/ ?#@") {
		return "", errors.New("not host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is no port", port)
	}
	return net.JoinHostPort(host, port), nil
}
