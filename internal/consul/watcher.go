package consul

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// WatcherConfig is what a Watcher needs. Client and OnTable are required.
type WatcherConfig struct {
	Client *Client

	// Partitions are watched with all their namespaces (Consul Enterprise). None:
	// found out at the start, by Consul's version: community edition, which has
	// none, or the partition that the client is set up for.
	Partitions []string

	// Intentions are read too, for Tables that tell who may call. A token that may
	// not read them gives Tables that do not, which is logged once.
	Intentions bool

	// Check says what else keeps a function from being invoked; nil: nothing.
	Check func(lambda.Function) error

	// OnTable gets each Table that differs from the one before, in order, from one
	// goroutine. While it runs, later Tables wait, of which only the newest counts.
	OnTable func(*lambda.Table)

	Log *slog.Logger // nil: none
}

// Watcher keeps a Table up to date with Consul.
//
// A read that failed, or that Consul's ACLs filtered, changes nothing: the last
// Table stays, and Status says why. The first Table comes when all reads were
// whole. So a function leaves the Table only because Consul said so to somebody
// who may see everything.
type Watcher struct {
	cfg WatcherConfig

	giveUp func() // called when there is no Table and a read has failed; nil: it is tried again

	// Of the goroutine that runs Run.
	said        trouble                     // what was logged last
	dispense    sync.Once                   // says that intentions are withheld
	wereFronted map[lambda.ServiceName]bool // services that a gateway's entry listed once

	mu     sync.Mutex
	status Status // guarded by mu
}

// Status is how far the Table can be relied on.
type Status struct {
	Table *lambda.Table // nil before the first

	// Confirmed is when the least recent of the reads that the Table rests on was
	// answered in whole: at most about a minute ago if all is well. Zero before the
	// first Table.
	Confirmed time.Time

	// Problem says why the Table is not up to date; empty if it is.
	Problem string
}

// NewWatcher makes a Watcher.
func NewWatcher(cfg WatcherConfig) *Watcher {
	cfg.Log = orDiscard(cfg.Log)
	return &Watcher{cfg: cfg, said: pending, wereFronted: map[lambda.ServiceName]bool{}, status: Status{Problem: "Consul has not answered yet"}}
}

// Status is the state as of now.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Run watches until the context ends. It never fails: what goes wrong is logged
// once, shown by Status, and tried again.
func (w *Watcher) Run(ctx context.Context) error {
	scopes, ok := w.scopes(ctx)
	if !ok {
		return nil
	}
	var readers []reader
	for _, s := range scopes {
		readers = append(readers, w.readers(s)...)
	}
	if len(scopes) == 1 && scopes[0] == (scope{}) {
		w.watch(ctx, readers, instances{w.cfg.Client, w.cfg.Log}.run)
		return nil
	}
	// The catalog lists names without their namespaces.
	w.watch(ctx, readers, func(_ context.Context, deliver func(map[lambda.ServiceName]bool)) { deliver(nil) })
	return nil
}

// readers read what a Table is made of.
func (w *Watcher) readers(s scope) []reader {
	client := w.cfg.Client
	gateways := &gatewayAddresses{client: client, known: map[gatewayName][]string{}}
	all := []reader{
		{query: client.list(api.ServiceDefaults, s.namespace, s.partition)},
		{query: client.list(api.ProxyDefaults, s.namespace, s.partition)},
		{
			query: client.list(api.TerminatingGateway, s.namespace, s.partition),
			more: func(ctx context.Context, a *answer) error {
				a.gateways = gateways.read(ctx, a.entries)
				return nil
			},
		},
	}
	if w.cfg.Intentions {
		all = append(all, reader{
			query: client.list(api.ServiceIntentions, s.namespace, s.partition), optional: true,
			more: func(ctx context.Context, a *answer) (err error) {
				a.byDefault, err = client.allowsByDefault(ctx)
				return err
			},
		})
	}
	return all
}

// watch runs the readers, and what looks for instances, and owns what they found.
func (w *Watcher) watch(ctx context.Context, readers []reader, look func(context.Context, func(map[lambda.ServiceName]bool))) {
	answers, looked := make(chan answer), make(chan map[lambda.ServiceName]bool)
	var group sync.WaitGroup
	defer group.Wait()
	for i, r := range readers {
		group.Go(func() {
			r.run(ctx, func(a answer) {
				a.reader = i
				select {
				case answers <- a:
				case <-ctx.Done():
				}
			})
		})
	}
	group.Go(func() {
		look(ctx, func(names map[lambda.ServiceName]bool) {
			select {
			case looked <- names:
			case <-ctx.Done():
			}
		})
	})
	found := newFindings(readers)
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-answers:
			found.take(a)
			w.update(found)
		case found.instances = <-looked:
			found.looked = true
			w.update(found)
		}
	}
}

// update makes a Table of the findings, once they are whole, and hands it on if
// it is new.
func (w *Watcher) update(found *findings) {
	status, fresh := w.Status(), false
	kind, problem := found.problem()
	status.Problem = problem
	if found.whole() {
		status.Confirmed = found.confirmed()
		if table := BuildTable(w.entries(found, status.Table), w.cfg.Check); !sameTable(table, status.Table) {
			status.Table, fresh = table, true
		}
	}
	w.setStatus(status)
	w.say(kind, status)
	if reason := found.dispensed(); fresh && reason != nil {
		w.dispense.Do(func() {
			w.cfg.Log.Warn("functions are never invoked directly: who may call them is not known", "reason", reason)
		})
	}
	if fresh {
		w.cfg.OnTable(status.Table)
	}
}

// entries are the findings, with what earlier Tables tell.
func (w *Watcher) entries(found *findings, last *lambda.Table) Entries {
	entries := found.entries()
	for s := range last.All() {
		if s.Fronted || s.Delisted {
			w.wereFronted[s.Name.Folded()] = true
		}
	}
	entries.WereFronted = w.wereFronted
	return entries
}

func (w *Watcher) setStatus(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = s
}

// say logs a change of state, not each failure.
func (w *Watcher) say(kind trouble, status Status) {
	if kind == w.said {
		return
	}
	switch {
	case kind == none:
		w.cfg.Log.Info("the Lambda services are up to date with Consul", "services", status.Table.Len())
	case kind == pending:
	case status.Table == nil:
		w.cfg.Log.Warn("no Lambda services yet, trying on", "reason", status.Problem)
		if w.giveUp != nil {
			w.giveUp()
		}
	default:
		w.cfg.Log.Warn("the last Lambda services stay, trying on", "reason", status.Problem)
	}
	w.said = kind
}

// scope is what one list of config entries can cover.
type scope struct{ namespace, partition string }

// scopes asks Consul for its edition, until it answers or the context ends.
func (w *Watcher) scopes(ctx context.Context) ([]scope, bool) {
	partitions := w.cfg.Partitions
	for backoff := minBackoff; len(partitions) == 0; backoff = min(2*backoff, maxBackoff) {
		enterprise, err := w.cfg.Client.Enterprise(ctx)
		if err == nil && !enterprise {
			return []scope{{}}, true
		}
		if err == nil {
			partitions = []string{w.cfg.Client.Partition}
			break
		}
		if ctx.Err() != nil {
			return nil, false
		}
		status := Status{Problem: err.Error()}
		w.setStatus(status)
		w.say(failing, status)
		pause(ctx, jitter(backoff))
	}
	var scopes []scope
	for _, p := range partitions {
		scopes = append(scopes, scope{namespace: "*", partition: p})
	}
	return scopes, true
}
