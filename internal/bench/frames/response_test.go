package frames_test

import (
	"errors"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

// TestRead compares what is read with what protobuf reads.
func TestRead(t *testing.T) {
	body, err := anypb.New(&clusterv3.Cluster{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	frame, err := proto.Marshal(&discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: "7", TypeUrl: frames.Clusters, Nonce: "00000001",
		Resources:        []*discoveryv3.Resource{{Name: "a", Version: "1", Resource: body}, {Name: "b", Version: "2"}},
		RemovedResources: []string{"c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := frames.Read(frame)
	if err != nil {
		t.Fatal(err)
	}
	if r.TypeURL != frames.Clusters || r.Nonce != "00000001" {
		t.Errorf("type %q, nonce %q", r.TypeURL, r.Nonce)
	}
	var got []frames.Resource
	for one := range r.Resources() {
		got = append(got, one)
	}
	if diff := cmp.Diff([]frames.Resource{{Name: "a", Version: "1", Body: body.GetValue()}, {Name: "b", Version: "2"}}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"c"}, r.Removed()); diff != "" {
		t.Error(diff)
	}
}

func TestReadGarbled(t *testing.T) {
	for name, frame := range map[string]frames.Frame{"cut": {0x12, 0x7f}, "empty": nil} {
		if _, err := frames.Read(frame); !errors.Is(err, frames.ErrGarbled) {
			t.Errorf("%s: %v, want ErrGarbled", name, err)
		}
	}
}
