package registrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// reregisterEvery is how often services are registered again that the token
// cannot read back.
const reregisterEvery = time.Hour

// Registrator keeps Consul in line with the tags of functions.
type Registrator struct {
	config  Config
	source  *source // changed with sync and run held, so who holds one may read it
	catalog catalog
	metrics *metrics
	lock    *lock // used by Run alone

	settings chan Settings // that Run is to put in force

	// sync is held by a full sync: one at a time.
	sync sync.Mutex

	// run is held while Consul is compared and written, by a full sync or a look: a
	// look waits for no listing, which may take minutes. It guards what follows. Who
	// needs sync too takes that first.
	run        sync.Mutex
	looked     map[lambda.ARN]Listed // what looks saw since the last listing began
	here       place                 // as last read; without a datacenter: not known yet
	registered time.Time             // when services that cannot be read back were last registered
	said       map[string]bool       // notes and warnings, each said once
	troubles   map[string]bool       // conflicts and skips that stand, each said when it came

	mu     sync.Mutex // guards status
	status Status     // without Standby
}

// Result is what a run did.
type Result struct {
	Plan      Plan // what was to be done: after policy and confirmation
	Functions int  // that AWS listed
	Applied   int  // changes made, without conflicts
}

// New makes a Registrator. It talks to nobody yet; the error is a mistake in the
// configuration.
func New(config Config) (*Registrator, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	metrics, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, err
	}
	source := newSource(config.Regions, !config.NoTimeouts)
	return &Registrator{
		config:  config,
		source:  source,
		catalog: catalog{client: config.Consul, node: config.NodeName, datacenter: config.Datacenter, lists: config.Lists},
		metrics: metrics,
		lock:    &lock{client: config.Consul, node: config.NodeName, ttl: config.LockTTL, areas: config.areas(source), logger: config.Logger},
		looked:  map[lambda.ARN]Listed{},
		said:    map[string]bool{},
		status:  Status{Changes: []Change{}},

		settings: make(chan Settings, 1),
		troubles: map[string]bool{},
	}, nil
}

// Status is a snapshot.
func (r *Registrator) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := r.status // what it refers to is replaced at each run, never changed
	status.Standby = r.lock.waits.Load()
	return status
}

// DryRun reads and plans, and changes nothing. With a *MassDeletionError, and
// where deletions could not be confirmed, the plan is there nevertheless.
func (r *Registrator) DryRun(ctx context.Context) (Plan, error) {
	r.sync.Lock()
	defer r.sync.Unlock()
	ctx, span := r.work(ctx, "dry run")
	at := time.Now()
	listing, unread := r.list(ctx, at)
	r.run.Lock()
	defer r.run.Unlock()
	plan, read, err := r.planLocked(ctx, at, listing, unread)
	return plan, finished(span, Result{Plan: plan, Functions: read.functions}, err)
}

// Sync makes one full run. Changes that can be made are made although others
// fail; the error joins all that went wrong.
func (r *Registrator) Sync(ctx context.Context) (Result, error) {
	r.sync.Lock()
	defer r.sync.Unlock()
	ctx, span := r.work(ctx, "sync")
	at := time.Now()
	r.begun(at)
	listing, unread := r.list(ctx, at)
	r.run.Lock()
	defer r.run.Unlock()
	result, err := r.bringLocked(ctx, at, listing, unread)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	r.record(at, result, err)
	return result, finished(span, result, err)
}

// list reads AWS, while looks go on.
func (r *Registrator) list(ctx context.Context, at time.Time) (Listing, error) {
	r.run.Lock()
	r.source.learn(r.looked)
	clear(r.looked)
	r.run.Unlock()
	listing, unread := r.source.list(ctx, at)
	if len(listing.Scope) > 0 {
		r.metrics.oneByOne.Set(float64(listing.OneByOne))
	}
	return listing, unread
}

// bringLocked brings Consul in line with what was read of AWS.
func (r *Registrator) bringLocked(ctx context.Context, at time.Time, listing Listing, unread error) (Result, error) {
	plan, read, err := r.planLocked(ctx, at, listing, unread)
	result := Result{Plan: plan, Functions: read.functions}
	var massive *MassDeletionError
	if errors.As(err, &massive) {
		result.Plan = plan.undone(KeptByGuard, func(int) string { return stoppedText })
		return result, err
	}
	if !read.whole {
		return result, err
	}
	applied, failures, applyErr := r.apply(ctx, plan, read.lists)
	result.Applied = applied
	result.Plan = plan.undone(KeptByConsul, func(i int) string {
		if failures[i] == nil {
			return ""
		}
		return failures[i].Error()
	})
	if listing.Only == nil && err == nil {
		r.settleLocked(plan)
	}
	if read.reregister && applyErr == nil {
		r.registered = at
	}
	return result, errors.Join(err, applyErr)
}

