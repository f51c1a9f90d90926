package patch

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Unpatched is a service that a cluster should lead to, and why it does not.
type Unpatched struct{ Service, Reason string }

// Unpatched says why a proxy that calls a function without a gateway does not invoke it, as
// far as the name of the cluster tells. It is nil where nothing of that sort stands against
// it, where a gateway's entry lists the function, and where it is switched off. It is asked
// when a person wants to know, so that nothing has to be remembered for it; what only the
// cluster itself tells is in its Verdict.
func (p *Patcher) Unpatched(name string, proxy Proxy) *Unpatched {
	at, ok := parseSNI(name)
	if !ok || !proxy.mayBeDirect() {
		return nil
	}
	service := p.table.Lookup(at.service)
	if service == nil || service.Fronted || service.State == lambda.StateDisabled {
		return nil
	}
	if service.State != lambda.StateOK {
		return &Unpatched{Service: at.service.String(), Reason: p.refusal(service, proxy)}
	}
	reason := cmp.Or(p.refusal(service, proxy), p.againstDirect(at, proxy))
	if reason == "" && !proxy.direct() {
		reason = "what kind of proxy this is is not known: give its bootstrap -node-name, and lambdamesh's token node:read and service:read"
	}
	if reason == "" {
		return nil
	}
	return unfronted(at, reason)
}

// againstDirect says what stands against the direct invocation of any function of a
// datacenter by a proxy; empty for nothing. No gateway would enforce intentions on that, so
// while they are not known there is none.
func (p *Patcher) againstDirect(at sni, proxy Proxy) string {
	own := cmp.Or(proxy.Datacenter, p.options.Datacenter)
	switch {
	case p.options.Direct == DirectNever:
		return "direct invocation is switched off (--direct never)"
	case p.table.Intentions() == nil:
		return "who may call it is not known: Consul's intentions are withheld from lambdamesh's token"
	case own == "":
		return "the datacenter of this proxy is not known"
	case own != at.datacenter:
		return fmt.Sprintf("it is of datacenter %s, and only a terminating gateway there can invoke it", at.datacenter)
	}
	return ""
}

// unfronted is a reason why a proxy does not invoke a function, which a gateway could.
func unfronted(at sni, reason string) *Unpatched {
	return &Unpatched{Service: at.service.String(), Reason: reason + "; no terminating gateway's entry lists it"}
}

// otherPartition says why a caller of another partition does not invoke a function: an
// endpoint may be missing because nobody exports the service to the caller.
func otherPartition(at sni, caller lambda.ServiceName) string {
	return fmt.Sprintf("it is of partition %s, and this proxy of %s, from which only a terminating gateway can invoke it",
		strings.ToLower(at.service.Partition), strings.ToLower(caller.Partition))
}

// hasEndpoints is why a function is not invoked that has instances of its own, which of
// Consul Enterprise only a proxy's endpoints tell.
const hasEndpoints = "Consul lists endpoints for it, and calls go to those"
