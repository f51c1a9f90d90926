package registrator

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// parallelConfirms is how many functions are asked about at once; the region's
// limiter sets the pace.
const parallelConfirms = 8

// confirm asks AWS about every function whose service the plan would take away,
// by its full ARN, because the listing is only eventually consistent. What AWS
// does not confirm is not done. The error joins the questions that failed.
func (s *source) confirm(ctx context.Context, plan Plan, here place) (kept Plan, err error) {
	doubts := make([]string, len(plan.Changes))
	failures := make([]error, len(plan.Changes))
	total := 0
	for _, change := range plan.Changes {
		if !change.confirm.IsZero() {
			total++
		}
	}
	if total == 0 {
		return plan, nil
	}
	ctx, span := child(ctx, "confirm deletions", keyPlanned.Int(total))
	defer func() { ended(span, err) }()
	var group errgroup.Group
	group.SetLimit(parallelConfirms)
	for i, change := range plan.Changes {
		if change.confirm.IsZero() {
			continue
		}
		group.Go(func() error {
			doubts[i], failures[i] = s.doubt(ctx, change, here)
			advance(ctx, StageConfirming, 1, total)
			return nil
		})
	}
	_ = group.Wait() // the failures are kept one by one
	for i, change := range plan.Changes {
		if failures[i] != nil {
			failures[i] = fmt.Errorf("confirming the removal of service %s: %w", change.name(), failures[i])
			doubts[i] = failures[i].Error()
		}
	}
	return plan.without(KeptByAWS, func(i int) (string, bool) { return doubts[i], failures[i] != nil }), errors.Join(failures...)
}

// doubt says why a service must not be taken from its function after all; empty
// where AWS confirms it: the function does not exist, or its tags do not ask for
// the service.
func (s *source) doubt(ctx context.Context, change Change, here place) (string, error) {
	region, ok := s.areas[areaOf(change.confirm)]
	if !ok { // the plan takes away only what lies in the scope
		return "", fmt.Errorf("%s is not in an account and region that was listed", change.confirm)
	}
	arn := change.confirm.Unqualified()
	seen := look(ctx, region, arn)
	switch seen.presence {
	case absent:
		return "", nil
	case unknown:
		return "", seen.err
	case present:
	}
	desired := desire([]Listed{{ARN: arn, Tags: seen.tags}}, here)
	if why, held := desired.Held[arn]; held {
		return fmt.Sprintf("service %s stays: %s", change.name(), why), nil
	}
	for _, want := range desired.Wants[fold(change.Service)] {
		if want.Function.ARN == change.confirm && want.at == change.tenancy() {
			return fmt.Sprintf("service %s stays: the listing did not show it, but the function is there and tagged for it", change.name()), nil
		}
	}
	return "", nil
}
