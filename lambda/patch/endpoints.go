package patch

import (
	"net"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Endpoints tells whether an encoded ClusterLoadAssignment lists an endpoint, of
// whatever health. What cannot be read counts as one: then nothing changes.
//
// For a service that gateways' entries have ceased to list, a terminating gateway is
// no endpoint: with a global proxy-defaults entry, Consul 1.22.5 goes on listing
// the gateway until something else changes.
func (p *Patcher) Endpoints(assignment []byte) Endpoints {
	delisted, known := false, EndpointsNone
	ok := scan(assignment, func(field protowire.Number, _ uint64, bytes []byte) {
		if field == 1 { // cluster_name
			delisted = p.delisted(string(bytes))
		}
	})
	each(assignment, func(endpoint []byte) {
		if address, ok := addressOf(endpoint); !ok || !delisted || !p.table.IsGateway(address) {
			known = EndpointsSome
		}
	}, 2, 2) // endpoints, lb_endpoints
	if !ok {
		return EndpointsSome
	}
	return known
}

func (p *Patcher) delisted(cluster string) bool {
	at, ok := parseSNI(cluster)
	if !ok {
		return false
	}
	service := p.table.Lookup(at.service)
	return service != nil && service.Delisted && !service.Fronted
}

// addressOf reads host:port of an encoded LbEndpoint.
func addressOf(endpoint []byte) (address string, ok bool) {
	host, port := "", uint64(0)
	each(endpoint, func(socket []byte) {
		ok = scan(socket, func(field protowire.Number, number uint64, bytes []byte) {
			switch field {
			case 2: // address
				host = string(bytes)
			case 3: // port_value
				port = number
			}
		})
	}, 1, 1, 1) // endpoint, address, socket_address
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), ok && host != ""
}
