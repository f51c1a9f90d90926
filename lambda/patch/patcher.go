package patch

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Patcher decides what becomes of Consul's clusters, by one Table. It is
// immutable, its methods are pure, and their cost does not depend on the Table's
// size.
type Patcher struct {
	table   *lambda.Table
	options Options
	targets map[place]target // where the Table's functions are invoked
}

// Subject is the service that a cluster of this name belongs to, or empty: what of a
// Table concerns it.
func (p *Patcher) Subject(name string) string {
	if isMember(name) {
		return memberSubject
	}
	at, ok := parseSNI(name)
	if !ok {
		return ""
	}
	return at.service.Folded().String()
}

// Since tells for which subjects the answers may be other ones than those of an
// earlier Patcher; all, if the options are others.
func (p *Patcher) Since(earlier *Patcher) (subjects []string, all bool) {
	if !p.options.equal(earlier.options) {
		return nil, true
	}
	for _, name := range p.table.Since(earlier.table) {
		subjects = append(subjects, name.Folded().String())
	}
	if len(subjects) > 0 {
		subjects = append(subjects, memberSubject)
	}
	return subjects, false
}

// place is what of a function decides where it is invoked.
type place struct{ partition, region, url string }

func placeOf(f lambda.Function) place {
	at := place{partition: f.ARN.Partition, region: f.ARN.Region}
	if f.URL {
		at.url = f.FunctionURL
	}
	return at
}

// New makes a Patcher; a nil Table is empty. A function that Options.Check would
// refuse is no error: its service gets no endpoints.
func New(table *lambda.Table, opts Options) (*Patcher, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.Direct = cmp.Or(opts.Direct, DirectAuto)
	p := &Patcher{table: table, options: opts, targets: map[place]target{}}
	cas, err := bundle(opts.CAs)
	if err != nil {
		return nil, err
	}
	for service := range table.All() {
		at := placeOf(service.Function)
		if _, done := p.targets[at]; done || service.State != lambda.StateOK {
			continue
		}
		to, err := opts.endpointOf(service.Function)
		if err != nil {
			continue
		}
		p.targets[at] = newTarget(to, cas)
	}
	return p, nil
}

// Candidate reports whether a cluster of this name may be patched into an
// invocation for the proxy, or reported on, as things stand, judged by the name alone.
func (p *Patcher) Candidate(name string, proxy Proxy) bool {
	if isMember(name) {
		return p.reportsMembers(proxy)
	}
	if proxy.Kind == kindMeshGateway {
		return false
	}
	at, ok := parseSNI(name)
	if !ok {
		return false
	}
	service := p.table.Lookup(at.service)
	if service != nil && service.Extended {
		return true // whatever its state: Consul's form must not pass
	}
	if service == nil || service.State != lambda.StateOK || p.options.form(proxy.Version) == "" {
		return false
	}
	return proxy.gateway() || proxy.mayBeDirect() && p.allowsDirect(service, at, proxy)
}

// Cluster decides on one cluster. raw is its encoding as it came from Consul,
// neither changed nor kept. endpoints tells what is known of an endpoints
// resource.
func (p *Patcher) Cluster(name string, raw []byte, proxy Proxy, endpoints func(name string) Endpoints) Verdict {
	if proxy.Kind == kindMeshGateway {
		return Verdict{}
	}
	if isMember(name) {
		return p.onMember(raw, proxy)
	}
	at, isService := parseSNI(name)
	if !isService && !proxy.gateway() {
		return Verdict{}
	}
	if isService && isExtended(raw) {
		return p.onExtended(name, at, raw, proxy)
	}
	if isService && !proxy.gateway() && p.table.Lookup(at.service) == nil {
		return Verdict{Keep: p.options.Direct != DirectNever && p.options.form(proxy.Version) != ""} // most clusters: be quick
	}
	shape, ok := readShape(raw)
	switch {
	case !ok:
		return Verdict{}
	case shape.emptyAddress && proxy.gateway():
		return p.onGateway(name, at, isService, raw, proxy)
	case shape.eds && shape.mtls && isService && proxy.mayBeDirect():
		return p.onDirect(name, at, shape, raw, proxy, endpoints)
	}
	return Verdict{}
}

// onGateway decides on a DNS cluster with an empty address.
func (p *Patcher) onGateway(name string, at sni, isService bool, raw []byte, proxy Proxy) Verdict {
	made := &Patch{Path: PathGateway}
	verdict := Verdict{Patch: made, Keep: true}
	var service *lambda.Service
	if isService {
		made.Service = at.service.String()
		service = p.table.Lookup(at.service)
	}
	reason := "it has no address, and no service-defaults entry that makes it a Lambda function"
	if service != nil {
		reason = p.refusal(service, proxy)
	}
	if reason != "" {
		made.empty(name, keptFields(raw), reason)
		return verdict
	}
	made.Transit = true
	p.invoke(made, name, service.Function, raw, proxy)
	return verdict
}

