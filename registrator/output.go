package registrator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Empty reports whether the plan changes nothing and has no conflict to show.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

func (p Plan) count(kind Kind) int {
	n := 0
	for _, change := range p.Changes {
		if change.Kind == kind {
			n++
		}
	}
	return n
}

func (c Change) compare(d Change) int {
	return cmp.Or(
		strings.Compare(c.Partition, d.Partition), strings.Compare(c.Namespace, d.Namespace),
		strings.Compare(c.Service, d.Service), strings.Compare(string(c.Kind), string(d.Kind)),
	)
}

func (s Skip) compare(t Skip) int {
	return cmp.Or(strings.Compare(s.Function, t.Function), strings.Compare(s.Reason, t.Reason))
}

// WriteJSON writes the plan as `lambdamesh sync -o json` shows it; lists are
// never null.
func (p Plan) WriteJSON(w io.Writer) error {
	if p.Changes == nil {
		p.Changes = []Change{}
	}
	if p.Skipped == nil {
		p.Skipped = []Skip{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(p)
}

// WriteTable writes the plan for people.
func (p Plan) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if p.Empty() {
		fmt.Fprintln(table, "Nothing to change.")
	} else {
		fmt.Fprintln(table, "CHANGE\tSERVICE\tREASON")
		for _, change := range p.Changes {
			reason := change.Reason
			if change.Undone != "" {
				reason = "not done: " + change.Undone
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", change.Kind, change.name(), reason)
		}
	}
	if len(p.Skipped) > 0 {
		fmt.Fprintln(table, "\nSKIPPED\tREASON")
		for _, skip := range p.Skipped {
			fmt.Fprintf(table, "%s\t%s\n", skip.Function, skip.Reason)
		}
	}
	return table.Flush()
}
