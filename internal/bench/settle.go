package main

import (
	"context"
	"fmt"
	"math"
)

// resident is what a process holds when it does nothing.
type resident struct {
	bytes      float64 // heap in use and stacks
	live       float64 // of the heap, what objects take
	stacks     float64
	goroutines float64
}

// collections is how many garbage collections there must be at least: buffers in pools
// survive the first, and each halves the stacks that have become too large.
const collections = 4

// settle has lambdamesh's garbage collected until that frees next to nothing more, and
// returns what it then holds.
func settle(ctx context.Context, l *measured) (resident, error) {
	least := resident{bytes: math.Inf(1), live: math.Inf(1), stacks: math.Inf(1), goroutines: math.Inf(1)}
	for done := 1; ; done++ {
		if err := l.collect(ctx); err != nil {
			return least, fmt.Errorf("collecting lambdamesh's garbage: %w", err)
		}
		m, err := l.Metrics(ctx)
		if err != nil {
			return least, fmt.Errorf("reading lambdamesh's metrics: %w", err)
		}
		before := least.bytes
		least.bytes = min(least.bytes, m["go_memstats_heap_inuse_bytes"]+m["go_memstats_stack_inuse_bytes"])
		least.live = min(least.live, m["go_memstats_heap_alloc_bytes"])
		least.stacks = min(least.stacks, m["go_memstats_stack_inuse_bytes"])
		least.goroutines = min(least.goroutines, m["go_goroutines"])
		if done >= collections && least.bytes > before*0.99 {
			return least, nil
		}
	}
}
