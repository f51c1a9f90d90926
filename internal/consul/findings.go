package consul

import (
	"errors"
	"time"

	"github.com/hashicorp/consul/api"
)

// findings are the last answers of all readers.
type findings struct {
	last []finding
}

type finding struct {
	entries []api.ConfigEntry // of the last whole answer
	at      time.Time         // when that came; zero: never yet
	err     error             // of the last answer

	gateways []string
}

func newFindings(readers int) *findings {
	return &findings{last: make([]finding, readers)}
}

// take keeps an answer; what a failed one replaces is only the error.
func (f *findings) take(a answer) {
	one := &f.last[a.reader]
	if one.err = a.err; a.err == nil {
		one.entries, one.at, one.gateways = a.entries, a.at, a.gateways
	}
}

// whole reports whether each reader has had a whole answer.
func (f *findings) whole() bool {
	for _, one := range f.last {
		if one.at.IsZero() {
			return false
		}
	}
	return true
}

// confirmed is the time of the oldest of the answers in use.
func (f *findings) confirmed() time.Time {
	oldest := f.last[0].at
	for _, one := range f.last {
		if one.at.Before(oldest) {
			oldest = one.at
		}
	}
	return oldest
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
		case errors.Is(one.err, ErrFiltered), errors.Is(one.err, ErrTokenless):
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

// entries sorts the answers by kind.
func (f *findings) entries() Entries {
	var sorted Entries
	for _, one := range f.last {
		sorted.GatewayAddresses = append(sorted.GatewayAddresses, one.gateways...)
		for _, e := range one.entries {
			switch e := e.(type) {
			case *api.ServiceConfigEntry:
				sorted.Services = append(sorted.Services, e)
			case *api.ProxyConfigEntry:
				sorted.Proxies = append(sorted.Proxies, e)
			case *api.TerminatingGatewayConfigEntry:
				sorted.Gateways = append(sorted.Gateways, e)
			}
		}
	}
	return sorted
}
