package main

import (
	"context"
	"fmt"
	"math"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// resident is what a process holds when it does nothing.
type resident struct {
	bytes      float64 // heap in use and stacks
	live       float64 // of the heap, what objects take
	stacks     float64
	goroutines float64
}

// collections is how many garbage collections must have passed at least: buffers in
// pools survive the first, and memory is given back some time after each.
const collections = 3

// settle has lambdamesh's garbage collected until that frees next to nothing more, and
// returns what it then holds. Go collects when garbage has piled up, so some is made:
// an answer about all proxies, as often as needed.
func settle(ctx context.Context, l *testmesh.Lambdamesh) (resident, error) {
	least := resident{bytes: math.Inf(1), live: math.Inf(1), stacks: math.Inf(1), goroutines: math.Inf(1)}
	before, done, seen := math.Inf(1), 0, -1.0
	for {
		m, err := l.Metrics(ctx)
		if err != nil {
			return least, fmt.Errorf("reading lambdamesh's metrics: %w", err)
		}
		if n := m["go_gc_duration_seconds_count"]; n != seen {
			if done >= collections && least.bytes > before*0.99 {
				return least, nil
			}
			before, seen, done = least.bytes, n, done+1
		}
		least.bytes = min(least.bytes, m["go_memstats_heap_inuse_bytes"]+m["go_memstats_stack_inuse_bytes"])
		least.live = min(least.live, m["go_memstats_heap_alloc_bytes"])
		least.stacks = min(least.stacks, m["go_memstats_stack_inuse_bytes"])
		least.goroutines = min(least.goroutines, m["go_goroutines"])
		if _, err := l.Admin(ctx, "/api/v1/state"); err != nil {
			return least, fmt.Errorf("reading lambdamesh's state: %w", err)
		}
	}
}
