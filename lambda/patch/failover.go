package patch

import (
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// memberPrefix begins the names of the members of an aggregate cluster, which is how
// Consul builds a service-resolver's failover:
//
//	SNI                     the aggregate, to which routes lead
//	failover-target~N~SNI   its members, N from 0; SNI still of the service that fails over
//
// Only the server name of a member's TLS tells the service that it leads to (1.22.5).
//
// A member is never patched: the filters of its HTTP options do not run when a route leads to the
// aggregate, and the request would leave unsigned (Envoy 1.40.0). Through a terminating
// gateway it works, as it has that gateway's endpoints. Without one nothing serves it,
// and that is reported.
const memberPrefix = "failover-target~"

// memberSubject is the Subject of all members, as their names do not tell which service they lead to.
const memberSubject = memberPrefix

func isMember(name string) bool { return strings.HasPrefix(name, memberPrefix) }

// reportsMembers says that the proxy is, or may turn out to be, one that invokes functions by itself.
func (p *Patcher) reportsMembers(proxy Proxy) bool {
	return p.options.Direct != DirectNever && proxy.mayBeDirect() && p.options.form(proxy.Version) != ""
}

// onMember reports a member that leads to a function which no gateway fronts.
func (p *Patcher) onMember(raw []byte, proxy Proxy) Verdict {
	if !p.reportsMembers(proxy) {
		return Verdict{}
	}
	verdict := Verdict{Keep: true}
	shape, _ := readShape(raw)
	at, ok := parseSNI(shape.sni)
	if !ok || !proxy.direct() {
		return verdict
	}
	service := p.table.Lookup(at.service)
	if service == nil || service.State != lambda.StateOK || service.Fronted || !p.allowsDirect(service, at, proxy) {
		return verdict
	}
	verdict.Unpatched = &Unpatched{
		Service: at.service.String(),
		Reason:  "it is a target of a service-resolver's failover, which can only be invoked through a terminating gateway, and no gateway's entry lists it",
	}
	return verdict
}
