package registrator

import "time"

// Status is what is known of the last run, for people and for health checks.
type Status struct {
	LastRun     time.Time `json:"last_run"`     // when the last run ended; zero before the first
	LastSuccess time.Time `json:"last_success"` // when the last run without an error ended
	Error       string    `json:"error"`        // why the last run failed; empty if it did not
	Changes     []Change  `json:"changes"`      // of the last run that came to a plan; never nil
}
