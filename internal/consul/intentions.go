package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// IntentionEntries are what Intentions are made of.
type IntentionEntries struct {
	Entries []*api.ServiceIntentionsConfigEntry

	// ByDefault says that Consul allows the calls that none of them is about.
	ByDefault bool
}

// build makes Intentions of those that are about functions of a Table, and about all services.
// What depends on more than who calls counts as denied: permissions by path, method
// or header, and tokens (JWT), which gateways alone can judge. So does a group of
// partitions and peers (Consul Enterprise), whose members we do not know.
func (e IntentionEntries) build(functions *lambda.Table) *lambda.Intentions {
	byDefault := e.ByDefault
	var all []lambda.Intention
	for _, entry := range e.Entries {
		destination := lambda.NewServiceName(entry.Name, entry.Namespace, entry.Partition)
		if entry.Name != lambda.Any && functions.Lookup(destination) == nil {
			continue
		}
		for _, s := range entry.Sources {
			if s.Peer != "" {
				continue // its services call from elsewhere, and never directly
			}
			source := lambda.NewServiceName(s.Name, cmp.Or(s.Namespace, entry.Namespace), cmp.Or(s.Partition, entry.Partition))
			decided := len(s.Permissions) == 0 && s.SamenessGroup == "" && entry.JWT == nil
			all = append(all, lambda.Intention{
				Source: source, Destination: destination,
				Allow: decided && s.Action == api.IntentionActionAllow,
			})
			// Consul's answer about the default was this intention's then. Where it is
			// about all namespaces, the default does not count.
			byDefault = byDefault && (entry.Name != lambda.Any || s.Name != lambda.Any)
		}
	}
	return lambda.NewIntentions(byDefault, all...)
}

// nobody is a name that no service has and no intention is about.
const nobody = "lambdamesh-asks-for-the-default"

// allowsByDefault asks Consul whether a call is allowed that no intention is about:
// that follows from the server's configuration (default_intention_policy, else its
// default ACL policy), which nothing else tells to everybody. It also follows from
// intentions about all services, if there are any (1.22.5).
func (c *Client) allowsByDefault(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readGrace)
	defer cancel()
	opts := (&api.QueryOptions{}).WithContext(ctx)
	// A list of intentions from which nothing had to be withheld, since there are none,
	// does not show that our token may read them. This is refused if it may not.
	_, _, err := c.API.Connect().IntentionMatch(
		&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{nobody}}, opts)
	allowed := false
	if err == nil {
		allowed, _, err = c.API.Connect().IntentionCheck(&api.IntentionCheck{Source: nobody, Destination: nobody}, opts)
	}
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusForbidden {
		return false, fmt.Errorf("asking for the default intention: %w", ErrFiltered)
	}
	if err != nil {
		return false, fmt.Errorf("asking for the default intention: %w", err)
	}
	return allowed, nil
}
