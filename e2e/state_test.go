package e2e

import (
	"net/url"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
)

type call = sigv4proxy.Call

// invocationOf matches calls of one function or alias.
func invocationOf(arn string) func(call) bool {
	return func(c call) bool {
		path, err := url.PathUnescape(c.Path)
		return err == nil && strings.Contains(path, "/functions/"+arn+"/invocations")
	}
}

// functionOf is the name that the ARN of an invocation ends in ("hello", "hello:blue").
func functionOf(c call) string {
	path, err := url.PathUnescape(c.Path)
	if err != nil {
		return ""
	}
	_, name, _ := strings.Cut(path, ":function:")
	name, _, _ = strings.Cut(name, "/")
	return name
}

// state is what /api/v1/state says, as far as the stories ask.
type state struct {
	Services []serviceState `json:"services"`
	Proxies  []proxyState   `json:"proxies"`
}

type serviceState struct {
	Name     string   `json:"name"`
	ARN      string   `json:"arn"`
	State    string   `json:"state"`
	Source   string   `json:"source"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

type proxyState struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Version   string `json:"envoy_version"`
	Connected bool   `json:"connected"`
	Patched   []struct {
		Service string `json:"service"`
		Form    string `json:"form"`
		Path    string `json:"path"`
		Reason  string `json:"reason"`
	} `json:"patched"`
	Rejected []struct {
		Resource string `json:"resource"`
		Error    string `json:"error"`
	} `json:"rejected"`
	Unpatched []struct {
		Service string `json:"service"`
		Reason  string `json:"reason"`
	} `json:"unpatched"`
}

func (s *story) state() state {
	s.t.Helper()
	var st state
	s.must(s.Lambdamesh.State(s.ctx, &st))
	return st
}

func (s state) service(name string) serviceState {
	for _, service := range s.Services {
		if service.Name == name {
			return service
		}
	}
	return serviceState{}
}

func (s state) proxy(id string) proxyState {
	for _, p := range s.Proxies {
		if p.ID == id {
			return p
		}
	}
	return proxyState{}
}

// form is how a proxy has a service: "cluster gateway", "cluster direct", or empty.
func (p proxyState) form(service string) string {
	for _, patched := range p.Patched {
		if patched.Service == service {
			return patched.Form + " " + patched.Path
		}
	}
	return ""
}

// reason is why a proxy has a service without endpoints.
func (p proxyState) reason(service string) string {
	for _, patched := range p.Patched {
		if patched.Service == service {
			return patched.Reason
		}
	}
	return ""
}
