package registrator

import (
	"maps"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Instance is a service registered on our node.
type Instance struct {
	ID      string
	Service string
	Tags    []string
	Meta    map[string]string

	// Addressed says that it has an address or a port of its own, which a
	// function has not.
	Addressed bool

	index uint64 // of the CAS that replaces or deletes it; 0 creates
}

// Current is what Consul has. Maps are by folded name.
type Current struct {
	Entries map[string]*Entry

	// Instances are those on our node, by the service's name; CatalogHidden says
	// that the token may not read them, so that nothing is known of them.
	Instances     map[string][]Instance
	CatalogHidden bool

	// OnOtherNodes are services that are registered on another node and, as far as
	// was looked at, not on ours.
	OnOtherNodes map[string]bool

	// Lists are the entries behind Input.Lists; Denied says which could not be read,
	// and are left as they are.
	Lists  map[entryKey]listEntry
	Denied error

	// HTTPDefault says that proxy-defaults make HTTP the protocol of services
	// that name none.
	HTTPDefault bool

	Notes []string // what the token may not do, against a rule to be kept, and what that costs
	Hints []string // what it may not do and need not
}

// instance is what our node has under this name: what we made of it, or what is
// there that is not ours.
func (c Current) instance(name string) (ours *Instance, foreign bool) {
	for _, instance := range c.Instances[name] {
		if instance.isOurs(c.Entries[name]) {
			ours = &instance
		} else {
			foreign = true
		}
	}
	return ours, foreign
}

// byHand is the service that somebody registered on our node as Consul's "Register
// Lambda Functions" tells them to: alone of its name, and without an address.
func (c Current) byHand(name string) *Instance {
	if there := c.Instances[name]; len(there) == 1 && !there[0].Addressed && strings.EqualFold(there[0].ID, there[0].Service) {
		return &there[0]
	}
	return nil
}

// names are all services that Consul knows of, sorted.
func (c Current) names() []string {
	all := map[string]bool{}
	for name := range c.Entries {
		all[name] = true
	}
	for name := range c.Instances {
		all[name] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// newInstance is the service that stands for a function: without an address, so
// that a gateway's cluster for it has none either.
func newInstance(want Want) Instance {
	return Instance{
		ID:      want.Service,
		Service: want.Service,
		Tags:    []string{lambda.Mark},
		Meta:    map[string]string{instanceARN: want.Function.ARN.String()},
	}
}

// merged is the instance that we want with the tags and Meta that others put on
// the one that is there.
func (i Instance) merged(there *Instance) Instance {
	if there == nil {
		return i
	}
	i.ID, i.index = there.ID, there.index
	i.Tags = slices.Clone(there.Tags)
	if !slices.Contains(i.Tags, lambda.Mark) {
		i.Tags = append(i.Tags, lambda.Mark)
	}
	meta := maps.Clone(there.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	maps.Copy(meta, i.Meta)
	i.Meta = meta
	return i
}

// differs reports whether two instances say different things.
func (i Instance) differs(j Instance) bool {
	return i.ID != j.ID || i.Service != j.Service || i.Addressed != j.Addressed ||
		!slices.Equal(i.Tags, j.Tags) || !maps.Equal(i.Meta, j.Meta)
}
