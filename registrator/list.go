package registrator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// listedIn is the key of an entry's Meta for the lists into which we wrote a line
// for the service, so that with the function our lines go and nobody else's.
const listedIn = "lambdamesh-listed-in"

// List is a config entry that is to list our services: that of a terminating
// gateway, or the exported-services for one consumer.
type List struct {
	kind, name string
	consumer   consumer // zero for a gateway
	at         tenancy  // of the services; the entry is in the same partition
}

// consumer is who services are exported to.
type consumer struct {
	Partition     string `json:",omitempty"`
	Peer          string `json:",omitempty"`
	SamenessGroup string `json:",omitempty"` // somebody else's
}

// GatewayList is the terminating-gateway entry of this name.
func GatewayList(name string) List { return List{kind: api.TerminatingGateway, name: name} }

// ExportList is the exported-services entry, for PARTITION or peer:NAME.
func ExportList(to string) List {
	list := List{kind: api.ExportedServices, name: lambda.DefaultName, consumer: consumer{Partition: to}}
	if peer, ok := strings.CutPrefix(to, "peer:"); ok {
		list.consumer = consumer{Peer: peer}
	}
	return list
}

// in is the list for the services of a tenancy. A partition's exported-services
// bear its name.
func (l List) in(at tenancy) List {
	l.at = at
	if l.kind == api.ExportedServices && at.partition != "" {
		l.name = at.partition
	}
	return l
}

// allIn are the lists for the services of a tenancy.
func allIn(lists []List, at tenancy) []List {
	all := make([]List, len(lists))
	for i, list := range lists {
		all[i] = list.in(at)
	}
	return all
}

// String names it for people and in Meta.
func (l List) String() string {
	switch {
	case l.consumer.Peer != "":
		return l.kind + "/peer:" + l.consumer.Peer
	case l.consumer.Partition != "":
		return l.kind + "/" + l.consumer.Partition
	}
	return l.kind + "/" + l.name
}

// line is one of an entry's Services, with every field as Consul sent it.
type line struct {
	Name      string
	Namespace string // empty: default
	Consumers []consumer

	fields map[string]json.RawMessage
}

// lines are the entry's Services.
func (e *Entry) lines() ([]line, error) {
	var raw []map[string]json.RawMessage
	if field, ok := e.all()["Services"]; ok {
		if err := json.Unmarshal(field, &raw); err != nil {
			return nil, fmt.Errorf("decoding the services of %s %s: %w", e.GetKind(), e.Name, err)
		}
	}
	all := make([]line, len(raw))
	for i, fields := range raw {
		all[i].fields = fields
		for name, to := range map[string]any{"Name": &all[i].Name, "Namespace": &all[i].Namespace, "Consumers": &all[i].Consumers} {
			if field, ok := fields[name]; ok {
				if err := json.Unmarshal(field, to); err != nil {
					return nil, fmt.Errorf("decoding the services of %s %s: %w", e.GetKind(), e.Name, err)
				}
			}
		}
	}
	return all, nil
}

// withLines is the entry with these Services.
func (e *Entry) withLines(lines []line) *Entry {
	raw := make([]map[string]json.RawMessage, len(lines))
	for i := range lines {
		raw[i] = lines[i].fields
	}
	c := e.clone()
	c.set("Services", raw)
	return c
}

// with is the line with a field changed.
func (n line) with(field string, value any) line {
	fields := map[string]json.RawMessage{}
	for name, old := range n.fields {
		fields[name] = old
	}
	fields[field], _ = json.Marshal(value) // strings and lists of them can always be encoded
	n.fields = fields
	return n
}

// plain reports whether nobody put more into the line than its name.
func (n line) plain() bool {
	for name, field := range n.fields {
		own := name == "Name" || name == "Namespace" || name == "Consumers"
		if !own && !isEmpty(field) {
			return false
		}
	}
	return true
}

// names reports whether the line is for the service, by its own name.
func (l List) names(n line, service string) bool {
	return strings.EqualFold(n.Name, service) && cmp.Or(n.Namespace, lambda.DefaultName) == cmp.Or(l.at.namespace, lambda.DefaultName)
}

// covers reports whether the line is for the service, by name or by "*", and for
// the list's consumer.
func (l List) covers(n line, service string) bool {
	every := n.Name == "*" && (n.Namespace == "*" || l.names(n, "*"))
	return (every || l.names(n, service)) &&
		(l.consumer == consumer{} || slices.Contains(n.Consumers, l.consumer))
}

// has reports whether the lines list the service already.
func (l List) has(lines []line, service string) bool {
	return slices.ContainsFunc(lines, func(n line) bool { return l.covers(n, service) })
}

// add lists the service, if no line does.
func (l List) add(lines []line, service string) []line {
	if l.has(lines, service) {
		return lines
	}
	ours := line{Name: service, Namespace: l.at.namespace}.with("Name", service)
	if ours.Namespace != "" {
		ours = ours.with("Namespace", ours.Namespace)
	}
	if l.consumer == (consumer{}) {
		return append(slices.Clone(lines), ours)
	}
	lines = slices.Clone(lines)
	i := slices.IndexFunc(lines, func(n line) bool { return l.names(n, service) })
	if i < 0 {
		lines, i = append(lines, ours), len(lines)
	}
	lines[i].Consumers = append(slices.Clone(lines[i].Consumers), l.consumer)
	lines[i] = lines[i].with("Consumers", lines[i].Consumers)
	return lines
}

// remove takes the service out. A line into which somebody put more stays.
func (l List) remove(lines []line, service string) []line {
	var rest []line
	for _, n := range lines {
		if !l.names(n, service) || !l.covers(n, service) {
			rest = append(rest, n)
			continue
		}
		n.Consumers = slices.DeleteFunc(slices.Clone(n.Consumers), func(c consumer) bool { return c == l.consumer })
		if len(n.Consumers) > 0 {
			rest = append(rest, n.with("Consumers", n.Consumers))
		} else if !n.plain() {
			rest = append(rest, n)
		}
	}
	return rest
}

// listed are the lists in which the entry says that we wrote a line.
func (e *Entry) listed() []string {
	if e == nil || e.Meta[listedIn] == "" {
		return nil
	}
	return strings.Split(e.Meta[listedIn], ",")
}
