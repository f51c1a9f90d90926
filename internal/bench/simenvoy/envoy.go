package simenvoy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

const (
	deltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

	// maxMessage lets pass whatever the server may send.
	maxMessage = 128 << 20

	// window is large and fixed as Envoy's is, so that nothing is measured that
	// grpc-go would do on account of its own estimates.
	window = 16 << 20
)

// Config says which proxy this is, and where it connects.
type Config struct {
	Addr string
	Node *corev3.Node // see Node
	TLS  *tls.Config  // nil: plain text
}

// Envoy is one proxy's stream. Its methods are for one goroutine.
type Envoy struct {
	conn   *grpc.ClientConn
	stream grpc.ClientStream

	endpoints map[string]string // endpoints asked for, by their cluster's name
	listening bool              // listeners were asked for
	warm      bool
}

// Connect opens the stream and asks for clusters. The stream ends with the context.
func Connect(ctx context.Context, cfg Config) (*Envoy, error) {
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Addr,
		grpc.WithTransportCredentials(creds), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(frames.Codec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	e := &Envoy{conn: conn, endpoints: map[string]string{}}
	e.stream, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, deltaMethod)
	if err == nil {
		err = e.send(&discoveryv3.DeltaDiscoveryRequest{Node: cfg.Node, TypeUrl: frames.Clusters})
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Close ends the connection, at once.
func (e *Envoy) Close() { _ = e.conn.Close() }

// Warm says that it has clusters, their endpoints and listeners.
func (e *Envoy) Warm() bool { return e.warm }

// Receive waits for a response. The error is how the stream ended.
func (e *Envoy) Receive() (*frames.Response, error) {
	var f frames.Frame
	if err := e.stream.RecvMsg(&f); err != nil {
		return nil, err
	}
	return frames.Read(f)
}

// Acknowledge accepts a response, and asks for nothing more.
func (e *Envoy) Acknowledge(r *frames.Response) error {
	return e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeURL, ResponseNonce: r.Nonce})
}

// Answer accepts a response, and asks for what an Envoy asks for when it has it.
func (e *Envoy) Answer(r *frames.Response) error {
	if err := e.Acknowledge(r); err != nil {
		return err
	}
	switch r.TypeURL {
	case frames.Clusters:
		if err := e.follow(r); err != nil {
			return err
		}
	case frames.Listeners:
		e.warm = true
	}
	if e.listening || r.TypeURL == frames.Clusters && len(e.endpoints) > 0 {
		return nil
	}
	e.listening = true
	return e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: frames.Listeners})
}

// Field numbers of envoy.config.cluster.v3.Cluster.
const (
	fieldType      = 2
	fieldEDSConfig = 3

	fieldServiceName = 2
	typeEDS          = 3
)

// follow subscribes to the endpoints of clusters that are EDS now, and unsubscribes
// from those of clusters that no longer are.
func (e *Envoy) follow(r *frames.Response) error {
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: frames.Endpoints}
	for cluster := range r.Resources() {
		eds := false
		frames.Each(cluster.Body, func(field protowire.Number, number uint64, value []byte) bool {
			eds = eds || field == fieldType && value == nil && number == typeEDS
			return !eds
		})
		asked, was := e.endpoints[cluster.Name]
		switch {
		case eds && !was:
			name := cmp.Or(string(frames.At(cluster.Body, fieldEDSConfig, fieldServiceName)), cluster.Name)
			e.endpoints[cluster.Name] = name
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
		case !eds && was:
			delete(e.endpoints, cluster.Name)
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, asked)
		}
	}
	for _, name := range r.Removed() {
		if asked, was := e.endpoints[name]; was {
			delete(e.endpoints, name)
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, asked)
		}
	}
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
		return nil
	}
	return e.send(req)
}

func (e *Envoy) send(req *discoveryv3.DeltaDiscoveryRequest) error {
	if err := e.stream.SendMsg(req); err != nil {
		return fmt.Errorf("asking for %s: %w", req.GetTypeUrl(), err)
	}
	return nil
}
