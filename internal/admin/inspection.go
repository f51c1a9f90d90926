package admin

import (
	"encoding/json"
	"io"
)

// Inspection is all that `lambdamesh inspect SERVICE` tells: the state of that service,
// and what only the command reads.
type Inspection struct {
	State
	Tags  *Tags  `json:"tags,omitempty"`  // nil: its ARN is not known
	Entry *Entry `json:"entry,omitempty"` // nil: not asked for

	// Resources are in the YAML; of the table they are one line.
	Resources []Resource `json:"-"`
	Unknown   string     `json:"-"` // why Resources are not known; empty if they are
}

// Tags are those of the function, as AWS has them now.
type Tags struct {
	Values   map[string]string `json:"values"`   // ours, by key with its prefix
	Others   int               `json:"others"`   // how many it has beside those
	Mistakes []string          `json:"mistakes"` // in ours
	Error    string            `json:"error"`    // why they cannot be read; empty if they are
}

// Entry is what of the service-defaults entry is Lambda's, as it stands in Consul now.
type Entry struct {
	Meta      map[string]string `json:"meta"`      // ours, by key with its prefix
	Arguments map[string]any    `json:"arguments"` // of Consul's own extension; null: there is none
	Managed   bool              `json:"managed"`   // a registrator keeps it
	Error     string            `json:"error"`     // why it cannot be read; empty if it is
}

// WriteJSON writes it as one object: the state with more members.
func (i Inspection) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(i)
}
