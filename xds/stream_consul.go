package xds

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// silence is how long Consul may take for its first answer before that is worth a
// warning: it answers nothing at all about a proxy that it does not find (1.22.5).
const silence = 10 * time.Second

// attach begins a generation.
func (s *stream) attach(ctx context.Context) {
	s.attachedAt = time.Now()
	setTimer(&s.grace, true, s.server.cfg.Grace)
	s.silence = time.After(silence)
	s.event(func() {
		s.upstream = s.open(ctx)
		s.lost = s.upstream.lost
		s.session.onAttached()
	})
}

// detachLocked gives the stream to Consul up.
func (s *stream) detachLocked() {
	if s.upstream != nil {
		s.upstream.cancel()
		s.upstream, s.lost = nil, nil
	}
	s.answered = false
	s.session.onLost()
}

// attachAnew gives the stream to Consul up for another, if the session still wants
// that.
func (s *stream) attachAnew(ctx context.Context) {
	wanted := false
	s.event(func() {
		if wanted = s.session.wantsReattach(); wanted {
			s.detachLocked()
		}
	})
	if wanted {
		s.attach(ctx)
	}
}

// respond takes a response of Consul's. It returns when Envoy has been sent what
// follows from it, so that Consul sends no faster than Envoy takes.
func (s *stream) respond(from *attachment, frame rawFrame) {
	resp, err := parseResponse(frame)
	if err != nil {
		s.over(status.Error(codes.Internal, err.Error()))
		return
	}
	back := false
	s.event(func() {
		if s.upstream != from {
			return // it was given up meanwhile
		}
		back, s.away = s.away, false
		s.served, s.answered, s.choice.Avoid, s.doubted = true, true, "", time.Time{}
		s.session.onResponse(resp)
	})
	if back {
		s.log.Info("consul answers for this envoy again")
	}
	s.flush()
	from.transmitLater()
	s.awaitFlushed()
}

// compactAfter is how long what a response brought is kept as it came. It would cost
// Envoy's wait for the response a third to make it small at once (make bench, hop), and
// be for nothing where the next response replaces it.
const compactAfter = 100 * time.Millisecond

// compact makes small what the session keeps of Consul's clusters.
func (s *stream) compact() {
	s.mu.Lock()
	loose := s.session.takeLoose()
	s.mu.Unlock()
	small := make([]kept, len(loose))
	for i := range loose {
		small[i] = s.keeper.keep(*loose[i].whole.secret)
	}
	s.event(func() {
		for i := range loose {
			loose[i].settle(small[i])
		}
	})
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
	answered, level := s.answered, slog.LevelInfo
	s.event(func() {
		s.detachLocked()
		if s.away { // each attempt that fails comes here
			level = slog.LevelDebug
		}
		s.away = true
	})
	s.silence = nil
	s.choice.Avoid = end.server
	err := end.err
	if answered && time.Since(s.attachedAt) >= backoffMost { // else it is no better than one that does not answer
		s.backoff.reset()
	}
	switch code := status.Code(err); {
	case !answered && s.doubts(code):
	case code == codes.PermissionDenied, code == codes.Unauthenticated, code == codes.InvalidArgument, code == codes.Unimplemented:
		s.log.Warn("consul refuses this envoy", "server", end.server, "error", err)
		return err
	case !s.served && s.backoff.attempts >= firstTries:
		s.log.Warn("no consul server answers for this envoy, it is sent away", "server", end.server, "error", err)
		return status.Error(codes.Unavailable, "no Consul server answers: "+status.Convert(err).Message())
	}
	wait := s.backoff.next()
	s.log.Log(context.Background(), level, "the stream to consul is lost, it is attached again", "server", end.server, "in", wait.Round(time.Millisecond), "error", err)
	setTimer(&s.retry, true, wait)
	setTimer(&s.grace, true, s.server.cfg.Grace)
	return nil
}

// doubts reports whether a refusal without an answer before it may be that of a server
// which does not know yet.
func (s *stream) doubts(code codes.Code) bool {
	if !s.served || code != codes.Unauthenticated && code != codes.PermissionDenied {
		return false
	}
	if s.doubted.IsZero() {
		s.doubted = time.Now()
	}
	return time.Since(s.doubted) < startingUp
}
