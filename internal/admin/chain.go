package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// WriteChain writes what leads from a function to the Envoys that invoke it, a line for
// each link.
func (i Inspection) WriteChain(w io.Writer) error {
	out := &chain{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	for _, one := range i.Services {
		out.line("Function", one.ARN)
		i.writeTags(out, one)
		out.line("Service", one.FullName())
		out.line("State", meaning(one))
		i.writeEntry(out, one)
		for _, mistake := range one.Errors {
			out.line("Mistake", mistake)
			out.line("  to mend it", i.mend(one, mistake))
		}
		for _, warning := range one.Warnings {
			out.line("To be mended", warning)
		}
		out.line("Invoked by", one.Via())
		out.line("Mode", one.Mode())
	}
	i.writePatch(out)
	for _, p := range i.Proxies {
		for _, one := range p.Patched {
			form := one.Form
			switch {
			case form != "":
			case slices.ContainsFunc(p.Rejected, func(r Rejected) bool { return r.Resource == one.Cluster }):
				form = "refused"
			default:
				form = "no endpoints"
			}
			if one.Reason != "" {
				form += ": " + one.Reason
			}
			out.line("Envoy "+p.ID, fmt.Sprintf("%s, Envoy %s, %s, %s", p.kind(), p.EnvoyVersion, one.Path, form))
		}
		for _, one := range p.Unpatched {
			out.line("Envoy "+p.ID, fmt.Sprintf("%s, Envoy %s, not invoked: %s", p.kind(), p.EnvoyVersion, one.Reason))
		}
		for _, one := range p.Rejected {
			if len(p.Patched)+len(p.Unpatched) == 0 {
				out.line("Envoy "+p.ID, fmt.Sprintf("%s, Envoy %s", p.kind(), p.EnvoyVersion))
			}
			out.line("  it refused", one.Resource+": "+one.Error)
		}
	}
	return out.w.Flush()
}

func (p Proxy) kind() string {
	if p.Kind == "" {
		return "of unknown kind"
	}
	return p.Kind
}

func (i Inspection) writeTags(out *chain, one Service) {
	switch {
	case i.Tags == nil:
		return
	case i.Tags.Error != "":
		out.line("  tags", "not read: "+i.Tags.Error)
		return
	case len(i.Tags.Values) == 0:
		out.line("  tags", fmt.Sprintf("none of %s, %d others", lambda.Prefix, i.Tags.Others))
	}
	for _, key := range slices.Sorted(maps.Keys(i.Tags.Values)) {
		out.line("  tag "+withoutPrefix(key), i.Tags.Values[key])
	}
	for _, mistake := range i.Tags.Mistakes {
		out.line("Mistake", mistake)
		out.line("  to mend it", mend(one, mistake, keptByRegistrator))
	}
}

// writeEntry writes the entry as it was read, or what the state says of it.
func (i Inspection) writeEntry(out *chain, one Service) {
	if one.Source == lambda.SourceExtension {
		out.line("Read from", "EnvoyExtensions "+lambda.ExtensionName)
	}
	if i.Entry == nil || i.Entry.Error != "" {
		if i.Entry != nil {
			out.line("  Meta", "not read: "+i.Entry.Error)
		}
		for _, setting := range lambda.Settings() {
			out.line("  "+setting.Key, one.Settings[setting.Key])
		}
		return
	}
	if i.Entry.Managed {
		out.line("  kept by", "a registrator")
	}
	for _, key := range slices.Sorted(maps.Keys(i.Entry.Meta)) {
		out.line("  Meta "+withoutPrefix(key), i.Entry.Meta[key])
	}
	for _, key := range slices.Sorted(maps.Keys(i.Entry.Arguments)) {
		out.line("  "+key, fmt.Sprint(i.Entry.Arguments[key]))
	}
}

// withoutPrefix is a key without the prefix that all have; another prefix is a mistake,
// and stays.
func withoutPrefix(key string) string { return strings.TrimPrefix(key, lambda.Prefix) }

// writePatch writes what calls become, a line for each form of it that there is.
func (i Inspection) writePatch(out *chain) {
	out.line("Patch", i.Unknown)
	envoys := map[string]int{}
	var order []string
	for _, one := range i.Resources {
		summary := one.summary()
		if summary == "" {
			continue
		}
		if envoys[summary] == 0 {
			order = append(order, summary)
		}
		envoys[summary] += len(one.Proxies)
	}
	for _, summary := range order {
		if n := envoys[summary]; n > 1 {
			out.line("Patch", fmt.Sprintf("%s (%d Envoys)", summary, n))
		} else {
			out.line("Patch", summary)
		}
	}
}

// summary is what a cluster of ours does, in one line; empty for all else.
func (r Resource) summary() string {
	var c struct {
		LoadAssignment struct {
			Endpoints []struct {
				LbEndpoints []struct {
					Endpoint struct {
						Hostname string
						Address  struct {
							SocketAddress struct {
								Address   string
								PortValue int
							}
						}
					}
				}
			}
		}
		TransportSocket               *struct{}
		TypedExtensionProtocolOptions map[string]struct {
			HTTPFilters []struct{ Name string } `json:"httpFilters"`
		}
	}
	if r.Type != "cluster" || len(r.After) == 0 || json.Unmarshal(r.After, &c) != nil || string(r.After) == "null" {
		return ""
	}
	if len(c.LoadAssignment.Endpoints) == 0 || len(c.LoadAssignment.Endpoints[0].LbEndpoints) == 0 {
		return "a cluster without endpoints, which answers 503"
	}
	at := c.LoadAssignment.Endpoints[0].LbEndpoints[0].Endpoint
	text := fmt.Sprintf("calls go to %s:%d", at.Hostname, at.Address.SocketAddress.PortValue)
	if found := at.Address.SocketAddress.Address; found != at.Hostname {
		text += ", at " + found
	}
	if c.TransportSocket == nil {
		text += " without TLS"
	}
	var names []string
	for _, options := range c.TypedExtensionProtocolOptions {
		for _, f := range options.HTTPFilters {
			names = append(names, strings.TrimPrefix(f.Name, "envoy.filters.http."))
		}
	}
	if len(names) == 0 {
		return text + ", by filters in the listener"
	}
	return text + ", by " + strings.Join(names, ", ")
}

// chain writes lines of a word and what it stands for.
type chain struct{ w *tabwriter.Writer }

func (c *chain) line(word, text string) {
	if text != "" {
		fmt.Fprintf(c.w, "%s\t%s\n", printable(word), printable(text))
	}
}
