package registrator

import (
	"fmt"
	"slices"
)

// apply filters the plan. What it takes out is reported as skipped.
func (policy Policy) apply(plan Plan) Plan {
	if policy != PolicyUpsertOnly {
		return plan
	}
	return plan.without(func(i int) string {
		if c := plan.Changes[i]; c.Kind == KindDelete {
			return fmt.Sprintf("service %s is kept: the policy is %s", c.name(), PolicyUpsertOnly)
		}
		return ""
	})
}

// without takes out the changes for whose index reason is not empty.
func (p Plan) without(reason func(i int) string) Plan {
	kept := Plan{Changes: []Change{}, Skipped: slices.Clone(p.Skipped), owned: p.owned}
	for i, change := range p.Changes {
		why := reason(i)
		if why == "" {
			kept.Changes = append(kept.Changes, change)
			continue
		}
		kept.Skipped = append(kept.Skipped, Skip{Function: change.confirm.String(), Reason: why, expected: true})
	}
	slices.SortFunc(kept.Skipped, Skip.compare)
	return kept
}

// freeDeletes is how many services may always be deleted at once: a small
// installation deletes a large share of itself in daily work.
const freeDeletes = 10

// guard refuses a plan that deletes too much of what is owned in this scope.
func guard(plan Plan, ratio float64) error {
	deletes := plan.count(KindDelete)
	if deletes <= freeDeletes || float64(deletes) <= ratio*float64(plan.owned) {
		return nil
	}
	return &MassDeletionError{Deletes: deletes, Owned: plan.owned, Ratio: ratio}
}

// MassDeletionError says that a run stopped before it wrote anything, because it
// would have deleted more than Config.MaxDeleteRatio allows.
type MassDeletionError struct {
	Deletes int
	Owned   int
	Ratio   float64
}

// Error says how to go on.
func (e *MassDeletionError) Error() string {
	return fmt.Sprintf("%d of %d services would be deleted, more than the share of %g that --max-delete-ratio allows: nothing was changed; --force goes on",
		e.Deletes, e.Owned, e.Ratio)
}
