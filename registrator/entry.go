package registrator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Entry is a config entry, service-defaults but for lists, with every field as Consul sent it, also
// those that this version of Consul's API client does not know: what an operator
// added survives being read and written.
type Entry struct {
	Kind            string
	Name            string
	Protocol        string
	Meta            map[string]string
	EnvoyExtensions json.RawMessage
	ModifyIndex     uint64 // of the CAS that replaces or deletes it; 0 creates

	sent   json.RawMessage            // as Consul sent it; nil: it did not
	fields map[string]json.RawMessage // of one that is new or changed; nil: those of sent
}

var _ api.ConfigEntry = (*Entry)(nil)

// newEntry is an entry that Consul does not have yet.
func newEntry(kind, name string) *Entry {
	e := &Entry{Kind: kind, Name: name, fields: map[string]json.RawMessage{}}
	e.set("Kind", kind)
	e.set("Name", name)
	return e
}

// UnmarshalJSON reads an entry as Consul sends it.
func (e *Entry) UnmarshalJSON(data []byte) error {
	type fields Entry // without this method
	if err := json.Unmarshal(data, (*fields)(e)); err != nil {
		return fmt.Errorf("decoding a config entry: %w", err)
	}
	e.sent = slices.Clone(data) // the decoder uses it again
	return nil
}

// all are the entry's fields. They are not kept decoded, which takes three times the
// memory; of thousands of entries a run changes few.
func (e *Entry) all() map[string]json.RawMessage {
	if e.fields != nil {
		return e.fields
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.sent, &fields); err != nil { // what is not JSON was refused on its way in
		panic(err)
	}
	return fields
}

// MarshalJSON writes it back, without what Consul itself keeps in it.
func (e *Entry) MarshalJSON() ([]byte, error) {
	fields := maps.Clone(e.all())
	for _, name := range bookkeeping {
		delete(fields, name)
	}
	return json.Marshal(fields)
}

// bookkeeping are the fields that Consul fills in.
var bookkeeping = []string{"Hash", "CreateIndex", "ModifyIndex"}

func (e *Entry) set(field string, value any) {
	encoded, err := json.Marshal(value)
	if err != nil { // strings, maps of them and JSON that was read can always be encoded
		panic(err)
	}
	e.fields[field] = encoded
}

// clone is a copy that can be changed.
func (e *Entry) clone() *Entry {
	c := *e
	c.fields, c.Meta = maps.Clone(e.all()), maps.Clone(e.Meta)
	return &c
}

// withMeta is the entry with exactly this Meta.
func (e *Entry) withMeta(meta map[string]string) *Entry {
	c := e.clone()
	c.Meta = meta
	if len(meta) == 0 {
		delete(c.fields, "Meta")
	} else {
		c.set("Meta", meta)
	}
	return c
}

// withProtocol is the entry with this protocol.
func (e *Entry) withProtocol(protocol string) *Entry {
	c := e.clone()
	c.Protocol = protocol
	c.set("Protocol", protocol)
	return c
}

// othersMeta are the keys of Meta that are not of our vocabulary.
func (e *Entry) othersMeta() map[string]string {
	others := map[string]string{}
	for key, value := range e.Meta {
		if !lambda.IsMetaKey(key) && key != listedIn {
			others[key] = value
		}
	}
	return others
}

// madeForUs reports whether nothing would be lost with the entry: beside our
// Meta and the protocol http it says nothing.
func (e *Entry) madeForUs() bool {
	if len(e.othersMeta()) > 0 || (e.Protocol != "" && e.Protocol != protocolHTTP) {
		return false
	}
	ours := append([]string{"Kind", "Name", "Namespace", "Partition", "Protocol", "Meta"}, bookkeeping...)
	for name, value := range e.all() {
		if !slices.Contains(ours, name) && !isEmpty(value) {
			return false
		}
	}
	return true
}

// isEmpty reports that a field says nothing: Consul writes some, such as
// "Expose": {}, into every entry.
func isEmpty(field json.RawMessage) bool {
	var value any
	if err := json.Unmarshal(field, &value); err != nil {
		return false
	}
	return emptyValue(value)
}

func emptyValue(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !emptyValue(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// GetKind is the entry's kind.
func (e *Entry) GetKind() string { return e.Kind }

// GetName is the entry's name.
func (e *Entry) GetName() string { return e.Name }

// GetPartition is empty: the client's own.
func (e *Entry) GetPartition() string { return "" }

// GetNamespace is empty: the client's own.
func (e *Entry) GetNamespace() string { return "" }

// GetMeta is the entry's Meta.
func (e *Entry) GetMeta() map[string]string { return e.Meta }

// GetCreateIndex is not kept.
func (e *Entry) GetCreateIndex() uint64 { return 0 }

// GetModifyIndex is the index of the last change.
func (e *Entry) GetModifyIndex() uint64 { return e.ModifyIndex }
