package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestDrain: SIGTERM sends Envoys and other clients away and ends lambdamesh in time,
// while calls go on; they are back when it is. A second signal ends it at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	const drain = 2 * time.Second
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, LambdameshArgs: []string{"--drain-timeout", drain.String()}})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.allow("*", "hello")
	var envoys []*testmesh.Sidecar
	for _, name := range []string{"one", "two", "three"} {
		envoys = append(envoys, s.sidecar(name, "hello"))
	}
	web := envoys[0]
	s.until(web, "hello", arn)
	connected := func() {
		t.Helper()
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			var st state
			if err := s.Lambdamesh.State(ctx, &st); err != nil {
				return err
			}
			if len(st.Proxies) != len(envoys) {
				return fmt.Errorf("%d Envoys are connected", len(st.Proxies))
			}
			return nil
		}))
	}
	connected()
	watcher := s.dataplane(s.Lambdamesh.XDSAddr())
	watcher.token = web.Token.SecretID
	watcher.watch()
	stop := s.load(web, "hello", 1)

	began := time.Now()
	s.Lambdamesh.Signal(syscall.SIGTERM)
	if err := watcher.watchEnds(); status.Code(err) != codes.Unavailable {
		t.Errorf("the server watch ends with %v", err)
	}
	<-s.Lambdamesh.Exited()
	took := time.Since(began)
	if err := s.Lambdamesh.Err(); err != nil || took > drain+time.Second {
		t.Errorf("it ended after %s: %v", took, err)
	}
	s.must(s.Lambdamesh.Start(s.ctx))
	connected()
	other := s.function("other", "hello", nil)
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hello", meta(other))))
	for _, c := range envoys {
		s.until(c, "hello", other)
	}
	if calls, failures := stop(); len(failures) > 0 {
		t.Errorf("of %d calls failed: %v", calls, failures)
	}

	s.must(s.Lambdamesh.Stop())
	s.Lambdamesh.SetArgs(append(s.LambdameshArgs(), "--drain-timeout", "10m")...)
	s.must(s.Lambdamesh.Start(s.ctx))
	connected()
	s.Lambdamesh.Signal(syscall.SIGTERM)
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		_, err := s.Lambdamesh.Admin(ctx, "/readyz")
		if err == nil || !strings.Contains(err.Error(), "draining") {
			return errors.Join(errors.New("readyz does not say that it drains"), err)
		}
		return nil
	}))
	again := time.Now()
	s.Lambdamesh.Signal(syscall.SIGTERM)
	<-s.Lambdamesh.Exited()
	if took := time.Since(again); took > 5*time.Second || s.Lambdamesh.Err() == nil {
		t.Errorf("after a second signal it ends in %s with %v", took, s.Lambdamesh.Err())
	}
}
