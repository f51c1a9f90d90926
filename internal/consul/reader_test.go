package consul

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
)

// read runs a reader for a while of the bubble's time and returns its answers.
func read(t *testing.T, d time.Duration, q query) []answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var answers []answer
	reader{query: q}.run(ctx, func(a answer) { answers = append(answers, a) })
	return answers
}

// A failing Consul is asked less and less often, and never in a hot loop.
func TestReaderBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		answers := read(t, 10*time.Minute, func(context.Context, uint64) ([]api.ConfigEntry, uint64, error) {
			at = append(at, time.Now())
			return nil, 0, errors.New("away")
		})
		if len(answers) != len(at) || answers[0].err == nil {
			t.Errorf("%d answers of %d reads", len(answers), len(at))
		}
		for i := 1; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			backoff := min(minBackoff<<min(i-1, 20), maxBackoff)
			if gap < backoff/2 || gap > backoff*3/2 {
				t.Errorf("read %d came %s after the one before it, want %s to %s", i, gap, backoff/2, backoff*3/2)
			}
		}
		if len(at) < 40 || len(at) > 130 {
			t.Errorf("%d reads in 10 minutes", len(at))
		}
	})
}

// After a failure the reader does not block: what is true now comes at once. The
// next failure is the first again.
func TestReaderStartsAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var indexes []uint64
		var at []time.Time
		script := []error{nil, errors.New("1"), nil, errors.New("2"), nil}
		read(t, time.Hour, func(ctx context.Context, index uint64) ([]api.ConfigEntry, uint64, error) {
			indexes, at = append(indexes, index), append(at, time.Now())
			if n := len(indexes); n <= len(script) {
				return nil, 7, script[n-1]
			}
			<-ctx.Done()
			return nil, 0, ctx.Err()
		})
		if diff := cmp.Diff([]uint64{0, 7, 0, 7, 0, 7}, indexes); diff != "" {
			t.Error(diff)
		}
		if gap := at[4].Sub(at[3]); gap > minBackoff*3/2 {
			t.Errorf("the backoff was not reset: %s", gap)
		}
	})
}

// A restored Consul counts anew.
func TestReaderFollowsAnIndexThatGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var indexes []uint64
		next := []uint64{100, 3, 3, 4}
		read(t, time.Hour, func(ctx context.Context, index uint64) ([]api.ConfigEntry, uint64, error) {
			indexes = append(indexes, index)
			if n := len(indexes); n <= len(next) {
				return nil, next[n-1], nil
			}
			<-ctx.Done()
			return nil, 0, ctx.Err()
		})
		if diff := cmp.Diff([]uint64{0, 100, 0, 3, 4}, indexes); diff != "" {
			t.Error(diff)
		}
	})
}

// Consul that wakes the query all the time does not make it spin.
func TestReaderPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := read(t, time.Second, func(context.Context, uint64) ([]api.ConfigEntry, uint64, error) {
			return nil, 1, nil
		})
		if most := int(time.Second / readPause); len(answers) > most+1 {
			t.Errorf("%d reads in a second, want at most %d", len(answers), most+1)
		}
	})
}
