package admin

import (
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Sources are where the answers come from. Nil functions mean that there is no
// such part. They are called for each request, from several goroutines.
type Sources struct {
	// Unready says why no traffic should be sent here; empty if it should.
	Unready func() string

	Table       func() Table
	Proxies     func() []Proxy
	Registrator func() Registrator
	Runs        func() Runs // beside Registrator

	// Resources are those of a service that this server remembers, of all Envoys, without
	// what is secret in them.
	Resources func(service string) ([]Resource, error)
}

// Table is the Table of Lambda services and how far it can be relied on.
type Table struct {
	Table     *lambda.Table // nil before the first
	Confirmed time.Time     // when Consul last confirmed it; zero before the first
	Problem   string        // why it is not up to date; empty if it is
}

// State is the answer of /api/v1/state.
type State struct {
	Table       TableAge     `json:"table"`
	Services    []Service    `json:"services"`
	Proxies     []Proxy      `json:"proxies"`
	Registrator *Registrator `json:"registrator"` // null: not running in this process
}

// TableAge says how far State.Services can be relied on.
type TableAge struct {
	AgeSeconds *float64 `json:"age_seconds"` // since Consul confirmed it; null before the first
	Problem    string   `json:"problem"`     // why it is not up to date; empty if it is
}

// Service is one service whose entry speaks of Lambda.
type Service struct {
	Name      string       `json:"name"`
	Namespace string       `json:"namespace"`
	Partition string       `json:"partition"`
	ARN       string       `json:"arn"`
	State     lambda.State `json:"state"`
	Errors    []string     `json:"errors"`
	Warnings  []string     `json:"warnings"`

	// Fronted says that the entry of a terminating gateway lists it.
	Fronted bool `json:"fronted"`

	// Source is where it was read: its Meta ("meta"), or Consul's own extension
	// ("extension").
	Source lambda.Source `json:"source"`

	// Settings are what its Meta says of how it is invoked, by key without prefix,
	// where that is not the default.
	Settings map[string]string `json:"settings"`
}

// Proxy is one Envoy.
type Proxy struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"` // empty: unknown
	EnvoyVersion string     `json:"envoy_version"`
	Connected    bool       `json:"connected"`
	Patched      []Patched  `json:"patched"`
	Rejected     []Rejected `json:"rejected"`

	Unpatched []Unpatched `json:"unpatched"`

	// LastRefusal is null if it has refused nothing since it is connected.
	LastRefusal *Refusal `json:"last_refusal"`
}

// Refusal is a response that an Envoy refused, whether or not what it refused stands in
// Rejected still.
type Refusal struct {
	At    time.Time `json:"at"`
	Type  string    `json:"type"` // cluster, endpoint, listener, route, other
	Ours  bool      `json:"ours"` // something of lambdamesh's was in it
	Error string    `json:"error"`
}

// Patched is a service that an Envoy has in a form of ours.
type Patched struct {
	Service string `json:"service"`
	Form    string `json:"form"` // cluster, listener; empty: a cluster without endpoints
	Path    string `json:"path"` // gateway, direct

	Cluster string `json:"cluster"` // the resource's name
	Reason  string `json:"reason"`  // why it is a cluster without endpoints, or another than was wanted
}

// Unpatched is a service that an Envoy calls and that is not invoked by it, though its
// Meta makes it a Lambda function.
type Unpatched struct {
	Service string `json:"service"`
	Cluster string `json:"cluster"` // the resource's name
	Reason  string `json:"reason"`
}

// Rejected is a resource that an Envoy refused, in Envoy's words.
type Rejected struct {
	Resource string `json:"resource"`
	Error    string `json:"error"`

	// Services are those that the resource concerns, in lower case, where that is known.
	Services []string `json:"services,omitempty"`
}

// Registrator is the registrator's last run.
type Registrator struct {
	LastRun     *time.Time `json:"last_run"`     // null: none yet
	LastSuccess *time.Time `json:"last_success"` // null: none yet
	Error       string     `json:"error"`        // of the last run; empty if it went well
	Changes     []Change   `json:"changes"`      // of the last run that came to a plan
}

// Change is what a run of the registrator did, or a conflict that it left.
type Change struct {
	Kind    string `json:"kind"` // create, update, delete, adopt, conflict
	Service string `json:"service"`
	Reason  string `json:"reason"`

	// Of Consul Enterprise; empty with the community edition.
	Namespace string `json:"namespace,omitempty"`
	Partition string `json:"partition,omitempty"`

	// Undone says why it was not made; empty if it was, and for a conflict.
	Undone string `json:"undone,omitempty"`
}

// State collects the answer. Lists are never null in it.
func (s Sources) State(now time.Time) State {
	state := State{Services: []Service{}, Proxies: []Proxy{}}
	if s.Table != nil {
		table := s.Table()
		state.Table.Problem = table.Problem
		if !table.Confirmed.IsZero() {
			age := now.Sub(table.Confirmed).Seconds()
			state.Table.AgeSeconds = &age
		}
		for _, one := range table.Table.Services() {
			state.Services = append(state.Services, Service{
				Name: one.Name.Name, Namespace: one.Name.Namespace, Partition: one.Name.Partition,
				ARN: one.Function.ARN.String(), State: one.State, Source: one.Source,
				Errors: list(one.Errors), Warnings: list(one.Warnings),
				Fronted: one.Fronted, Settings: settings(one.Function),
			})
		}
	}
	if s.Proxies != nil {
		for _, p := range s.Proxies() {
			p.Patched, p.Rejected, p.Unpatched = list(p.Patched), list(p.Rejected), list(p.Unpatched)
			state.Proxies = append(state.Proxies, p)
		}
	}
	if s.Registrator != nil {
		r := s.Registrator()
		r.Changes = list(r.Changes)
		state.Registrator = &r
	}
	return state
}

// settings are what a function's Meta says beside what and where it is.
func settings(f lambda.Function) map[string]string {
	meta, said := f.Meta(), map[string]string{}
	for _, s := range lambda.Settings() {
		if value := meta[lambda.Prefix+s.Key]; value != "" {
			said[s.Key] = value
		}
	}
	return said
}

// list makes a nil slice an empty one, which JSON writes as [].
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
