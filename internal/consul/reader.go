package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// readWait is how long Consul may hold a blocking query, which keeps the rights
	// with which it began. Its default of 5 min would leave a lost connection or a
	// lost right unnoticed for that long.
	readWait = time.Minute

	// readGrace is what an answer may take beyond readWait and the sixteenth of it
	// that Consul adds against herds.
	readGrace = 10 * time.Second

	// readPause is the least time between two reads of a kind: Consul wakes
	// blocking queries for changes that do not concern them, too.
	readPause = 50 * time.Millisecond

	minBackoff = 250 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// query asks for all entries of one kind, blocking until the index is past.
type query func(ctx context.Context, index uint64) (entries []api.ConfigEntry, next uint64, err error)

// reader repeats one query. After a failure it starts from index 0, so that the
// first good answer comes at once.
type reader struct {
	query query

	// more, which may be nil, reads what else an answer is about.
	more func(context.Context, *answer) error

	// optional says that a Table can be made without it, if it is withheld from us.
	optional bool
}

// answer is what came of one read.
type answer struct {
	reader  int // which one
	entries []api.ConfigEntry
	at      time.Time
	err     error

	// What more read.
	gateways  []string // host:port
	byDefault bool     // calls are allowed that no intention is about
}

// run reads until the context ends, giving each answer to deliver.
func (r reader) run(ctx context.Context, deliver func(answer)) {
	var index uint64
	backoff := minBackoff
	for ctx.Err() == nil {
		entries, next, err := r.query(ctx, index)
		if ctx.Err() != nil {
			return
		}
		a := answer{entries: entries, at: time.Now(), err: err}
		if err == nil && r.more != nil {
			err = r.more(ctx, &a)
			a.err = err
		}
		deliver(a)
		if err != nil {
			index = 0
			pause(ctx, jitter(backoff))
			backoff = min(2*backoff, maxBackoff)
			continue
		}
		backoff = minBackoff
		if next < index {
			next = 0 // Consul was restored: its documentation says to start again
		}
		index = next
		pause(ctx, readPause)
	}
}

// list is the query for a kind of config entries. Namespace and partition are
// empty, and not sent, with Consul's community edition, which refuses them.
func (c *Client) list(kind, namespace, partition string) query {
	return func(ctx context.Context, index uint64) ([]api.ConfigEntry, uint64, error) {
		ctx, cancel := context.WithTimeout(ctx, readWait+readWait/16+readGrace)
		defer cancel()
		opts := &api.QueryOptions{
			Namespace: namespace, Partition: partition,
			WaitIndex: index, WaitTime: readWait,
		}
		entries, meta, err := c.API.ConfigEntries().List(kind, opts.WithContext(ctx))
		if err != nil {
			return nil, 0, fmt.Errorf("reading %s: %w", kind, err)
		}
		if err := c.whole(ctx, meta); err != nil {
			return nil, 0, fmt.Errorf("reading %s: %w", kind, err)
		}
		// An index of 0 would not block: Consul's documentation says to take 1.
		return entries, max(meta.LastIndex, 1), nil
	}
}

// Why an answer is not the whole truth.
var (
	ErrFiltered  = errors.New("withheld in part from our token by Consul's ACLs; its policy needs: " + ServiceRule)
	ErrTokenless = errors.New("no token for a Consul with ACLs (CONSUL_HTTP_TOKEN or --consul-token-file); its policy needs: " + ServiceRule)
)

// whole reports whether an answer holds all there is. The header tells, except
// to the anonymous token.
func (c *Client) whole(ctx context.Context, meta *api.QueryMeta) error {
	if meta.ResultsFilteredByACLs {
		return ErrFiltered
	}
	if !c.Tokenless || meta.DefaultACLPolicy != "deny" {
		return nil
	}
	if _, _, err := c.API.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return ErrTokenless
	}
	return nil // the agent's default token answers, and the header tells
}

// jitter is a random time around d, from half of it to one and a half.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
