package registrator

import (
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
}

// consumer is who services are exported to.
type consumer struct {
	Partition string `json:",omitempty"`
	Peer      string `json:",omitempty"`
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
	Consumers []consumer

	fields map[string]json.RawMessage
}

// lines are the entry's Services.
func (e *Entry) lines() ([]line, error) {
	var raw []map[string]json.RawMessage
	if field, ok := e.fields["Services"]; ok {
		if err := json.Unmarshal(field, &raw); err != nil {
			return nil, fmt.Errorf("decoding the services of %s %s: %w", e.GetKind(), e.Name, err)
		}
	}
	all := make([]line, len(raw))
	for i, fields := range raw {
		all[i].fields = fields
		for name, to := range map[string]any{"Name": &all[i].Name, "Consumers": &all[i].Consumers} {
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
		own := name == "Name" || name == "Consumers" || string(field) == `"`+lambda.DefaultName+`"`
		if !own && !isEmpty(field) {
			return false
		}
	}
	return true
}

// covers reports whether the line is for the service, by name or by "*", and for
// the list's consumer.
func (l List) covers(n line, service string) bool {
	return (n.Name == "*" || strings.EqualFold(n.Name, service)) &&
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
	if l.consumer == (consumer{}) {
		return append(slices.Clone(lines), line{Name: service}.with("Name", service))
	}
	lines = slices.Clone(lines)
	i := slices.IndexFunc(lines, func(n line) bool { return strings.EqualFold(n.Name, service) })
	if i < 0 {
		lines, i = append(lines, line{Name: service}.with("Name", service)), len(lines)
	}
	lines[i].Consumers = append(slices.Clone(lines[i].Consumers), l.consumer)
	lines[i] = lines[i].with("Consumers", lines[i].Consumers)
	return lines
}

// remove takes the service out. A line into which somebody put more stays.
func (l List) remove(lines []line, service string) []line {
	var rest []line
	for _, n := range lines {
		if !strings.EqualFold(n.Name, service) || !l.covers(n, service) {
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
