package doctor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReport(t *testing.T) {
	r := &Report{}
	r.add("a", OK, "well", "")
	f := r.add("other", Warn, "not\n quite", "do this")
	f.Rule, f.policy = `mesh = "write"`, consulPolicy
	want := "ok    a      well\nwarn  other  not quite\n             -> do this\n\n" + string(consulPolicy) + "\n\nmesh = \"write\"\n"
	if said(t, r) != want {
		t.Errorf("%q, want %q", said(t, r), want)
	}
	if r.Failed() {
		t.Error("a warning fails")
	}
	r.add("third", Fail, "no", "")
	if !r.Failed() {
		t.Error("a failure does not fail")
	}
}

// What hangs is bounded, and holds nothing else; the order is that of the checks.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		hang := func(ctx context.Context, r *Report) {
			err := r.ask(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			r.add("hangs", Fail, err.Error(), "")
		}
		var answered time.Duration
		r := Run(t.Context(), 3*time.Second, hang, func(ctx context.Context, r *Report) {
			answered = time.Since(began)
			r.together(ctx, hang, hang)
		})
		if took := time.Since(began); took != 3*time.Second || answered != 0 {
			t.Errorf("all took %s, what does not hang %s", took, answered)
		}
		if len(r.Findings) != 3 || r.Findings[0].Text != "no answer within 3s (--timeout)" {
			t.Errorf("%+v", r.Findings)
		}
	})
}

// Who stops it need not wait for the bound.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		r := Run(ctx, time.Hour, func(ctx context.Context, r *Report) {
			err := r.ask(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			r.add("hangs", Fail, err.Error(), "")
		})
		if took := time.Since(began); took != time.Second || !strings.Contains(r.Findings[0].Text, "canceled") {
			t.Errorf("it took %s: %+v", took, r.Findings)
		}
	})
}

func TestClock(t *testing.T) {
	for _, test := range []struct {
		clock clock
		ahead time.Duration
		want  Verdict
	}{
		{awsClock, time.Second, OK},
		{awsClock, -2 * time.Minute, OK},
		{awsClock, 3 * time.Minute, Warn},
		{awsClock, -6 * time.Minute, Fail},
		{awsClock, time.Hour, Fail},
		{consulClock, 30 * time.Second, OK},
		{consulClock, -2 * time.Minute, Warn},
		{consulClock, time.Hour, Warn},
	} {
		r := &Report{}
		test.clock.check(r, test.ahead)
		if got := r.Findings[0].Verdict; got != test.want {
			t.Errorf("%s by %s: %s, want %s", test.clock.whose, test.ahead, got, test.want)
		}
	}
}
