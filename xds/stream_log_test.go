package xds_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/xds"
)

// syncBuffer is a bytes.Buffer for a writer and a reader at once.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestOutageIsTwoLines: that Consul is lost and that it is back, however often it was
// tried in between; and again for the next outage.
func TestOutageIsTwoLines(t *testing.T) {
	var log syncBuffer
	r := newRig(t, xds.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	r.server.SetPatcher(namePatcher(""))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "plain")))
	_, err := envoy.Recv()
	must(t, err)
	for outage := 1; outage <= 2; outage++ {
		for range 3 {
			up.end <- status.Error(codes.Unavailable, "gone")
			up = r.upstream()
		}
		up.next(t)
		must(t, up.Send(clusters(t, "c2", "new-"+strings.Repeat("x", outage))))
		_, err = envoy.Recv()
		must(t, err)
		for _, line := range []string{"the stream to consul is lost", "consul answers for this envoy again"} {
			if got := strings.Count(log.String(), line); got != outage {
				t.Errorf("%q is said %d times in %d outages:\n%s", line, got, outage, log.String())
			}
		}
	}
}
