package consul

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const three = "10.0.0.1,10.0.0.2,10.0.0.3"

const (
	one = "10.0.0.1:8502"
	two = "10.0.0.2:8502"
	tri = "10.0.0.3:8502"
)

func TestStreamsGoWhereFewestAre(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two, tri)
		p := n.pool(three, UpstreamConfig{})
		var streams []opened
		for range 30 {
			streams = append(streams, p.open(Choice{}))
		}
		even := map[string]int{one: 10, two: 10, tri: 10}
		if diff := cmp.Diff(even, p.carried()); diff != "" {
			t.Error(diff)
		}
		for _, s := range streams {
			if s.server == two {
				s.end()
			}
		}
		if diff := cmp.Diff(map[string]int{one: 10, two: 0, tri: 10}, p.carried()); diff != "" {
			t.Error(diff)
		}
		for range 10 {
			p.open(Choice{})
		}
		if diff := cmp.Diff(even, p.carried()); diff != "" {
			t.Error(diff)
		}
	})
}

// Equals are chosen by chance: many lambdameshes do not meet on one server.
func TestTiesAreBrokenByChance(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		p := n.pool(one+","+two, UpstreamConfig{})
		first := map[string]bool{}
		for range 64 {
			s := p.open(Choice{})
			first[s.server] = true
			s.end()
			synctest.Wait()
		}
		if len(first) != 2 {
			t.Errorf("only %v were ever chosen", first)
		}
	})
}

func TestServerToAvoid(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		p := n.pool(one+","+two, UpstreamConfig{})
		for range 5 {
			if s := p.open(Choice{Avoid: one}); s.server != two {
				t.Errorf("the one to avoid was taken, with %v", p.carried())
			}
		}
		n.stop(two)
		synctest.Wait()
		if s := p.open(Choice{Avoid: one}); s.server != one {
			t.Errorf("%s was taken, which is not connected", s.server)
		}
	})
}

// A pinned stream waits for its server, fails with it, and never goes elsewhere.
func TestPinned(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		p := n.pool(two+","+one, UpstreamConfig{})
		for range 5 {
			if s := p.open(Choice{Pinned: true, Avoid: two}); s.server != two {
				t.Errorf("it went to %s", s.server)
			}
		}
		n.stop(two)
		synctest.Wait()
		s, err := p.try(Choice{Pinned: true})
		if status.Code(err) != codes.Unavailable || !strings.Contains(status.Convert(err).Message(), two) {
			t.Errorf("%q, %v", s.server, err)
		}
		if p.Unready() != "" {
			t.Error("it counts as unready with a server left:", p.Unready())
		}
		n.serve(two)
		n.pass(3 * time.Second)
		if s := p.open(Choice{Pinned: true}); s.server != two {
			t.Errorf("it went to %s", s.server)
		}
	})
}

// When all have failed a stream is told so at once. One that comes back is found in
// 3 s, and it is said once that it was gone.
func TestAllServersFail(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		p := n.pool(one+","+two, UpstreamConfig{})
		n.stop(one)
		synctest.Wait()
		if p.Unready() != "" {
			t.Error("one is left, yet:", p.Unready())
		}
		n.stop(two)
		synctest.Wait()
		n.pass(5 * time.Minute)
		for _, said := range []string{p.Unready(), message(p.try(Choice{}))} {
			if !strings.Contains(said, one) || !strings.Contains(said, two) || !strings.Contains(said, "refused") {
				t.Errorf("it does not say why: %q", said)
			}
		}
		n.serve(two)
		n.pass(3 * time.Second)
		if s := p.open(Choice{}); s.server != two || p.Unready() != "" {
			t.Errorf("%s, %s", s.server, p.Unready())
		}
		synctest.Wait()
		log := n.logged()
		for text, times := range map[string]int{
			"level=WARN": 1, "cannot be reached": 2, "msg=\"connected to": 3, "has come": 2,
		} {
			if got := strings.Count(log, text); got != times {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, got, times, log)
			}
		}
	})
}

func message(_ opened, err error) string { return status.Convert(err).Message() }

// The first connection is waited for, but not for ever.
func TestFirstConnection(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one)
		n.server(one).dark.Store(true)
		p := n.pool(one, UpstreamConfig{})
		began := time.Now()
		_, err := p.try(Choice{})
		if took := time.Since(began); status.Code(err) != codes.Unavailable || took != openTimeout {
			t.Errorf("%v after %s", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n.server(one).dark.Store(false)
		if _, _, err := p.NewStream(ctx, Choice{}, &grpc.StreamDesc{}, "/test/Any"); err == nil {
			t.Error("a server that has failed once is waited for")
		}
		n.pass(10 * time.Second)
		p.open(Choice{})
	})
}

