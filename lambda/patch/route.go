package patch

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	// timeoutMargin is what a call may take beyond the function's own timeout: AWS starts
	// its clock only after a cold start, for which it allows 10 s. It also keeps every
	// route at Envoy's default of 15 s at least.
	timeoutMargin = 15 * time.Second

	// maxTimeout is AWS's bound for a function. It is the bound of a route's timeout, too,
	// and what a function whose timeout is not known gets.
	maxTimeout = 900 * time.Second

	// bodyLimit is the largest answer that AWS gives (its largest request is 100 bytes
	// less). Envoy holds both whole, in the form in which AWS gets them, that is, with
	// base64: what is larger is answered with 413, or 500, without being held.
	bodyLimit = 6<<20 + 100
)

// Numbers of fields in envoy.config.route.v3.Route and RouteAction.
const (
	fieldRouteAction = 2

	fieldPerRequestLimit = 16 // older, and exclusive with the next
	fieldBodyLimit       = 20

	fieldTimeout     = 8
	fieldIdleTimeout = 24
)

// Paths of fields from a Route to the clusters that it leads to.
var (
	pathCluster          = []protowire.Number{fieldRouteAction, 1}
	pathWeightedClusters = []protowire.Number{fieldRouteAction, 3, 1, 1}
)

// clusters calls f for each cluster that an encoded Route leads to.
func clusters(route []byte, f func(name string)) {
	each(route, func(name []byte) { f(string(name)) }, pathCluster...)
	each(route, func(name []byte) { f(string(name)) }, pathWeightedClusters...)
}

// demand is what functions demand of a route that leads to them.
type demand struct {
	timeout time.Duration // zero: it leads to none
	body    bool          // the Envoy that has the route may be the one that invokes
}

// demands are those of an encoded Route: of the slowest function, if it leads to several.
func (p *Patcher) demands(route []byte, proxy Proxy) (d demand) {
	clusters(route, func(name string) {
		at, ok := parseSNI(name)
		if !ok {
			return
		}
		service := p.table.Lookup(at.service)
		if service == nil || service.State != lambda.StateOK {
			return
		}
		d.timeout = max(d.timeout, routeTimeout(service.Function))
		d.body = d.body || proxy.Version.bodyLimits() && p.Candidate(name, proxy)
	})
	return d
}

// routeTimeout is how long a route lets a call of a function take.
func routeTimeout(f lambda.Function) time.Duration {
	if f.Timeout == 0 {
		return maxTimeout
	}
	return min(f.Timeout+timeoutMargin, maxTimeout)
}

// bodyLimits says that a route may have a limit of its own for bodies, beyond the 1 MiB
// of its connections: Envoy 1.36 and later.
func (v Version) bodyLimits() bool { return v.atLeast(1, 36) }

// route gives an encoded Route what the functions that it leads to demand and what it
// does not have; what an operator set stays. Consul leaves out a timeout that nobody set;
// one that an operator switched off (-1 in a service-router) is there, as 0 (1.22.5).
func (p *Patcher) route(raw []byte, proxy Proxy) []byte {
	d := p.demands(raw, proxy)
	if d.timeout == 0 {
		return raw
	}
	raw = rewrite(raw, func(action []byte) []byte {
		timeout := d.timeout
		if !present(action, fieldTimeout) {
			action = with(action, fieldTimeout, encoded(durationpb.New(d.timeout)))
		} else {
			timeout = max(timeout, timeoutOf(action))
		}
		// A stream on which nothing happens, such as one that waits for a function, is
		// else ended after 5 min.
		if !present(action, fieldIdleTimeout) {
			action = with(action, fieldIdleTimeout, encoded(durationpb.New(timeout)))
		}
		return action
	}, fieldRouteAction)
	if d.body && !present(raw, fieldBodyLimit) && !present(raw, fieldPerRequestLimit) {
		raw = with(raw, fieldBodyLimit, encoded(wrapperspb.UInt64(bodyLimit)))
	}
	return raw
}

// timeoutOf is the timeout of an encoded RouteAction.
func timeoutOf(action []byte) (timeout time.Duration) {
	each(action, func(value []byte) {
		var d durationpb.Duration
		if proto.Unmarshal(value, &d) == nil {
			timeout = d.AsDuration()
		}
	}, fieldTimeout)
	return timeout
}

// encoded is a message without maps, of which the encoding cannot fail.
func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}
