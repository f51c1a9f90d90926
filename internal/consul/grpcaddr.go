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

const unixScheme = "unix://"

// GRPCAddr is one address of Consul's gRPC API. A name may stand for several
// servers.
type GRPCAddr struct {
	Host string // a name or an IP, without brackets
	Port string
	Path string // of a Unix socket, in place of Host and Port
	TLS  bool   // asked for by https:// or grpcs://
}

// String is the address as people write it.
func (a GRPCAddr) String() string {
	if a.Path != "" {
		return unixScheme + a.Path
	}
	return net.JoinHostPort(a.Host, a.Port)
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
	if path, ok := strings.CutPrefix(s, unixScheme); ok {
		if !strings.HasPrefix(path, "/") {
			return GRPCAddr{}, fmt.Errorf("%q: unix:// needs an absolute path", s)
		}
		return GRPCAddr{Path: path}, nil
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
	host, port, err := splitPort(strings.TrimSuffix(rest, "/"), tls)
	if err != nil {
		return GRPCAddr{}, fmt.Errorf("%q: %w", s, err)
	}
	return GRPCAddr{Host: host, Port: port, TLS: tls}, nil
}

// splitPort checks host and port and adds the default port to a bare host.
func splitPort(s string, tls bool) (host, port string, err error) {
	host, port = strings.Trim(s, "[]"), defaultGRPCPort
	if tls {
		port = defaultGRPCTLSPort
	}
	if net.ParseIP(host) == nil && strings.Contains(s, ":") {
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", "", errors.New("not host:port")
		}
	}
	if host == "" || strings.ContainsAny(host, "/ ?#@") {
		return "", "", errors.New("not host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%q is no port", port)
	}
	return host, port, nil
}
