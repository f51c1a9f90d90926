package registrator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"
)

// parallelEntries is how many entries are written at once: enough to hide the
// time that a Raft commit takes, few enough to leave Consul's leader alone.
const parallelEntries = 8

// errChanged says that somebody else changed a thing since it was read.
var errChanged = errors.New("somebody else changed it meanwhile; the next run looks again")

// apply makes the changes and returns what became of each. Entries come before
// services when adding, services before entries when removing, so that a service
// never stands there without the Meta that says what it is; lists come between, so
// that they name what is there. Of a change whose
// first half failed the second is not tried.
func (c catalog) apply(ctx context.Context, changes []Change, lists map[entryKey]listEntry) []error {
	w := &work{changes: changes, failures: make([]error, len(changes))}
	for _, change := range changes {
		if change.entry != nil {
			w.writes++
		}
		if change.instance != nil {
			w.writes++
		}
	}
	c.writeEntries(ctx, w, w.pending(func(c Change) bool { return c.Kind != KindDelete && c.entry != nil }))
	c.writeInstances(ctx, w, w.pending(func(c Change) bool { return c.Kind != KindDelete && c.instance != nil }))
	c.writeLists(ctx, w, lists)
	c.writeInstances(ctx, w, w.pending(func(c Change) bool { return c.Kind == KindDelete && c.instance != nil }))
	c.writeEntries(ctx, w, w.pending(func(c Change) bool { return c.Kind == KindDelete && c.entry != nil }))
	return w.failures
}

// work is changes that are being made.
type work struct {
	changes  []Change
	failures []error     // by index; nil: none so far
	writes   int         // of entries and services, of all changes
	away     atomic.Bool // Consul does not answer, or cannot write: nothing more is tried
}

// pending are the indexes of the changes that pass and have not failed.
func (w *work) pending(pass func(Change) bool) []int {
	var all []int
	for i, change := range w.changes {
		if w.failures[i] == nil && pass(change) {
			all = append(all, i)
		}
	}
	return all
}

// fail notes what became of a change.
func (w *work) fail(i int, err error) {
	if err == nil {
		return
	}
	w.failures[i] = fmt.Errorf("service %s: %w", w.changes[i].name(), err)
	if isAway(err) {
		w.away.Store(true)
	}
}

// stopped says why no further write is to be tried; nil if it is.
func (w *work) stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped before it: %w", context.Cause(ctx))
	}
	if w.away.Load() {
		return errors.New("not tried, since Consul failed before")
	}
	return nil
}

// writeEntries writes or deletes the entries of the changes at these indexes.
func (c catalog) writeEntries(ctx context.Context, w *work, indexes []int) {
	var group errgroup.Group
	group.SetLimit(parallelEntries)
	for _, i := range indexes {
		group.Go(func() error {
			err := w.stopped(ctx)
			if err == nil {
				change := w.changes[i]
				ctx, span := child(ctx, "write config entry", append(ofFunction(change.arn()),
					keyEntry.String(change.entry.entry.GetKind()), keyService.String(change.Service))...)
				err = c.in(change.tenancy()).writeEntry(ctx, *change.entry)
				ended(span, err)
			}
			w.fail(i, err)
			advance(ctx, StageWriting, 1, w.writes)
			return nil
		})
	}
	_ = group.Wait() // the failures are kept one by one
}

func (c catalog) writeEntry(ctx context.Context, write entryWrite) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	entry, options := write.entry, c.at.write(ctx)
	var done bool
	var err error
	if write.delete {
		done, _, err = c.client.ConfigEntries().DeleteCAS(entry.GetKind(), entry.Name, entry.ModifyIndex, options)
	} else {
		done, _, err = c.client.ConfigEntries().CAS(entry, entry.ModifyIndex, options)
	}
	if err == nil && !done {
		err = errChanged
	}
	if err != nil {
		return fmt.Errorf("writing the %s entry: %w", entry.GetKind(), err)
	}
	return nil
}

// isAway reports that not this write failed, but Consul: no answer, no leader, too
// much to do.
func isAway(err error) bool {
	if errors.Is(err, errChanged) {
		return false
	}
	var status api.StatusError
	var refused *opError
	switch {
	case errors.As(err, &refused):
		return false
	case errors.As(err, &status):
		return status.Code >= http.StatusInternalServerError || status.Code == http.StatusTooManyRequests
	}
	return true
}
