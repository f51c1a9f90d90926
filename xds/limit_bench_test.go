package xds

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// onePatcher patches one cluster.
type onePatcher string

func (p onePatcher) Subject(name string) string             { return name }
func (p onePatcher) Since(Patcher) ([]string, bool)         { return nil, false }
func (p onePatcher) Candidate(_, name string, _ Proxy) bool { return name == string(p) }
func (p onePatcher) Endpoints([]byte) Endpoints             { return EndpointsNone }
func (p onePatcher) Subjects(string, []byte) []string       { return nil }
func (p onePatcher) Unpatched(string, Proxy) *Unpatched     { return nil }
func (p onePatcher) Other(string, []byte, Proxy) *Patch     { return nil }
func (p onePatcher) Cluster(name string, raw []byte, _ Proxy, _ func(string) Endpoints) Verdict {
	if name != string(p) {
		return Verdict{}
	}
	return Verdict{Keep: true, Patch: &Patch{Key: name, Make: func() Made {
		return Made{Cluster: &clusterv3.Cluster{Name: name, AltStatName: name}, Form: "cluster"}
	}}}
}

// largeFrame is a response of so many clusters of 2.7 kB, as Consul's are.
func largeFrame(count int, version string) []byte {
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeCluster, Nonce: version}
	for i := range count {
		name := fmt.Sprintf("service-%04d.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul", i)
		body := mustMarshal(&clusterv3.Cluster{
			Name: name, ConnectTimeout: durationpb.New(time.Second),
			Metadata: &corev3.Metadata{TypedFilterMetadata: map[string]*anypb.Any{"x": {Value: make([]byte, 2300)}}},
		})
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{
			Name: name, Version: fmt.Sprintf("%064d", i) + version, Resource: &anypb.Any{TypeUrl: typeCluster, Value: body},
		})
	}
	return mustMarshal(resp)
}

// BenchmarkLimitScanAndPatch is what a response of a thousand clusters costs of
// which one is patched, from the frame that came to the frame that goes: all of them
// changed, and Envoy has taken the last. It reports the cost as a multiple of
// copying the frame once, measured in the same loop.
func BenchmarkLimitScanAndPatch(b *testing.B) {
	for _, count := range []int{100, 1000} {
		b.Run(fmt.Sprintf("clusters=%d", count), func(b *testing.B) {
			frames := [][]byte{largeFrame(count, "a"), largeFrame(count, "b")}
			s := newSession(&corev3.Node{}, Proxy{}, onePatcher("service-0001.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul"),
				newForms(prometheus.NewCounter(prometheus.CounterOpts{})))
			s.onAttached()
			s.onRequest(&request{typeURL: typeCluster})
			turn := func(frame []byte) {
				resp, err := parseResponse(frame)
				if err != nil {
					b.Fatal(err)
				}
				s.onResponse(resp)
				if len(s.down) != 1 || len(s.down[0].resources) != count {
					b.Fatal("not all of it went on")
				}
				out := s.down[0].frame()
				if len(out) > 6 {
					b.Fatalf("%d pieces", len(out))
				}
				s.onRequest(&request{typeURL: typeCluster, nonce: s.down[0].nonce})
				s.down, s.up = nil, nil
			}
			for i := range 4 {
				turn(frames[i%2])
			}
			// In blocks, so that each pays for the garbage that it makes.
			const block = 32
			var copied []byte
			var copying, ours time.Duration
			var before, after runtime.MemStats
			blocks, allocs := 0, uint64(0)
			for ; b.Loop(); blocks++ {
				b.StopTimer()
				start := time.Now()
				for i := range block {
					copied = bytes.Clone(frames[i%2])
				}
				copying += time.Since(start)
				b.StartTimer()
				runtime.ReadMemStats(&before)
				start = time.Now()
				for i := range block {
					turn(frames[i%2])
				}
				ours += time.Since(start)
				runtime.ReadMemStats(&after)
				allocs += after.Mallocs - before.Mallocs
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(blocks*block), "ns/op")
			b.ReportMetric(float64(allocs)/float64(blocks*block), "allocs/op")
			b.ReportMetric(float64(len(copied)), "frame-bytes")
			b.ReportMetric(float64(ours)/float64(copying), "x-memcpy")
		})
	}
}
