package registrator

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"
)

// firstRetry is the wait after the first of several failed runs; it doubles up to
// the interval. A Consul or an AWS that is down at start is soon found again.
const firstRetry = 2 * time.Second

// jitterShare is the part of the interval by which a run may be late, so that
// replicas started together drift apart.
const jitterShare = 0.05

// Run makes a full run at once and then one in each SyncInterval until ctx is
// done; then it returns nil. A failed run is logged, kept in Status and tried
// again. Between them it handles the events of the Queue, if there is one. An error that
// repeats is logged once. Of several replicas one runs, and
// the others wait, if Consul's token may hold a lock.
func (r *Registrator) Run(ctx context.Context) error {
	s := schedule{what: "sync", interval: r.config.SyncInterval, logger: r.config.Logger, settings: r.settings, readFrom: r.readFrom}
	defer r.lock.release()
	var consuming sync.WaitGroup
	defer consuming.Wait()
	if r.config.Queue != nil {
		consuming.Go(func() { r.consume(ctx) })
	}
	s.run(ctx, r.syncElected)
	return nil
}

// syncElected makes a full run once this replica is the one to make it.
func (r *Registrator) syncElected(ctx context.Context) error {
	elected, cancel, err := r.lock.hold(ctx)
	if err != nil {
		r.record(time.Now(), Result{}, err)
		return err
	}
	defer cancel()
	_, err = r.Sync(elected)
	return err
}

// volatile is what differs between two messages of the same error: the ids of
// requests, ports.
var volatile = regexp.MustCompile(`[0-9a-fA-F-]{8,}|[0-9]+`)

// schedule decides when to run.
type schedule struct {
	what     string // for the log
	interval time.Duration
	logger   *slog.Logger

	settings <-chan Settings // to be put in force between two runs; nil: none
	readFrom func([]Region)  // puts those of its regions in force

	failures  int    // in a row
	lastError string // of the last run, without what is volatile; empty if it went well
}

func (s *schedule) run(ctx context.Context, sync func(context.Context) error) {
	for ctx.Err() == nil {
		started := time.Now()
		err := sync(ctx)
		if ctx.Err() != nil {
			return
		}
		s.note(err)
		s.pause(ctx, started, err)
	}
}

// pause waits until the next run, after one that started then and ended so.
func (s *schedule) pause(ctx context.Context, started time.Time, err error) {
	for {
		timer := time.NewTimer(s.wait(err, time.Since(started)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			return
		case settings := <-s.settings:
			timer.Stop()
			s.interval = cmp.Or(settings.SyncInterval, s.interval)
			if settings.Regions != nil {
				s.readFrom(settings.Regions)
				return
			}
		}
	}
}

// note logs what is new about the outcome.
func (s *schedule) note(err error) {
	switch {
	case err == nil && s.failures > 0:
		s.logger.Info(s.what+" works again", "failed_runs", s.failures)
		s.failures, s.lastError = 0, ""
	case err != nil:
		s.failures++
		if text := volatile.ReplaceAllString(err.Error(), "#"); text != s.lastError {
			s.lastError = text
			s.logger.ErrorContext(InTraceOf(context.Background(), err), s.what+" failed; it is tried again", "error", err)
		}
	}
}

// wait is the time until the next run, after one that took so long. Runs that go
// well start one interval apart.
func (s *schedule) wait(err error, took time.Duration) time.Duration {
	interval := max(0, s.interval-took) + time.Duration(rand.Float64()*jitterShare*float64(s.interval))
	var massive *MassDeletionError
	if err == nil || errors.As(err, &massive) { // the latter waits for a person
		return interval
	}
	const doublings = 20 // far past any interval, and short of an overflow
	return min(s.interval, firstRetry<<min(s.failures-1, doublings))
}
