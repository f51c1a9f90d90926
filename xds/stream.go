package xds

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stream is the pair of streams of one Envoy. Both ends end together, except that the
// one to Consul may be lost and attached again.
//
// Three goroutines feed its session, each one event at a time: that which reads from
// Envoy, that which reads from Consul, and the loop, to which all else comes. The two
// that read send on what follows from what they read, so a message takes no detour.
// The loop waits for no peer.
type stream struct {
	server *Server
	down   grpc.ServerStream
	log    *slog.Logger

	ended chan error    // why Envoy's stream is to end; the first counts, nil for Envoy's own wish
	wake  chan struct{} // the loop is to look at what it waits for

	// mu is held while an event changes any of these, never while something is sent.
	mu       sync.Mutex
	session  *session
	upstream *attachment // nil while Consul is lost
	flushing bool        // somebody sends Envoy what the session wants sent
	flushed  *sync.Cond  // nobody does any more
	traced   traced      // the Patcher in force
	waits    waits       // as the loop was last told
	refusal  *Refusal    // the last; nil: none

	// What Consul's answers so far are worth, guarded by mu; see lose.
	served   bool      // it has answered on this stream of Envoy's
	answered bool      // and in this generation
	doubted  time.Time // when it first refused in one without an answer, after it had answered
	choice   Choice

	away bool // guarded by mu: the log has said that Consul is lost, and not that it is back

	// The loop's own.
	patcher    inForce
	keeper     keeper
	tokens     []string
	backoff    backoff
	attachedAt time.Time
	lost       <-chan loss // of the attachment; nil while Consul is lost
	draining   <-chan struct{}
	timers
}

// timers are those of the loop; nil while they do not run.
type timers struct {
	retry, grace, hold, tick, reread, leave, part, silence, compacting <-chan time.Time
}

// waits are what a session may wait for without being told of it.
type waits struct{ hold, part, tick, reread, answer, compact bool }

// serve relays until Envoy goes, or until Consul refuses it for good.
func (s *stream) serve(ctx context.Context) error {
	err := errFailed // if it panics
	s.apart(func() { err = s.begin(ctx) })
	if err != nil {
		return err
	}
	defer s.end()
	return s.loop(ctx)
}

// begin makes the session with Envoy's first request, attaches it, and reads on.
func (s *stream) begin(ctx context.Context) error {
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
	if node, err = packed(node); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	s.session = newSession(node, proxy, s.patcher.patcher, s.server.forms)
	s.choice.Pinned = proxy.NodeName == ""
	s.wake = make(chan struct{}, 1)
	s.flushed = sync.NewCond(&s.mu)
	s.draining = s.server.draining
	s.server.add(s)
	s.log.Info("envoy connected")
	s.attach(ctx)
	s.event(func() { s.session.onRequest(first) })
	s.follow()
	s.run(s.readEnvoy)
	return nil
}

// end gives up both ends.
func (s *stream) end() {
	s.event(s.detachLocked)
	s.server.remove(s)
	s.log.Info("envoy disconnected")
}

// loop takes what comes neither from Envoy nor from Consul.
func (s *stream) loop(ctx context.Context) error {
	for {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case end := <-s.lost:
			var err error
			s.apart(func() { err = s.lose(end) })
			if err != nil {
				return err
			}
		case <-s.patcher.replaced:
			s.apart(s.replacePatcher)
		case <-s.wake:
			s.await()
			continue // who woke it sends by itself
		case <-s.draining:
			s.draining = nil
			s.leave = time.After(s.server.leaveAfter())
		case <-s.leave:
			return errLeaving
		case <-s.grace:
			return status.Error(codes.Unavailable, "no Consul server could be reached for "+s.server.cfg.Grace.String())
		case <-s.retry:
			s.retry = nil
			s.apart(func() { s.attach(ctx) })
		case <-s.reread:
			s.reread = nil
			s.apart(func() { s.attachAnew(ctx) })
		case <-s.silence:
			s.silence = nil
			s.log.Warn("consul does not answer for this envoy; is it registered? Without -node-name in its bootstrap, Consul looks it up under the name of the server that answers", "waited", silence)
		case <-s.hold:
			s.hold = nil
			s.log.Warn("consul has not told the endpoints of the first clusters in time", "waited", s.server.cfg.Hold)
			s.apart(func() { s.event(s.session.onHoldExpired) })
		case <-s.part:
			s.part = nil
			s.apart(func() { s.event(s.session.onParted) })
		case <-s.tick:
			s.tick = nil
			s.apart(func() { s.event(s.session.onTick) })
		case <-s.compacting:
			s.compacting = nil
			s.apart(s.compact)
		}
		s.follow()
	}
}

