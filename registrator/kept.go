package registrator

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Kept is a service of ours that no function asks for and that stays all the same: what
// would be deleted, and why it is not.
type Kept struct {
	Service  string
	Function lambda.ARN // that it stands for
	By       Keeper
	Reason   string

	// Of Consul Enterprise; empty with the community edition.
	Namespace string
	Partition string
}

// Keeper is what keeps a service.
type Keeper string

// All that keep one.
const (
	KeptByPolicy Keeper = "policy" // Config.Policy never deletes
	KeptByGuard  Keeper = "guard"  // too many at once: see MassDeletionError
	KeptByAWS    Keeper = "aws"    // AWS did not confirm that it may go
	KeptByTags   Keeper = "tags"   // the function's tags cannot be read or served
	KeptByScope  Keeper = "scope"  // this run did not list the function's account and region
	KeptByConsul Keeper = "consul" // Consul did not take the write, or the run ended before it
)

// keeping is what kept the service that a change was to delete.
func (c Change) keeping(by Keeper, reason string) Kept {
	return Kept{Service: c.Service, Function: c.confirm, By: by, Reason: reason, Namespace: c.Namespace, Partition: c.Partition}
}

// keep notes that a service stays: what it stands for was not listed whole, or is
// doubtful. A look, which reads some functions of an area, says nothing of the others.
func (p *planner) keep(service string, arn lambda.ARN) {
	kept := Kept{Service: service, Function: arn, Partition: p.at.partition, Namespace: p.at.namespace}
	why, held := p.Desired.Held[arn.Unqualified()]
	switch {
	case held:
		kept.By, kept.Reason = KeptByTags, why
	case p.Only == nil:
		kept.By = KeptByScope
		kept.Reason = areaOf(arn).String() + " was not read in this run: it is another registrator's, or could not be read"
	default:
		return
	}
	p.plan.kept = append(p.plan.kept, kept)
}

func (k Kept) compare(l Kept) int {
	return cmp.Or(
		strings.Compare(k.Partition, l.Partition), strings.Compare(k.Namespace, l.Namespace),
		strings.Compare(k.Service, l.Service),
	)
}

// stoppedText is why the changes of a run that the guard stopped were not made; how many
// are too many says its MassDeletionError.
const stoppedText = "the run was stopped before it changed anything: too many deletions at once"

// undone is the plan with what became of its changes; why is empty for one that was
// made.
func (p Plan) undone(by Keeper, why func(i int) string) Plan {
	p.Changes, p.kept = slices.Clone(p.Changes), slices.Clone(p.kept)
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Kind == KindConflict {
			continue
		}
		if c.Undone = why(i); c.Undone != "" && c.Kind == KindDelete {
			p.kept = append(p.kept, c.keeping(by, c.Undone))
		}
	}
	slices.SortFunc(p.kept, Kept.compare)
	return p
}