// A server that is being connected for the first time does not keep a stream from one
// that is connected.
func TestConnectedBeforeConnecting(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		n.server(one).dark.Store(true)
		p := n.pool(one+","+two, UpstreamConfig{})
		began := time.Now()
		for range 3 {
			if s := p.open(Choice{}); s.server != two || time.Since(began) > 0 {
				t.Errorf("%s after %s", s.server, time.Since(began))
			}
		}
	})
}

// Connections are opened as they are needed, the first ones are filled first, and
// what carries nothing any more is closed.
func TestConnections(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one)
		p := n.pool(one, UpstreamConfig{streams: 2})
		conns := func(want int32) {
			t.Helper()
			synctest.Wait()
			if got := n.server(one).conns.Load(); got != want {
				t.Errorf("%d connections, want %d", got, want)
			}
		}
		conns(1)
		var streams []opened
		for range 7 {
			streams = append(streams, p.open(Choice{}))
		}
		conns(4)
		for _, s := range streams[2:] {
			s.end()
		}
		conns(4)
		n.pass(2 * upkeepEvery)
		conns(1)
		p.open(Choice{})
		conns(2)
		streams[0].end()
		synctest.Wait()
		p.open(Choice{})
		conns(2)
		n.pass(time.Minute)
		conns(2)
	})
}

// Something before Consul may take fewer streams a connection than Consul does. It lets
// the next one wait for ever.
func TestServerThatTakesNoMore(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.add(one, grpc.MaxConcurrentStreams(1))
		n.run(one)
		p := n.pool(one, UpstreamConfig{})
		first := p.open(Choice{})
		s, err := p.try(Choice{})
		if status.Code(err) != codes.Unavailable || s.server != one {
			t.Errorf("%q, %v", s.server, err)
		}
		if diff := cmp.Diff(map[string]int{one: 1}, p.carried()); diff != "" {
			t.Error(diff)
		}
		first.end()
		synctest.Wait()
		p.open(Choice{})
	})
}

// A black hole is noticed within a minute by the streams in it, also by those of a
// connection that had none for long, and no new one goes there.
func TestBlackHole(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one, two)
		p := n.pool(one+","+two, UpstreamConfig{})
		n.pass(10 * time.Minute)
		s := p.open(Choice{Avoid: two})
		n.server(one).dark.Store(true)
		began := time.Now()
		err := s.RecvMsg(nil)
		if took := time.Since(began); status.Code(err) != codes.Unavailable || took > time.Minute {
			t.Errorf("%v after %s", err, took)
		}
		s.end()
		if s := p.open(Choice{Avoid: one}); s.server != two {
			t.Errorf("went to %s", s.server)
		}
		synctest.Wait()
		if s := p.open(Choice{}); s.server != two {
			t.Errorf("went to %s", s.server)
		}
	})
}

// A server that refuses connections, and one that takes them and ends them at once, are
// tried again all the time, but in no hot loop.
func TestNoHotLoop(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.add(two)
		ending := n.server(two)
		go func() {
			for {
				conn, err := ending.listener.Accept()
				if err != nil {
					return
				}
				// Settings, so that it counts as connected, and the end.
				_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
				_ = conn.Close()
			}
		}()
		t.Cleanup(func() { _ = ending.listener.Close() })
		n.pool(one+","+two, UpstreamConfig{})
		n.pass(time.Minute)
		for addr, most := range map[string]int{one: 45, two: 150} {
			dials := n.dials(addr)
			if got := len(dials); got < 60/3 || got > most { // what follows from the gap below
				t.Errorf("%s was dialled %d times in a minute", addr, got)
			}
			for i := range dials[1:] {
				if gap := dials[i+1].Sub(dials[i]); gap > 3*time.Second {
					t.Errorf("%s was not dialled for %s", addr, gap)
				}
			}
		}
	})
}

func TestEndedUpstreamOpensNothing(t *testing.T) {
	inFakeNet(t, func(t *testing.T, n *fakeNet) {
		n.serve(one)
		addrs, err := ParseGRPCAddrs(one)
		if err != nil {
			t.Fatal(err)
		}
		u, err := NewUpstream(UpstreamConfig{Addrs: addrs, dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- u.Run(ctx) }()
		p := &pool{u, t}
		s := p.open(Choice{})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.RecvMsg(nil); err == nil {
			t.Error("a stream lives on")
		}
		if _, err := p.try(Choice{}); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		if len(p.carried()) != 0 {
			t.Error("there are servers left")
		}
	})
}
