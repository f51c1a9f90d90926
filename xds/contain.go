package xds

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// contain keeps a mistake of ours to the service that it concerns. Consul answers a
// refusal by sending the same again, with which Envoy would refuse it again, and all
// that comes after; so a refusal of something of ours does not go up. The forms that
// Envoy names in its text, or all of ours if it names none (the text is cut off when
// it is long), are quarantined, something else stands in for them, and the whole
// response is sent again: Envoy noted none of its versions. Those that were not named
// are then given to it anew, one by one (see probe). It reports whether it did so; each
// time leaves fewer of ours to refuse.
func (s *session) contain(p *pendingAnswer, text string) bool {
	t := s.typed(p.url)
	var named, unnamed, standIns []sentResource
	for _, r := range p.sent {
		switch o := r.origin; {
		case !r.ours():
		case names(text, r.name.String()):
			named = append(named, r)
		case o != nil && o.now().standsIn && o.final().version == r.version:
			standIns = append(standIns, r) // the last to be suspected
		default:
			unnamed = append(unnamed, r)
		}
	}
	certain := len(named) > 0
	if len(named) == 0 {
		named = unnamed
	}
	if len(named) == 0 {
		named = standIns
	}
	if len(named) == 0 {
		return false
	}
	for _, r := range named {
		if !certain && len(named) > 1 {
			t.suspect(r.known)
		}
		t.rejected[r.name.String()] = rejection{version: r.version, text: safeText(text)}
		if o := r.origin; o != nil {
			p := o.place()
			if p.quarantine == nil {
				p.quarantine = map[string]bool{}
			}
			p.quarantine[patchHash(r.version.String())] = true
		}
	}
	if p.upstream == "" || p.generation != s.generation || !s.attached {
		return false // what is left to do is for push, or for a new attachment
	}
	again := &response{typeURL: p.url, nonce: p.upstream, removed: p.response.removed, rest: p.response.rest}
	for _, res := range p.response.resources {
		k := t.known[res.name]
		if k != nil && k.origin != nil {
			res = k.origin.consul.resource()
			s.judge(t, k, &res, false) // which may forget it
		} else if res.field == nil {
			continue
		}
		res.known = k
		again.resources = append(again.resources, res)
	}
	s.watch()
	s.deliver(t, again)
	s.askChildren(again)
	return true
}

// suspect notes that Envoy may have refused a form for another one's sake.
func (t *typeState) suspect(k *known) {
	if t.suspects == nil {
		t.suspects = map[*known]bool{}
	}
	t.suspects[k] = true
}

// probe gives Envoy one form anew that it may have refused for another one's sake, when
// there is nothing that it has to answer. Alone, it shows which it is.
func (s *session) probe(t *typeState) bool {
	if len(t.suspects) == 0 || !s.live() || t.pushing != "" || !s.listening() || s.waits(t) {
		return false
	}
	k := slices.MinFunc(slices.Collect(maps.Keys(t.suspects)), byName)
	delete(t.suspects, k)
	if k.origin != nil {
		k.origin.place().quarantine = nil
		delete(t.rejected, k.name.String())
		t.touch(k, causeContain)
	}
	return true
}

// names reports whether a text names a resource, and not just one whose name it is a
// part of: hello.default.dc1... is the end of say-hello.default.dc1...
func names(text, name string) bool {
	const more = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
	for {
		before, after, found := strings.Cut(text, name)
		if !found {
			return false
		}
		begins := before == "" || !strings.ContainsAny(before[len(before)-1:], more)
		ends := after == "" || !strings.ContainsAny(after[:1], more)
		if begins && ends {
			return true
		}
		text = after
	}
}

// askChildren has Consul send once more what belongs to clusters or listeners that
// Envoy gets later than Consul sent them: what Consul sent with them may have come
// before there was one to take it.
func (s *session) askChildren(parents *response) {
	switch parents.typeURL {
	case typeCluster:
		t := s.typed(typeEndpoint)
		for _, res := range parents.resources {
			if k := t.known[res.name]; k != nil && t.subscribed(k) && k.needs && !s.holds(typeEndpoint, res.name) {
				t.anew = append(t.anew, res.name)
			}
		}
	case typeListener:
		t := s.typed(typeRoute)
		t.anew = append(t.anew, s.needRoutes()...)
	}
}

// standIn puts something else in force than a form in quarantine. Of a listener or a
// route configuration that is Consul's own; of a cluster the last of ours that Envoy took;
// else Consul's own if that is an EDS cluster, which Envoy takes; else the cluster without
// endpoints.
func (s *session) standIn(t *typeState, k *known) {
	o := k.origin
	p := o.place()
	p.standsIn = true
	o.setFinal(final{})
	if t.url != typeCluster {
		return
	}
	if p.taken.form != nil && !p.quarantine[p.taken.form.hash] {
		o.setFinal(p.taken)
		return
	}
	if res := o.consul.resource(); !isEDS(res.body) {
		if empty := withoutEndpoints(k.name.String()); empty != nil && !p.quarantine[empty.hash] {
			o.setFinal(o.in(empty))
		}
	}
}

// withoutEndpoints is a cluster that answers 503; nil if the name cannot be that of
// one.
func withoutEndpoints(name string) *form {
	empty, err := newForm(Made{Cluster: &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: name},
	}})
	if err != nil { // only a name that is no UTF-8, which no response can hold
		return nil
	}
	return empty
}

func isEDS(cluster []byte) bool {
	const clusterType, eds = 2, 3 // Cluster.type, DiscoveryType.EDS
	found := false
	for f := (fields{rest: cluster}); f.next(); {
		if value, ok := f.varint(clusterType); ok {
			found = value == eds
		}
	}
	return found
}

// ask asks the Patcher, and makes the form that it wants. One that panics is a refused
// form like any other: ok is false, and the verdict as far as it is known.
func (s *session) ask(t *typeState, k *known, res *resource) (verdict Verdict, made *form, ok bool) {
	ok = s.guard(t, k, func() {
		if t.url == typeCluster {
			s.asking = k
			verdict = s.patcher.Cluster(k.name.String(), res.body, s.proxy, s.endpoints)
		} else {
			verdict.Patch = s.patcher.Other(t.url, res.body, s.proxy)
			verdict.Keep = k.origin != nil && len(k.origin.subjects) > 0
		}
		if verdict.Patch != nil {
			var err error
			if made, err = s.forms.of(verdict.Patch); err != nil {
				panic(err) // a valid message, as the Patcher promises, can be encoded
			}
		}
	})
	return verdict, made, ok
}

// subjects are those of a listener or a route configuration; none if the Patcher panics.
func (s *session) subjects(t *typeState, k *known, res *resource) (subjects []word) {
	s.guard(t, k, func() {
		for _, subject := range s.patcher.Subjects(t.url, res.body) {
			subjects = append(subjects, newWord(subject))
		}
	})
	return subjects
}

// guard lets the Patcher do something with a resource. If it panics ok is false, and
// what happened waits in failures to be logged.
func (s *session) guard(t *typeState, k *known, do func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			name := k.name.String()
			failure := fmt.Sprintf("the patch of %s failed: %v", name, p)
			if t.rejected[name].text != failure {
				t.rejected[name] = rejection{text: failure}
				s.failures = append(s.failures, failure+"\n"+string(debug.Stack()))
			}
		}
	}()
	do()
	return true
}
