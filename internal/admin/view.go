package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Overview is the answer of /api/v1/overview: is all well, and what is there.
type Overview struct {
	Ready       bool         `json:"ready"`
	Reason      string       `json:"reason"`  // why it is not; empty if it is
	Invoked     int          `json:"invoked"` // services in state ok
	Proxies     int          `json:"proxies"` // that are connected
	States      []StateCount `json:"states"`
	Problems    []Problem    `json:"problems"`
	Table       TableAge     `json:"table"`
	Registrator *Registrator `json:"registrator"` // null: not running in this process
}

// StateCount is how many services are in a state.
type StateCount struct {
	State   lambda.State `json:"state"`
	Count   int          `json:"count"`
	Meaning string       `json:"meaning"`
}

// Problem is something that a person should see to.
type Problem struct {
	Subject string `json:"subject"` // a service, a proxy, or a part of lambdamesh
	Text    string `json:"text"`
	Path    string `json:"-"` // the page that says more
}

// states are all that a service may be in, and what they mean.
var states = []StateCount{
	{State: lambda.StateOK, Meaning: "invoked"},
	{State: lambda.StateError, Meaning: "a mistake keeps it from being invoked"},
	{State: lambda.StateConflict, Meaning: "it has instances of its own"},
	{State: lambda.StateDisabled, Meaning: "switched off in its Meta"},
}

// maxProblems bounds how many problems are told one by one: a page with thousands
// tells nobody anything.
const maxProblems = 50

func (s Sources) overview(now time.Time) Overview {
	state := s.State(now)
	o := Overview{
		Proxies: len(state.Proxies), Table: state.Table, Registrator: state.Registrator,
		Problems: []Problem{},
		States:   slices.Clone(states),
	}
	if s.Unready != nil {
		o.Reason = s.Unready()
	}
	o.Ready = o.Reason == ""
	if state.Table.Problem != "" {
		o.Problems = append(o.Problems, Problem{Subject: "The services in Consul", Text: state.Table.Problem})
	}
	if r := state.Registrator; r != nil && r.Error != "" {
		o.Problems = append(o.Problems, Problem{Subject: "The registrator", Text: r.Error, Path: pathRegistrator})
	}
	if r := state.Registrator; r != nil {
		for _, c := range r.Changes {
			if c.Kind == "conflict" {
				o.Problems = append(o.Problems, Problem{Subject: c.FullName(), Text: "conflict: " + c.Reason, Path: pathRegistrator})
			}
		}
	}
	for _, one := range state.Services {
		for i := range o.States {
			if o.States[i].State == one.State {
				o.States[i].Count++
			}
		}
		for _, text := range one.Errors {
			text = strings.TrimPrefix(text, one.Name+": ")
			o.Problems = append(o.Problems, Problem{Subject: one.FullName(), Text: text, Path: functionPage(one.FullName())})
		}
	}
	o.Invoked = o.States[0].Count
	for _, p := range state.Proxies {
		for _, r := range p.Rejected {
			o.Problems = append(o.Problems, Problem{Subject: p.ID, Text: "refused " + r.Resource + ": " + r.Error, Path: p.Page()})
		}
		for _, u := range p.Unpatched {
			o.Problems = append(o.Problems, Problem{Subject: p.ID, Text: "does not invoke " + u.Service + ": " + u.Reason, Path: p.Page()})
		}
	}
	if more := len(o.Problems) - maxProblems; more > 0 {
		o.Problems = append(o.Problems[:maxProblems], Problem{Subject: "And more", Text: fmt.Sprintf("%d other problems", more), Path: pathFunctions})
	}
	return o
}

// FullName is the service's name as its page and its proxies have it: with partition
// and namespace where those are not default.
func (s Service) FullName() string {
	return lambda.NewServiceName(s.Name, s.Namespace, s.Partition).String()
}

