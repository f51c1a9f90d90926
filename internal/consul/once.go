package consul

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// onceTimeout bounds how long Consul may take for a first whole Table.
const onceTimeout = 10 * time.Second

// ReadOnce is the first whole Table, without watching on. OnTable is not used. The
// error says what Consul withheld, or why it did not answer.
func ReadOnce(ctx context.Context, cfg WatcherConfig) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	cfg.OnTable = func(*lambda.Table) { cancel() }
	w := NewWatcher(cfg)
	w.giveUp = cancel
	if err := w.Run(ctx); err != nil {
		return Status{}, err
	}
	status := w.Status()
	if status.Table == nil {
		return Status{}, fmt.Errorf("reading the Lambda services from Consul: %w", errors.New(status.Problem))
	}
	return status, nil
}

// WhyNot says why a service is none of the Table's: what its service-defaults entry
// lacks.
func (c *Client) WhyNot(ctx context.Context, service string) string {
	defaults, err := c.serviceDefaults(ctx, lambda.ParseServiceName(service))
	if errors.Is(err, errNoEntry) {
		return err.Error() + ". A registrator writes one for a tagged function"
	}
	if err != nil {
		return err.Error()
	}
	var like []string
	for key := range defaults.Meta {
		if strings.Contains(strings.ToLower(key), "lambda") {
			like = append(like, key)
		}
	}
	if slices.Sort(like); len(like) > 0 {
		return "the keys of its Meta begin with something else than " + lambda.Prefix + ": " + strings.Join(like, ", ")
	}
	return "its service-defaults entry has neither Meta that begins with " + lambda.Prefix + " nor EnvoyExtensions " + lambda.ExtensionName
}

// within are the options of a read about a service: Consul's community edition, which
// refuses names of namespaces, has only the default ones.
func (c *Client) within(name lambda.ServiceName) *api.QueryOptions {
	options := &api.QueryOptions{}
	if name.Namespace != lambda.DefaultName {
		options.Namespace = name.Namespace
	}
	if name.Partition != lambda.DefaultName {
		options.Partition = name.Partition
	}
	return options
}
