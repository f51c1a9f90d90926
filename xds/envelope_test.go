package xds

import (
	"maps"
	"slices"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/google/go-cmp/cmp"
)

func exampleRequest() []byte {
	return newerField(mustMarshal(&discoveryv3.DeltaDiscoveryRequest{
		Node:                     &corev3.Node{Id: "web-1", Extensions: []*corev3.Extension{{Name: "many"}}},
		TypeUrl:                  typeCluster,
		ResourceNamesSubscribe:   []string{"a", "b"},
		ResourceNamesUnsubscribe: []string{"c"},
		InitialResourceVersions:  map[string]string{"a": "v1", "b": ""},
		ResponseNonce:            "lm-1",
		ErrorDetail:              &status.Status{Code: 13, Message: "no"},
	}))
}

// FuzzRequest holds the reading of requests against protobuf's own.
func FuzzRequest(f *testing.F) {
	f.Add(exampleRequest())
	f.Add([]byte{})
	f.Add([]byte{0x2a, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, in []byte) {
		var want discoveryv3.DeltaDiscoveryRequest
		wantErr := proto.Unmarshal(in, &want)
		got, err := parseRequest(in)
		if err != nil {
			if wantErr == nil {
				t.Fatalf("protobuf reads it, we do not: %v", err)
			}
			return
		}
		if wantErr != nil {
			return // the Node is not looked into, nor what is not known
		}
		initial := map[string]string{}
		for _, has := range got.initial {
			initial[has.name] = has.version
		}
		if got.typeURL != want.GetTypeUrl() || got.nonce != want.GetResponseNonce() ||
			!slices.Equal(got.subscribe, want.GetResourceNamesSubscribe()) ||
			!slices.Equal(got.unsubscribe, want.GetResourceNamesUnsubscribe()) ||
			!maps.Equal(initial, want.GetInitialResourceVersions()) {
			t.Fatalf("read %+v, protobuf reads %v", got, &want)
		}
	})
}

// TestNewerRequestPasses: what this program does not know of a request goes on to
// Consul as it came.
func TestNewerRequestPasses(t *testing.T) {
	req, err := parseRequest(exampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	on := withRest(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: req.typeURL}, req.rest)
	var want discoveryv3.DeltaDiscoveryRequest
	if err := proto.Unmarshal(newerField(mustMarshal(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, on, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNodeWithoutExtensions: they are most of it.
func TestNodeWithoutExtensions(t *testing.T) {
	req, err := parseRequest(exampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	node, err := parseNode(req.node)
	if err != nil || node.GetId() != "web-1" || len(node.GetExtensions()) != 0 {
		t.Errorf("node %v, %v", node, err)
	}
	if _, err := parseNode([]byte{0xff}); err == nil {
		t.Error("a broken Node is read")
	}
}
