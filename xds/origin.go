package xds

import (
	"cmp"
	"slices"
)

// origin is Consul's form of a resource that is patched, or might be with another
// Patcher, and what stands in its place.
type origin struct {
	consul  kept
	version word // of Consul's form

	// subjects are what of the Table it depends on; see Patcher.Subjects. A cluster has
	// one, by its name: known.subject.
	subjects []word

	// Of clusters alone.
	watch     word       // the endpoints resource it depends on; empty: none
	unpatched *Unpatched // what Verdict.Unpatched said

	// ours is nil as long as nothing but Consul's form has stood here, as with most of
	// the thousands that an Envoy may have.
	ours *ours
}

// ours is what stands in the place of an origin, or stood there.
type ours struct {
	form  *form // what Envoy is to have; nil: Consul's own
	named word  // the version of form
	taken final // the last form of ours that Envoy took; its form is nil for none

	patched  bool // a patch stands in its place now; else Consul's form
	standsIn bool // form stands in for one in quarantine, or that the Patcher failed to make

	service, path word // of its Patch

	// quarantine are the forms of ours that Envoy refused, by hash.
	quarantine map[string]bool

	// Of clusters alone.
	transit bool // see Patch.Transit
	behind  bool // see Patch.Behind
}

// final is the form in which Envoy is to have a resource.
type final struct {
	version word
	form    *form // nil: Consul's own
}

// now is what stands in the origin's place, to be read.
func (o *origin) now() ours {
	if o.ours == nil {
		return ours{}
	}
	return *o.ours
}

// place is what stands in the origin's place, to be changed.
func (o *origin) place() *ours {
	if o.ours == nil {
		o.ours = &ours{}
	}
	return o.ours
}

// final is what Envoy is to have.
func (o *origin) final() final {
	if now := o.now(); now.form != nil {
		return final{now.named, now.form}
	}
	return final{version: o.version}
}

// setFinal puts a form in the origin's place; nil for Consul's own.
func (o *origin) setFinal(f final) {
	if f.form == nil {
		f.version = word{}
	}
	if o.ours != nil || f.form != nil {
		o.place().form, o.ours.named = f.form, f.version
	}
}

// in is a form of ours, with the version that it has in this resource's place.
func (o *origin) in(made *form) final {
	return final{newWord(patchedVersion(o.version.String(), made.hash)), made}
}

// finally is the resource in its final form.
func (o *origin) finally(name word) resource {
	f := o.final()
	if f.form == nil {
		return o.consul.resource()
	}
	return newResource(name.String(), f.version.String(), f.form.body)
}

// onOther takes listeners or route configurations of Consul's.
func (s *session) onOther(t *typeState, resp *response) {
	for _, name := range resp.removed {
		if k := t.known[name]; k != nil {
			s.drop(t, k)
			k.unread = false
		}
	}
	for i := range resp.resources {
		res := &resp.resources[i]
		k := res.known
		k.unread = false
		if !t.subscribed(k) {
			continue
		}
		subjects := s.subjects(t, k, res)
		if k.origin == nil && len(subjects) > 0 {
			k.origin = &origin{}
		}
		if k.origin != nil {
			k.origin.subjects = subjects
		}
		s.judge(t, k, res, true)
	}
	s.deliver(t, resp)
}

// judge asks the Patcher about a resource of Consul's, and remembers it if another
// answer is possible later. news says that Consul has just sent it.
func (s *session) judge(t *typeState, k *known, res *resource, news bool) {
	verdict, made, ok := s.ask(t, k, res)
	o := k.origin
	if ok && verdict == (Verdict{}) && (o == nil || !o.now().patched) {
		s.drop(t, k)
		return
	}
	if o == nil {
		o = &origin{}
		k.origin = o
	}
	if news && !o.consul.is(res.raw()) {
		o.consul = whole(res.raw())
		s.loose = append(s.loose, loose{o, o.consul})
	}
	o.version, o.unpatched = k.told.to(res.version), verdict.Unpatched
	if !ok {
		t.setPatch(o, nil)
		s.standIn(t, k)
		s.rewatch(k, cmp.Or(verdict.Watch, o.watch.String()))
		return
	}
	if !verdict.Linger {
		delete(s.lingering, k)
	} else if o.now().patched && s.lingers(k) {
		return
	}
	s.set(t, k, verdict.Patch, made)
	s.rewatch(k, verdict.Watch)
}

