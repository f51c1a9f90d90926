package registrator

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// The longest server name that TLS carries (RFC 6066: a host name of DNS), and the
// trust domain that ends the one of each service: a UUID and ".consul".
const (
	maxServerName     = 255
	trustDomainLength = 36 + len(".consul")
)

// consulService is the service that Consul's servers register themselves as.
const consulService = "consul"

// unfit says why Consul cannot carry a service of this name there, in this
// datacenter; empty if it can. The characters of functions and aliases are all good.
func unfit(service string, at tenancy, datacenter string) string {
	if strings.EqualFold(service, consulService) {
		return "consul is the name of Consul's own servers"
	}
	serverName := len(service+"."+cmp.Or(at.namespace, lambda.DefaultName)+"."+datacenter+".internal.") + trustDomainLength
	if notDefault(at.partition) {
		serverName += len("." + at.partition + "-v1")
	}
	if serverName > maxServerName {
		return fmt.Sprintf("service %s cannot be called: its name in TLS would have %d characters, of at most %d", service, serverName, maxServerName)
	}
	return ""
}
