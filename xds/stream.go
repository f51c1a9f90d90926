package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// silence is how long Consul may take for its first answer before that is worth a
// warning: it answers nothing at all about a proxy that it does not find (1.22.5).
const silence = 10 * time.Second

// stream is the pair of streams of one Envoy: one loop that feeds its session and
// sends what the session wants sent. Both ends end together, except that the one
// to Consul may be lost and attached again.
type stream struct {
	server *Server
	down   grpc.ServerStream
	log    *slog.Logger
	state  atomic.Pointer[ProxyState] // for readers outside the loop

	// The loop's own.
	session  *session
	upstream *attachment // nil while Consul is lost
	tokens   []string
	choice   Choice
	backoff  backoff

	// Timers of the loop; nil while they do not run.
	retry, grace, hold, tick, reread, leave, part, silence <-chan time.Time
}

// serve relays until Envoy goes, or until Consul refuses it for good.
func (s *stream) serve(ctx context.Context) error {
	var first discoveryv3.DeltaDiscoveryRequest
	if err := s.down.RecvMsg(&first); err != nil {
		return err
	}
	patcher, changed, err := s.server.firstPatcher(ctx)
	if err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	s.tokens = md.Get(tokenKey)
	proxy := s.server.identify(ctx, first.GetNode())
	s.log = s.server.cfg.Log.With("proxy", proxy.ID, "kind", proxy.Kind, "envoy", proxy.Version.String())
	s.session = newSession(first.GetNode(), proxy, patcher)
	s.choice.Pinned = proxy.NodeName == ""
	s.publish()
	s.server.add(s)
	defer s.server.remove(s)
	s.log.Info("envoy connected")
	defer s.log.Info("envoy disconnected")

	requests := s.receive(ctx)
	s.attach(ctx)
	defer func() { s.detach() }()
	s.session.onRequest(&first)
	draining := s.server.draining
	for {
		if err := s.flush(ctx); err != nil {
			return err
		}
		var responses <-chan rawFrame
		var lost <-chan loss
		if s.upstream != nil {
			responses, lost = s.upstream.responses, s.upstream.lost
		}
		select {
		case in := <-requests:
			if errors.Is(in.err, io.EOF) {
				return nil
			} else if in.err != nil {
				return in.err
			}
			s.noteRefusal(in.req)
			s.session.onRequest(in.req)
		case frame := <-responses:
			resp, err := parseResponse(frame)
			if err != nil {
				return status.Error(codes.Internal, err.Error())
			}
			s.backoff.reset()
			s.grace, s.silence = nil, nil
			s.session.onResponse(resp)
		case end := <-lost:
			if err := s.lose(end); err != nil {
				return err
			}
		case <-s.retry:
			s.retry = nil
			s.attach(ctx)
		case <-s.grace:
			return status.Error(codes.Unavailable, "no Consul server could be reached for "+s.server.cfg.Grace.String())
		case <-changed:
			patcher, changed = s.server.patchers.get()
			s.session.onPatcher(patcher)
		case <-s.hold:
			s.hold = nil
			s.log.Warn("consul has not told the endpoints of the first clusters in time", "waited", s.server.cfg.Hold)
			s.session.onHoldExpired()
		case <-draining:
			draining = nil
			s.leave = time.After(s.server.leaveAfter())
		case <-s.leave:
			return status.Error(codes.Unavailable, "this lambdamesh stops, another or the next one serves")
		case <-s.silence:
			s.silence = nil
			s.log.Warn("consul does not answer for this envoy; is it registered? Without -node-name in its bootstrap, Consul looks it up under the name of the server that answers", "waited", silence)
		case <-s.part:
			s.part = nil
			s.session.onParted()
		case <-s.tick:
			s.tick = nil
			s.session.onTick()
		case <-s.reread:
			s.reread = nil
			if s.session.wantsReattach() {
				s.detach()
				s.session.onLost()
				s.attach(ctx)
			}
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// incoming is one request of Envoy's, or the end of its stream.
type incoming struct {
	req *discoveryv3.DeltaDiscoveryRequest
	err error
}

// receive hands over Envoy's requests. Its goroutine ends with the handler, which
// ends the context; the server waits for it.
func (s *stream) receive(ctx context.Context) <-chan incoming {
	requests := make(chan incoming)
	s.server.readers.Go(func() {
		for {
			req := &discoveryv3.DeltaDiscoveryRequest{}
			err := s.down.RecvMsg(req)
			select {
			case requests <- incoming{req, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return requests
}

// flush sends what the session wants sent, and sets the timers that it asks for.
func (s *stream) flush(ctx context.Context) error {
	if s.upstream != nil {
		s.upstream.send(s.session.up)
	}
	s.session.up = nil
	for _, failure := range s.session.failures {
		s.log.Error("a patch failed, its service is contained", "failure", failure)
	}
	s.session.failures = nil
	down := s.session.down
	s.session.down = nil
	for _, p := range down {
		frame := rawFrame(p.frame())
		if err := s.down.SendMsg(&frame); err != nil {
			return err
		}
		s.server.metrics.pushed(p)
	}
	if s.session.changed {
		s.publish()
	}
	cfg := &s.server.cfg
	setTimer(&s.hold, s.session.holding != nil, cfg.Hold)
	setTimer(&s.part, len(s.session.parting) > 0, cfg.Linger/2)
	setTimer(&s.tick, s.session.wantsTicks(), cfg.Linger/lingerTicks)
	if s.reread == nil && s.session.wantsReattach() {
		setTimer(&s.reread, true, s.server.rereads.Reserve().Delay())
	}
	return ctx.Err()
}

// setTimer lets a timer run while it is wanted. It does not restart one that runs.
func setTimer(timer *<-chan time.Time, wanted bool, after time.Duration) {
	switch {
	case !wanted:
		*timer = nil
	case *timer == nil:
		*timer = time.After(after)
	}
}

// attach begins a generation.
func (s *stream) attach(ctx context.Context) {
	s.upstream = attach(ctx, s.server.cfg.Upstream, s.choice, s.tokens, s.server.cfg.MaxMessageSize)
	setTimer(&s.grace, true, s.server.cfg.Grace)
	s.silence = time.After(silence)
	s.session.onAttached()
}

func (s *stream) detach() {
	if s.upstream != nil {
		s.upstream.close()
		s.upstream = nil
	}
}

// lose ends a generation that Consul ended. What a new attempt may mend is tried
// again; what it cannot is returned, in Consul's words.
func (s *stream) lose(end loss) error {
	s.detach()
	s.silence = nil
	s.session.onLost()
	s.choice.Avoid = end.server
	err := end.err
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented:
		s.log.Warn("consul refuses this envoy", "server", end.server, "error", err)
		return err
	}
	wait := s.backoff.next()
	s.log.Info("the stream to consul is lost, it is attached again", "server", end.server, "in", wait.Round(time.Millisecond), "error", err)
	setTimer(&s.retry, true, wait)
	setTimer(&s.grace, true, s.server.cfg.Grace)
	return nil
}

// noteRefusal logs and counts what Envoy refuses, in its words.
func (s *stream) noteRefusal(req *discoveryv3.DeltaDiscoveryRequest) {
	if req.GetErrorDetail() == nil || req.GetResponseNonce() == "" {
		return
	}
	ours := s.session.isOurs(req.GetResponseNonce())
	s.server.metrics.refused(req.GetTypeUrl(), ours)
	s.log.Warn("envoy refuses a response",
		"type", shortType(req.GetTypeUrl()), "ours", ours, "error", safeText(req.GetErrorDetail().GetMessage()))
}

// publish lets readers outside the loop see the session.
func (s *stream) publish() {
	s.session.changed = false
	state := s.session.state()
	s.state.Store(&state)
}

// String is the version as Envoy writes it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }
