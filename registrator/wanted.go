package registrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// wanted brings a service to what its function asks for.
func (p *planner) wanted(want Want, entry *Entry, ours *Instance, foreign bool) {
	arn := want.Function.ARN
	change := Change{Kind: KindUpdate, Service: want.Service}
	owner := ownerOf(entry, ours)
	switch {
	case entry != nil && entry.Name != want.Service:
		p.conflict(want.Service, fmt.Sprintf("there is a service-defaults entry %s, and Consul does not tell names apart by case", entry.Name))
		return
	case entry != nil && !entry.marked() && !entry.lostMark(ours, arn):
		if reason := p.foreignEntry(entry, ours, arn); reason != "" {
			p.conflict(want.Service, reason)
			return
		}
		change.Kind = KindAdopt
	case !owner.IsZero() && owner != arn && (p.Scope.Contains(owner) || !ours.standsFor(arn)):
		reason, ok := p.replaces(owner)
		if !ok {
			p.conflict(want.Service, reason)
			return
		}
		change.confirm = owner
	}
	if change.Kind == KindAdopt && ours == nil {
		if ours = p.Current.byHand(fold(want.Service)); ours != nil {
			foreign = false
		}
	}
	if foreign {
		p.conflict(want.Service, "a service of this name that is not ours is registered")
		return
	}

	var reasons []string
	lists, listed := p.listing(want.Service, entry)
	written, why := p.entryFor(want, entry, listed)
	if written != nil {
		change.entry = &entryWrite{entry: written}
		reasons = append(reasons, why)
	}
	instance := newInstance(want).merged(ours)
	switch {
	case p.Current.CatalogHidden:
		if entry == nil || p.Reregister || change.Kind == KindAdopt {
			change.instance = &instanceWrite{instance: instance, blind: true}
			reasons = append(reasons, "the catalog cannot be read back, so the service is registered in any case")
		}
	case ours == nil:
		change.instance = &instanceWrite{instance: instance}
		reasons = append(reasons, "the service is not registered")
	case instance.differs(*ours):
		change.instance = &instanceWrite{instance: instance}
		reasons = append(reasons, "the service's tags, Meta or address differ")
	}
	change.lists = lists
	for _, edit := range lists {
		reasons = append(reasons, edit.list.String()+" does not list it")
	}
	if change.entry == nil && change.instance == nil && len(lists) == 0 {
		return
	}
	if entry == nil && ours == nil {
		change.Kind, reasons = KindCreate, []string{arn.String() + " is tagged"}
	}
	change.Reason = strings.Join(reasons, "; ")
	p.add(change)
}

// foreignEntry says why an entry that somebody else made cannot be taken over;
// empty if it can.
func (p *planner) foreignEntry(entry *Entry, ours *Instance, arn lambda.ARN) string {
	switch {
	case entry.ofConsulsRegistrator(arn, ours, p.Current.CatalogHidden):
		return ""
	case entry.handWritten(arn) && p.Adopt:
		return ""
	case entry.hasLambdaExtension() && !entry.handWritten(arn):
		return "its service-defaults entry has the Envoy extension " + lambda.ExtensionName + ", which Consul itself applies, and not for this function alone"
	case entry.handWritten(arn):
		return "its service-defaults entry was written by hand for this function; --adopt takes it over"
	case !entry.arn().IsZero():
		return fmt.Sprintf("its service-defaults entry was made by somebody else for %s", entry.arn())
	}
	return "its service-defaults entry was made by somebody else"
}

// replaces settles whether a service may go from the function that has it to
// another one, and says why not.
func (p *planner) replaces(owner lambda.ARN) (reason string, ok bool) {
	if !p.Scope.Contains(owner) {
		return fmt.Sprintf("it belongs to %s, which lies in an account or region that this run did not read", owner), false
	}
	if !p.read(owner) {
		return fmt.Sprintf("it belongs to %s, which was not looked at; the next full sync settles it", owner), false
	}
	if why, held := p.Desired.Held[owner.Unqualified()]; held {
		return fmt.Sprintf("it belongs to %s, of which nothing is changed: %s", owner, why), false
	}
	return "", true
}

// entryFor is the entry to be written, and why; nil if the one there is right.
// Fields and keys of Meta that others put there stay.
func (p *planner) entryFor(want Want, entry *Entry, listed string) (*Entry, string) {
	meta := want.Function.Meta()
	meta[lambda.Mark] = "true"
	if listed != "" {
		meta[listedIn] = listed
	}
	if entry == nil {
		return newEntry(api.ServiceDefaults, want.Service).withProtocol(protocolHTTP).withMeta(meta), "it has no service-defaults entry"
	}
	const timeout = lambda.Prefix + lambda.KeyTimeout
	if known, ok := entry.Meta[timeout]; ok && want.KeepTimeout {
		meta[timeout] = known
	}
	maps.Copy(meta, entry.othersMeta())
	written, reasons := entry, []string{}
	if !maps.Equal(meta, entry.Meta) {
		written = written.withMeta(meta)
		reasons = append(reasons, "Meta differs: "+strings.Join(differingKeys(entry.Meta, meta), ", "))
	}
	if without := written.withoutExtension(want.Function.ARN); without != written && !p.KeepExtensions {
		written = without
		reasons = append(reasons, "Consul's own Lambda extension is taken out")
	}
	if entry.Protocol == "" && !p.Current.HTTPDefault {
		written = written.withProtocol(protocolHTTP)
		reasons = append(reasons, "its protocol is not http")
	}
	if len(reasons) == 0 {
		return nil, ""
	}
	return written, strings.Join(reasons, "; ")
}

// differingKeys names what differs, short and sorted.
func differingKeys(a, b map[string]string) []string {
	var keys []string
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			keys = append(keys, strings.TrimPrefix(key, lambda.Prefix))
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, strings.TrimPrefix(key, lambda.Prefix))
		}
	}
	slices.Sort(keys)
	return keys
}
