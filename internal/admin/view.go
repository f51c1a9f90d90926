package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Overview is the answer of /api/v1/overview: is all well, and what is there.
type Overview struct {
	Ready        bool         `json:"ready"`
	Reason       string       `json:"reason"`  // why it is not; empty if it is
	Invoked      int          `json:"invoked"` // services in state ok
	Proxies      int          `json:"proxies"` // that are connected
	States       []StateCount `json:"states"`
	Problems     []Problem    `json:"problems"` // the first ones
	ProblemCount int          `json:"problem_count"`
	Table        TableAge     `json:"table"`
	Registrator  *Registrator `json:"registrator"` // null: not running in this process
	Latest       []Latest     `json:"latest"`      // changes that the registrator made, the newest first
}

// maxLatest bounds Overview.Latest.
const maxLatest = 5

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
		Problems: []Problem{}, Latest: []Latest{},
		States: slices.Clone(states),
	}
	if s.Unready != nil {
		o.Reason = s.Unready()
	}
	o.Ready = o.Reason == ""
	if state.Table.Problem != "" {
		o.Problems = append(o.Problems, Problem{Subject: "The services in Consul", Text: state.Table.Problem})
	}
	if page := s.registratorPage(); page != nil {
		o.Problems = append(o.Problems, page.problems()...)
		o.Latest = page.Latest[:min(len(page.Latest), maxLatest)]
	}
	mistaken := map[string]bool{}
	for _, one := range state.Services {
		for i := range o.States {
			if o.States[i].State == one.State {
				o.States[i].Count++
			}
		}
		mistaken[one.FullName()] = len(one.Errors) > 0
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
			if mistaken[u.Service] {
				continue // why is said above, once
			}
			o.Problems = append(o.Problems, Problem{Subject: p.ID, Text: "does not invoke " + u.Service + ": " + u.Reason, Path: p.Page()})
		}
	}
	o.ProblemCount = len(o.Problems)
	o.Problems = o.Problems[:min(len(o.Problems), maxProblems)]
	return o
}

// problems are what a person should see to of the last run.
func (p *RegistratorPage) problems() []Problem {
	var all []Problem
	if p.Error != "" {
		all = append(all, Problem{Subject: "The registrator", Text: p.Error, Path: pathRegistrator})
	}
	for _, c := range p.Changes {
		if c.Kind == conflict {
			all = append(all, Problem{Subject: c.FullName(), Text: "conflict: " + c.Reason, Path: pathRegistrator})
		}
	}
	for _, s := range p.Skipped {
		if !s.Expected {
			subject := s.Function
			if arn, err := lambda.ParseARN(subject); err == nil {
				subject = arn.Name
			}
			all = append(all, Problem{Subject: subject, Text: "skipped: " + s.Reason, Path: pathRegistrator})
		}
	}
	return all
}

// More is how many problems are not told one by one.
func (o Overview) More() int { return o.ProblemCount - len(o.Problems) }

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

	NotInvoked []FunctionProxy `json:"not_invoked"` // by proxies that call it, and why
	Undone     []Change        `json:"undone"`      // by the registrator's last run, a conflict included
	Latest     []Latest        `json:"latest"`      // what the registrator did with it last
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

// functionView is a function on its page: a part of its Envoys, which may be all of them.
type functionView struct {
	Function
	Envoys     rows[FunctionProxy]
	NotInvoked some[FunctionProxy]
	Refusals   some[FunctionRefusal]
}

func (f Function) on(r *http.Request) functionView {
	return functionView{f, fitting(f.Proxies, r, func(p FunctionProxy) []string {
		return []string{p.ID, p.Kind, p.Form, p.Path, p.Reason}
	}), someOf(f.NotInvoked), someOf(f.Refusals)}
}

// proxyView is a proxy on its page: a part of its resources, of which a gateway may have
// thousands.
type proxyView struct {
	Proxy
	Resources rows[Patched]
	Unpatched some[Unpatched]
	Rejected  some[Rejected]
}

func (p Proxy) on(r *http.Request) proxyView {
	return proxyView{p, fitting(p.Patched, r, func(one Patched) []string {
		return []string{one.Service, one.Form, one.Path, one.Cluster, one.Reason}
	}), someOf(p.Unpatched), someOf(p.Rejected)}
}

// functions are all services with the proxies that have them.
func (s Sources) functions(now time.Time) []Function {
	state := s.State(now)
	functions := make([]Function, len(state.Services))
	byName := map[string]*Function{}
	for i, one := range state.Services {
		functions[i] = Function{Service: one, Proxies: []FunctionProxy{}, Refusals: []FunctionRefusal{}, NotInvoked: []FunctionProxy{}, Undone: []Change{}, Latest: []Latest{}}
		byName[strings.ToLower(one.FullName())] = &functions[i]
	}
	if page := s.registratorPage(); page != nil {
		for _, c := range page.Changes {
			if f := byName[strings.ToLower(c.FullName())]; f != nil && (c.Kind == conflict || c.Undone != "") {
				f.Undone = append(f.Undone, c)
			}
		}
		for _, l := range page.Latest {
			if f := byName[strings.ToLower(l.FullName())]; f != nil {
				f.Latest = append(f.Latest, l)
			}
		}
	}
	for _, p := range state.Proxies {
		for _, u := range p.Unpatched {
			if f := byName[strings.ToLower(u.Service)]; f != nil {
				f.NotInvoked = append(f.NotInvoked, FunctionProxy{ID: p.ID, Kind: p.Kind, Reason: u.Reason})
			}
		}
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
