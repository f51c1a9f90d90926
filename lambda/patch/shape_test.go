package patch

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// decodedShape is what readShape must find, by way of decoding all.
func decodedShape(c *clusterv3.Cluster) shape {
	s := shape{edsName: c.GetEdsClusterConfig().GetServiceName()}
	if kind, ok := c.GetClusterDiscoveryType().(*clusterv3.Cluster_Type); ok {
		s.eds = kind.Type == clusterv3.Cluster_EDS
		s.dns = kind.Type == clusterv3.Cluster_STRICT_DNS || kind.Type == clusterv3.Cluster_LOGICAL_DNS
	}
	endpoints, empty := 0, 0
	for _, locality := range c.GetLoadAssignment().GetEndpoints() {
		for _, e := range locality.GetLbEndpoints() {
			endpoints++
			if e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress() == "" {
				empty++
			}
		}
	}
	s.emptyAddress = s.dns && (endpoints == 0 || empty > 0)
	var tls tlsv3.UpstreamTlsContext
	if proto.Unmarshal(c.GetTransportSocket().GetTypedConfig().GetValue(), &tls) == nil {
		s.sni = tls.GetSni()
		for _, one := range tls.GetCommonTlsContext().GetTlsCertificates() {
			s.mtls = s.mtls || proto.Size(one) > 0
		}
		for _, one := range tls.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs() {
			s.mtls = s.mtls || proto.Size(one) > 0
		}
	}
	return s
}

func TestReadShapeOfRecordings(t *testing.T) {
	seen := map[shape]bool{}
	for _, r := range recordings(t) {
		for _, c := range r.clusters {
			var decoded clusterv3.Cluster
			if err := proto.Unmarshal(c.raw, &decoded); err != nil {
				t.Fatal(err)
			}
			got, ok := readShape(c.raw)
			if want := decodedShape(&decoded); !ok || got != want {
				t.Errorf("%s: %s: shape %+v, %t, want %+v", r.name, c.name, got, ok, want)
			}
			got.sni = ""
			seen[got] = true
		}
	}
	for _, want := range []shape{
		{dns: true, emptyAddress: true}, {dns: true}, {eds: true, mtls: true}, {eds: true}, {},
	} {
		if !seen[want] {
			t.Errorf("no recorded cluster is %+v", want)
		}
	}
}

// Scanning finds in any encoding what decoding finds, if no message in it comes in
// two parts, which decoding would join: neither Consul nor Envoy encode so.
func FuzzReadShape(f *testing.F) {
	for _, r := range recordings(f) {
		for _, c := range r.clusters {
			f.Add(c.raw)
		}
	}
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = readShape(raw)
		var decoded clusterv3.Cluster
		if proto.Unmarshal(raw, &decoded) != nil {
			return
		}
		// A transport socket is bytes in bytes: it is joined apart.
		if socket := decoded.GetTransportSocket().GetTypedConfig(); socket != nil {
			var tls tlsv3.UpstreamTlsContext
			if proto.Unmarshal(socket.GetValue(), &tls) != nil {
				return
			}
			var err error
			if socket.Value, err = proto.Marshal(&tls); err != nil {
				return
			}
		}
		joined, err := proto.Marshal(&decoded)
		if err != nil {
			return
		}
		got, ok := readShape(joined)
		if want := decodedShape(&decoded); !ok || got != want {
			t.Errorf("shape %+v, %t, want %+v", got, ok, want)
		}
		_, marked := decoded.GetMetadata().GetFilterMetadata()[lambdaMetadata]
		kind, _ := decoded.GetClusterDiscoveryType().(*clusterv3.Cluster_Type)
		if want := marked && kind != nil && kind.Type == clusterv3.Cluster_LOGICAL_DNS; isExtended(joined) != want {
			t.Errorf("made by Consul's extension: want %t", want)
		}
	})
}
