package consul

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// tokenKey is the metadata in which Consul's gRPC API takes a token.
const tokenKey = "x-consul-token"

// discover watches Consul's own list of its servers until the context ends. While it
// cannot be watched, what was learned stays.
//
// Consul 1.22.5 sends the servers that are ready, at once and when they change, and now
// and then without a change. One that was killed left the list after 6 s.
func (u *Upstream) discover(ctx context.Context) {
	said, avoid := codes.OK, ""
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		began, told := time.Now(), false
		server, err := u.watchServers(ctx, avoid, func() { told = true })
		if ctx.Err() != nil {
			return
		}
		avoid = server
		if told {
			said = codes.OK
		}
		if code := status.Code(err); code != said {
			said = code
			u.log.Warn("Consul does not tell of its servers, those known stay, trying on", "address", server, "reason", explained(err))
		}
		if time.Since(began) > maxBackoff {
			backoff = minBackoff
		}
		pause(ctx, jitter(backoff))
	}
}

// explained is an error of WatchServers, with what would mend it.
func explained(err error) string {
	text := status.Convert(err).Message()
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		text += " (--consul-server-watch needs a token of lambdamesh's own that Consul knows, of whatever rights)"
	case codes.Unimplemented: // 1.22.5
		text += " (Consul's client agents do not tell, its servers do)"
	}
	return text
}

// watchServers asks one server for all of them, and takes its answers until they end.
// It names that server.
func (u *Upstream) watchServers(ctx context.Context, avoid string, told func()) (string, error) {
	token, err := u.cfg.Discover.token()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, tokenKey, token)
	}
	stream, server, err := u.NewStream(ctx, Choice{Avoid: avoid}, &grpc.StreamDesc{ServerStreams: true},
		pbserverdiscovery.ServerDiscoveryService_WatchServers_FullMethodName)
	if err != nil {
		return server, err
	}
	if err := cmp.Or(stream.SendMsg(&pbserverdiscovery.WatchServersRequest{}), stream.CloseSend()); err != nil {
		return server, err
	}
	for {
		var answer pbserverdiscovery.WatchServersResponse
		if err := stream.RecvMsg(&answer); err != nil {
			return server, err
		}
		told()
		u.learn(server, answer.GetServers())
	}
}

// learn takes a list of servers. It names IPs without ports (Consul 1.22.5), so the
// port is that at which the one who told was reached, and so is the name in the
// certificate if that one has a name.
func (u *Upstream) learn(from string, list []*pbserverdiscovery.Server) {
	u.mu.Lock()
	defer u.mu.Unlock()
	teller := find(u.servers, from)
	if teller == nil || len(list) == 0 {
		return
	}
	name, port, err := net.SplitHostPort(teller.authority)
	if err != nil { // a Unix socket
		port = defaultGRPCPort
	}
	if err != nil || net.ParseIP(name) != nil || name == "localhost" {
		name = ""
	}
	u.learned = nil
	for _, s := range list {
		addr := net.JoinHostPort(s.GetAddress(), port)
		u.learned = append(u.learned, endpoint{addr: addr, authority: net.JoinHostPort(cmp.Or(name, s.GetAddress()), port)})
	}
	slices.SortFunc(u.learned, func(a, b endpoint) int { return strings.Compare(a.addr, b.addr) })
	u.reconcileLocked()
}

// token is what a Client of this configuration sends, read again.
func (c ClientConfig) token() (string, error) {
	conf := api.DefaultConfig()
	if c.TokenFile != "" {
		conf.TokenFile, conf.Token = c.TokenFile, ""
	}
	if _, err := api.NewClient(conf); err != nil { // it reads the file into conf
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return conf.Token, nil
}
