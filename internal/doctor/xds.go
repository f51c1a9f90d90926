package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lambdamesh/lambdamesh/internal/consul"
)

// XDS is what is checked of Consul's xDS, by the pool of connections that `serve` uses.
type XDS struct {
	Upstream *consul.Upstream // not running yet
	Addr     string           // as it was given
}

var grpcRemedies = remedies{
	address: "--consul-grpc-addr is Consul's gRPC port: 8502 by default, 8503 with TLS",
	plain:   "is it Consul's gRPC port with TLS (8503)? Without TLS: no grpcs://, and no --consul-grpc-ca-file (CONSUL_GRPC_CACERT)",
	tls:     "write grpcs:// before --consul-grpc-addr, or give --consul-grpc-ca-file",
	ca:      "--consul-grpc-ca-file (CONSUL_GRPC_CACERT)",
	name:    "--consul-grpc-server-name",
	client:  "switch tls.grpc.verify_incoming off at Consul: as Envoys do, lambdamesh shows none on this port",
}

// Check connects to each server, asks one of them, and closes all again.
func (x XDS) Check(ctx context.Context, r *Report) {
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = x.Upstream.Run(running) // never fails
	}()
	defer func() { stop(); <-done }()

	var server string
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		server, err = x.open(ctx)
		return err
	})
	servers := x.Upstream.Servers()
	bad := Fail
	if err == nil {
		bad = Warn // another server answers
	}
	var checks []Check
	for _, one := range servers {
		checks = append(checks, func(ctx context.Context, r *Report) { x.checkServer(ctx, r, one.Address, bad) })
	}
	r.together(ctx, checks...)
	switch {
	case err == nil:
		r.add("consul xds", OK, server+" answers as Consul's gRPC API does", "")
	case len(servers) == 0: // no name could be looked up
		r.add("consul xds", Fail, x.Addr+": "+status.Convert(err).Message(), grpcRemedies.address)
	default:
		r.add("consul xds", Fail, x.Addr+": "+status.Convert(err).Message(), "mend what is said of its servers above. "+grpcRemedies.address)
	}
}

// open puts a question to one of the servers that tells Consul's gRPC API from other ports,
// and says to which. A stream of xDS itself would have to be cut off, or ended, which Consul
// 1.22.5 logs as an error.
func (x XDS) open(ctx context.Context) (string, error) {
	const method = "/hashicorp.consul.dataplane.DataplaneService/GetSupportedDataplaneFeatures"
	stream, server, err := x.Upstream.NewStream(ctx, consul.Choice{}, &grpc.StreamDesc{}, method)
	if err != nil {
		return server, err
	}
	_ = stream.SendMsg(&emptypb.Empty{}) // what is wrong, the answer says
	_ = stream.CloseSend()
	err = stream.RecvMsg(&emptypb.Empty{})
	switch status.Code(err) {
	// Without a token it answers the second, with ACLs on; that it knows the question counts.
	case codes.OK, codes.Unauthenticated, codes.PermissionDenied:
		return server, nil
	}
	return server, fmt.Errorf("%s does not answer as Consul's gRPC API does: %s", server, status.Convert(err).Message())
}

// checkServer connects to one server, TLS included. Bad is how bad it is if that fails.
func (x XDS) checkServer(ctx context.Context, r *Report, addr string, bad Verdict) {
	name := "consul grpc " + addr
	var cert *x509.Certificate
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		cert, err = x.Upstream.Handshake(ctx, addr)
		return err
	})
	var g greeting
	if bad == Fail && !strings.HasPrefix(addr, "unix:") { // one that works would log what it takes for nonsense
		_ = r.ask(ctx, func(ctx context.Context) error {
			g = greet(ctx, addr)
			return nil
		})
	}
	switch {
	case err != nil:
		text, next := grpcRemedies.explain(ctx, err, "")
		r.add(name, bad, text, next)
	case cert == nil && g.tls:
		r.add(name, Fail, "it speaks TLS, and is asked in plain text", grpcRemedies.tls)
	case g.wants:
		r.add(name, Fail, demandsCertificate, grpcRemedies.client)
	case cert == nil:
		r.add(name, OK, "connects, in plain text", "")
	default:
		v, text, next := validity(cert, time.Now())
		r.add(name, v, text, next)
	}
}
