package registrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// runs starts a schedule of 5 minutes whose runs end as outcome says, and returns
// when each started. It ends the schedule after a time of the bubble's clock.
func runs(t *testing.T, after time.Duration, log *bytes.Buffer, outcome func(n int) error) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	begin := time.Now()
	var starts []time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := schedule{what: "sync", interval: 5 * time.Minute, logger: slog.New(slog.NewTextHandler(log, nil))}
		s.run(ctx, func(context.Context) error {
			starts = append(starts, time.Since(begin))
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			return outcome(len(starts))
		})
	}()
	time.Sleep(after) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
	cancel()
	synctest.Wait()
	select {
	case <-done:
	default:
		t.Fatal("the schedule goes on although it was told to end")
	}
	return starts
}

func TestScheduleRunsAtOnceAndThenEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		starts := runs(t, time.Hour, &log, func(int) error { return nil })
		if len(starts) < 12 || len(starts) > 13 || starts[0] != 0 {
			t.Errorf("started at %v", starts)
		}
		for i := 1; i < len(starts); i++ {
			if gap := starts[i] - starts[i-1]; gap < 5*time.Minute || gap > 5*time.Minute+15*time.Second {
				t.Errorf("a gap of %s", gap)
			}
		}
		if log.Len() > 0 {
			t.Errorf("logged: %s", &log)
		}
	})
}

func TestScheduleGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		starts := runs(t, time.Hour, &log, func(n int) error {
			if n <= 4 {
				return fmt.Errorf("no Consul, RequestID: 1f3a5b7c-0000-4000-8000-00000000000%d", n)
			}
			return nil
		})
		want := []time.Duration{0, 3 * time.Second, 8 * time.Second, 17 * time.Second, 34 * time.Second}
		for i := range want {
			if starts[i] != want[i] {
				t.Errorf("started at %v, want first %v", starts, want)
				break
			}
		}
		if n := strings.Count(log.String(), "no Consul"); n != 1 {
			t.Errorf("the error was logged %d times:\n%s", n, &log)
		}
		if n := strings.Count(log.String(), "sync works again"); n != 1 {
			t.Errorf("the recovery was logged %d times:\n%s", n, &log)
		}
	})
}

func TestScheduleNeverRetriesMoreRarelyThanItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		starts := runs(t, 24*time.Hour, &log, func(int) error { return errors.New("no Consul") })
		for i := 1; i < len(starts); i++ {
			if gap := starts[i] - starts[i-1]; gap > 5*time.Minute+time.Second {
				t.Errorf("a gap of %s", gap)
			}
		}
	})
}

func TestScheduleWaitsForAPersonAfterMassDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		starts := runs(t, time.Hour, &log, func(int) error { return &MassDeletionError{Deletes: 20, Owned: 20} })
		if len(starts) < 12 || len(starts) > 13 {
			t.Errorf("started at %v", starts)
		}
	})
}

// Another interval counts from the start of the last run: one that is over by then is a
// run at once.
func TestScheduleOfAnotherInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		settings := make(chan Settings)
		begin := time.Now()
		var starts []time.Duration
		var done sync.WaitGroup
		done.Go(func() {
			s := schedule{what: "sync", interval: time.Hour, logger: slog.New(slog.DiscardHandler), settings: settings}
			s.run(ctx, func(context.Context) error {
				starts = append(starts, time.Since(begin).Round(10*time.Second))
				return nil
			})
		})
		for _, step := range []struct{ at, interval time.Duration }{{2 * time.Minute, 5 * time.Minute}, {20 * time.Minute, time.Minute}, {22*time.Minute + 30*time.Second, 2 * time.Hour}} {
			time.Sleep(step.at - time.Since(begin)) //nolint:forbidigo // the bubble's clock
			settings <- Settings{SyncInterval: step.interval}
		}
		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock
		cancel()
		done.Wait()
		// Each may be late by 5 % of the interval.
		if len(starts) < 6 || len(starts) > 7 || starts[0] != 0 || starts[1] < 5*time.Minute || starts[1] > 6*time.Minute || starts[len(starts)-1] > 23*time.Minute {
			t.Errorf("runs started at %v", starts)
		}
	})
}
