package registrator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
)

// lockPrefix begins the keys of the locks, for the rule that allows them.
const lockPrefix = "lambdamesh/"

const (
	// lockWait bounds a look at a lock that another replica holds, and so the time
	// that a waiting replica takes to end.
	lockWait = 2 * time.Second

	// lockGrace bounds what is waited for at the end: the client's lock knows no
	// context, and a Consul that does not answer would hold the process back.
	lockGrace = 2 * lockWait

	// identityWait bounds the question whose account this is: without an answer the
	// registrator works as it does without a lock.
	identityWait = 10 * time.Second

	// lockDelay keeps a lock free after its holder vanished. Nothing has to be waited
	// for, since CAS makes a late write harmless; zero would mean Consul's 15 s.
	lockDelay = time.Millisecond

	// lockRetries ride out an election among Consul's servers, 2 s apart.
	lockRetries = 5
)

// errLockLost ends a run whose replica is no longer the one to make it.
var errLockLost = errors.New("the lock was lost: another replica may go on")

// lock elects one of several replicas, which are those with the same node,
// accounts and regions. Without the rights that it takes all of them run, and CAS
// keeps them from harming each other.
type lock struct {
	client *api.Client
	node   string
	ttl    time.Duration
	areas  func(context.Context) ([]string, error)
	logger *slog.Logger
	waits  atomic.Bool // another replica holds it, and this one waits

	// mu is held while the lock is taken, which may be for ever, and given back: full
	// syncs and events ask for it. It guards what follows.
	mu      sync.Mutex
	options *api.LockOptions // nil: not worked out yet; of areas
	denied  bool             // the token may not hold locks
	held    *api.Lock        // nil: not held
	lost    <-chan struct{}  // closed when held is lost
}

// hold waits until this replica holds the lock, or may not have one. The context
// that it returns ends when the lock is lost.
func (l *lock) hold(ctx context.Context) (context.Context, context.CancelFunc, error) {
	lost, err := l.acquire(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("taking the lock of this registrator: %w", err)
	}
	bound, cancel := context.WithCancelCause(ctx)
	if lost == nil {
		return bound, func() { cancel(nil) }, nil
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-lost:
			cancel(errLockLost)
		case <-bound.Done():
		}
	}()
	return bound, func() { cancel(nil); <-watched }, nil
}

// acquire returns what is closed when the lock is lost; nil if there is none.
func (l *lock) acquire(ctx context.Context) (lost <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.acquireLocked(ctx)
	return l.lost, err
}

func (l *lock) acquireLocked(ctx context.Context) error {
	if l.held != nil {
		select {
		case <-l.lost:
			l.logger.Warn("the lock was lost", "key", l.options.Key)
			l.releaseLocked()
		default:
			return nil
		}
	}
	if l.denied {
		return nil
	}
	if l.options == nil {
		if err := l.prepare(ctx); err != nil {
			l.logger.Info("no lock is taken for this run, since which accounts it is for is not known", "reason", err)
			return nil
		}
	}
	return l.wait(ctx)
}

// prepare works out which lock it is.
func (l *lock) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, identityWait)
	defer cancel()
	areas, err := l.areas(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(strings.Join(areas, "\n")))
	l.options = &api.LockOptions{
		Key:         lockPrefix + "registrator/" + l.node + "/" + hex.EncodeToString(sum[:8]),
		Value:       []byte(strings.Join(areas, "\n")),
		SessionName: "lambdamesh registrator", SessionTTL: l.ttl.String(),
		LockWaitTime: lockWait, LockDelay: lockDelay, MonitorRetries: lockRetries,
	}
	return nil
}

// wait takes the lock. The client's own method knows no context: it is told to
// stop, and waited for.
func (l *lock) wait(ctx context.Context) error {
	held, err := l.client.LockOpts(l.options)
	if err != nil {
		return err
	}
	type outcome struct {
		lost <-chan struct{}
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		lost, err := held.Lock(ctx.Done())
		done <- outcome{lost, err}
	}()
	waiting := time.NewTimer(lockWait)
	defer waiting.Stop()
	defer l.waits.Store(false)
	ended, grace := ctx.Done(), (<-chan time.Time)(nil)
	for {
		select {
		case <-waiting.C:
			l.waits.Store(true)
			l.logger.Info("another replica holds the lock; this one waits", "key", l.options.Key)
		case <-ended:
			ended, grace = nil, time.After(lockGrace)
		case <-grace: // Consul does not answer; with the process its session ends
			return context.Cause(ctx)
		case got := <-done:
			switch {
			case got.err != nil && isForbidden(got.err):
				l.denied = true
				l.logger.Info(`Consul's token may not hold a lock: where several replicas run, all of them work, and compare-and-set keeps them from harming each other. To have one elected, add: key_prefix "` + lockPrefix + `" { policy = "write" } session_prefix "" { policy = "write" }`)
				return nil
			case got.err != nil:
				return got.err
			case got.lost == nil: // told to stop
				return context.Cause(ctx)
			}
			l.held, l.lost = held, got.lost
			return nil
		}
	}
}

// move gives the lock back for that of other areas.
func (l *lock) move(areas func(context.Context) ([]string, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked()
	l.options, l.areas = nil, areas
}

// release gives the lock back, so that another replica goes on at once.
func (l *lock) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked()
}

func (l *lock) releaseLocked() {
	if l.held == nil {
		return
	}
	held, done := l.held, make(chan error, 1)
	l.held, l.lost = nil, nil
	go func() { done <- held.Unlock() }()
	var err error
	select {
	case err = <-done:
	case <-time.After(lockGrace):
		err = errors.New("Consul does not answer")
	}
	if err != nil {
		l.logger.Warn("the lock could not be given back; it runs out by itself", "error", err)
	}
}

// isForbidden reads the text, since the client's lock wraps no error.
func isForbidden(err error) bool {
	return isStatus(err, 403) || strings.Contains(err.Error(), "response code: 403")
}

// areas are what the replicas of one registrator have in common: the accounts and
// regions that it reads, and the partitions that it keeps.
func (c Config) areas(s *source) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		names, err := s.areaNames(ctx)
		for _, partition := range slices.Sorted(slices.Values(c.Partitions)) {
			names = append(names, "partition "+partition)
		}
		return names, err
	}
}

// areaNames are the accounts and regions that the source reads, sorted. It asks
// AWS whose credentials ours are.
func (s *source) areaNames(ctx context.Context) ([]string, error) {
	var names []string
	for _, region := range s.regions {
		account, err := s.account(ctx, region)
		if err != nil {
			return nil, err
		}
		names = append(names, account+"/"+region.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
