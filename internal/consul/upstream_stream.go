package consul

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// openTimeout bounds how long a stream waits for a server to be connected, and to take
// it: one that stands before Consul may allow few streams a connection.
const openTimeout = 5 * time.Second

var errSlow = errors.New("it took longer than " + openTimeout.String())

// Choice is what there is to know for choosing a server of a stream.
type Choice struct {
	Pinned bool   // always the same server: the first address of the first seed
	Avoid  string // the address of one that has just failed the stream
}

// NewStream opens a stream that lasts until the context ends, and says to which
// server: the one with the fewest streams of ours among those that are connected, and
// not the one to avoid if there is another. While none is connected it waits for those
// that are being tried, at most openTimeout; if all have failed it fails at once. The
// error is Unavailable, with the reason.
func (u *Upstream) NewStream(ctx context.Context, choice Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	patience := time.AfterFunc(openTimeout, func() { cancel(errSlow) })
	c, err := u.take(ctx, choice)
	if err != nil {
		patience.Stop()
		cancel(nil)
		return nil, "", err
	}
	stream, err := c.grpc.NewStream(ctx, desc, method, opts...)
	if slow := !patience.Stop(); slow && errors.Is(context.Cause(ctx), errSlow) {
		err = status.Error(codes.Unavailable, c.server.addr+" takes no stream: "+errSlow.Error())
	}
	if err != nil {
		u.release(c)
		cancel(nil)
		return nil, c.server.addr, err
	}
	context.AfterFunc(ctx, func() { u.release(c) })
	return stream, c.server.addr, nil
}

// take counts a stream on the connection that is chosen for it, and waits for one.
func (u *Upstream) take(ctx context.Context, choice Choice) (*conn, error) {
	for {
		u.mu.Lock()
		c, err := u.takeLocked(choice)
		changed, unready := u.changed, u.unreadyLocked()
		u.mu.Unlock()
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errSlow) {
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			return nil, noServer(cmp.Or(unready, "that of this stream is "+notYet))
		}
	}
}

func noServer(reason string) error {
	return status.Error(codes.Unavailable, "no Consul server can be used: "+reason)
}

func (u *Upstream) release(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c.streams--
}

// takeLocked is nothing while there is still something to wait for.
func (u *Upstream) takeLocked(choice Choice) (*conn, error) {
	if u.closed {
		return nil, noServer("this lambdamesh stops")
	}
	var s *server
	if choice.Pinned {
		s = find(u.servers, u.pinned)
	} else {
		s = best(u.servers, choice.Avoid)
	}
	if s == nil {
		if u.seeds[0].problem == "" {
			return nil, nil //nolint:nilnil // the names are being looked up
		}
		return nil, noServer(u.unreadyLocked())
	}
	switch s.state() {
	case connectivity.Ready:
	case connectivity.TransientFailure:
		return nil, noServer(cmp.Or(u.unreadyLocked(), s.addr+": "+s.problem()))
	default:
		return nil, nil //nolint:nilnil // it is being connected
	}
	c := s.room(u.cfg.streams)
	if c == nil {
		if err := u.openLocked(s); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		c = s.conns[len(s.conns)-1]
	}
	c.streams++
	c.unused = false
	return c, nil
}

// best is the server that a stream goes to, or waits for; nil if there is none. What is
// connected comes before what is being connected and that before what has failed; then
// what need not be avoided; then what has the fewest streams; then chance decides.
func best(servers []*server, avoid string) *server {
	var named []*server
	for _, s := range servers {
		if !s.gone {
			named = append(named, s)
		}
	}
	if len(named) == 0 {
		return nil
	}
	rand.Shuffle(len(named), func(i, j int) { named[i], named[j] = named[j], named[i] })
	return slices.MinFunc(named, func(a, b *server) int {
		return cmp.Or(
			cmp.Compare(rank(a.state()), rank(b.state())),
			cmp.Compare(truth(a.addr == avoid), truth(b.addr == avoid)),
			cmp.Compare(a.streams(), b.streams()),
		)
	})
}

// room is the connection for one more stream, the first of the best, so that the last
// ones become empty; nil if all are full.
func (s *server) room(most int) *conn {
	var found *conn
	for _, c := range s.conns {
		if c.streams < most && (found == nil || rank(c.state) < rank(found.state)) {
			found = c
		}
	}
	return found
}

func rank(state connectivity.State) int {
	switch state {
	case connectivity.Ready:
		return 0
	case connectivity.TransientFailure, connectivity.Shutdown:
		return 2
	default:
		return 1
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
