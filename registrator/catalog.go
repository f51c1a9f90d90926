package registrator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/consul/api"
)

// catalog reads Consul; see apply for how it writes.
type catalog struct {
	client     *api.Client
	node       string
	datacenter string // Config.Datacenter
	lists      []List
	at         tenancy // where it reads and writes
}

// in is the catalog of a tenancy.
func (c catalog) in(at tenancy) catalog {
	c.at, c.lists = at, allIn(c.lists, at)
	return c
}

// read takes in what Consul has. wants are the services that are wanted: whether
// other nodes have them is only asked if our node lacks one. known are lists that
// need no reading; what is read is added.
func (c catalog) read(ctx context.Context, wants map[string][]Want, known map[entryKey]listEntry) (current Current, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ctx, span := child(ctx, "read Consul")
	defer func() { ended(span, err) }()
	options := c.at.query(ctx)
	if err := c.readEntries(options, &current); err != nil {
		return Current{}, err
	}
	if err := c.readInstances(options, &current); err != nil {
		return Current{}, err
	}
	if err := c.readOtherNodes(options, &current, wants); err != nil {
		return Current{}, err
	}
	if err := c.readLists(ctx, known, &current); err != nil {
		return Current{}, err
	}
	return current, nil
}

// place is where in a federation this is.
type place struct {
	datacenter string   // empty if it is not known
	federated  bool     // there are several
	partitions []string // that are kept; none: Consul's community edition
}

// place learns which datacenter this is, if that was not said and there is only
// one. Any token may ask that.
func (c catalog) place(ctx context.Context) (place, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var names []string // the client's own method for this takes no context
	if _, err := c.client.Raw().Query("/v1/catalog/datacenters", &names, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return place{}, fmt.Errorf("reading Consul's datacenters: %w", err)
	}
	found := place{datacenter: c.datacenter, federated: len(names) > 1}
	if found.datacenter == "" && len(names) == 1 {
		found.datacenter = names[0]
	}
	if found.datacenter != "" && !slices.Contains(names, found.datacenter) {
		return place{}, fmt.Errorf("--datacenter: Consul knows no datacenter %s", found.datacenter)
	}
	return found, nil
}

// readEntries reads all service-defaults entries, each field of them.
func (c catalog) readEntries(options *api.QueryOptions, current *Current) error {
	var entries []*Entry
	meta, err := c.client.Raw().Query("/v1/config/"+api.ServiceDefaults, &entries, options)
	if err != nil {
		return fmt.Errorf("reading service-defaults entries: %w", err)
	}
	if meta.ResultsFilteredByACLs {
		current.Notes = append(current.Notes, `Consul's token may not read every service-defaults entry; services whose entries it cannot see cannot be kept. Add: service_prefix "" { policy = "write" }`)
	}
	current.Entries = make(map[string]*Entry, len(entries))
	nameless := false
	for _, entry := range entries {
		current.Entries[fold(entry.Name)] = entry
		nameless = nameless || (entry.marked() && entry.Protocol == "")
	}
	if nameless {
		return c.readDefaultProtocol(options, current)
	}
	return nil
}

// readDefaultProtocol reads what the proxy-defaults say of services that name no
// protocol.
func (c catalog) readDefaultProtocol(options *api.QueryOptions, current *Current) error {
	// Each partition has its own, in its default namespace.
	options = entryKey{partition: c.at.partition}.tenancy().query(options.Context())
	entry, _, err := c.client.ConfigEntries().Get(api.ProxyDefaults, api.ProxyConfigGlobal, options)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading proxy-defaults: %w", err)
	}
	if defaults, ok := entry.(*api.ProxyConfigEntry); ok {
		protocol, _ := defaults.Config["protocol"].(string)
		current.HTTPDefault = slices.Contains([]string{"http", "http2", "grpc"}, protocol)
	}
	return nil
}

// readInstances reads the services of our node. Without the right to read the
// node Consul answers 200 and nothing at all, and says that it left something
// out; for a node that does not exist it says nothing.
func (c catalog) readInstances(options *api.QueryOptions, current *Current) error {
	list, meta, err := c.client.Catalog().NodeServiceList(c.node, options)
	if err != nil {
		return fmt.Errorf("reading the services of node %s: %w", c.node, err)
	}
	if meta.ResultsFilteredByACLs {
		current.CatalogHidden = true
		current.Notes = append(current.Notes, fmt.Sprintf(
			`Consul's token may not read node %[1]s: drift of its services cannot be seen, so they are registered again at start and once an hour, and a service of the same name that somebody else registered is not noticed. Add: node %[1]q { policy = "write" }`, c.node))
		return nil
	}
	current.Instances = map[string][]Instance{}
	for _, service := range list.Services {
		name := fold(service.Service)
		current.Instances[name] = append(current.Instances[name], Instance{
			ID:        service.ID,
			Service:   service.Service,
			Tags:      service.Tags,
			Meta:      service.Meta,
			Addressed: service.Address != "" || service.Port != 0,
			index:     service.ModifyIndex,
		})
	}
	return nil
}

// readOtherNodes looks for services of the names that we are about to register.
func (c catalog) readOtherNodes(options *api.QueryOptions, current *Current, wants map[string][]Want) error {
	current.OnOtherNodes = map[string]bool{}
	missing := false
	for name := range wants {
		missing = missing || len(current.Instances[name]) == 0
	}
	if !missing || current.CatalogHidden {
		return nil
	}
	services, meta, err := c.client.Catalog().Services(options)
	if err != nil {
		return fmt.Errorf("reading the names of services: %w", err)
	}
	if meta.ResultsFilteredByACLs {
		current.Hints = append(current.Hints,
			`Consul's token may not read all nodes: a service of a function's name that somebody registered on one of those is not noticed. To have it noticed, add: node_prefix "" { policy = "read" }`)
	}
	for service := range services {
		if name := fold(service); len(current.Instances[name]) == 0 {
			current.OnOtherNodes[name] = true
		}
	}
	return nil
}

func isStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
