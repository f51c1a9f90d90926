package xds_test

import (
	"errors"
	"io"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"

	"github.com/lambdamesh/lambdamesh/xds"
)

// TestHotRestart: an Envoy that is replaced by another of the same Node has two streams
// for a while. What the one has, and what it refuses, is nothing to the other, and the
// new one stays when the old one goes.
func TestHotRestart(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher("one"))
	begin := func(token string) (discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, *fakeStream, *discoveryv3.DeltaDiscoveryResponse) {
		envoy := r.connect(metadata.AppendToOutgoingContext(t.Context(), "x-consul-token", token), nil)
		up := r.upstream()
		if md, _ := metadata.FromIncomingContext(up.Context()); md.Get("x-consul-token")[0] != token {
			t.Errorf("the stream with token %s went up with another", token)
		}
		up.next(t)
		must(t, up.Send(clusters(t, "c-"+token, "fn-a")))
		resp, err := envoy.Recv()
		must(t, err)
		return envoy, up, resp
	}
	before, upBefore, first := begin("old")
	must(t, before.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: clusterType, ResponseNonce: first.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Code: 13, Message: "fn-a: not to my taste"},
	}))
	again, err := before.Recv()
	must(t, err)
	after, upAfter, second := begin("new")
	if got := second.GetResources()[0].GetVersion(); got != first.GetResources()[0].GetVersion() || got == again.GetResources()[0].GetVersion() {
		t.Errorf("the new one gets %s, the old one got %s, then %s", got, first.GetResources()[0].GetVersion(), again.GetResources()[0].GetVersion())
	}
	must(t, before.CloseSend())
	if _, err := before.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the old stream ends with %v", err)
	}
	<-upBefore.Context().Done()
	must(t, after.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: second.GetNonce()}))
	if got := upAfter.next(t); got.GetResponseNonce() != "c-new" || got.GetErrorDetail() != nil {
		t.Errorf("of the new one consul is told %v", got)
	}
	if proxies := r.server.Proxies(); len(proxies) != 1 || len(proxies[0].Rejected) != 0 {
		t.Errorf("the state says %+v", proxies)
	}
}
