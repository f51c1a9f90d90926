package e2e

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestSurplusOfStreams: an Envoy that is turned away because too many streams begin
// comes again by itself, and is served when there is room.
func TestSurplusOfStreams(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, LambdameshArgs: []string{"--max-new-streams", "1/s"}})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.allow("web", "hello")
	web, err := s.AddSidecar(s.ctx, "web", []string{"hello"}, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)

	// Somebody takes every stream that is let in.
	crowd := s.dataplane(s.Lambdamesh.XDSAddr())
	crowd.token = web.Token.SecretID
	ctx, leave := context.WithCancel(crowd.with())
	var crowding sync.WaitGroup
	crowding.Go(func() {
		for ctx.Err() == nil {
			_, _ = pbdataplane.NewDataplaneServiceClient(crowd.conn).GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
		}
	})
	defer crowding.Wait()
	defer leave()
	started := make(chan error, 1)
	go func() { started <- web.StartEnvoy(s.ctx) }()
	s.must(s.wire.Wait(s.ctx, func(streams []*recorder.Conversation) bool {
		turnedAway := 0
		for _, c := range streams {
			if status.Code(c.Ended()) == codes.Unavailable {
				turnedAway++
			}
		}
		return turnedAway >= 2
	}))
	leave()
	s.must(<-started)
	s.healthy(web.Envoy)
	s.until(web, "hello", arn)
	metrics, err := s.Lambdamesh.Metrics(s.ctx)
	s.must(err)
	if metrics["lambdamesh_xds_surplus_streams_total"] < 2 {
		t.Errorf("%v streams are counted", metrics["lambdamesh_xds_surplus_streams_total"])
	}
	log, err := os.ReadFile(s.Lambdamesh.LogPath())
	s.must(err)
	if n := strings.Count(string(log), "surplus"); n == 0 || n > 10 {
		t.Errorf("it is said %d times", n)
	}
}
