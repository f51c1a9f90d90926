package xds

import "sync"

// patchers holds the Patcher in force. Only the newest counts; a stream that was
// busy meanwhile misses none but those.
type patchers struct {
	mu  sync.Mutex
	now inForce // guarded by mu
}

// inForce is a Patcher in force.
type inForce struct {
	patcher  Patcher       // nil before the first
	number   int           // counts them
	replaced chan struct{} // closed when another is in force
	traced   traced

	// What it decides otherwise than the one before it: worked out once, and not by
	// each of thousands of streams.
	subjects []string
	all      bool
}

// get is the Patcher in force.
func (p *patchers) get() inForce {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *patchers) set(patcher Patcher, from traced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := inForce{patcher: patcher, number: p.now.number + 1, replaced: make(chan struct{}), traced: from}
	if p.now.patcher != nil {
		next.subjects, next.all = patcher.Since(p.now.patcher)
	}
	close(p.now.replaced)
	p.now = next
}

// since tells what a Patcher decides otherwise than an earlier one.
func (f inForce) since(earlier inForce) (subjects []string, all bool) {
	if earlier.number == f.number-1 {
		return f.subjects, f.all
	}
	return f.patcher.Since(earlier.patcher)
}
