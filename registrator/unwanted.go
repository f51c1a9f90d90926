package registrator

import (
	"fmt"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// unwanted removes what is ours and nobody asks for any more, within the scope.
func (p *planner) unwanted(entry *Entry, ours *Instance) {
	if !entry.marked() {
		if ours != nil {
			p.orphan(*ours)
		}
		return
	}
	arn := entry.arn()
	if arn.IsZero() {
		p.skip(entry.Name, "its service-defaults entry is marked as ours, but has no ARN that can be read: left alone")
		return
	}
	if !p.mayRemove(entry.Name, arn) {
		return
	}
	change := Change{
		Kind: KindDelete, Service: entry.Name, confirm: arn,
		Reason: fmt.Sprintf("%s is not tagged for it any more", arn),
		lists:  p.unlisting(entry.Name, entry),
	}
	// With several datacenters entries are shared, and may be another's.
	if elsewhere := p.Desired.Elsewhere[arn.Unqualified()]; elsewhere && p.Federated {
		if ours == nil || !ours.marked() {
			return
		}
		change.lists = nil
		change.Reason = fmt.Sprintf("%s is tagged for another datacenter; the service-defaults entry stays", arn)
	} else if entry = entry.withoutExtension(arn); entry.madeForUs() {
		change.entry = &entryWrite{entry: entry, delete: true}
	} else {
		change.entry = &entryWrite{entry: entry.withMeta(entry.othersMeta())}
		change.Reason += "; what others put into its service-defaults entry stays"
	}
	switch {
	case ours != nil && !ours.marked():
		change.Reason += "; the service lost its mark and stays"
	case ours != nil:
		change.instance = &instanceWrite{instance: *ours, delete: true}
	case p.Current.CatalogHidden:
		change.instance = &instanceWrite{instance: Instance{ID: entry.Name, Service: entry.Name}, delete: true, blind: true}
	}
	p.add(change)
}

// orphan removes a service of ours that has no entry of ours.
func (p *planner) orphan(ours Instance) {
	arn := ours.arn()
	if arn.IsZero() {
		p.skip(ours.Service, "the service is marked as ours, but neither it nor its service-defaults entry has an ARN that can be read: left alone")
		return
	}
	if !p.mayRemove(ours.Service, arn) {
		return
	}
	p.add(Change{
		Kind: KindDelete, Service: ours.Service, confirm: arn,
		Reason:   fmt.Sprintf("%s is not tagged for it any more", arn),
		instance: &instanceWrite{instance: ours, delete: true},
	})
}

// mayRemove reports whether the function's absence from what is wanted means
// that it is not wanted: it was listed whole, and nothing about it is doubtful.
func (p *planner) mayRemove(service string, arn lambda.ARN) bool {
	_, held := p.Desired.Held[arn.Unqualified()]
	if held || !p.read(arn) {
		p.keep(service, arn)
		return false
	}
	return true
}

func (p *planner) skip(function, reason string) {
	p.plan.Skipped = append(p.plan.Skipped, Skip{Function: function, Reason: reason})
}
