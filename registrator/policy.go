package registrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// apply filters the plan. What it takes out is reported as skipped.
func (policy Policy) apply(plan Plan) Plan {
	if policy != PolicyUpsertOnly {
		return plan
	}
	return plan.without(KeptByPolicy, func(i int) (why string, expected bool) {
		if c := plan.Changes[i]; c.Kind == KindDelete {
			return fmt.Sprintf("service %s is kept: the policy is %s", c.name(), PolicyUpsertOnly), true
		}
		return "", true
	})
}

// without takes out the changes for whose index there is a reason; expected is as in
// Skip.
func (p Plan) without(by Keeper, reason func(i int) (why string, expected bool)) Plan {
	left := Plan{Changes: []Change{}, Skipped: slices.Clone(p.Skipped), owned: p.owned, kept: slices.Clone(p.kept)}
	for i, change := range p.Changes {
		why, expected := reason(i)
		if why == "" {
			left.Changes = append(left.Changes, change)
			continue
		}
		left.Skipped = append(left.Skipped, Skip{Function: change.confirm.String(), Reason: why, expected: expected})
		left.kept = append(left.kept, change.keeping(by, why))
	}
	slices.SortFunc(left.Skipped, Skip.compare)
	slices.SortFunc(left.kept, Kept.compare)
	return left
}

// freeDeletes is how many services may always be deleted at once: a small
// installation deletes a large share of itself in daily work.
const freeDeletes = 10

// guard refuses a plan that deletes too much of what is owned in one account and
// region: what goes wrong, a role of another account or tags that somebody stripped,
// goes wrong in one of them, and must not hide among the services of many others.
func guard(plan Plan, ratio float64) error {
	deletes := map[Area]int{}
	for _, change := range plan.Changes {
		if change.Kind == KindDelete {
			deletes[areaOf(change.confirm)]++
		}
	}
	areas := slices.SortedFunc(maps.Keys(deletes), func(a, b Area) int { return strings.Compare(a.String(), b.String()) })
	for _, area := range areas {
		n, owned := deletes[area], plan.owned[area]
		if n > freeDeletes && float64(n) > ratio*float64(owned) {
			return &MassDeletionError{Area: area, Deletes: n, Owned: owned, Ratio: ratio}
		}
	}
	return nil
}

// MassDeletionError says that a run stopped before it wrote anything, because it
// would have deleted more than Config.MaxDeleteRatio allows.
type MassDeletionError struct {
	Area    Area
	Deletes int
	Owned   int // there
	Ratio   float64
}

// Error says how to go on.
func (e *MassDeletionError) Error() string {
	return fmt.Sprintf("%d of %d services of functions in %s would be deleted, more than the share of %g that --max-delete-ratio allows: nothing was changed; --force goes on",
		e.Deletes, e.Owned, e.Area, e.Ratio)
}
