package consul

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// Entries are the config entries that a Table is made of.
type Entries struct {
	Services []*api.ServiceConfigEntry
	Proxies  []*api.ProxyConfigEntry
	Gateways []*api.TerminatingGatewayConfigEntry

	GatewayAddresses []string // where terminating gateways listen, as host:port

	Intentions *IntentionEntries // nil if they are not known

	WithInstances map[lambda.ServiceName]bool // services with instances of their own in the catalog; by folded name

	WereFronted map[lambda.ServiceName]bool // by a gateway's entry, in an earlier Table; by folded name
}

// BuildTable makes the Table. check, which may be nil, says what else keeps a
// function from being invoked.
func BuildTable(entries Entries, check func(lambda.Function) error) *lambda.Table {
	protocols := globalProtocols(entries.Proxies)
	fronted := frontedBy(entries.Gateways)
	var services []lambda.Service
	for _, e := range entries.Services {
		name := lambda.NewServiceName(e.Name, e.Namespace, e.Partition)
		read, found, err := readEntry(e)
		if !found {
			continue
		}
		s := lambda.Service{Name: name, Function: read.Function, Source: read.source, Extended: read.extended, Warnings: read.Warnings, Fronted: fronted(name)}
		s.Delisted = !s.Fronted && entries.WereFronted[name.Folded()]
		for _, m := range lambda.Mistakes(err) {
			s.Errors = append(s.Errors, m.Error())
		}
		if err == nil && check != nil {
			s.Errors = append(s.Errors, refusals(e.Name, check(read.Function))...)
		}
		if wrong := wrongProtocol(e, protocols[name.Partition]); wrong != "" {
			s.Errors = append(s.Errors, wrong)
		}
		s.State = state(read.Entry, err, s.Errors)
		switch busy := entries.WithInstances[name.Folded()] && s.State != lambda.StateDisabled; {
		case busy && s.Extended:
			s.Warnings = append(s.Warnings, e.Name+": the catalog has instances of it with an address; where Consul applies its own extension, no calls go to those")
		case busy:
			s.Errors = append(s.Errors, e.Name+": the catalog has instances of it with an address, and calls go to those: "+
				"a Lambda service has none; take them away, or the Meta, or an address of the node that carries Lambda services")
			if s.State == lambda.StateOK {
				s.State = lambda.StateConflict
			}
		}
		services = append(services, s)
	}
	table := lambda.NewTable(services...).WithGateways(entries.GatewayAddresses...)
	if entries.Intentions == nil {
		return table
	}
	return table.WithIntentions(entries.Intentions.build(table))
}

// refusals are the reasons of a check, in terms of the service.
func refusals(service string, err error) []string {
	var reasons []string
	for _, m := range lambda.Mistakes(err) {
		m := *m
		m.Subject = service
		reasons = append(reasons, m.Error())
	}
	if err != nil && len(reasons) == 0 {
		reasons = append(reasons, service+": "+err.Error())
	}
	return reasons
}

// state: a switch that cannot be read is a mistake, not "off".
func state(read lambda.Entry, err error, mistakes []string) lambda.State {
	if !read.Enabled {
		for _, m := range lambda.Mistakes(err) {
			if strings.HasSuffix(m.Key, "/"+lambda.KeyEnabled) {
				return lambda.StateError
			}
		}
		return lambda.StateDisabled
	}
	if len(mistakes) > 0 {
		return lambda.StateError
	}
	return lambda.StateOK
}

// globalProtocols is the protocol of proxy-defaults "global", by partition.
func globalProtocols(entries []*api.ProxyConfigEntry) map[string]string {
	protocols := map[string]string{}
	for _, e := range entries {
		protocol, ok := e.Config["protocol"].(string)
		if ok && e.Name == api.ProxyConfigGlobal {
			protocols[lambda.NewServiceName("", "", e.Partition).Partition] = protocol
		}
	}
	return protocols
}

// wrongProtocol says why no request could be routed to the function: Consul
// gives HTTP routes, and the gateway an HTTP filter chain, to these alone.
func wrongProtocol(e *api.ServiceConfigEntry, global string) string {
	protocol, from := e.Protocol, "service-defaults"
	if protocol == "" {
		protocol, from = global, "proxy-defaults"
	}
	switch strings.ToLower(protocol) {
	case "http", "http2", "grpc":
		return ""
	case "":
		return fmt.Sprintf("%s: no Protocol in service-defaults nor proxy-defaults, which means tcp: it must be http, http2 or grpc", e.Name)
	}
	return fmt.Sprintf("%s: Protocol is %q by %s: it must be http, http2 or grpc", e.Name, protocol, from)
}

// frontedBy says of a service whether a terminating gateway's entry lists it, by
// name or by "*", which covers the namespace it stands in.
func frontedBy(gateways []*api.TerminatingGatewayConfigEntry) func(lambda.ServiceName) bool {
	listed := map[lambda.ServiceName]bool{}
	for _, g := range gateways {
		for _, s := range g.Services {
			namespace := s.Namespace
			if namespace == "" {
				namespace = g.Namespace
			}
			listed[lambda.NewServiceName(s.Name, namespace, g.Partition).Folded()] = true
		}
	}
	return func(name lambda.ServiceName) bool {
		name = name.Folded()
		all := name
		all.Name = "*"
		return listed[name] || listed[all]
	}
}

// sameTable reports whether two Tables say the same; none is not an empty one.
func sameTable(a, b *lambda.Table) bool {
	return (a == nil) == (b == nil) && a.Same(b)
}
