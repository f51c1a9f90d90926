package xds

import (
	"context"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// deltaMethod is the delta variant of the Aggregated Discovery Service.
const deltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

// tokenKey is the metadata in which Envoy carries its Consul token.
const tokenKey = "x-consul-token"

// attachment is one stream to Consul: one generation of a session.
//
// Requests wait in a queue without a bound: there are few, they are small, and a
// loop that waited for Consul to take one could not take what Consul itself waits
// to hand over. The queue has a goroutine only while there is something in it.
// Responses are handed over one by one, so a slow Envoy slows Consul's stream for
// it and nothing piles up here.
type attachment struct {
	cancel    context.CancelFunc
	responses chan rawFrame
	lost      chan loss // the end, once
	done      sync.WaitGroup

	mu      sync.Mutex
	stream  grpc.ClientStream // nil until it is open
	queue   []*discoveryv3.DeltaDiscoveryRequest
	sending bool // a goroutine empties the queue
}

// loss is how an attachment ended: the reason, and the server it went to, empty if
// it came to none.
type loss struct {
	server string
	err    error
}

// attach opens a stream to Consul with the tokens that Envoy sent, and nothing
// else of Envoy's metadata. It does not wait for it.
func attach(ctx context.Context, upstream Upstream, choice Choice, tokens []string, maxSize int) *attachment {
	ctx, cancel := context.WithCancel(ctx)
	md := metadata.MD{}
	md.Append(tokenKey, tokens...)
	ctx = metadata.NewOutgoingContext(ctx, md)
	a := &attachment{
		cancel:    cancel,
		responses: make(chan rawFrame),
		lost:      make(chan loss, 1),
	}
	a.done.Go(func() {
		a.lost <- a.receive(ctx, upstream, choice, maxSize)
		cancel()
	})
	return a
}

// receive opens the stream and hands over what arrives until it ends.
func (a *attachment) receive(ctx context.Context, upstream Upstream, choice Choice, maxSize int) loss {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, server, err := upstream.NewStream(ctx, choice, desc, deltaMethod,
		grpc.ForceCodecV2(newCodec()), grpc.MaxCallRecvMsgSize(maxSize), grpc.MaxCallSendMsgSize(maxSize))
	if err != nil {
		return loss{server, err}
	}
	a.mu.Lock()
	a.stream = stream
	a.transmitLocked()
	a.mu.Unlock()
	for {
		var frame rawFrame
		if err := stream.RecvMsg(&frame); err != nil {
			return loss{server, err}
		}
		select {
		case a.responses <- frame:
		case <-ctx.Done():
			return loss{server, ctx.Err()}
		}
	}
}

// send queues requests. It never blocks.
func (a *attachment) send(reqs []*discoveryv3.DeltaDiscoveryRequest) {
	if len(reqs) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, reqs...)
	a.transmitLocked()
}

func (a *attachment) transmitLocked() {
	if a.stream != nil && !a.sending && len(a.queue) > 0 {
		a.sending = true
		a.done.Go(a.transmit)
	}
}

// transmit sends what is queued. A failure ends it for good, and shows in receive
// with its reason.
func (a *attachment) transmit() {
	for {
		a.mu.Lock()
		queue := a.queue
		a.queue = nil
		a.sending = len(queue) > 0
		a.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, req := range queue {
			if a.stream.SendMsg(req) != nil {
				return
			}
		}
	}
}

// close ends the stream and waits until its goroutines are gone.
func (a *attachment) close() {
	a.cancel()
	a.done.Wait()
}
