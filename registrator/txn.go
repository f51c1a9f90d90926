package registrator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// txnOperations is how many services one transaction writes: what Consul advises,
// half of the most that it takes. It takes 512 KiB at most, too, which only services
// that others put much into can fill; such a transaction is halved.
const txnOperations = 64

// opError is what Consul says of one operation of a transaction, which is none of
// its own failures.
type opError struct{ what string }

func (e *opError) Error() string { return e.what }

// writeInstances registers or deregisters the services of the changes at these
// indexes, by transactions, each within one tenancy.
func (c catalog) writeInstances(ctx context.Context, w *work, indexes []int) {
	var tenancies []tenancy // in the order of the changes
	of := map[tenancy][]int{}
	for _, i := range indexes {
		at := w.changes[i].tenancy()
		if of[at] == nil {
			tenancies = append(tenancies, at)
		}
		of[at] = append(of[at], i)
	}
	for _, at := range tenancies {
		for batch := range slices.Chunk(of[at], txnOperations) {
			c.in(at).writeBatch(ctx, w, batch)
		}
	}
}

// writeBatch makes one transaction. Consul refuses it as a whole if it refuses one
// operation, and names all that it refuses; the others are then tried again.
func (c catalog) writeBatch(ctx context.Context, w *work, batch []int) {
	failAll := func(err error) {
		for _, i := range batch {
			w.fail(i, err)
		}
	}
	for noded := false; len(batch) > 0; {
		if err := w.stopped(ctx); err != nil {
			failAll(err)
			return
		}
		refused, err := c.transact(ctx, w, batch)
		if half := len(batch) / 2; half > 0 && isTooLarge(err) {
			c.writeBatch(ctx, w, batch[:half])
			c.writeBatch(ctx, w, batch[half:])
			return
		}
		if err != nil {
			failAll(fmt.Errorf("writing services of node %s: %w", c.node, err))
			return
		}
		if len(refused) == 0 {
			advance(ctx, StageWriting, len(batch), w.writes)
			return
		}
		if !noded && slices.ContainsFunc(refused, isMissingNode) {
			if err := c.makeNode(ctx); err != nil {
				failAll(err)
				return
			}
			noded = true
			continue
		}
		var rest []int
		for position, i := range batch {
			if at := slices.IndexFunc(refused, func(e *api.TxnError) bool { return e.OpIndex == position }); at >= 0 {
				w.fail(i, fmt.Errorf("writing it: %w", refusal(refused[at])))
			} else {
				rest = append(rest, i)
			}
		}
		if len(rest) == len(batch) { // an answer that names none of them
			failAll(&opError{refused[0].What})
			return
		}
		batch = rest
	}
}

func (c catalog) transact(ctx context.Context, w *work, batch []int) (refused api.TxnErrors, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ops := make(api.TxnOps, 0, len(batch))
	names := make([]string, 0, len(batch))
	for _, i := range batch {
		ops = append(ops, c.operation(*w.changes[i].instance))
		names = append(names, w.changes[i].Service)
	}
	ctx, span := child(ctx, "write services", keyServices.StringSlice(names))
	defer func() { ended(span, err) }()
	ok, answer, _, err := c.client.Txn().Txn(ops, c.at.query(ctx))
	if err != nil || ok {
		return nil, err
	}
	if len(answer.Errors) == 0 {
		return nil, &opError{"Consul refused a transaction without a reason"}
	}
	return answer.Errors, nil
}

// operation is by CAS wherever the catalog can be read.
func (c catalog) operation(write instanceWrite) *api.TxnOp {
	op := &api.ServiceTxnOp{Node: c.node, Service: api.AgentService{
		ID:          write.instance.ID,
		Service:     write.instance.Service,
		Tags:        write.instance.Tags,
		Meta:        write.instance.Meta,
		Partition:   c.at.partition,
		Namespace:   c.at.namespace,
		ModifyIndex: write.instance.index,
	}}
	switch {
	case write.delete && write.blind:
		op.Verb = api.ServiceDelete
	case write.delete:
		op.Verb = api.ServiceDeleteCAS
	case write.blind:
		op.Verb = api.ServiceSet
	default:
		op.Verb = api.ServiceCAS
	}
	return &api.TxnOp{Service: op}
}

// makeNode makes the node that carries the services. It has no address, since
// nothing listens there, and no sync or probe is to look for it. One that is there
// stays as it is.
func (c catalog) makeNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := c.client.Catalog().Register(&api.CatalogRegistration{
		Node: c.node, Partition: c.at.partition, SkipNodeUpdate: true, NodeMeta: map[string]string{"external-node": "true"},
	}, (&api.WriteOptions{Partition: c.at.partition}).WithContext(ctx)) // a node is in no namespace
	if isStatus(err, http.StatusForbidden) {
		return fmt.Errorf(`making node %[1]s (it must exist, or the token needs: node %[1]q { policy = "write" }): %[2]w`, c.node, err)
	}
	if err != nil {
		return fmt.Errorf("making node %s: %w", c.node, err)
	}
	return nil
}

// What Consul 1.22.5 says in words alone; the client keeps no status of a
// transaction that was refused as a whole.

func isTooLarge(err error) bool { return err != nil && strings.Contains(err.Error(), "too large") }

func isMissingNode(e *api.TxnError) bool {
	return strings.Contains(strings.ToLower(e.What), "missing node")
}

func refusal(e *api.TxnError) error {
	if strings.Contains(e.What, "index is stale") {
		return errChanged
	}
	return &opError{e.What}
}
