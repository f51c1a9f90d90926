package main

import (
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/xds"
)

// patcher lets a patch.Patcher speak xds's words: neither package knows the other.
type patcher struct{ *patch.Patcher }

// Since is part of xds.Patcher.
func (p patcher) Since(earlier xds.Patcher) (subjects []string, all bool) {
	before, ok := earlier.(patcher)
	if !ok {
		return nil, true
	}
	return p.Patcher.Since(before.Patcher)
}

// Candidate is part of xds.Patcher.
func (p patcher) Candidate(typeURL, name string, proxy xds.Proxy) bool {
	if typeURL == patch.TypeListener {
		return p.ListenerCandidate(name, patchProxy(proxy))
	}
	return p.Patcher.Candidate(name, patchProxy(proxy))
}

// Endpoints is part of xds.Patcher.
func (p patcher) Endpoints(assignment []byte) xds.Endpoints {
	return xds.Endpoints(p.Patcher.Endpoints(assignment))
}

// Cluster is part of xds.Patcher.
func (p patcher) Cluster(name string, raw []byte, proxy xds.Proxy, endpoints func(string) xds.Endpoints) xds.Verdict {
	verdict := p.Patcher.Cluster(name, raw, patchProxy(proxy), func(name string) patch.Endpoints {
		return patch.Endpoints(endpoints(name))
	})
	return xds.Verdict{
		Patch: xdsPatch(verdict.Patch), Watch: verdict.Watch, Linger: verdict.Linger, Keep: verdict.Keep,
		Unpatched: (*xds.Unpatched)(verdict.Unpatched),
	}
}

// Unpatched is part of xds.Patcher.
func (p patcher) Unpatched(name string, proxy xds.Proxy) *xds.Unpatched {
	return (*xds.Unpatched)(p.Patcher.Unpatched(name, patchProxy(proxy)))
}

// Other is part of xds.Patcher.
func (p patcher) Other(typeURL string, raw []byte, proxy xds.Proxy) *xds.Patch {
	return xdsPatch(p.Patcher.Other(typeURL, raw, patchProxy(proxy)))
}

func xdsPatch(p *patch.Patch) *xds.Patch {
	if p == nil {
		return nil
	}
	return &xds.Patch{
		Key: p.Key, Make: func() xds.Made { return xds.Made(p.Make()) },
		Transit: p.Transit, Behind: p.Behind, Service: p.Service, Path: p.Path,
	}
}

func patchProxy(p xds.Proxy) patch.Proxy {
	return patch.Proxy{
		Version: patch.Version(p.Version), Kind: p.Kind, Datacenter: p.Datacenter, Service: p.Service, LocalApp: p.LocalApp,
	}
}

// The two enumerations agree, or this does not compile.
const (
	_ = uint(int(patch.EndpointsUnknown)-int(xds.EndpointsUnknown)) + uint(int(xds.EndpointsUnknown)-int(patch.EndpointsUnknown))
	_ = uint(int(patch.EndpointsNone)-int(xds.EndpointsNone)) + uint(int(xds.EndpointsNone)-int(patch.EndpointsNone))
	_ = uint(int(patch.EndpointsSome)-int(xds.EndpointsSome)) + uint(int(xds.EndpointsSome)-int(patch.EndpointsSome))
)