// FullName is the service's, as a Service's is.
func (c Change) FullName() string {
	return lambda.NewServiceName(c.Service, c.Namespace, c.Partition).String()
}

// Function is the answer of /api/v1/functions/NAME: a service, and where it is.
type Function struct {
	Service
	Proxies  []FunctionProxy   `json:"proxies"`  // that have it in a form of ours
	Refusals []FunctionRefusal `json:"refusals"` // by proxies
}

// FunctionProxy is a proxy that has a function.
type FunctionProxy struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Form   string `json:"form"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// FunctionRefusal is a proxy that refused a function, and its words.
type FunctionRefusal struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// functions are all services with the proxies that have them.
func (s Sources) functions(now time.Time) []Function {
	state := s.State(now)
	functions := make([]Function, len(state.Services))
	byName := map[string]*Function{}
	for i, one := range state.Services {
		functions[i] = Function{Service: one, Proxies: []FunctionProxy{}, Refusals: []FunctionRefusal{}}
		byName[strings.ToLower(one.FullName())] = &functions[i]
	}
	for _, p := range state.Proxies {
		for _, patched := range p.Patched {
			f := byName[strings.ToLower(patched.Service)]
			if f == nil {
				continue
			}
			f.Proxies = append(f.Proxies, FunctionProxy{p.ID, p.Kind, patched.Form, patched.Path, patched.Reason})
			for _, r := range p.Rejected {
				if r.Resource == patched.Cluster {
					f.Refusals = append(f.Refusals, FunctionRefusal{p.ID, r.Error})
				}
			}
		}
	}
	return functions
}

// Via says who invokes a function.
func (s Service) Via() string {
	switch {
	case s.State != lambda.StateOK:
		return ""
	case s.Fronted:
		return "terminating gateway"
	}
	return "callers themselves"
}

// Mode says how a function is invoked.
func (s Service) Mode() string {
	if s.State != lambda.StateOK {
		return ""
	}
	if s.Settings[lambda.KeyInvokeMode] == "url" {
		return "by its URL"
	}
	mode := "synchronous"
	if strings.EqualFold(s.Settings[lambda.KeyInvocationMode], "asynchronous") {
		mode = "asynchronous"
	}
	if s.Settings[lambda.KeyPayloadPassthrough] == "true" {
		mode += ", payload as it is"
	}
	return mode
}

// Paths of pages; their JSON twins are below pathAPI.
const (
	pathFunctions   = "/functions"
	pathProxies     = "/proxies"
	pathRegistrator = "/registrator"
	pathAPI         = "/api/v1"
)

func functionPage(name string) string { return pathFunctions + "/" + escapePath(name) }

// Page is where a proxy's page is.
func (p Proxy) Page() string { return pathProxies + "/" + escapePath(p.ID) }

// Page is where the proxy's page is.
func (p FunctionProxy) Page() string { return pathProxies + "/" + escapePath(p.ID) }

// Page is where the proxy's page is.
func (p FunctionRefusal) Page() string { return pathProxies + "/" + escapePath(p.ID) }

// Page is where a function's page is.
func (f Function) Page() string { return functionPage(f.FullName()) }

// escapePath escapes a name that may hold slashes, part by part.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// rows is a list of which a page shows a part.
type rows[T any] struct {
	Query string
	Rows  []T
	All   int // that fit the query
}

// maxRows bounds a page: 10,000 rows are no overview.
const maxRows = 500

// More reports whether not all that fit are shown.
func (r rows[T]) More() bool { return r.All > len(r.Rows) }

// fitting are the rows of which one of the words holds the query.
func fitting[T any](all []T, query string, words func(T) []string) rows[T] {
	query = strings.ToLower(strings.TrimSpace(query))
	fit := slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		return !slices.ContainsFunc(words(one), func(word string) bool { return strings.Contains(strings.ToLower(word), query) })
	})
	return rows[T]{Query: query, Rows: fit[:min(len(fit), maxRows)], All: len(fit)}
}
