package registrator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Kind is what a change does.
type Kind string

// The kinds of changes.
const (
	KindCreate   Kind = "create"
	KindUpdate   Kind = "update"
	KindDelete   Kind = "delete"
	KindAdopt    Kind = "adopt"    // take over what somebody wrote by hand, or Consul's own registrator made
	KindConflict Kind = "conflict" // nothing is done; a person must decide
)

// Kinds lists all.
func Kinds() []Kind { return []Kind{KindCreate, KindUpdate, KindDelete, KindAdopt, KindConflict} }

// Change is what happens to one service.
type Change struct {
	Kind    Kind   `json:"kind"`
	Service string `json:"service"`
	Reason  string `json:"reason"`

	// Of Consul Enterprise; empty with the community edition.
	Namespace string `json:"namespace,omitempty"`
	Partition string `json:"partition,omitempty"`

	// Undone says why it was not made; empty if it was, for a conflict, and in a plan
	// that nobody carried out.
	Undone string `json:"undone,omitempty"`

	entry    *entryWrite
	instance *instanceWrite
	lists    []listEdit

	// confirm is the function that AWS must say is gone, or no longer tagged for
	// this service, before the change is made; zero for none.
	confirm lambda.ARN
}

// tenancy is where the service is.
func (c Change) tenancy() tenancy { return tenancy{partition: c.Partition, namespace: c.Namespace} }

// name is the service's, for people.
func (c Change) name() string { return c.tenancy().of(c.Service) }

// arn is the function that the change is for; zero for a conflict.
func (c Change) arn() lambda.ARN {
	var of lambda.ARN
	if c.entry != nil {
		of = c.entry.entry.arn()
	}
	if of.IsZero() && c.instance != nil {
		of = c.instance.instance.arn()
	}
	return cmp.Or(of, c.confirm)
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

	owned map[Area]int // services of ours in scope, for the guard
	kept  []Kept       // sorted by service
}

const protocolHTTP = "http"

// Input is all that a plan depends on.
type Input struct {
	Current Current
	Desired Desired
	Scope   Scope
	Adopt   bool

	// Only are the functions that were read, of all in the Scope: no other's services
	// are touched. Nil: all were.
	Only map[lambda.ARN]bool

	// at is the tenancy that all of it is of.
	at tenancy

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
	p := planner{Input: in, plan: Plan{Changes: []Change{}, Skipped: append([]Skip{}, in.Desired.Skipped...), owned: map[Area]int{}}}
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

// joined is one plan of several, of a tenancy each.
func joined(plans []Plan, skipped []Skip) Plan {
	all := Plan{Changes: []Change{}, Skipped: slices.Clone(skipped), owned: map[Area]int{}}
	for _, plan := range plans {
		all.Changes = append(all.Changes, plan.Changes...)
		all.Skipped = append(all.Skipped, plan.Skipped...)
		all.kept = append(all.kept, plan.kept...)
		for area, n := range plan.owned {
			all.owned[area] += n
		}
	}
	slices.SortFunc(all.Changes, Change.compare)
	slices.SortFunc(all.Skipped, Skip.compare)
	slices.SortFunc(all.kept, Kept.compare)
	return all
}

type planner struct {
	Input
	plan Plan
}

func (p *planner) add(c Change) {
	c.Partition, c.Namespace = p.at.partition, p.at.namespace
	p.plan.Changes = append(p.plan.Changes, c)
}

func (p *planner) conflict(service, reason string) {
	p.add(Change{Kind: KindConflict, Service: service, Reason: reason})
}

// service plans one service, wanted or not.
func (p *planner) service(name string) {
	entry := p.Current.Entries[name]
	ours, foreign := p.Current.instance(name)
	if owner := ownerOf(entry, ours); !owner.IsZero() && p.Scope.Contains(owner) {
		p.plan.owned[areaOf(owner)]++
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

// read reports whether what the function wants is known.
func (p *planner) read(arn lambda.ARN) bool {
	return p.Scope.Contains(arn) && (p.Only == nil || p.Only[arn.Unqualified()])
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
