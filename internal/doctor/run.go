package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultTimeout bounds one question to anybody: more than a slow answer takes, and what
// a person waits for without wondering.
const DefaultTimeout = 10 * time.Second

// Check finds out one thing, or several that need each other.
type Check func(ctx context.Context, r *Report)

// Run makes the checks, all at once, so that one that hangs holds no other. Each question
// that they put to anybody is bounded by timeout (zero: DefaultTimeout), and a check puts
// few in turn. It returns soon after the context ended, with what was found by then.
func Run(ctx context.Context, timeout time.Duration, checks ...Check) *Report {
	r := &Report{bound: cmp.Or(timeout, DefaultTimeout)}
	r.together(ctx, checks...)
	return r
}

// together makes checks at once, and adds what they find in their order.
func (r *Report) together(ctx context.Context, checks ...Check) {
	found := make([]Report, len(checks))
	var running sync.WaitGroup
	for i, check := range checks {
		found[i].bound = r.bound
		running.Go(func() { check(ctx, &found[i]) })
	}
	running.Wait()
	for _, one := range found {
		r.Findings = append(r.Findings, one.Findings...)
	}
}

// ask puts one question, within its bound. That it took longer is said in words of ours.
func (r *Report) ask(ctx context.Context, question func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, r.bound)
	defer cancel()
	err := question(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s (--timeout)", r.bound)
	}
	return err
}
