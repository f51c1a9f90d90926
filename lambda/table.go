package lambda

import (
	"iter"
	"maps"
	"slices"
)

// State is what became of a service whose entry speaks of Lambda.
type State string

// The states of a service.
const (
	StateOK       State = "ok"       // invoked
	StateError    State = "error"    // a mistake in its entry, or outside what is allowed: not invoked
	StateDisabled State = "disabled" // switched off in its Meta
	StateConflict State = "conflict" // it has instances of its own, as an ordinary service has: not invoked
)

// Source is where a Function was read.
type Source string

// The sources of a Function. The Meta counts where both are there.
const (
	SourceMeta      Source = "meta"      // the keys below Prefix
	SourceExtension Source = "extension" // Consul's own extension, ExtensionName
)

// Service is one service of the Table.
type Service struct {
	Name     ServiceName
	State    State
	Function Function // meant to be invoked only if State is StateOK
	Source   Source
	Errors   []string // why State is not StateOK
	Warnings []string

	// Extended says that its entry has Consul's own extension, whatever the Source:
	// Consul may have made invocations of its clusters already.
	Extended bool

	// Fronted says that an entry of a terminating gateway lists the service, by
	// name or by "*": calls go through that gateway.
	Fronted bool

	// Delisted says that it was, and is no longer: endpoints that Consul still lists
	// for it may be those of that gateway.
	Delisted bool
}

// Table is an immutable set of the services whose entry speaks of Lambda. A nil
// Table is empty.
type Table struct {
	services   map[ServiceName]*Service // by folded name
	gateways   map[string]bool          // host:port
	intentions *Intentions
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

// WithGateways is the same Table, which also knows where terminating gateways
// listen, as host:port.
func (t *Table) WithGateways(addresses ...string) *Table {
	with := *t
	with.gateways = make(map[string]bool, len(addresses))
	for _, address := range addresses {
		with.gateways[address] = true
	}
	return &with
}

// WithIntentions is the same Table, which also knows who may call its services.
func (t *Table) WithIntentions(i *Intentions) *Table {
	with := *t
	with.intentions = i
	return &with
}

// Intentions tell who may call the services; nil if that is not known.
func (t *Table) Intentions() *Intentions {
	if t == nil {
		return nil
	}
	return t.intentions
}

// IsGateway reports whether a terminating gateway listens at host:port.
func (t *Table) IsGateway(address string) bool { return t != nil && t.gateways[address] }

// Gateways lists where terminating gateways listen, sorted.
func (t *Table) Gateways() []string {
	if t == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(t.gateways))
}

// Lookup finds a service in any state, whatever the case of its name; nil if the
// Table does not have it.
func (t *Table) Lookup(name ServiceName) *Service {
	if t == nil {
		return nil
	}
	return t.services[name.Folded()]
}

// All are the services, in no order.
func (t *Table) All() iter.Seq[*Service] {
	if t == nil {
		return func(func(*Service) bool) {}
	}
	return maps.Values(t.services)
}

// Services lists all, sorted by name.
func (t *Table) Services() []*Service {
	return slices.SortedFunc(t.All(), func(a, b *Service) int { return a.Name.Compare(b.Name) })
}

// Since lists the services that are not as they were in an earlier Table, also
// those that came or went, in no order. One that gateways have ceased to list changes with the
// gateways: which of its endpoints count depends on them. One changes with the intentions
// that decide who may call it.
func (t *Table) Since(earlier *Table) []ServiceName {
	var changed []ServiceName
	moved := !slices.Equal(t.Gateways(), earlier.Gateways())
	intended := t.Intentions().since(earlier.Intentions())
	for s := range t.All() {
		was := earlier.Lookup(s.Name)
		if was == nil || !s.equal(was) || moved && s.Delisted || intended(s.Name) {
			changed = append(changed, s.Name)
		}
	}
	for was := range earlier.All() {
		if t.Lookup(was.Name) == nil {
			changed = append(changed, was.Name)
		}
	}
	return changed
}

// Same reports whether two Tables say the same.
func (t *Table) Same(other *Table) bool {
	return t.Len() == other.Len() && len(t.Since(other)) == 0 && slices.Equal(t.Gateways(), other.Gateways())
}

func (s *Service) equal(other *Service) bool {
	return s.Name == other.Name && s.State == other.State && s.Function == other.Function &&
		s.Source == other.Source && s.Extended == other.Extended &&
		s.Fronted == other.Fronted && s.Delisted == other.Delisted &&
		slices.Equal(s.Errors, other.Errors) && slices.Equal(s.Warnings, other.Warnings)
}

// Len is the number of services.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.services)
}