// reading is what a plan was made of.
type reading struct {
	whole      bool // Consul was read, and of AWS at least one account and region
	functions  int
	reregister bool
	lists      map[entryKey]listEntry
}

// planLocked reads Consul and makes the plan that would be carried out. What could
// not be read of AWS is outside of the listing's Scope: it stays as it is, the rest goes
// on, and unread says why.
func (r *Registrator) planLocked(ctx context.Context, at time.Time, listing Listing, unread error) (Plan, reading, error) {
	if listing.Only == nil {
		r.source.learn(r.looked)
		listing.overlay(r.looked)
	}
	read := reading{functions: len(listing.Functions)}
	if len(listing.Scope) == 0 {
		return Plan{Skipped: listing.Skipped}, read, unread
	}
	desired, err := r.desireLocked(ctx, listing)
	if err != nil {
		return Plan{}, read, errors.Join(unread, err)
	}
	tenancies, err := r.catalog.tenancies(ctx, r.config.Partitions)
	if err != nil {
		return Plan{}, read, errors.Join(unread, err)
	}
	desired.skipOutside(tenancies)
	desired.Skipped = append(desired.Skipped, listing.Skipped...)
	r.sayLocked(ctx, slog.LevelWarn, listing.Notes, desired.Warnings)
	read.lists = map[entryKey]listEntry{}
	var plans []Plan
	for _, tenancy := range tenancies {
		within := desired.within(tenancy)
		current, err := r.catalog.in(tenancy).read(ctx, within.Wants, read.lists)
		if err != nil {
			return Plan{}, read, errors.Join(unread, err)
		}
		unread = errors.Join(unread, current.Denied)
		r.sayLocked(ctx, slog.LevelWarn, current.Notes)
		r.sayLocked(ctx, slog.LevelInfo, current.Hints)
		reregister := current.CatalogHidden && listing.Only == nil && at.Sub(r.registered) >= reregisterEvery
		read.reregister = read.reregister || reregister
		plans = append(plans, MakePlan(Input{
			Current:    current,
			Desired:    within,
			Scope:      listing.Scope,
			Only:       listing.Only,
			Lists:      allIn(r.config.Lists, tenancy),
			Federated:  r.here.federated,
			Adopt:      r.config.Adopt,
			Reregister: reregister,
			at:         tenancy,

			KeepExtensions: r.config.KeepExtensions,
		}))
	}
	read.whole = true
	plan := joined(plans, desired.Skipped)
	r.saySkippedLocked(ctx, plan)
	plan = r.config.Policy.apply(plan)
	if !r.config.Force {
		if err := guard(plan, r.config.MaxDeleteRatio); err != nil {
			return plan, read, errors.Join(unread, err)
		}
	}
	if listing.Only == nil { // else AWS was asked just now
		plan, err = r.source.confirm(ctx, plan, r.here)
		r.saySkippedLocked(ctx, plan)
	}
	return plan, read, errors.Join(unread, err)
}

// desireLocked is what the listed functions ask for. Consul is asked where we are
// once, and again where a function is tagged for another datacenter: whether there
// are several then decides what is done with what it had here.
func (r *Registrator) desireLocked(ctx context.Context, listing Listing) (Desired, error) {
	if r.here.datacenter == "" {
		if err := r.locateLocked(ctx); err != nil {
			return Desired{}, err
		}
	}
	desired := desire(listing.Functions, r.here)
	if len(desired.Elsewhere) > 0 {
		return desired, r.locateLocked(ctx)
	}
	return desired, nil
}

func (r *Registrator) locateLocked(ctx context.Context) error {
	here, err := r.catalog.place(ctx)
	if err != nil {
		return err
	}
	here.partitions = r.config.Partitions
	r.here = here
	return nil
}

// apply carries out the plan. It goes on after a change that failed, and ends
// between two writes when ctx is done.
func (r *Registrator) apply(ctx context.Context, plan Plan, lists map[entryKey]listEntry) (applied int, failures []error, err error) {
	failures = r.catalog.apply(ctx, plan.Changes, lists)
	for i, change := range plan.Changes {
		switch {
		case change.Kind == KindConflict:
			r.metrics.changed(change.Kind)
			r.troubleLocked(ctx, conflictText, "service", change.name(), "reason", change.Reason)
		case failures[i] == nil:
			applied++
			r.metrics.changed(change.Kind)
			r.config.Logger.InfoContext(ctx, "changed a service in Consul", append([]any{"change", change.Kind, "service", change.name(), "reason", change.Reason}, logged(change.arn())...)...)
		}
	}
	return applied, failures, joinFirst(failures)
}

// saidFailures is how many failures of a run are told one by one.
const saidFailures = 10

// joinFirst joins errors, of which a Consul that is away may leave thousands.
func joinFirst(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if more := len(errs) - saidFailures; more > 0 {
		errs = append(errs[:saidFailures:saidFailures], fmt.Errorf("and %d failures more", more))
	}
	return errors.Join(errs...)
}
