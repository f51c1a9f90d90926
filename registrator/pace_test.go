package registrator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// All calls to Lambda's control plane share one bucket: 5 a second after a burst
// of 25, however many are under way.
func TestLambdaCallsArePaced(t *testing.T) {
	fake := StartFakeAWS(t)
	for i := range 200 {
		fake.Put(fmt.Sprintf("f%03d", i), Enabled())
	}
	fake.Fail(Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "AccessDeniedException"})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		regions := fake.Load(t, AWSOptions{client: inMemory{fake}})
		list, err := newSource(regions, true).list(t.Context(), start)
		if err != nil || len(list.Functions) != 200 {
			t.Fatalf("%d functions, error %v", len(list.Functions), err)
		}
		// 2 ListFunctions and 200 ListTags: 25 at once, 177 at 5 a second.
		if took := time.Since(start); took < 35*time.Second || took > 36*time.Second {
			t.Errorf("202 calls took %s", took)
		}
		if len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "34 minutes for 10,000 functions, at --aws-rate 5") {
			t.Errorf("notes: %q", list.Notes)
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		calls := fake.times[1:] // without GetResources
		for i := 30; i < len(calls); i++ {
			if span := calls[i].Sub(calls[i-30]); span < 900*time.Millisecond {
				t.Fatalf("30 calls in %s", span)
			}
		}
	})
}

// An attempt that is made again takes from the bucket too: where AWS fails, the
// registrator asks no more often.
func TestAttemptsArePaced(t *testing.T) {
	fake := StartFakeAWS(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "") // the retryer's own
	for i := range 60 {
		fake.Put(fmt.Sprintf("f%02d", i), Enabled())
	}
	fake.Fail(Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "AccessDeniedException"})
	fake.Fail(Fault{Operation: "ListTags", Status: http.StatusServiceUnavailable, Code: "ServiceException", Times: 60})
	synctest.Test(t, func(t *testing.T) {
		quick := func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.RateLimiter = 100, ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			})
		}
		start := time.Now()
		list, err := newSource(fake.Load(t, AWSOptions{client: inMemory{fake}, retryer: quick}), true).list(t.Context(), start)
		if err != nil || len(list.Functions) != 60 {
			t.Fatalf("%d functions, error %v", len(list.Functions), err)
		}
		// 2 ListFunctions and 60 ListTags twice: 25 at once, 97 at 5 a second.
		if took := time.Since(start); took < 19*time.Second || took > 20*time.Second {
			t.Errorf("122 attempts took %s", took)
		}
	})
}

// Throttled for a minute: runs fail, none takes a part for the whole, and the
// first one after it goes well.
func TestThrottledForAMinute(t *testing.T) {
	fake := StartFakeAWS(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "")
	fake.PageSize = 1
	fake.Put("a", Enabled())
	fake.Put("b", Enabled())
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// The adaptive retryer's waits come down to less than a nanosecond, which does
		// not end on a bubble's clock.
		standard := func() aws.Retryer { return retry.NewStandard() }
		source := newSource(fake.Load(t, AWSOptions{client: inMemory{fake}, retryer: standard}), true)
		fake.Fail(Fault{Page: 2, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException"})
		healed := time.AfterFunc(time.Minute, fake.Heal)
		defer healed.Stop()
		s := schedule{interval: 5 * time.Minute}
		for {
			list, err := source.list(t.Context(), time.Now())
			if err == nil {
				if len(list.Functions) != 2 || time.Since(start) < time.Minute {
					t.Errorf("listed %v after %s", list.Functions, time.Since(start))
				}
				break
			}
			if !strings.Contains(err.Error(), "TooManyRequestsException") || list.Functions != nil {
				t.Fatalf("listed %v, error %v", list.Functions, err)
			}
			s.failures++
			time.Sleep(s.wait(err, 0)) //nolint:forbidigo // the bubble's clock
		}
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("it took %s to get over a minute of throttling", took)
		}
		if n := len(fake.Requests()); n > 60 {
			t.Errorf("%d requests while AWS throttled", n)
		}
	})
}
