package patch

import (
	"sync"
	"unique"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// target is an endpoint with the transport socket to it, which the clusters of
// all functions of a region share; a function's URL is one of its own.
type target struct {
	endpoint
	cas    unique.Handle[string]
	socket func() (*corev3.TransportSocket, error) // nil over http; made when it is first asked for
}

// targetKey tells targets apart.
type targetKey struct {
	endpoint
	cas unique.Handle[string]
}

func (t target) key() targetKey { return targetKey{t.endpoint, t.cas} }

func newTarget(e endpoint, cas string) target {
	t := target{endpoint: e, cas: unique.Make(cas)}
	if e.tls {
		t.socket = sync.OnceValues(func() (*corev3.TransportSocket, error) { return tlsSocket(e, cas) })
	}
	return t
}

func tlsSocket(e endpoint, cas string) (*corev3.TransportSocket, error) {
	config, err := pack(tlsContext(e, cas))
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, nil
}

// tlsContext verifies the endpoint: signed by one of the CAs, which need not exist
// as a file on the Envoy's host, and issued for exactly this host. Envoy lets a
// DNS name match a wildcard of the certificate, as VPC endpoints have them.
func tlsContext(e endpoint, cas string) *tlsv3.UpstreamTlsContext {
	name := &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: e.host}},
	}
	serverName := e.host
	if e.ip {
		name.SanType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
		serverName = "" // RFC 6066: an address is no server name
	}
	return &tlsv3.UpstreamTlsContext{
		Sni: serverName,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			// As a client Envoy speaks at most 1.2 unless told otherwise.
			TlsParams: &tlsv3.TlsParameters{
				TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
				TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			},
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
				ValidationContext: &tlsv3.CertificateValidationContext{
					TrustedCa:                 &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: cas}},
					MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{name},
				},
			},
		},
	}
}
