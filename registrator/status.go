package registrator

import (
	"slices"
	"time"
)

// Status is what is known of the last runs, for people and for health checks.
type Status struct {
	LastRun     time.Time // when the last full run ended; zero before the first
	LastSuccess time.Time // when the last one without an error ended
	Error       string    // why the last one failed; empty if it did not

	// Of the last full run that came to a plan; never changed.
	Changes []Change // never nil; with what was not made, and why
	Skipped []Skip
	Kept    []Kept // what nobody asks for and stays

	Runs   []Run  // the last ones, the newest first; never changed
	Latest []Made // the changes that were made last, however long ago; as Runs

	Running time.Time // since when a full run is under way; zero if none is
	Standby bool      // another replica holds the lock, and makes the runs
}

// Run is one that is over.
type Run struct {
	Kind      RunKind
	Ended     time.Time
	Took      time.Duration
	Functions int // that were read of AWS
	Made      int // changes
	Error     string
	Changes   []Change // the first of those made or tried, no more than RunChanges
}

// Made is a change that was made.
type Made struct {
	At time.Time // when its run ended
	Change
}

// RunKind is what a run looked at.
type RunKind string

// The kinds of runs.
const (
	RunSync RunKind = "sync" // all functions
	RunLook RunKind = "look" // those that events spoke of
)

const (
	// RunsKept is how many runs Status tells of: with the default interval, those of
	// an hour and a half.
	RunsKept = 20

	// RunChanges is how many changes of a run are told one by one.
	RunChanges = 5

	// LatestKept is how many of the last changes Status tells of.
	LatestKept = 20
)

// begun notes that a full run is under way.
func (r *Registrator) begun(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Running = at
}

// record keeps the outcome of a full run for Status.
func (r *Registrator) record(began time.Time, result Result, err error) {
	now := time.Now()
	if err == nil {
		r.metrics.succeeded(now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Running = time.Time{}
	r.status.LastRun, r.status.Error = now, ""
	if err != nil {
		r.status.Error = err.Error()
	} else {
		r.status.LastSuccess = now
	}
	if plan := result.Plan; plan.Changes != nil {
		r.status.Changes, r.status.Skipped, r.status.Kept = plan.Changes, plan.Skipped, plan.kept
	}
	r.keepRunLocked(RunSync, began, now, result, err)
}

// recordLook keeps the outcome of a look for Status.
func (r *Registrator) recordLook(began time.Time, result Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keepRunLocked(RunLook, began, time.Now(), result, err)
}

func (r *Registrator) keepRunLocked(kind RunKind, began, ended time.Time, result Result, err error) {
	run := Run{Kind: kind, Ended: ended, Took: ended.Sub(began), Functions: result.Functions, Made: result.Applied}
	if err != nil {
		run.Error = err.Error()
	}
	var made []Made
	for _, change := range result.Plan.Changes {
		if change.Kind == KindConflict {
			continue
		}
		if len(run.Changes) < RunChanges {
			run.Changes = append(run.Changes, change)
		}
		if change.Undone == "" && len(made) < LatestKept {
			made = append(made, Made{ended, change})
		}
	}
	if len(made) > 0 {
		r.status.Latest = append(made, r.status.Latest[:min(len(r.status.Latest), LatestKept-len(made))]...)
	}
	r.status.Runs = slices.Insert(slices.Clone(r.status.Runs[:min(len(r.status.Runs), RunsKept-1)]), 0, run)
}
