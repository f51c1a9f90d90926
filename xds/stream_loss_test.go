package xds_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/xds"
)

// TestLossMovesTheStream loses the server of one Envoy in each way in which a server is
// lost. The stream goes to another one; Envoy sees nothing but what is new.
func TestLossMovesTheStream(t *testing.T) {
	for name, loss := range map[string]struct {
		provoke func(*testing.T, *bubbleServer, *fakeStream)
		within  time.Duration
	}{
		"drained": {func(_ *testing.T, _ *bubbleServer, up *fakeStream) {
			up.end <- status.Error(codes.ResourceExhausted, "this server has too many xDS streams open, please try another")
		}, time.Second},
		"GOAWAY": {func(t *testing.T, s *bubbleServer, up *fakeStream) {
			stopped := make(chan struct{})
			go func() { s.grpc.GracefulStop(); close(stopped) }() // returns when its streams have ended
			synctest.Wait()
			select {
			case <-stopped:
				t.Error("the stream ended by the GOAWAY alone")
			default:
			}
			up.end <- status.Error(codes.Unavailable, "the server stops")
			<-stopped
		}, time.Second},
		"killed":     {func(_ *testing.T, s *bubbleServer, _ *fakeStream) { s.pipe.cut() }, time.Second},
		"black hole": {func(_ *testing.T, s *bubbleServer, _ *fakeStream) { s.pipe.darken() }, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, xds.Config{}, func(t *testing.T, b *bubble) {
				envoy, up := b.started(t.Context(), b.servers[0], "vm-1")
				lost := time.Now()
				loss.provoke(t, b.servers[0], up)
				b.resumed(envoy, b.servers[1], "news")
				if took := time.Since(lost); took > loss.within {
					t.Errorf("envoy had its news after %v, want at most %v", took, loss.within)
				} else {
					t.Logf("envoy had its news after %v", took)
				}
				if choice := b.servers[1].taken()[0].Choice; choice != (xds.Choice{Avoid: "a"}) {
					t.Errorf("the server was chosen by %+v", choice)
				}
			})
		})
	}
}

// TestEveryServerIsFull: each attempt is answered RESOURCE_EXHAUSTED. They become rare,
// and go to one server and another in turn; when one has room it is found, and Envoy's
// stream has lasted.
func TestEveryServerIsFull(t *testing.T) {
	inBubble(t, 2, xds.Config{}, func(t *testing.T, b *bubble) {
		a, other := b.servers[0], b.servers[1]
		envoy, up := b.started(t.Context(), a, "vm-1")
		a.fill(true)
		other.fill(true)
		last, avoid := time.Now(), "a"
		up.end <- status.Error(codes.ResourceExhausted, "drained")
		<-time.After(4 * time.Minute)
		attempts := slices.Concat(a.taken(), other.taken())
		slices.SortFunc(attempts, func(x, y attempt) int { return x.at.Compare(y.at) })
		// 8 in the first 13 s at most, and then one every 5 to 10 s.
		if n := len(attempts); n < 24 || n > 8+240/5 {
			t.Errorf("%d attempts in 4 minutes", n)
		} else {
			t.Logf("%d attempts in 4 minutes", n)
		}
		waits := map[time.Duration]bool{}
		for i, each := range attempts {
			most := min(100*time.Millisecond<<min(i, 10), 10*time.Second)
			wait := each.at.Sub(last)
			if wait < most/2 || wait > most+time.Millisecond { // which is for the answer
				t.Errorf("attempt %d came after %v, want %v to %v", i, wait, most/2, most)
			}
			if each.Avoid != avoid {
				t.Errorf("attempt %d avoids server %q, want %q", i, each.Avoid, avoid)
			}
			waits[wait] = true
			last, avoid = each.at, map[string]string{"a": "b", "b": "a"}[avoid]
		}
		if len(waits) < len(attempts) {
			t.Errorf("only %d of %d waits differ: other Envoys would come in step", len(waits), len(attempts))
		}
		other.fill(false)
		room := time.Now()
		b.resumed(envoy, other, "news")
		if took := time.Since(room); took > 20*time.Second {
			t.Errorf("the room was found after %v", took)
		}
	})
}

// TestBackoffGoesOnWhileStreamsAreShort: a server that answers each stream and ends it
// at once is no better than one that does not answer.
func TestBackoffGoesOnWhileStreamsAreShort(t *testing.T) {
	inBubble(t, 1, xds.Config{}, func(t *testing.T, b *bubble) {
		a := b.servers[0]
		_, up := b.started(t.Context(), a, "vm-1")
		began := time.Now()
		for time.Since(began) < time.Minute {
			up.end <- status.Error(codes.Unavailable, "gone again")
			up, _ = a.upstream(t)
			must(t, up.Send(clusters(t, "again", "fn-a")))
			up.next(t)
		}
		if n := len(a.taken()); n > 8+60/5 {
			t.Errorf("%d attempts in a minute", n)
		} else {
			t.Logf("%d attempts in a minute", n)
		}
	})
}