// drop forgets the origin of a resource that cannot be patched, or is gone.
func (s *session) drop(t *typeState, k *known) {
	if k.origin != nil {
		s.rewatch(k, "")
		t.setPatch(k.origin, nil)
		k.origin = nil
		delete(s.lingering, k)
		delete(t.stale, k)
		delete(t.suspects, k)
	}
}

// set puts a patch, or Consul's own form, in force; for a form in quarantine,
// something else.
func (s *session) set(t *typeState, k *known, patch *Patch, made *form) {
	o := k.origin
	t.setPatch(o, patch)
	o.setFinal(final{})
	if patch != nil {
		o.setFinal(o.in(made))
		if o.now().quarantine[made.hash] {
			s.standIn(t, k)
			return
		}
	}
	if o.ours != nil {
		// A form that is another now ends the quarantine.
		o.ours.standsIn, o.ours.quarantine = false, nil
	}
	if r, ok := t.rejected[k.name.String()]; ok && r.ours() {
		delete(t.rejected, k.name.String())
	}
}

// setPatch notes which patch stands in a resource's place; nil for none. Of it only
// what is needed later is kept.
func (t *typeState) setPatch(o *origin, patch *Patch) {
	if o.ours != nil && o.ours.patched {
		t.patched--
		o.ours.patched, o.ours.transit, o.ours.behind = false, false, false
	}
	if patch != nil {
		t.patched++
		p := o.place()
		p.patched, p.transit, p.behind = true, patch.Transit, patch.Behind
		p.service, p.path = p.service.to(patch.Service), p.path.to(patch.Path)
	}
}

// deliver sends Envoy the resources of a response of Consul's in the form it is to
// have them, leaving out what it has already.
func (s *session) deliver(t *typeState, resp *response) {
	s.pass(resp, resp.only(func(res *resource) bool {
		k := res.known
		if k == nil {
			k = s.know(t, res.name)
		}
		if o := k.origin; o != nil && o.final().form != nil {
			*res = o.finally(k.name)
		}
		res.known = k
		return t.due(res)
	}))
}

// pushAll sends Envoy what changed without a word from Consul: clusters before listeners
// and routes, which may lead to them, but for clusters that are to go behind those. If
// there are both kinds all go first: Envoy may not answer one push as long as it warms a
// cluster of the other.
func (s *session) pushAll() {
	for _, url := range pushOrder {
		s.pushType(s.typed(url), false)
	}
	s.pushType(s.typed(typeCluster), true)
}

func (s *session) pushType(t *typeState, behind bool) {
	s.push(t, behind)
	for s.probe(t) {
		s.push(t, behind)
	}
}

// push sends Envoy the resources of a type whose form changed without a word from
// Consul; those that are to go behind others only if that is now. Not before Envoy has
// asked for listeners: until then what it was given first stays, because an Envoy that
// starts with one form of a cluster and is given the other at once never finishes its
// initialization (1.40.0).
func (s *session) push(t *typeState, behind bool) {
	if len(t.stale) == 0 || !s.live() || t.pushing != "" || !s.listening() {
		return
	}
	why := t.why
	out := &response{typeURL: t.url}
	var later []*known
	for _, k := range t.takeStale() {
		o := k.origin
		if o == nil {
			continue
		}
		res := o.consul.resource()
		s.judge(t, k, &res, false)
		switch o = k.origin; {
		case o == nil:
		case !k.has || o.final().form == nil && !isPatched(k.version.String()): // Consul's alone to send
		case !t.lacks(k, o.final().version):
		case o.now().behind && !behind:
			later = append(later, k)
		default:
			out.resources = append(out.resources, o.finally(k.name))
		}
	}
	for _, k := range later {
		if len(out.resources) > 0 {
			out.resources = append(out.resources, k.origin.finally(k.name))
		} else {
			t.touch(k, why)
		}
	}
	s.watch()
	if len(out.resources) > 0 {
		s.forward(out, "", why)
	}
}

// touch notes that the form of a resource may have changed, or that Envoy may not
// have it.
func (t *typeState) touch(k *known, why cause) {
	if k.origin == nil {
		return
	}
	if len(t.stale) == 0 {
		t.why, t.stale = why, map[*known]bool{}
	}
	t.stale[k] = true
}

// touchAll is touch for all resources.
func (t *typeState) touchAll(why cause) {
	for _, k := range t.known {
		t.touch(k, why)
	}
}

// takeStale are the resources that were touched, sorted by name; none is afterwards.
func (t *typeState) takeStale() []*known {
	touched := make([]*known, 0, len(t.stale))
	for k := range t.stale {
		touched = append(touched, k)
	}
	t.stale = nil
	slices.SortFunc(touched, byName)
	return touched
}