// refusal says why a service of the Table is not invoked by a proxy of whatever kind; empty
// if nothing of this sort stands against it.
func (p *Patcher) refusal(service *lambda.Service, proxy Proxy) string {
	switch {
	case service.State == lambda.StateDisabled:
		return "it is switched off in its Meta"
	case service.State != lambda.StateOK:
		return fmt.Sprintf("its state is %s: %s", service.State, strings.Join(service.Errors, "; "))
	case p.options.form(proxy.Version) == "":
		return p.options.tooOld()
	}
	return ""
}

const notPermitted = "Consul's intentions do not let this proxy's service call it"

// onDirect decides on an EDS cluster with a client certificate. An Envoy that
// cannot invoke keeps Consul's cluster, which it accepts.
func (p *Patcher) onDirect(name string, at sni, shape shape, raw []byte, proxy Proxy, endpoints func(string) Endpoints) Verdict {
	if p.options.Direct == DirectNever || p.options.form(proxy.Version) == "" {
		return Verdict{}
	}
	verdict := Verdict{Keep: true}
	service := p.table.Lookup(at.service)
	if service == nil || service.State != lambda.StateOK || !proxy.direct() {
		return verdict
	}
	caller, known := callerOf(raw)
	if known && !strings.EqualFold(caller.Partition, at.service.Partition) {
		if !service.Fronted {
			verdict.Unpatched = unfronted(at, otherPartition(at, caller))
		}
		return verdict
	}
	permitted := known && p.table.Intentions().Allow(caller, at.service)
	if !p.allowsDirect(service, at, proxy) {
		verdict.Linger = permitted
		return verdict
	}
	verdict.Watch = cmp.Or(shape.edsName, name)
	if known := endpoints(verdict.Watch); known != EndpointsNone {
		verdict.Linger = permitted && known == EndpointsSome
		if known == EndpointsSome && !service.Fronted {
			verdict.Unpatched = &Unpatched{Service: at.service.String(), Reason: hasEndpoints}
		}
		return verdict
	}
	verdict.Patch = &Patch{Path: PathDirect, Service: at.service.String()}
	if permitted {
		p.invoke(verdict.Patch, name, service.Function, raw, proxy)
	} else {
		verdict.Patch.empty(name, keptFields(raw), notPermitted)
	}
	return verdict
}

// allowsDirect says that nothing but the service's endpoints and who calls stands
// against its direct invocation.
func (p *Patcher) allowsDirect(service *lambda.Service, at sni, proxy Proxy) bool {
	fronted := service.Fronted && p.options.Direct != DirectAutoFailover
	return !fronted && p.againstDirect(at, proxy) == ""
}

// invoke lets a patch make the cluster that invokes a function; what is wrong with
// that makes it a cluster without endpoints, with the reason.
func (p *Patcher) invoke(patch *Patch, name string, f lambda.Function, raw []byte, proxy Proxy) {
	kept := keptFields(raw)
	to, ok := p.targets[placeOf(f)]
	err := p.options.Check(f)
	if err == nil && !ok {
		err = fmt.Errorf("no endpoint is known in %s", f.ARN.Region)
	}
	form := p.options.form(proxy.Version)
	if err == nil && form == FormListener {
		err = inListener(f)
	}
	if err != nil {
		patch.empty(name, kept, notInvocable(err))
		return
	}
	patch.Key = Key{name: name, kept: string(kept), function: f, to: to.key(), version: proxy.Version, form: form}
	patch.Behind = form == FormListener
	patch.Make = func() Made {
		cluster, err := invocation(name, kept, f, to, proxy.Version)
		if err == nil && form == FormListener {
			err = leaveToListener(cluster)
		}
		if err != nil {
			return Made{Cluster: withoutEndpoints(name, kept), Reason: notInvocable(err)}
		}
		return Made{Cluster: cluster, Form: form}
	}
}

func notInvocable(err error) string { return "it cannot be invoked: " + err.Error() }

// empty lets a patch make the cluster without endpoints.
func (p *Patch) empty(name string, kept []byte, reason string) {
	p.Key = Key{name: name, kept: string(kept), reason: reason}
	p.Make = func() Made { return Made{Cluster: withoutEndpoints(name, kept), Reason: reason} }
}
