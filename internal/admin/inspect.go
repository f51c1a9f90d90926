package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Only is what of the state concerns one service, whose name may be of any case; found
// is false if no Meta speaks of it.
func (s State) Only(name string) (only State, found bool) {
	only = State{Table: s.Table, Services: []Service{}, Proxies: []Proxy{}}
	for _, one := range s.Services {
		if strings.EqualFold(one.FullName(), name) {
			only.Services = append(only.Services, one)
		}
	}
	for _, p := range s.Proxies {
		var clusters []string
		p.Patched = slices.DeleteFunc(slices.Clone(p.Patched), func(one Patched) bool {
			concerns := strings.EqualFold(one.Service, name)
			if concerns {
				clusters = append(clusters, one.Cluster)
			}
			return !concerns
		})
		p.Rejected = slices.DeleteFunc(slices.Clone(p.Rejected), func(one Rejected) bool {
			return !slices.Contains(clusters, one.Resource) && !slices.Contains(one.Services, strings.ToLower(name))
		})
		p.Unpatched = slices.DeleteFunc(slices.Clone(p.Unpatched), func(one Unpatched) bool { return !strings.EqualFold(one.Service, name) })
		if len(p.Patched)+len(p.Unpatched)+len(p.Rejected) > 0 {
			p.Patched, p.Rejected, p.Unpatched = list(p.Patched), list(p.Rejected), list(p.Unpatched)
			only.Proxies = append(only.Proxies, p)
		}
	}
	if r := s.Registrator; r != nil {
		one := *r
		one.Changes = list(slices.DeleteFunc(slices.Clone(r.Changes), func(c Change) bool { return !strings.EqualFold(c.FullName(), name) }))
		only.Registrator = &one
	}
	return only, len(only.Services) > 0
}

// WriteJSON writes the state as /api/v1/state does.
func (s State) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(s)
}

// WriteTable writes a line for each service: also how many Envoys invoke it, of how many
// that have a cluster of it and do not merely call a gateway.
func (s State) WriteTable(w io.Writer) error {
	if len(s.Services) == 0 {
		_, err := fmt.Fprintln(w, "No service's Meta speaks of Lambda.")
		return err
	}
	invoke, know := map[string]int{}, map[string]int{}
	for _, p := range s.Proxies {
		for _, one := range p.Patched {
			know[strings.ToLower(one.Service)]++
			if one.Form != "" {
				invoke[strings.ToLower(one.Service)]++
			}
		}
		for _, one := range p.Unpatched {
			know[strings.ToLower(one.Service)]++
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tSTATE\tINVOKED BY\tMODE\tENVOYS\tFUNCTION")
	for _, one := range s.Services {
		name := strings.ToLower(one.FullName())
		envoys := fmt.Sprint(invoke[name])
		if invoke[name] != know[name] {
			envoys = fmt.Sprintf("%d of %d", invoke[name], know[name])
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(one.FullName()), one.State, one.Via(), one.Mode(), envoys, printable(one.ARN))
	}
	return table.Flush()
}

func meaning(s Service) string {
	for _, one := range states {
		if one.State == s.State {
			return string(s.State) + ": " + one.Meaning
		}
	}
	return string(s.State)
}

// printable is text from outside without what would move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
