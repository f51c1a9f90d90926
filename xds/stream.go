package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

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

	// The loop has mu while an event changes the session, and never while it sends.
	mu      sync.Mutex
	session *session

	// The loop's own.
	patcher  inForce
	upstream *attachment // nil while Consul is lost
	tokens   []string
	choice   Choice
	backoff  backoff

	// What Consul's answers so far are worth; see lose.
	served     bool      // it has answered on this stream of Envoy's
	answered   bool      // and in this generation,
	attachedAt time.Time // which began then
	doubted    time.Time // when it first refused without one, after it had answered

	// Timers of the loop; nil while they do not run.
	retry, grace, hold, tick, reread, leave, part, silence <-chan time.Time
}

// serve relays until Envoy goes, or until Consul refuses it for good.
func (s *stream) serve(ctx context.Context) error {
	first, err := s.next()
	if err != nil {
		return err
	}
	node, err := parseNode(first.node)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	first.node = nil
	if s.patcher, err = s.server.firstPatcher(ctx); err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	s.tokens = md.Get(tokenKey)
	proxy := s.server.identify(ctx, node)
	s.log = s.server.cfg.Log.With("proxy", proxy.ID, "kind", proxy.Kind, "envoy", proxy.Version.String())
	s.session = newSession(node, proxy, s.patcher.patcher, s.server.forms)
	s.choice.Pinned = proxy.NodeName == ""
	s.server.add(s)
	defer s.server.remove(s)
	s.log.Info("envoy connected")
	defer s.log.Info("envoy disconnected")

	requests := s.receive(ctx)
	s.attach(ctx)
	defer func() { s.detach() }()
	s.event(func() { s.session.onRequest(first) })
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
			s.event(func() {
				s.noteRefusal(in.req)
				s.session.onRequest(in.req)
			})
		case frame := <-responses:
			resp, err := parseResponse(frame)
			if err != nil {
				return status.Error(codes.Internal, err.Error())
			}
			s.served, s.answered, s.choice.Avoid, s.doubted = true, true, "", time.Time{}
			s.grace, s.silence = nil, nil
			s.event(func() { s.session.onResponse(resp) })
		case end := <-lost:
			if err := s.lose(end); err != nil {
				return err
			}
		case <-s.retry:
			s.retry = nil
			s.attach(ctx)
		case <-s.grace:
			return status.Error(codes.Unavailable, "no Consul server could be reached for "+s.server.cfg.Grace.String())
		case <-s.patcher.replaced:
			last := s.patcher
			s.patcher = s.server.patchers.get()
			subjects, all := s.patcher.since(last)
			s.event(func() { s.session.onPatcher(s.patcher.patcher, subjects, all) })
		case <-s.hold:
			s.hold = nil
			s.log.Warn("consul has not told the endpoints of the first clusters in time", "waited", s.server.cfg.Hold)
			s.event(s.session.onHoldExpired)
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
			s.event(s.session.onParted)
		case <-s.tick:
			s.tick = nil
			s.event(s.session.onTick)
		case <-s.reread:
			s.reread = nil
			if s.session.wantsReattach() {
				s.detach()
				s.event(s.session.onLost)
				s.attach(ctx)
			}
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// event lets the session take an event. Others may look at it in between.
func (s *stream) event(take func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	take()
}

// incoming is one request of Envoy's, or the end of its stream.
type incoming struct {
	req *request
	err error
}

// next reads a request of Envoy's.
func (s *stream) next() (*request, error) {
	var frame rawFrame
	if err := s.down.RecvMsg(&frame); err != nil {
		return nil, err
	}
	req, err := parseRequest(frame)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return req, nil
}

// receive hands over Envoy's requests. Its goroutine ends with the handler, which
// ends the context; the server waits for it.
func (s *stream) receive(ctx context.Context) <-chan incoming {
	requests := make(chan incoming)
	s.server.readers.Go(func() {
		for {
			req, err := s.next()
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
		if err := s.down.SendMsg(spliced(p.frame())); err != nil {
			return err
		}
		s.server.metrics.pushed(p)
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
	s.answered, s.attachedAt = false, time.Now()
	setTimer(&s.grace, true, s.server.cfg.Grace)
	s.silence = time.After(silence)
	s.event(s.session.onAttached)
}

func (s *stream) detach() {
	if s.upstream != nil {
		s.upstream.close()
		s.upstream = nil
	}
}

// startingUp is how long a server that has just started is given to learn what it
// knew: until then it says of each token that there is none (1.22.5).
const startingUp = 10 * time.Second

// firstTries is how often an Envoy that Consul has told nothing yet is tried for. It
// has nothing that could outlive the loss, and may find a better way by itself.
const firstTries = 3

// lose ends a generation that Consul ended. What a new attempt may mend is tried
// again; what it cannot is returned, in Consul's words.
func (s *stream) lose(end loss) error {
	s.detach()
	s.silence = nil
	s.event(s.session.onLost)
	s.choice.Avoid = end.server
	err := end.err
	if s.answered && time.Since(s.attachedAt) >= backoffMost { // else it is no better than one that does not answer
		s.backoff.reset()
	}
	switch code := status.Code(err); {
	case s.doubts(code):
	case code == codes.PermissionDenied, code == codes.Unauthenticated, code == codes.InvalidArgument, code == codes.Unimplemented:
		s.log.Warn("consul refuses this envoy", "server", end.server, "error", err)
		return err
	case !s.served && s.backoff.attempts >= firstTries:
		s.log.Warn("no consul server answers for this envoy, it is sent away", "server", end.server, "error", err)
		return status.Error(codes.Unavailable, "no Consul server answers: "+status.Convert(err).Message())
	}
	wait := s.backoff.next()
	s.log.Info("the stream to consul is lost, it is attached again", "server", end.server, "in", wait.Round(time.Millisecond), "error", err)
	setTimer(&s.retry, true, wait)
	setTimer(&s.grace, true, s.server.cfg.Grace)
	return nil
}

// doubts reports whether a refusal may be that of a server which does not know yet.
func (s *stream) doubts(code codes.Code) bool {
	if !s.served || s.answered || code != codes.Unauthenticated && code != codes.PermissionDenied {
		return false
	}
	if s.doubted.IsZero() {
		s.doubted = time.Now()
	}
	return time.Since(s.doubted) < startingUp
}

// noteRefusal logs and counts what Envoy refuses, in its words.
func (s *stream) noteRefusal(req *request) {
	if req.refusal == nil || req.nonce == "" {
		return
	}
	ours := s.session.isOurs(req.nonce)
	s.server.metrics.refused(req.typeURL, ours)
	s.log.Warn("envoy refuses a response",
		"type", shortType(req.typeURL), "ours", ours, "error", safeText(req.refusal.GetMessage()))
}

// state describes the stream for people.
func (s *stream) state() ProxyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session.state()
}

// patched is how many clusters Envoy has in a form of ours.
func (s *stream) patched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session.patched
}

// String is the version as Envoy writes it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }
