package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

// modelEnvoy is an Envoy as far as ADS goes. What it knows outlives streams. It
// warms clusters whose endpoints it lacks, and withholds its answer to clusters
// meanwhile; it asks for listeners once its first clusters are there.
type modelEnvoy struct {
	state   map[string]map[string]string // version by type and name
	isEDS   map[string]bool              // clusters that ask for endpoints
	warming map[string]bool              // clusters that wait for endpoints
	wants   map[string]map[string]bool   // subscriptions by name, of endpoints and routes

	out      []*discoveryv3.DeltaDiscoveryRequest // on its way to the relay
	asked    map[string]bool
	withheld []*discoveryv3.DeltaDiscoveryRequest // answers to clusters while some warm
	refuses  bool                                 // the next response that may be refused
	errs     []string
	names    bool // refusals name what is bad

	lacksRoutes map[string]bool // of listeners that Consul changed on this stream

	refused     map[string]bool // by type and name, since the last that was accepted
	initialized bool            // its first clusters were warm once
}

func newModelEnvoy() *modelEnvoy {
	e := &modelEnvoy{isEDS: map[string]bool{}, warming: map[string]bool{}, refused: map[string]bool{}}
	e.state, e.wants = map[string]map[string]string{}, map[string]map[string]bool{}
	for _, url := range attachOrder {
		e.state[url] = map[string]string{}
		e.wants[url] = map[string]bool{}
	}
	return e
}

// connect begins a stream: everything it wants, with the versions it has.
func (e *modelEnvoy) connect() {
	e.out, e.withheld = nil, nil
	e.asked, e.lacksRoutes = map[string]bool{}, map[string]bool{}
	e.ask(typeCluster)
	for _, url := range attachOrder[1:] {
		if len(e.wants[url]) > 0 || url == typeListener && e.initialized {
			e.ask(url)
		}
	}
}

func (e *modelEnvoy) ask(url string) {
	if e.asked[url] {
		return
	}
	e.asked[url] = true
	req := &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:                 url,
		InitialResourceVersions: maps.Clone(e.state[url]),
		ResourceNamesSubscribe:  slices.Sorted(maps.Keys(e.wants[url])),
	}
	if len(e.asked) == 1 {
		req.Node = &corev3.Node{Id: "model"}
	}
	e.out = append(e.out, req)
}

// subscribe changes what is wanted by name.
func (e *modelEnvoy) subscribe(url, name string, want bool) {
	if e.wants[url][name] == want {
		return
	}
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url}
	if want {
		e.wants[url][name] = true
		req.ResourceNamesSubscribe = []string{name}
	} else {
		delete(e.wants[url], name)
		delete(e.state[url], name)
		req.ResourceNamesUnsubscribe = []string{name}
	}
	if !e.asked[url] {
		if want {
			e.ask(url)
		}
		return
	}
	e.out = append(e.out, req)
}

func (e *modelEnvoy) recv(resp *response) {
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.typeURL, ResponseNonce: resp.nonce}
	ours := slices.ContainsFunc(resp.resources, func(r resource) bool { return isPatched(r.version) })
	bad := badOnes(resp)
	if e.refuses && !ours || len(bad) > 0 {
		e.refuses = e.refuses && len(bad) > 0
		for _, res := range resp.resources {
			e.refused[resp.typeURL+res.name] = true
		}
		for _, name := range resp.removed {
			e.refused[resp.typeURL+name] = true
		}
		answer.ErrorDetail = &status.Status{Code: 13, Message: "refused by the model"}
		if e.names { // else the text is cut off before it names one
			answer.ErrorDetail.Message = "Error adding/updating " + strings.Join(bad, ", ")
		}
		e.out = append(e.out, answer)
		e.settle()
		return
	}
	for _, res := range resp.resources {
		e.take(resp.typeURL, res, e.refused[resp.typeURL+res.name])
		delete(e.refused, resp.typeURL+res.name)
	}
	for _, name := range resp.removed {
		e.drop(resp.typeURL, name)
	}
	if resp.typeURL == typeCluster {
		e.withheld = append(e.withheld, answer)
	} else {
		e.out = append(e.out, answer)
	}
	e.settle()
}

// badOnes are the resources that no Envoy takes.
func badOnes(resp *response) (names []string) {
	for _, res := range resp.resources {
		bad := false
		switch resp.typeURL {
		case typeCluster:
			var c clusterv3.Cluster
			bad = proto.Unmarshal(res.body, &c) == nil && c.GetAltStatName() == "bad"
		case typeListener, typeRoute:
			bad = strings.Contains(said(resp.typeURL, res.body), "bad")
		}
		if bad {
			names = append(names, res.name)
		}
	}
	return names
}

// settle sends what had to wait for clusters to be warm.
func (e *modelEnvoy) settle() {
	if len(e.warming) == 0 {
		e.out = append(e.out, e.withheld...)
		e.withheld = nil
		e.initialized = true
		e.ask(typeListener)
	}
}

// take accepts a resource. One that it has may come again only after it refused
// another in between.
func (e *modelEnvoy) take(url string, res resource, refused bool) {
	had := e.state[url][res.name]
	e.state[url][res.name] = res.version
	switch url {
	case typeCluster:
		if had == res.version && !refused {
			e.errs = append(e.errs, fmt.Sprintf("cluster %s sent again at %s", res.name, had))
		}
		var c clusterv3.Cluster
		if err := proto.Unmarshal(res.body, &c); err != nil {
			e.errs = append(e.errs, err.Error())
		}
		eds := c.GetType() == clusterv3.Cluster_EDS
		e.isEDS[res.name] = eds
		delete(e.warming, res.name)
		if eds {
			e.warming[res.name] = true
		}
		e.subscribe(typeEndpoint, res.name, eds)
	case typeEndpoint:
		if !e.wants[url][res.name] {
			delete(e.state[url], res.name) // crossed with an unsubscription: no effect
		}
		delete(e.warming, res.name)
	case typeListener:
		if had == res.version && !refused {
			e.errs = append(e.errs, fmt.Sprintf("listener %s sent again at %s", res.name, had))
		}
		e.subscribe(typeRoute, "route-"+res.name, true)
		if consulsVersion(had) != consulsVersion(res.version) {
			e.lacksRoutes["route-"+res.name] = true
		}
	case typeRoute:
		delete(e.lacksRoutes, res.name)
		if !e.wants[url][res.name] {
			delete(e.state[url], res.name)
		}
	}
}

func (e *modelEnvoy) drop(url, name string) {
	delete(e.state[url], name)
	switch url {
	case typeCluster:
		delete(e.warming, name)
		delete(e.isEDS, name)
		e.subscribe(typeEndpoint, name, false)
	case typeListener:
		e.subscribe(typeRoute, "route-"+name, false)
		delete(e.lacksRoutes, "route-"+name)
	case typeEndpoint, typeRoute:
		e.errs = append(e.errs, "a named type was removed: "+name)
	}
}
