package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
)

// settling bounds how long open streams may take to come to rest at the end of a test.
const settling = 5 * time.Second

// record puts a recorder before a gRPC server, lambdamesh or Consul. At the end of the
// test every conversation is checked, and those that are open must come to rest.
func (s *story) record(target string) *recorder.Proxy {
	s.t.Helper()
	p, err := recorder.Start("127.0.0.1:0", target)
	s.must(err)
	t := s.t
	t.Cleanup(func() { check(t, p) })
	return p
}

// check ends a recorder and says what its streams did wrong.
func check(t *testing.T, p *recorder.Proxy) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), settling)
	defer cancel()
	unsettled := func(all []*recorder.Conversation) (owed []recorder.Violation) {
		for _, c := range all {
			if c.Ended() == nil {
				owed = append(owed, recorder.Settled(c.Snapshot())...)
			}
		}
		return owed
	}
	if err := p.Wait(ctx, func(all []*recorder.Conversation) bool { return len(unsettled(all)) == 0 }); err != nil {
		t.Errorf("the wire does not come to rest: %v: %v", err, unsettled(p.Conversations()))
	}
	p.Close()
	for i, c := range p.Conversations() {
		for _, v := range recorder.Check(c.Snapshot()) {
			t.Errorf("conversation %d (%s): %v", i, c.FirstRequest(recorder.ClusterType).GetNode().GetId(), v)
		}
	}
}
