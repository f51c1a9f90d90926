package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// Entry is what of a service-defaults entry is Lambda's, as it stands there.
type Entry struct {
	Meta      map[string]string // the keys that are ours, with their prefix
	Arguments map[string]any    // of Consul's own extension; nil: the entry has none
	Managed   bool              // a registrator keeps it
}

// ReadEntry reads the entry of a service. The error says in one line what stands in the
// way.
func (c *Client) ReadEntry(ctx context.Context, name lambda.ServiceName) (Entry, error) {
	defaults, err := c.serviceDefaults(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Meta: map[string]string{}}
	for key, value := range defaults.Meta {
		if lambda.IsTag(key) {
			entry.Meta[key] = value
		}
	}
	entry.Managed = defaults.Meta[lambda.Mark] == "true"
	for _, extension := range defaults.EnvoyExtensions {
		if extension.Name == lambda.ExtensionName {
			entry.Arguments = extension.Arguments
		}
	}
	return entry, nil
}

// errNoEntry: there is nothing to read.
var errNoEntry = errors.New("there is no service-defaults entry of this name")

// serviceDefaults reads the entry of a service.
func (c *Client) serviceDefaults(ctx context.Context, name lambda.ServiceName) (*api.ServiceConfigEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	entry, _, err := c.API.ConfigEntries().Get(api.ServiceDefaults, name.Name, c.within(name).WithContext(ctx))
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusNotFound:
		return nil, errNoEntry
	case errors.As(err, &status) && status.Code == http.StatusForbidden:
		return nil, errors.New("Consul's token may not read its service-defaults entry; its policy needs: " + ServiceRule)
	case err != nil:
		return nil, fmt.Errorf("its service-defaults entry could not be read: %w", err)
	}
	defaults, ok := entry.(*api.ServiceConfigEntry)
	if !ok {
		return nil, errors.New("its service-defaults entry is not one")
	}
	return defaults, nil
}
