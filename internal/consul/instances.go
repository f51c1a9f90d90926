package consul

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	// instancesPause is the least time between two reads of the catalog: every
	// registration of any service ends a blocking query for it.
	instancesPause = time.Second

	// withAddress matches the instances of ordinary services. One has an address, of its
	// own or its node's; a Lambda service is registered without both. Proxies and
	// gateways are of other kinds.
	withAddress = `ServiceKind == "" and (ServiceAddress != "" or Address != "")`
)

// instances follows which services have instances of their own in the catalog: Meta
// that makes one of those a Lambda function is a mistake. Nothing else hangs on it: an
// Envoy that is told of endpoints keeps them, whatever the Table says. So what cannot
// be read is said once and stays as it was.
type instances struct {
	client *Client
	log    *slog.Logger
}

// run reads until the context ends, giving each whole answer to deliver, and none to
// begin with if the first cannot be had.
func (i instances) run(ctx context.Context, deliver func(map[lambda.ServiceName]bool)) {
	var read map[lambda.ServiceName]bool
	delivered, said := false, false
	reader{query: func(ctx context.Context, index uint64) (_ []api.ConfigEntry, next uint64, err error) {
		if index > 0 {
			pause(ctx, instancesPause)
		}
		read, next, err = i.client.withInstances(ctx, index)
		return nil, next, err
	}}.run(ctx, func(a answer) {
		if a.err == nil {
			said = false
			deliver(read)
		} else {
			if !said {
				i.log.Warn("Lambda Meta on services that have instances of their own cannot be told", "reason", a.err)
				said = true
			}
			if !delivered {
				deliver(nil)
			}
		}
		delivered = true
	})
}

// withInstances are the services that have an instance with an address, by folded name.
func (c *Client) withInstances(ctx context.Context, index uint64) (map[lambda.ServiceName]bool, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait+readWait/16+readGrace)
	defer cancel()
	opts := &api.QueryOptions{Filter: withAddress, WaitIndex: index, WaitTime: readWait}
	services, meta, err := c.API.Catalog().Services(opts.WithContext(ctx))
	if err == nil && c.whole(ctx, meta) != nil {
		err = ErrWithheld
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the catalog's services: %w", err)
	}
	names := make(map[lambda.ServiceName]bool, len(services))
	for name := range services {
		names[lambda.NewServiceName(name, "", "").Folded()] = true
	}
	return names, max(meta.LastIndex, 1), nil
}
