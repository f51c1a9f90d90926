package registrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Kind is what a change does.
type Kind string

// The kinds of changes.
const (
	KindCreate   Kind = "create"
	KindUpdate   Kind = "update"
	KindDelete   Kind = "delete"
	KindAdopt    Kind = "adopt"    // take over what somebody wrote by hand
	KindConflict Kind = "conflict" // nothing is done; a person must decide
)

// Kinds lists all.
func Kinds() []Kind { return []Kind{KindCreate, KindUpdate, KindDelete, KindAdopt, KindConflict} }

// Change is what happens to one service.
type Change struct {
	Kind    Kind   `json:"kind"`
	Service string `json:"service"`
	Reason  string `json:"reason"`

	entry    *entryWrite
	instance *instanceWrite
	lists    []listEdit

	// confirm is the function that AWS must say is gone, or no longer tagged for
	// this service, before the change is made; zero for none.
	confirm lambda.ARN
}

// entryWrite writes or deletes a service-defaults entry by CAS.
type entryWrite struct {
	entry  *Entry // its ModifyIndex is that of the entry it replaces
	delete bool
}

// instanceWrite registers or deregisters a service on our node.
type instanceWrite struct {
	instance Instance
	delete   bool
	blind    bool // the catalog cannot be read, so without CAS
}

// Plan is what a run would do. The zero value does nothing.
type Plan struct {
	Changes []Change `json:"changes"` // sorted by service; one for each, and a conflict beside it
	Skipped []Skip   `json:"skipped"` // sorted by function

	owned int // services of ours in scope, for the guard
}

const protocolHTTP = "http"

// Input is all that a plan depends on.
type Input struct {
	Current Current
	Desired Desired
	Scope   Scope
	Adopt   bool

	// KeepExtensions leaves Consul's own Lambda extension in entries.
	KeepExtensions bool

	// Lists are the entries that are to list our services.
	Lists []List

	// Federated says that Consul knows several datacenters. They share config
	// entries, so an entry may be there for another one.
	Federated bool

	// Reregister has services registered again that cannot be read back.
	Reregister bool
}

// MakePlan compares what Consul has with what the tags ask for. It is a pure
// function: it reads its input alone and changes nothing in it.
func MakePlan(in Input) Plan {
	p := planner{Input: in, plan: Plan{Changes: []Change{}, Skipped: append([]Skip{}, in.Desired.Skipped...)}}
	names := in.Current.names()
	for name := range in.Desired.Wants {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p.service(name)
	}
	slices.SortFunc(p.plan.Changes, Change.compare)
	slices.SortFunc(p.plan.Skipped, Skip.compare)
	return p.plan
}

type planner struct {
	Input
	plan Plan
}

func (p *planner) add(c Change) { p.plan.Changes = append(p.plan.Changes, c) }

func (p *planner) conflict(service, reason string) {
	p.add(Change{Kind: KindConflict, Service: service, Reason: reason})
}

// service plans one service, wanted or not.
func (p *planner) service(name string) {
	entry := p.Current.Entries[name]
	ours, foreign := p.Current.instance(name)
	if owner := ownerOf(entry, ours); !owner.IsZero() && p.Scope.Contains(owner) {
		p.plan.owned++
	}
	wants := p.Desired.Wants[name]
	if len(wants) == 0 {
		p.unwanted(entry, ours)
		return
	}
	if want, ok := p.choose(wants, entry, ours); ok {
		p.wanted(want, entry, ours, foreign || p.Current.OnOtherNodes[name])
	}
}

// ownerOf is the function that a thing of ours stands for; zero where nothing is
// ours or it does not say. The entry goes before the service.
func ownerOf(entry *Entry, ours *Instance) lambda.ARN {
	if entry.marked() && !entry.arn().IsZero() {
		return entry.arn()
	}
	if ours != nil && ours.marked() {
		return ours.arn()
	}
	return lambda.ARN{}
}

// choose settles which of several functions gets the service: the one that has
// it already, else none of them.
func (p *planner) choose(wants []Want, entry *Entry, ours *Instance) (Want, bool) {
	if len(wants) == 1 {
		return wants[0], true
	}
	owner := ownerOf(entry, ours)
	var arns []string
	for _, want := range wants {
		arns = append(arns, want.Function.ARN.String())
	}
	slices.Sort(arns)
	i := slices.IndexFunc(wants, func(w Want) bool { return w.Function.ARN == owner })
	reason := fmt.Sprintf("several functions want this service: %s; ", strings.Join(arns, ", "))
	for j, want := range wants {
		if j != i {
			p.skip(want.Function.ARN.String(), "another function has, or wants, service "+want.Service)
		}
	}
	if i < 0 {
		name := slices.MinFunc(wants, func(a, b Want) int { return strings.Compare(a.Service, b.Service) }).Service
		p.conflict(name, reason+"none gets it")
		return Want{}, false
	}
	p.conflict(wants[i].Service, reason+owner.String()+" has it and keeps it")
	return wants[i], true
}

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
	case !owner.IsZero() && owner != arn:
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
		return "its service-defaults entry has the Envoy extension builtin/aws/lambda, which Consul itself applies, and not for this function alone"
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
