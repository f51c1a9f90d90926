package xds

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// readEnvoy takes Envoy's requests until its stream ends, which it does with the
// handler at the latest.
func (s *stream) readEnvoy() {
	for {
		req, err := s.next()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if req == nil {
			s.over(err)
			return
		}
		if req.acknowledges() {
			s.request(req) // most do, and it takes little
		} else {
			s.apart(func() { s.request(req) })
		}
	}
}

// request takes a request of Envoy's.
func (s *stream) request(req *request) {
	var upstream *attachment
	s.event(func() {
		s.noteRefusal(req)
		s.session.onRequest(req)
		upstream = s.upstream
	})
	if upstream != nil {
		upstream.transmit()
	}
	s.flush()
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

// flush sends Envoy what the session wants sent, in that order. One does at a time: who
// comes meanwhile leaves it to that one.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushing {
		return
	}
	s.flushing = true
	for len(s.session.down) > 0 {
		down, from := s.session.down, s.traced
		s.session.down = nil
		s.mu.Unlock()
		err := s.send(down, from)
		s.mu.Lock()
		if err != nil {
			s.over(err)
			break
		}
	}
	s.flushing = false
	s.flushed.Broadcast()
}

func (s *stream) send(down []push, from traced) error {
	for _, p := range down {
		span := from.sending(p)
		err := s.down.SendMsg(spliced(p.frame()))
		sent(span, err)
		if err != nil {
			return err
		}
		s.server.metrics.pushed(p)
	}
	return nil
}

// awaitFlushed returns when nothing waits to be sent to Envoy: then Consul may send
// more.
func (s *stream) awaitFlushed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.flushing {
		s.flushed.Wait()
	}
}

// noteRefusal keeps, logs and counts what Envoy refuses, in its words.
func (s *stream) noteRefusal(req *request) {
	if req.refusal == nil || req.nonce == "" {
		return
	}
	ours := s.session.isOurs(req.nonce)
	s.server.metrics.refused(req.typeURL, ours)
	s.refusal = &Refusal{At: time.Now(), Type: shortType(req.typeURL), Ours: ours, Error: safeText(req.refusal.GetMessage())}
	s.log.Warn("envoy refuses a response", "type", s.refusal.Type, "ours", ours, "error", s.refusal.Error)
}
