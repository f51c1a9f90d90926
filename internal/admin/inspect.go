package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lambdamesh/lambdamesh/lambda"
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
		p.Rejected = slices.DeleteFunc(slices.Clone(p.Rejected), func(one Rejected) bool { return !slices.Contains(clusters, one.Resource) })
		p.Unpatched = slices.DeleteFunc(slices.Clone(p.Unpatched), func(one Unpatched) bool { return !strings.EqualFold(one.Service, name) })
		if len(p.Patched) > 0 || len(p.Unpatched) > 0 {
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

// WriteTable writes a line for each service.
func (s State) WriteTable(w io.Writer) error {
	if len(s.Services) == 0 {
		_, err := fmt.Fprintln(w, "No service's Meta speaks of Lambda.")
		return err
	}
	proxies := map[string]int{}
	for _, p := range s.Proxies {
		for _, one := range p.Patched {
			proxies[strings.ToLower(one.Service)]++
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tSTATE\tINVOKED BY\tMODE\tENVOYS\tFUNCTION")
	for _, one := range s.Services {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", printable(one.FullName()), one.State, one.Via(), one.Mode(), proxies[strings.ToLower(one.FullName())], printable(one.ARN))
	}
	return table.Flush()
}

// WriteChain writes what leads from a service's Meta to its Envoys.
func (s State) WriteChain(w io.Writer) error {
	out := &chain{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	for _, one := range s.Services {
		out.line("Service", one.FullName())
		out.line("State", meaning(one))
		out.line("Function", one.ARN)
		if one.Source == lambda.SourceExtension {
			out.line("Read from", "EnvoyExtensions "+lambda.ExtensionName)
		}
		out.line("Invoked by", one.Via())
		out.line("Mode", one.Mode())
		for _, setting := range lambda.Settings() {
			out.line("  "+setting.Key, one.Settings[setting.Key])
		}
		for _, mistake := range one.Errors {
			out.line("Mistake", mistake)
		}
		for _, warning := range one.Warnings {
			out.line("To be mended", warning)
		}
	}
	for _, p := range s.Proxies {
		for _, one := range p.Patched {
			form := one.Form
			if form == "" {
				form = "no endpoints"
			}
			if one.Reason != "" {
				form += ": " + one.Reason
			}
			out.line("Envoy "+p.ID, fmt.Sprintf("%s, Envoy %s, %s, %s", p.Kind, p.EnvoyVersion, one.Path, form))
		}
		for _, one := range p.Unpatched {
			out.line("Envoy "+p.ID, fmt.Sprintf("%s, Envoy %s, not invoked: %s", p.Kind, p.EnvoyVersion, one.Reason))
		}
		for _, one := range p.Rejected {
			out.line("  it refused", one.Error)
		}
	}
	return out.w.Flush()
}

// chain writes lines of a word and what it stands for.
type chain struct{ w *tabwriter.Writer }

func (c *chain) line(word, text string) {
	if text != "" {
		fmt.Fprintf(c.w, "%s\t%s\n", printable(word), printable(text))
	}
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
