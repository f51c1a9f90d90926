package registrator

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// tenancy is where in Consul Enterprise things are: an admin partition and a
// namespace in it. The zero value is Consul's community edition, which has neither,
// and refuses a request that names one, be it "default" (measured with 1.22.5).
type tenancy struct{ partition, namespace string }

// of is how people are told of a service there.
func (t tenancy) of(service string) string {
	return lambda.NewServiceName(service, t.namespace, t.partition).String()
}

// query are the options of a read there.
func (t tenancy) query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Partition: t.partition, Namespace: t.namespace}).WithContext(ctx)
}

// write are the options of a write there.
func (t tenancy) write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Partition: t.partition, Namespace: t.namespace}).WithContext(ctx)
}

// tenancies are all that are kept: each namespace of these partitions that the
// token may see. None of them is made.
func (c catalog) tenancies(ctx context.Context, partitions []string) ([]tenancy, error) {
	if len(partitions) == 0 {
		return []tenancy{{}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var all []tenancy
	for _, partition := range partitions {
		namespaces, _, err := c.client.Namespaces().List((&api.QueryOptions{Partition: partition}).WithContext(ctx))
		if isStatus(err, http.StatusNotFound) { // measured with the community edition of 1.22.5
			return nil, errors.New("--enterprise: this Consul knows no namespaces, as its community edition does not")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the namespaces of partition %s: %w", partition, err)
		}
		for _, namespace := range namespaces {
			if namespace.DeletedAt == nil {
				all = append(all, tenancy{partition: partition, namespace: namespace.Name})
			}
		}
	}
	return all, nil
}
