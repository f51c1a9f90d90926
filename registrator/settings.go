package registrator

import (
	"cmp"
	"time"
)

// Settings are what can be changed while Run runs. Zero fields stay as they are.
type Settings struct {
	// SyncInterval counts at once: from the start of the last run.
	SyncInterval time.Duration

	// Regions are read from the next full sync on, which then is made at once. What one
	// had that is no longer read stays in Consul as it is.
	Regions []Region
}

// Set puts settings in force with the end of a run that is under way, if Run runs; of
// several that come meanwhile the last counts. The error is a mistake in them, and
// changes nothing. It is not to be called by two at a time.
func (r *Registrator) Set(s Settings) error {
	with := r.config
	with.SyncInterval = s.SyncInterval
	if s.Regions != nil {
		with.Regions = s.Regions
	}
	if err := with.Validate(); err != nil {
		return err
	}
	select {
	case missed := <-r.settings:
		s.SyncInterval = cmp.Or(s.SyncInterval, missed.SyncInterval)
		if s.Regions == nil {
			s.Regions = missed.Regions
		}
	default:
	}
	r.settings <- s
	return nil
}

// readFrom reads these regions from now on, and shares a lock with those who do.
func (r *Registrator) readFrom(regions []Region) {
	r.sync.Lock()
	defer r.sync.Unlock()
	r.run.Lock()
	defer r.run.Unlock()
	r.source = newSource(regions, !r.config.NoTimeouts)
	clear(r.looked)
	r.lock.move(r.config.areas(r.source))
}
