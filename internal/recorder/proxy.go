package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxMessage is above Consul's own limit of 50 MiB, so that the recorder is
// never what refuses a message.
const maxMessage = 64 << 20

// Proxy passes every gRPC call on to one target, frame by frame: metadata and
// headers, messages, trailers and status, both ways, without TLS. Each call has a
// connection of its own to the target, so that a target that comes back is
// reached at once, without any backoff left from its absence.
type Proxy struct {
	target   string
	listener net.Listener
	server   *grpc.Server
	running  sync.WaitGroup // the server and the readers of requests

	closeOnce sync.Once
	closed    chan struct{}

	mu            sync.Mutex
	conversations []*Conversation
	changed       chan struct{} // closed and replaced at each change
}

// Start listens on listenAddr ("127.0.0.1:0" for any free port) for calls to
// target (host:port). The target need not be there: while it is not, calls get
// Unavailable.
func Start(listenAddr, target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", listenAddr)
	if err != nil {
		return nil, fmt.Errorf("listening for the recorder: %w", err)
	}
	p := &Proxy{
		target:   target,
		listener: listener,
		closed:   make(chan struct{}),
		changed:  make(chan struct{}),
	}
	p.server = grpc.NewServer(
		grpc.UnknownServiceHandler(p.serve),
		grpc.ForceServerCodecV2(frameCodec{}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.WaitForHandlers(true),
		// The default ends a connection that pings more often than every 5
		// minutes; how often a client may ping is for the target to say.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)
	p.running.Go(func() { _ = p.server.Serve(listener) }) // ends with Stop alone
	return p, nil
}

// Addr is the address to call, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends every call and returns when nothing runs any more. The records
// stay readable.
func (p *Proxy) Close() {
	p.closeOnce.Do(func() {
		p.server.Stop()
		p.running.Wait()
		close(p.closed)
	})
}

// Conversations are the delta ADS streams in the order in which they started,
// those that have ended too.
func (p *Proxy) Conversations() []*Conversation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.conversations)
}

// Wait returns nil as soon as done says true. It asks at once, and again after
// each new stream and each new entry. It fails when ctx ends or the proxy closes.
func (p *Proxy) Wait(ctx context.Context, done func([]*Conversation) bool) error {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if done(p.Conversations()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the wire: %w", ctx.Err())
		case <-p.closed:
			if done(p.Conversations()) { // the close itself ended streams
				return nil
			}
			return errors.New("waiting for the wire: the recorder is closed")
		}
	}
}

func (p *Proxy) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// begin starts the record of a call, nil if it is not a delta ADS stream.
func (p *Proxy) begin(method string, md metadata.MD) *Conversation {
	if method != discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName {
		return nil
	}
	c := NewConversation(slices.Collect(maps.Keys(md))...)
	c.changed = p.notify
	p.mu.Lock()
	p.conversations = append(p.conversations, c)
	p.mu.Unlock()
	p.notify()
	return c
}

// serve is one call from its start to its end.
func (p *Proxy) serve(_ any, down grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(down)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	md, _ := metadata.FromIncomingContext(down.Context())
	record := p.begin(method, md)
	err := p.relay(down, method, md, record)
	if record != nil {
		record.End(err)
	}
	return err
}

// relay joins the client's half of a call to the target's. The target's status
// is the call's; a client that goes away cancels down's context and by it the
// target's half.
func (p *Proxy) relay(down grpc.ServerStream, method string, md metadata.MD, record *Conversation) error {
	conn, err := grpc.NewClient("passthrough:///"+p.target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig())
	if err != nil {
		return status.Errorf(codes.Internal, "preparing the connection to the target: %v", err)
	}
	defer func() { _ = conn.Close() }() // nothing is lost: the call is over

	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(down.Context(), md))
	defer cancel()
	up, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method,
		grpc.ForceCodecV2(frameCodec{}), grpc.MaxCallRecvMsgSize(maxMessage))
	if err != nil {
		return err // a status: Unavailable if the target is down
	}
	// The reader cannot be waited for here: down.RecvMsg returns at the latest
	// when this handler has returned. Close waits for it.
	p.running.Go(func() {
		if !copyRequests(down, up, record) {
			cancel()
		}
	})
	return copyResponses(down, up, record)
}

// copyRequests passes on what the client says until it says no more. False: it
// broke off, and the target's half must not go on.
func copyRequests(down grpc.ServerStream, up grpc.ClientStream, record *Conversation) bool {
	for {
		var f frame
		err := down.RecvMsg(&f)
		if errors.Is(err, io.EOF) {
			return up.CloseSend() == nil
		}
		if err != nil {
			return false
		}
		if record != nil {
			req := &discoveryv3.DeltaDiscoveryRequest{}
			if err := proto.Unmarshal(f, req); err != nil {
				record.add(Entry{Garbled: fmt.Errorf("decoding a request: %w", err)})
			} else {
				record.AddRequest(req)
			}
		}
		if up.SendMsg(&f) != nil {
			// The target has ended the call. Its status, which copyResponses
			// gets, must not be lost to a cancellation.
			return true
		}
	}
}

// copyResponses passes on what the target says and returns its status.
func copyResponses(down grpc.ServerStream, up grpc.ClientStream, record *Conversation) error {
	// No headers: a refusal, whose status comes from RecvMsg.
	if header, err := up.Header(); err == nil && header != nil {
		if err := down.SendHeader(header); err != nil {
			return err
		}
	}
	for {
		var f frame
		if err := up.RecvMsg(&f); err != nil {
			down.SetTrailer(up.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if record != nil {
			resp := &discoveryv3.DeltaDiscoveryResponse{}
			if err := proto.Unmarshal(f, resp); err != nil {
				record.add(Entry{Garbled: fmt.Errorf("decoding a response: %w", err)})
			} else {
				record.AddResponse(resp)
			}
		}
		if err := down.SendMsg(&f); err != nil {
			return err
		}
	}
}

// frame is a message as it stands on the wire.
type frame []byte

// frameCodec carries *frame and nothing else.
type frameCodec struct{}

// Name is protobuf's: the peers must not see a difference.
func (frameCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("the recorder does not encode %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*f)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("the recorder does not decode %T", v)
	}
	*f = data.Materialize()
	return nil
}
