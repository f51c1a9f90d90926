package xds

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// rewriting is what becomes of Consul's messages in a call of this method. All pass as
// they came but the lists of servers in WatchServers: a client that learned Consul's
// own addresses there would walk around us.
func (s *Server) rewriting(ctx context.Context, method string) func(rawFrame) (rawFrame, error) {
	if method != pbserverdiscovery.ServerDiscoveryService_WatchServers_FullMethodName {
		return func(frame rawFrame) (rawFrame, error) { return frame, nil }
	}
	address := cmp.Or(s.cfg.AdvertiseAddr, dialled(ctx))
	return func(frame rawFrame) (rawFrame, error) {
		frame, err := onlyServer(frame, address)
		if err != nil {
			return nil, status.Error(codes.Internal, "reading Consul's list of servers: "+err.Error())
		}
		return frame, nil
	}
}

// onlyServer makes a list of servers into one of a single server at this address, with
// the ID and the version of the first. An empty list stays empty.
func onlyServer(frame rawFrame, address string) (rawFrame, error) {
	var list pbserverdiscovery.WatchServersResponse
	if err := proto.Unmarshal(frame, &list); err != nil || len(list.GetServers()) == 0 {
		return frame, err
	}
	list.Servers = list.Servers[:1]
	list.Servers[0].Address = address
	return proto.Marshal(&list)
}

// dialled is the address at which the caller reached us, as WatchServers names one: an
// IP without port, to which the clients add the port that they were given (Consul
// 1.22.5; consul-server-connection-manager 0.1.12 takes nothing else). That is what it
// called us (:authority) if that is an IP, as behind a load balancer; else our end of
// its connection.
func dialled(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, authority := range md.Get(":authority") {
		if ip := ipOf(authority); ip != "" {
			return ip
		}
	}
	if p, ok := peer.FromContext(ctx); ok && p.LocalAddr != nil {
		return ipOf(p.LocalAddr.String())
	}
	return ""
}

// ipOf is the IP in host or host:port, without an IPv6 zone, which means something on
// one machine alone. Empty if the host is a name.
func ipOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return ""
	}
	return addr.WithZone("").Unmap().String()
}
