package patch

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Path of fields from a Cluster to the certificate of the proxy that gets it:
// transport_socket, typed_config, value, common_tls_context, tls_certificates,
// certificate_chain, inline_string.
var pathLeaf = []protowire.Number{fieldTransportSocket, 3, 2, 1, 2, 1, 3}

// callerOf reads from an encoded cluster as whom its proxy would call: the identity
// in the certificate that Consul gives the proxy for it, which is what a gateway
// compares with intentions. ok is false if there is none.
func callerOf(raw []byte) (caller lambda.ServiceName, ok bool) {
	each(raw, func(chain []byte) {
		if ok {
			return
		}
		block, _ := pem.Decode(chain)
		if block == nil {
			return
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(leaf.URIs) != 1 {
			return
		}
		caller, ok = parseIdentity(leaf.URIs[0])
	}, pathLeaf...)
	return caller, ok
}

// parseIdentity reads the identity of a service, as Consul 1.22.5 writes it:
//
//	spiffe://TRUSTDOMAIN[/ap/PARTITION]/ns/NAMESPACE/dc/DATACENTER/svc/SERVICE
func parseIdentity(uri *url.URL) (lambda.ServiceName, bool) {
	path := strings.TrimPrefix(uri.EscapedPath(), "/")
	if uri.Scheme != "spiffe" {
		return lambda.ServiceName{}, false
	}
	parts := strings.Split(path, "/")
	partition := ""
	if len(parts) == 8 && parts[0] == "ap" {
		partition, parts = parts[1], parts[2:]
	}
	if len(parts) != 6 || parts[0] != "ns" || parts[2] != "dc" || parts[4] != "svc" {
		return lambda.ServiceName{}, false
	}
	var names [3]string
	for i, escaped := range []string{parts[5], parts[1], partition} {
		name, err := url.PathUnescape(escaped)
		if err != nil || name == "" && i == 0 {
			return lambda.ServiceName{}, false
		}
		names[i] = name
	}
	return lambda.NewServiceName(names[0], names[1], names[2]), true
}
