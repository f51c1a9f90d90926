package consul

import (
	"errors"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// findings are the last answers of all readers.
type findings struct {
	last []finding

	looked    bool // for instances, with whatever result
	instances map[lambda.ServiceName]bool
}

type finding struct {
	entries []api.ConfigEntry // of the last whole answer
	at      time.Time         // when that came; zero: never yet
	err     error             // of the last answer

	gateways  []string
	byDefault bool

	optional bool
}

func newFindings(readers []reader) *findings {
	f := &findings{last: make([]finding, len(readers))}
	for i, r := range readers {
		f.last[i].optional = r.optional
	}
	return f
}

// take keeps an answer; what a failed one replaces is only the error.
func (f *findings) take(a answer) {
	one := &f.last[a.reader]
	if one.err = a.err; a.err == nil {
		one.entries, one.at, one.gateways, one.byDefault = a.entries, a.at, a.gateways, a.byDefault
	}
}

// dispensable says that a Table is made without it: all that is known is that it is
// withheld from us.
func (f finding) dispensable() bool { return f.optional && f.at.IsZero() && isWithheld(f.err) }

// whole reports whether each reader has had a whole answer, but for what is
// dispensable.
func (f *findings) whole() bool {
	if !f.looked {
		return false
	}
	for _, one := range f.last {
		if one.at.IsZero() && !one.dispensable() {
			return false
		}
	}
	return true
}

// confirmed is the time of the oldest of the answers in use.
func (f *findings) confirmed() time.Time {
	oldest := f.last[0].at
	for _, one := range f.last {
		if one.at.Before(oldest) && !one.dispensable() {
			oldest = one.at
		}
	}
	return oldest
}

// dispensed is why a Table is made without something; nil if it is not.
func (f *findings) dispensed() error {
	for _, one := range f.last {
		if one.dispensable() {
			return one.err
		}
	}
	return nil
}

// trouble is what stands between the Table and the truth.
type trouble int

const (
	none     trouble = iota
	pending          // not everything was answered yet, and nothing failed
	failing          // a read failed
	withheld         // ACLs stand in the way: it will not mend itself
)

// problem is the worst of the errors in force, in words.
func (f *findings) problem() (trouble, string) {
	worst, text := none, ""
	for _, one := range f.last {
		switch {
		case one.dispensable():
		case isWithheld(one.err):
			return withheld, one.err.Error()
		case one.err != nil && worst != failing:
			worst, text = failing, one.err.Error()
		}
	}
	if worst == none && !f.whole() {
		return pending, "Consul has not answered everything yet"
	}
	return worst, text
}

func isWithheld(err error) bool { return errors.Is(err, ErrFiltered) || errors.Is(err, ErrTokenless) }

// entries sorts the answers by kind.
func (f *findings) entries() Entries {
	sorted := Entries{WithInstances: f.instances}
	var intentions IntentionEntries
	asked := false // for intentions
	for _, one := range f.last {
		asked = asked || one.optional
		intentions.ByDefault = intentions.ByDefault || one.byDefault
		sorted.GatewayAddresses = append(sorted.GatewayAddresses, one.gateways...)
		for _, e := range one.entries {
			switch e := e.(type) {
			case *api.ServiceConfigEntry:
				sorted.Services = append(sorted.Services, e)
			case *api.ProxyConfigEntry:
				sorted.Proxies = append(sorted.Proxies, e)
			case *api.TerminatingGatewayConfigEntry:
				sorted.Gateways = append(sorted.Gateways, e)
			case *api.ServiceIntentionsConfigEntry:
				intentions.Entries = append(intentions.Entries, e)
			}
		}
	}
	if asked && f.dispensed() == nil {
		sorted.Intentions = &intentions
	}
	return sorted
}