// TestStreamStaysWithItsAgent: an Envoy whose Node names no node belongs to the agent
// that stands first. Its stream never goes elsewhere, and if it hears nothing the log
// says why that may be.
func TestStreamStaysWithItsAgent(t *testing.T) {
	inBubble(t, 2, xds.Config{}, func(t *testing.T, b *bubble) {
		agent, other := b.servers[0], b.servers[1]
		envoy, up := b.started(t.Context(), agent, "")
		for range 3 {
			up.end <- status.Error(codes.Unavailable, "the agent restarts")
			up, _ = agent.upstream(t)
		}
		for _, each := range agent.taken() {
			if !each.Pinned {
				t.Errorf("the stream was not pinned: %+v", each)
			}
		}
		if all := other.taken(); len(all) > 0 {
			t.Errorf("another server was tried: %+v", all)
		}
		const why = "-node-name"
		synctest.Wait()
		if strings.Contains(b.log.String(), why) {
			t.Error("the warning came at once")
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		if text := b.log.String(); strings.Count(text, why) != 1 {
			t.Errorf("after 10 s of silence the log says %s", text)
		}
		must(t, up.Send(clusters(t, "news", "news")))
		envoy.takes(t, "news")
	})
}

// TestGraceIsOfTheLossOnly: Envoy's stream ends 5 minutes after the loss of the last
// server, not before, and one whose server came back in time does not end at all.
func TestGraceIsOfTheLossOnly(t *testing.T) {
	inBubble(t, 1, xds.Config{}, func(t *testing.T, b *bubble) {
		a := b.servers[0]
		envoy, up := b.started(t.Context(), a, "vm-1")
		for range 3 {
			a.fill(true)
			up.end <- status.Error(codes.ResourceExhausted, "drained")
			<-time.After(xds.DefaultGrace - time.Minute)
			a.fill(false)
			up = b.resumed(envoy, a, fmt.Sprint("news at ", time.Now()))
		}
		a.fill(true)
		lost := time.Now()
		up.end <- status.Error(codes.ResourceExhausted, "drained")
		_, err := envoy.Recv()
		if status.Code(err) != codes.Unavailable {
			t.Errorf("envoy is told %v", err)
		}
		if took := time.Since(lost); took < xds.DefaultGrace || took > xds.DefaultGrace+time.Second {
			t.Errorf("envoy was told after %v", took)
		}
	})
}

// TestEnvoyComesWhileConsulIsAway: it had nothing from Consul on this stream that could
// outlive the loss, so it is told within a second, and tries again by itself.
func TestEnvoyComesWhileConsulIsAway(t *testing.T) {
	inBubble(t, 2, xds.Config{}, func(t *testing.T, b *bubble) {
		for _, s := range b.servers {
			s.fill(true)
		}
		began := time.Now()
		_, err := b.connect(t.Context(), "vm-1").Recv()
		if code := status.Code(err); code != codes.Unavailable {
			t.Errorf("envoy is told %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("envoy was told after %v", took)
		}
		for _, s := range b.servers {
			if len(s.taken()) == 0 {
				t.Errorf("server %s was not tried", s.name)
			}
		}
	})
}

// aclNotFound is what a server says of each token before it has read its own state.
var aclNotFound = status.Error(codes.Unauthenticated, "unauthenticated: ACL not found")

// TestServerThatDoesNotKnowYet: a server that has just started answers before it has
// read its own state. Where Consul served the Envoy before it is not believed at once,
// however long it was away.
func TestServerThatDoesNotKnowYet(t *testing.T) {
	for _, away := range []time.Duration{0, time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			inBubble(t, 1, xds.Config{}, func(t *testing.T, b *bubble) {
				a := b.servers[0]
				envoy, up := b.started(t.Context(), a, "vm-1")
				a.fill(true)
				up.end <- status.Error(codes.Unavailable, "the server restarts")
				<-time.After(away)
				a.fill(false)
				for began := time.Now(); time.Since(began) < 3*time.Second; {
					up, _ = a.upstream(t)
					up.end <- aclNotFound
				}
				b.resumed(envoy, a, "news")
			})
		})
	}
}

// TestRefusalIsBelieved: at once on a stream on which Consul has answered, and in the end
// on one on which it has not.
func TestRefusalIsBelieved(t *testing.T) {
	for name, test := range map[string]struct {
		ends   error
		within time.Duration
	}{
		"of a stream that was served":       {aclNotFound, 0},
		"of one that is attached again":     {status.Error(codes.Unavailable, "the server restarts"), 20 * time.Second},
		"of a version, when it is upgraded": {status.Error(codes.InvalidArgument, "Envoy 1.40.0 is too old"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, xds.Config{}, func(t *testing.T, b *bubble) {
				a := b.servers[0]
				envoy, up := b.started(t.Context(), a, "vm-1")
				ended := time.Now()
				up.end <- test.ends
				told := make(chan error)
				go func() {
					_, err := envoy.Recv()
					told <- err
				}()
				for {
					select {
					case up := <-a.streams:
						up.end <- aclNotFound
						continue
					case err := <-told:
						want := aclNotFound
						if test.within == 0 {
							want = test.ends
						}
						if status.Convert(err).Message() != status.Convert(want).Message() || status.Code(err) != status.Code(want) {
							t.Errorf("envoy is told %v, want %v", err, want)
						}
						if took := time.Since(ended); took > test.within {
							t.Errorf("envoy was told after %v, want at most %v", took, test.within)
						}
					}
					break
				}
			})
		})
	}
}