// replacePatcher puts the newest Patcher in force.
func (s *stream) replacePatcher() {
	last := s.patcher
	s.patcher = s.server.patchers.get()
	subjects, all := s.patcher.since(last)
	s.event(func() {
		s.traced = s.patcher.traced.to(s.session.proxy)
		s.session.onPatcher(s.patcher.patcher, subjects, all)
	})
}

// event lets the session take an event, and queues what is to go to Consul. What is to
// go to Envoy waits for flush.
func (s *stream) event(take func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	take()
	if s.upstream != nil {
		s.upstream.enqueue(s.session.up)
	}
	s.session.up = nil
	for _, failure := range s.session.failures {
		s.log.Error("a patch failed, its service is contained", "failure", failure)
	}
	s.session.failures = nil
	if now := s.waitsLocked(); now != s.waits {
		s.waits = now
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *stream) waitsLocked() waits {
	return waits{
		hold:   s.session.holding != nil,
		part:   len(s.session.parting) > 0,
		tick:   s.session.wantsTicks(),
		reread: s.session.wantsReattach(),
		answer: !s.answered,

		compact: len(s.session.loose) > 0,
	}
}

// follow sends what follows from an event of the loop's, and waits on.
func (s *stream) follow() {
	s.mu.Lock()
	upstream, unsent := s.upstream, len(s.session.down) > 0 && !s.flushing
	s.mu.Unlock()
	if upstream != nil {
		upstream.transmitLater()
	}
	if unsent {
		s.run(s.flush) // Envoy may be slow to take it
	}
	s.await()
}

// await sets the timers for what the session waits for now.
func (s *stream) await() {
	s.mu.Lock()
	waits := s.waits
	s.mu.Unlock()
	cfg := &s.server.cfg
	setTimer(&s.hold, waits.hold, cfg.Hold)
	setTimer(&s.part, waits.part, cfg.Linger/2)
	setTimer(&s.tick, waits.tick, cfg.Linger/lingerTicks)
	setTimer(&s.compacting, waits.compact, compactAfter)
	if s.reread == nil && waits.reread {
		setTimer(&s.reread, true, s.server.rereads.Reserve().Delay())
	}
	if !waits.answer {
		s.grace, s.silence = nil, nil
	}
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

// apart does something in a goroutine of its own, and waits for it. A stack that has grown
// stays so under a goroutine that only waits from then on, 4 kB more for each of ten
// thousand streams (Go 1.26); so the loop, and what reads from Envoy, have anything apart
// that goes deep.
func (s *stream) apart(do func()) {
	done := make(chan struct{})
	s.run(func() {
		defer close(done)
		do()
	})
	<-done
}

// run does something in a goroutine that the server waits for. A bug that panics there
// ends Envoy's stream, as in handle.
func (s *stream) run(do func()) {
	s.server.readers.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.over(s.panicked(p))
			}
		}()
		do()
	})
}

// panicked logs a panic and is what Envoy is told.
func (s *stream) panicked(p any) error {
	s.log.Error("panic in a stream", "panic", p, "stack", string(debug.Stack()))
	return errFailed
}

var errFailed = status.Error(codes.Internal, "lambdamesh failed on this stream, see its log")

// over has Envoy's stream end.
func (s *stream) over(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

// state describes the stream for people.
func (s *stream) state() ProxyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.session.state()
	state.LastRefusal = s.refusal
	return state
}

// patched is how many resources of a type Envoy has in a form of ours.
func (s *stream) patched(typeURL string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.session.types[typeURL]; t != nil {
		return t.patched
	}
	return 0
}

// String is the version as Envoy writes it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }
