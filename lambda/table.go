package lambda

import (
	"maps"
	"slices"
)

// State is what became of a service whose Meta speaks of Lambda.
type State string

// The states of a service.
const (
	StateOK       State = "ok"       // invoked
	StateError    State = "error"    // a mistake in its Meta, or outside what is allowed: not invoked
	StateDisabled State = "disabled" // switched off in its Meta
	StateConflict State = "conflict" // something else than a Lambda service bears its name
)

// Service is one service of the Table.
type Service struct {
	Name     ServiceName
	State    State
	Function Function // meant to be invoked only if State is StateOK
	Errors   []string // why State is not StateOK
	Warnings []string

	// Fronted says that an entry of a terminating gateway lists the service, by
	// name or by "*": calls go through that gateway.
	Fronted bool
}

// Table is an immutable set of the services whose Meta speaks of Lambda. A nil
// Table is empty.
type Table struct {
	services map[ServiceName]*Service // by folded name
}

// NewTable makes a Table; of two services of one name, whatever its case, the last
// stays. The services must not be changed afterwards.
func NewTable(services ...Service) *Table {
	t := &Table{services: make(map[ServiceName]*Service, len(services))}
	for i := range services {
		t.services[services[i].Name.Folded()] = &services[i]
	}
	return t
}

// Lookup finds a service in any state, whatever the case of its name; nil if the
// Table does not have it.
func (t *Table) Lookup(name ServiceName) *Service {
	if t == nil {
		return nil
	}
	return t.services[name.Folded()]
}

// Services lists all, sorted by name.
func (t *Table) Services() []*Service {
	if t == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(t.services), func(a, b *Service) int { return a.Name.Compare(b.Name) })
}

// Len is the number of services.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.services)
}
