package patch

import "google.golang.org/protobuf/encoding/protowire"

// shape is what decides whether a cluster may be changed, read from its encoding
// without decoding it: a proxy has thousands of clusters that are not ours.
type shape struct {
	dns          bool   // LOGICAL_DNS or STRICT_DNS
	emptyAddress bool   // an endpoint without address, or no endpoint at all
	eds          bool   // EDS
	edsName      string // eds_cluster_config.service_name; empty if the cluster's name is meant
	mtls         bool   // its TLS has a client certificate
	sni          string // the server name of its TLS
}

// Numbers of fields in envoy.config.cluster.v3.Cluster and the messages in it.
const (
	fieldType            = 2
	fieldEDSConfig       = 3
	fieldTransportSocket = 24
	fieldLoadAssignment  = 33

	fieldEDSServiceName = 2

	typeStrictDNS  = 1
	typeLogicalDNS = 2
	typeEDS        = 3
)

// Paths of fields, from the message named to what is looked for.
var (
	// TransportSocket: typed_config, value, common_tls_context, then the
	// certificates themselves or their SDS.
	pathCertificates = []protowire.Number{3, 2, 1, 2}
	pathSDS          = []protowire.Number{3, 2, 1, 6}
	// TransportSocket: typed_config, value, sni.
	pathSNI = []protowire.Number{3, 2, 2}
	// LbEndpoint: endpoint, address, socket_address, address.
	pathAddress = []protowire.Number{1, 1, 1, 2}
)

// readShape scans an encoded cluster; ok is false if it is no message.
func readShape(raw []byte) (s shape, ok bool) {
	endpoints, empty := 0, 0
	ok = scan(raw, func(field protowire.Number, number uint64, bytes []byte) {
		switch {
		case field == fieldType && bytes == nil:
			s.eds = number == typeEDS
			s.dns = number == typeStrictDNS || number == typeLogicalDNS
		case field == fieldEDSConfig && bytes != nil:
			_ = scan(bytes, func(field protowire.Number, _ uint64, bytes []byte) {
				if field == fieldEDSServiceName && bytes != nil {
					s.edsName = string(bytes)
				}
			})
		case field == fieldTransportSocket && bytes != nil:
			s.mtls = has(bytes, pathCertificates...) || has(bytes, pathSDS...)
			each(bytes, func(sni []byte) { s.sni = string(sni) }, pathSNI...)
		case field == fieldLoadAssignment && bytes != nil:
			each(bytes, func(endpoint []byte) {
				endpoints++
				if !has(endpoint, pathAddress...) {
					empty++
				}
			}, 2, 2) // endpoints, lb_endpoints
		}
	})
	s.emptyAddress = s.dns && (endpoints == 0 || empty > 0)
	return s, ok
}

// scan calls f for each field of an encoded message that is a varint, then bytes is
// nil, or a string, bytes or a message, then bytes is not nil. It reports whether
// the encoding is sound.
func scan(raw []byte, f func(field protowire.Number, number uint64, bytes []byte)) bool {
	for len(raw) > 0 {
		field, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return false
		}
		raw = raw[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(raw)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(raw)
		default:
			if n = protowire.ConsumeFieldValue(field, kind, raw); n < 0 {
				return false
			}
			raw = raw[n:]
			continue
		}
		if n < 0 {
			return false
		}
		f(field, number, bytes)
		raw = raw[n:]
	}
	return true
}

// each calls f for each value at a path of fields.
func each(raw []byte, f func([]byte), path ...protowire.Number) {
	_ = scan(raw, func(field protowire.Number, _ uint64, bytes []byte) {
		switch {
		case field != path[0] || bytes == nil:
		case len(path) == 1:
			f(bytes)
		default:
			each(bytes, f, path[1:]...)
		}
	})
}

// has reports whether there is a value that is not empty at a path of fields.
func has(raw []byte, path ...protowire.Number) (found bool) {
	each(raw, func(bytes []byte) { found = found || len(bytes) > 0 }, path...)
	return found
}
