package xds

import (
	"math/rand/v2"
	"time"
)

// backoff spaces the attempts to reach Consul: 50 to 100 ms at first, doubling to
// at most 10 s, each at random in the upper half so that the streams of a lost
// server do not come back together.
type backoff struct{ attempts int }

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
)

func (b *backoff) next() time.Duration {
	d := min(backoffFirst<<min(b.attempts, 16), backoffMost)
	b.attempts++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.attempts = 0 }
