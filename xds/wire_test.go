package xds

import (
	"bytes"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// newerField is a field that this program does not know, as from a newer Consul.
func newerField(b []byte) []byte {
	b = protowire.AppendTag(b, 4000, protowire.BytesType)
	b = protowire.AppendString(b, "from a newer version")
	b = protowire.AppendTag(b, 4001, protowire.VarintType)
	return protowire.AppendVarint(b, 7)
}

func exampleResponse() []byte {
	body := newerField(modelCluster("fn-a", 1))
	frame := mustMarshal(&discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: "sys",
		TypeUrl:           typeCluster,
		Nonce:             "00000001",
		Resources: []*discoveryv3.Resource{
			{
				Name: "fn-a", Version: "v1", Ttl: durationpb.New(5), Aliases: []string{"x"},
				Resource: &anypb.Any{TypeUrl: typeCluster, Value: body},
			},
			{Name: "gone-soon", Version: "v2"},
		},
		RemovedResources: []string{"a", "b"},
		ControlPlane:     nil,
	})
	return newerField(frame)
}

// TestFrameKeepsEverything takes a response apart and puts it together again.
func TestFrameKeepsEverything(t *testing.T) {
	in := exampleResponse()
	r, err := parseResponse(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.resources[0].name + r.resources[0].version + r.nonce + r.typeURL; got != "fn-av100000001"+typeCluster {
		t.Errorf("read %q", got)
	}
	sameMessage(t, in, r.frame().Materialize())
}

// FuzzFrame holds the scanner and the splicer against protobuf's own.
func FuzzFrame(f *testing.F) {
	f.Add(exampleResponse())
	f.Add([]byte{})
	f.Add([]byte{0x12, 0x03, 0x1a, 0x01, 'a'})
	f.Fuzz(func(t *testing.T, in []byte) {
		var want discoveryv3.DeltaDiscoveryResponse
		wantErr := proto.Unmarshal(in, &want)
		r, err := parseResponse(in)
		if err != nil {
			if wantErr == nil {
				t.Fatalf("protobuf reads it, the scanner does not: %v", err)
			}
			return
		}
		if wantErr != nil {
			return // the scanner does not look into what it passes on
		}
		if len(r.resources) != len(want.GetResources()) || r.nonce != want.GetNonce() || r.typeURL != want.GetTypeUrl() {
			t.Fatalf("read %+v, protobuf reads %v", r, &want)
		}
		for i, res := range want.GetResources() {
			if r.resources[i].name != res.GetName() || r.resources[i].version != res.GetVersion() ||
				string(r.resources[i].body) != string(res.GetResource().GetValue()) {
				t.Fatalf("resource %d: read %+v, protobuf reads %v", i, r.resources[i], res)
			}
		}
		out := r.frame().Materialize()
		sameMessage(t, in, out)
		for _, res := range r.resources {
			if !bytes.Contains(out, res.field) {
				t.Fatalf("%s does not leave as it came", res.name)
			}
		}
		if len(r.resources) == 0 {
			return
		}
		// One resource replaced, and the last one left out, by us and by protobuf.
		ours := newResource(want.GetResources()[0].GetName(), "v+lm1.x", []byte("ours"))
		want.Resources[0] = &discoveryv3.Resource{
			Name: ours.name, Version: ours.version,
			Resource: &anypb.Any{TypeUrl: r.typeURL, Value: ours.body},
		}
		r.resources[0] = ours
		if n := len(r.resources); n > 2 {
			r.resources, want.Resources = r.resources[:n-1], want.Resources[:n-1]
		}
		sameMessage(t, mustMarshal(&want), r.frame().Materialize())
	})
}

func sameMessage(t *testing.T, a, b []byte) {
	t.Helper()
	var x, y discoveryv3.DeltaDiscoveryResponse
	if err := proto.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&x, &y) {
		t.Fatalf("not the same:\n%v\n%v", &x, &y)
	}
}
