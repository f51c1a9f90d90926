package xds

import (
	"bytes"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"
)

// TestKeptIsWhatCame: whatever the bytes, also where they only look like keys.
func TestKeptIsWhatCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{
			"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n", "-----END CERTIFICATE-----\n", "-----BEGIN ", "-----END ", "\x00\xff",
		})
		var keeper keeper
		for range rapid.IntRange(1, 5).Draw(t, "clusters") {
			value := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
			frame := mustMarshal(&discoveryv3.DeltaDiscoveryResponse{Resources: []*discoveryv3.Resource{{
				Name: "a", Version: "v1", Resource: &anypb.Any{TypeUrl: typeCluster, Value: []byte(value)},
			}}})
			resp, err := parseResponse(frame)
			if err != nil {
				t.Fatal(err)
			}
			res := resp.resources[0]
			kept := keeper.keep(res.raw())
			got := kept.resource()
			if !bytes.Equal(got.field, res.field) || !bytes.Equal(got.body, res.body) || got.name != res.name || got.version != res.version {
				t.Fatalf("kept %+v, came %+v", got, res)
			}
			if !kept.is(res.raw()) || kept.is(append(res.raw(), 0)) {
				t.Fatal("it does not recognize what it kept")
			}
		}
	})
}

// TestKeptOnceAStream: the certificates that all clusters of a stream have are
// remembered once, and what stands around them once in the process.
func TestKeptOnceAStream(t *testing.T) {
	var keeper keeper
	pem := "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("A", 2000) + "\n-----END CERTIFICATE-----\n"
	a, b := keeper.keep([]byte("one "+pem+" first")), keeper.keep([]byte("two "+pem+" second"))
	if a.secret != b.secret || len(a.head.String())+len(a.tail.String()) > 100 {
		t.Error("each has certificates of its own")
	}
	another := keeper
	another.last = nil
	c := another.keep([]byte("one " + pem + " first"))
	if c.secret == a.secret {
		t.Error("two streams share the certificates")
	}
	if c.head != a.head || c.tail != a.tail {
		t.Error("two streams do not share what is the same with both")
	}
}
