package main

import (
	"sync/atomic"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

// tally counts what a fleet has received.
type tally struct{ clusters atomic.Int64 }

func (t *tally) note(r *frames.Response) {
	if r.TypeURL != frames.Clusters {
		return
	}
	for range r.Resources() {
		t.clusters.Add(1)
	}
}
