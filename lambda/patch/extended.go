package patch

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Consul's own Lambda extension (EnvoyExtensions builtin/aws/lambda in service-defaults)
// makes of a service's resources, with Consul 1.22.5:
//
//	                on a terminating gateway              on a sidecar, while Consul knows no endpoint of a
//	                                                      gateway for it, in whatever datacenter
//	cluster         LOGICAL_DNS, lambda.REGION.amazonaws.com:443, TLS that verifies nobody, and the metadata
//	                com.amazonaws.lambda/egress_gateway; connect timeout stays, all else of it is lost, the
//	                sidecar's client certificate too
//	listener        aws_lambda before the router, which waits for that metadata, and strip_any_host_port
//	route           no auto_host_rewrite                  unchanged
//
// Of a chain that an upstream customizes (HASH~SNI) the listener alone.
// On other proxies nothing (recorded in testdata; Consul's source says the same). Our
// cluster, or one without endpoints, comes in place of each such cluster, and has no
// metadata: so the filter in the listener stays inert, and nothing is signed twice. Never
// does one pass as it came: it would verify nobody's certificate, heed no bounds, and on a
// sidecar no intentions.

// Paths of fields from a Cluster: metadata, filter_metadata (a map), its key.
var pathMetadataKey = []protowire.Number{25, 1, 1}

// lambdaMetadata is the namespace of metadata that Envoy's filter waits for when it stands
// in a listener.
const lambdaMetadata = "com.amazonaws.lambda"

// isExtended reports whether an encoded cluster is one that Consul's own extension made.
func isExtended(raw []byte) bool {
	dns, marked := false, false
	ok := scan(raw, func(field protowire.Number, number uint64, bytes []byte) {
		if field == fieldType && bytes == nil {
			dns = number == typeLogicalDNS
		}
	})
	if !ok || !dns { // most
		return false
	}
	each(raw, func(key []byte) { marked = marked || string(key) == lambdaMetadata }, pathMetadataKey...)
	return marked
}

// onExtended decides on a cluster that Consul's own extension made, for a proxy of any
// kind but a mesh gateway. Where the kind is unknown, local_app tells a sidecar.
func (p *Patcher) onExtended(name string, at sni, raw []byte, proxy Proxy) Verdict {
	service := p.table.Lookup(at.service)
	reason := ""
	if service == nil {
		reason = "Consul's own extension makes it a Lambda function, and no service-defaults entry of it is known that says so"
	} else {
		reason = p.refusal(service, proxy)
	}
	made := &Patch{Path: PathGateway, Service: at.service.String()}
	verdict := Verdict{Patch: made, Keep: true}
	if proxy.direct() {
		made.Path = PathDirect
		// Consul tells the endpoints of such a cluster too. They decide nothing here, but
		// when Consul's extension goes, they do, and at once.
		verdict.Watch = name
		if reason == "" {
			reason, verdict.Linger = p.refusalDirect(service, at, proxy)
		}
	}
	if reason != "" {
		made.empty(name, keptFields(raw), reason)
		return verdict
	}
	made.Transit = made.Path == PathGateway
	p.invoke(made, name, service.Function, raw, proxy)
	return verdict
}

// refusalDirect says why a sidecar does not invoke a function directly though Consul's
// own extension would have it; empty if it does. Consul's cluster holds no certificate
// that tells the caller, hence the catalog does.
//
// A gateway's entry that has begun to list the function lets the invocation linger: Consul
// needs a moment to tell that gateway's endpoints.
func (p *Patcher) refusalDirect(service *lambda.Service, at sni, proxy Proxy) (reason string, linger bool) {
	caller := lambda.ParseServiceName(proxy.Service)
	switch {
	case p.options.Direct == DirectNever:
		return "direct invocation is switched off, and Consul knows no endpoint of a gateway for it", false
	case p.table.Intentions() == nil:
		return "who may call it is not known: Consul's intentions are withheld", false
	case proxy.Service == "":
		return "it is not known whose sidecar this is", false
	case !strings.EqualFold(caller.Partition, at.service.Partition):
		return fmt.Sprintf("it is of partition %s, and Consul knows no endpoint of a gateway there", at.service.Partition), false
	case !p.table.Intentions().Allow(caller, at.service):
		return notPermitted, false
	case p.allowsDirect(service, at, proxy):
		return "", false
	case service.Fronted:
		return "a terminating gateway's entry lists it, and Consul knows no endpoint of that gateway", true
	}
	return fmt.Sprintf("it is of datacenter %s, and Consul knows no endpoint of a gateway there", at.datacenter), false
}
