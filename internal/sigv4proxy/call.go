package sigv4proxy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Call is one request that reached the proxy, recorded when it was answered.
type Call struct {
	Time    time.Time // of the arrival
	Method  string
	Path    string // as on the wire, with the query
	Host    string
	Header  http.Header // without the signature, session token and Authorization of any kind
	Body    []byte      // as received
	Proto   string      // "HTTP/1.1" or "HTTP/2.0"
	SNI     string      // the name in the TLS handshake; "" in plain text
	Signer  string      // access key id of the signature; "" if it could not be read
	Status  int         // of the answer
	Refused string      // a Code if the proxy refused it, else ""
	Reason  string      // the message of the refusal

	Conn        int64 // number of the connection, from 1
	FirstOnConn bool  // the first request on its connection
}

// log holds the calls and lets waiters know of new ones.
type log struct {
	mu      sync.Mutex
	calls   []Call
	changed chan struct{} // closed and replaced at each new call
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func (l *log) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *log) get() ([]Call, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls), l.changed
}

// Calls are all calls so far, in the order of their answers.
func (p *Proxy) Calls() []Call {
	calls, _ := p.log.get()
	return calls
}

// Wait returns the calls when there are at least n, counted from the start.
func (p *Proxy) Wait(ctx context.Context, n int) ([]Call, error) {
	for {
		calls, changed := p.log.get()
		if len(calls) >= n {
			return calls, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return calls, fmt.Errorf("waiting for call %d, have %d: %w", n, len(calls), ctx.Err())
		}
	}
}

// WaitFor returns the first call that match accepts, of those already there or still
// to come.
func (p *Proxy) WaitFor(ctx context.Context, match func(Call) bool) (Call, error) {
	for {
		calls, changed := p.log.get()
		if i := slices.IndexFunc(calls, match); i >= 0 {
			return calls[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Call{}, fmt.Errorf("waiting for a matching call among %d: %w", len(calls), ctx.Err())
		}
	}
}
