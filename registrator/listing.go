package registrator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Listing of services in other entries: what the planner decides, and how it is
// written.

// listEdit adds a service to a list or takes it out.
type listEdit struct {
	list   List
	remove bool
}

// listEntry is what Consul has of the entry behind some lists.
type listEntry struct {
	entry *Entry
	lines []line
}

// entryKey names an entry.
type entryKey struct{ kind, name, partition string }

func (l List) key() entryKey { return entryKey{l.kind, l.name, l.at.partition} }

// tenancy is where the entry is: gateways are looked for in the default namespace,
// and exported-services are in no other.
func (k entryKey) tenancy() tenancy {
	if k.partition == "" {
		return tenancy{}
	}
	return tenancy{partition: k.partition, namespace: lambda.DefaultName}
}

// readLists reads the entries of the lists that are asked for, but for those that
// are known.
func (c catalog) readLists(ctx context.Context, known map[entryKey]listEntry, current *Current) error {
	current.Lists = known
	for _, list := range c.lists {
		if _, done := current.Lists[list.key()]; done {
			continue
		}
		entry := new(Entry)
		_, err := c.client.Raw().Query("/v1/config/"+list.kind+"/"+list.name, entry, list.key().tenancy().query(ctx))
		switch {
		case isStatus(err, http.StatusNotFound):
			entry = newEntry(list.kind, list.name)
		case isStatus(err, http.StatusForbidden):
			current.Denied = errors.Join(current.Denied, fmt.Errorf(
				`reading the %s entry %s, which is to list the services (the token needs: mesh = "write"): %w`, list.kind, list.name, err))
			continue
		case err != nil:
			return fmt.Errorf("reading the %s entry %s: %w", list.kind, list.name, err)
		}
		lines, err := entry.lines()
		if err != nil {
			return err
		}
		current.Lists[list.key()] = listEntry{entry, lines}
	}
	return nil
}

// listing decides which lists the service is to be added to, and what its entry
// then says of that: a line that is there already is somebody else's, unless the
// entry says that it is ours.
func (p *planner) listing(service string, entry *Entry) (edits []listEdit, listed string) {
	ours := slices.Clone(entry.listed())
	for _, list := range p.Lists {
		there, known := p.Current.Lists[list.key()]
		if !known || list.has(there.lines, service) {
			continue
		}
		edits = append(edits, listEdit{list: list})
		if !slices.Contains(ours, list.String()) {
			ours = append(ours, list.String())
		}
	}
	slices.Sort(ours)
	return edits, strings.Join(ours, ",")
}

// unlisting takes a service that goes out of the lists in which we wrote a line.
func (p *planner) unlisting(service string, entry *Entry) []listEdit {
	var edits []listEdit
	for _, list := range p.Lists {
		there := p.Current.Lists[list.key()]
		if slices.Contains(entry.listed(), list.String()) && list.has(there.lines, service) {
			edits = append(edits, listEdit{list: list, remove: true})
		}
	}
	return edits
}

// writeLists writes each entry that the changes edit once, by CAS, with the edits
// of all that have not failed.
func (c catalog) writeLists(ctx context.Context, w *work, current map[entryKey]listEntry) {
	edited := map[entryKey][]int{}
	for _, i := range w.pending(func(c Change) bool { return len(c.lists) > 0 }) {
		for _, edit := range w.changes[i].lists {
			if key := edit.list.key(); !slices.Contains(edited[key], i) {
				edited[key] = append(edited[key], i)
			}
		}
	}
	for key, indexes := range edited {
		lines := current[key].lines
		for _, i := range indexes {
			for _, edit := range w.changes[i].lists {
				switch {
				case edit.list.key() != key:
				case edit.remove:
					lines = edit.list.remove(lines, w.changes[i].Service)
				default:
					lines = edit.list.add(lines, w.changes[i].Service)
				}
			}
		}
		err := w.stopped(ctx)
		if err == nil {
			err = c.in(key.tenancy()).writeList(ctx, current[key].entry.withLines(lines))
		}
		for _, i := range indexes {
			w.fail(i, err)
		}
	}
}

func (c catalog) writeList(ctx context.Context, entry *Entry) error {
	ctx, span := child(ctx, "write config entry", keyEntry.String(entry.GetKind()))
	err := c.writeEntry(ctx, entryWrite{entry: entry})
	ended(span, err)
	if isStatus(err, http.StatusForbidden) {
		return fmt.Errorf(`listing it in %s %s (the token needs: mesh = "write"): %w`, entry.GetKind(), entry.Name, err)
	}
	if err != nil {
		return fmt.Errorf("listing it in %s %s: %w", entry.GetKind(), entry.Name, err)
	}
	return nil
}

// validate names what a list cannot be, in the words of the flags.
func (l List) validate() error {
	switch {
	case l.kind == api.TerminatingGateway && (l.name == "" || l.name == "*"):
		return fmt.Errorf("--terminating-gateway: %q is not the name of a gateway", l.name)
	case l.kind == api.ExportedServices && l.consumer.Peer+l.consumer.Partition == "":
		return errors.New("--export-to: neither a partition nor peer:NAME")
	}
	return nil
}
