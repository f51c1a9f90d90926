package lambda

import "maps"

// Any is the name that stands for every service of a namespace, and the namespace that
// stands, with it, for every service of a partition.
const Any = "*"

// Intention says whether source may call destination, either of which may be Any.
type Intention struct {
	Source, Destination ServiceName
	Allow               bool
}

// Intentions are Consul's rules of who may call whom, as far as it is decided by
// who calls alone. They are immutable. Nil ones are not known, and allow nothing.
type Intentions struct {
	byDefault bool
	sources   map[ServiceName]map[ServiceName]bool // by folded destination, then by source: allowed
}

// NewIntentions makes Intentions; byDefault holds for calls that none is about. Of
// two about the same call the one that denies counts.
func NewIntentions(byDefault bool, all ...Intention) *Intentions {
	i := &Intentions{byDefault: byDefault, sources: map[ServiceName]map[ServiceName]bool{}}
	for _, one := range all {
		destination := one.Destination.Folded()
		sources := i.sources[destination]
		if sources == nil {
			sources = map[ServiceName]bool{}
			i.sources[destination] = sources
		}
		before, twice := sources[one.Source]
		sources[one.Source] = one.Allow && (before || !twice)
	}
	return i
}

// Allow reports whether source may call destination. The most exact intention
// decides, and an exact destination goes before an exact source: Consul's order of
// precedence. As in the certificates that gateways look at, the case of a
// source counts.
func (i *Intentions) Allow(source, destination ServiceName) bool {
	if i == nil {
		return false
	}
	for _, d := range widening(destination.Folded()) {
		for _, s := range widening(source) {
			if allow, ok := i.sources[d][s]; ok {
				return allow
			}
		}
	}
	return i.byDefault
}

// widening is a name and those that stand for it among others, the most exact first.
func widening(n ServiceName) [3]ServiceName {
	namespace, partition := n, n
	namespace.Name = Any
	partition.Name, partition.Namespace = Any, Any
	return [...]ServiceName{n, namespace, partition}
}

// since tells of a destination whether it may be called by others than by earlier
// Intentions.
func (i *Intentions) since(earlier *Intentions) func(destination ServiceName) bool {
	switch {
	case i == earlier:
		return func(ServiceName) bool { return false }
	case i == nil || earlier == nil || i.byDefault != earlier.byDefault:
		return func(ServiceName) bool { return true }
	}
	changed := map[ServiceName]bool{}
	for d, sources := range i.sources {
		changed[d] = !maps.Equal(sources, earlier.sources[d])
	}
	for d := range earlier.sources {
		changed[d] = changed[d] || i.sources[d] == nil
	}
	return func(destination ServiceName) bool {
		for _, d := range widening(destination.Folded()) {
			if changed[d] {
				return true
			}
		}
		return false
	}
}
