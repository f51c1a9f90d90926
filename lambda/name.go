package lambda

import (
	"cmp"
	"strings"
)

// DefaultName is the namespace and the partition that Consul means when none is
// named, and the only ones its community edition has.
const DefaultName = "default"

// ServiceName is a Consul service within one datacenter. NewServiceName fills in
// defaults, so names made by it can be compared and used as keys of a map.
type ServiceName struct {
	Name      string
	Namespace string
	Partition string
}

// NewServiceName makes a name; an empty namespace or partition means "default".
func NewServiceName(name, namespace, partition string) ServiceName {
	return ServiceName{
		Name:      name,
		Namespace: cmp.Or(namespace, DefaultName),
		Partition: cmp.Or(partition, DefaultName),
	}
}

// String is the name alone where the rest is default, else partition/namespace/name. A
// name with a slash in it, which Consul takes, is written in full: it could else be read
// as another service's.
func (n ServiceName) String() string {
	if n.Namespace == DefaultName && n.Partition == DefaultName && !strings.Contains(n.Name, "/") {
		return n.Name
	}
	return n.Partition + "/" + n.Namespace + "/" + n.Name
}

// Folded is the name in lower case, for use as a key: to Consul two names that
// differ in case alone are one service. Its clusters are named as whoever asks for
// them spells it, its config entries as whoever wrote them did.
func (n ServiceName) Folded() ServiceName {
	return ServiceName{
		Name:      strings.ToLower(n.Name),
		Namespace: strings.ToLower(n.Namespace),
		Partition: strings.ToLower(n.Partition),
	}
}

// Compare orders names by partition, namespace and name.
func (n ServiceName) Compare(m ServiceName) int {
	return cmp.Or(
		strings.Compare(n.Partition, m.Partition),
		strings.Compare(n.Namespace, m.Namespace),
		strings.Compare(n.Name, m.Name),
	)
}

// ParseServiceName reads what String writes.
func ParseServiceName(s string) ServiceName {
	if parts := strings.SplitN(s, "/", 3); len(parts) == 3 {
		return NewServiceName(parts[2], parts[1], parts[0])
	}
	return NewServiceName(s, "", "")
}
