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
// Requests wait in a queue without a bound: there are few, they are small, and who
// reads from Consul must not wait for Consul to take one, which may itself wait to hand
// something over. Responses are handed over one by one, so a slow Envoy slows Consul's
// stream for it and nothing piles up here.
type attachment struct {
	cancel context.CancelFunc
	run    func(func()) // begins a goroutine that somebody waits for
	lost   chan loss    // the end, once

	mu      sync.Mutex
	stream  grpc.ClientStream // nil until it is open
	queue   []*discoveryv3.DeltaDiscoveryRequest
	sending bool // somebody empties the queue
}

// loss is how an attachment ended: the reason, and the server it went to, empty if
// it came to none.
type loss struct {
	server string
	err    error
}

// open opens a stream to Consul with the tokens that Envoy sent, and nothing else of
// Envoy's metadata. It does not wait for it.
func (s *stream) open(ctx context.Context) *attachment {
	ctx, cancel := context.WithCancel(ctx)
	md := metadata.MD{}
	md.Append(tokenKey, s.tokens...)
	ctx = metadata.NewOutgoingContext(ctx, md)
	a := &attachment{cancel: cancel, run: s.run, lost: make(chan loss, 1)}
	cfg, choice := &s.server.cfg, s.choice
	s.run(func() {
		defer cancel()
		desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
		stream, server, err := cfg.Upstream.NewStream(ctx, choice, desc, deltaMethod,
			grpc.ForceCodecV2(newCodec()), grpc.MaxCallRecvMsgSize(cfg.MaxMessageSize), grpc.MaxCallSendMsgSize(cfg.MaxMessageSize))
		if err == nil {
			a.opened(stream)
			err = a.receive(stream, s.respond)
		}
		a.lost <- loss{server, err}
	})
	return a
}

// receive hands over what arrives until the stream ends.
func (a *attachment) receive(stream grpc.ClientStream, take func(*attachment, rawFrame)) error {
	for {
		var frame rawFrame
		if err := stream.RecvMsg(&frame); err != nil {
			return err
		}
		take(a, frame)
	}
}

// opened lets what is queued go.
func (a *attachment) opened(stream grpc.ClientStream) {
	a.mu.Lock()
	a.stream = stream
	a.mu.Unlock()
	a.transmitLater()
}

// enqueue queues requests. It never blocks.
func (a *attachment) enqueue(reqs []*discoveryv3.DeltaDiscoveryRequest) {
	if len(reqs) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, reqs...)
}

// dueLocked reports whether the queue is to be emptied, and nobody does.
func (a *attachment) dueLocked() bool { return a.stream != nil && !a.sending && len(a.queue) > 0 }

// transmitLater has a goroutine send what is queued, if there is anything.
func (a *attachment) transmitLater() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dueLocked() {
		a.sending = true
		a.run(a.empty)
	}
}

// transmit sends what is queued, unless somebody does already.
func (a *attachment) transmit() {
	a.mu.Lock()
	due := a.dueLocked()
	a.sending = a.sending || due
	a.mu.Unlock()
	if due {
		a.empty()
	}
}

// empty sends until the queue is empty. A failure ends it for good, and shows in
// receive with its reason.
func (a *attachment) empty() {
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
