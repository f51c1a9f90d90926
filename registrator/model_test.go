package registrator

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// model is a Consul that does what it is told.
type model struct {
	entries   map[string]*Entry
	instances map[string][]Instance
	others    map[string]bool
	lists     map[entryKey]listEntry
}

func (m model) current(hidden bool) Current {
	c := Current{Entries: maps.Clone(m.entries), Instances: maps.Clone(m.instances), OnOtherNodes: m.others, CatalogHidden: hidden, Lists: maps.Clone(m.lists)}
	if hidden {
		c.Instances, c.OnOtherNodes = nil, map[string]bool{}
	}
	return c
}

// carryOut makes the changes, as Consul keeps them: entries and services by
// folded name and id.
func (m model) carryOut(plan Plan) {
	for _, change := range plan.Changes {
		for _, edit := range change.lists {
			there := m.lists[edit.list.key()]
			if edit.remove {
				there.lines = edit.list.remove(there.lines, change.Service)
			} else {
				there.lines = edit.list.add(there.lines, change.Service)
			}
			m.lists[edit.list.key()] = there
		}
		if w := change.entry; w != nil {
			if w.delete {
				delete(m.entries, fold(w.entry.Name))
			} else {
				m.entries[fold(w.entry.Name)] = w.entry
			}
		}
		if w := change.instance; w != nil {
			name := fold(w.instance.Service)
			rest := slices.DeleteFunc(slices.Clone(m.instances[name]), func(i Instance) bool { return fold(i.ID) == fold(w.instance.ID) })
			if !w.delete {
				rest = append(rest, w.instance)
			}
			m.instances[name] = rest
			if len(rest) == 0 {
				delete(m.instances, name)
			}
		}
	}
}

// drawModel draws a Consul in which anybody may have written anything.
func drawModel(t *rapid.T) model {
	m := model{entries: map[string]*Entry{}, instances: map[string][]Instance{}, others: map[string]bool{}, lists: map[entryKey]listEntry{}}
	for _, list := range modelLists {
		there := listEntry{entry: newEntry(list.kind, list.name)}
		for _, name := range []string{"a", "b", "c", "somebodys"} {
			if rapid.IntRange(0, 2).Draw(t, list.String()+" lists "+name) == 0 {
				there.lines = list.add(there.lines, name)
			}
		}
		m.lists[list.key()] = there
	}
	for _, name := range []string{"a", "a-x", "b", "c"} {
		if rapid.Bool().Draw(t, "entry of "+name) {
			e := newEntry("service-defaults", name)
			e.ModifyIndex = 5
			if protocol := rapid.SampledFrom([]string{"", "http", "grpc"}).Draw(t, "protocol"); protocol != "" {
				e = e.withProtocol(protocol)
			}
			meta := map[string]string{}
			if rapid.Bool().Draw(t, "ours") {
				meta[lambda.Mark] = "true"
			}
			if arn := drawARN(t, name); arn != "" {
				meta[lambda.Prefix+lambda.KeyARN] = arn
			}
			if rapid.Bool().Draw(t, "more Meta") {
				meta["team"] = "a"
			}
			if rapid.Bool().Draw(t, "line of ours") {
				meta[listedIn] = modelLists[0].String()
			}
			if rapid.IntRange(0, 3).Draw(t, "extension") == 0 {
				arn, _ := lambda.ParseARN(drawARN(t, name))
				e = e.clone()
				e.set("EnvoyExtensions", lambdaExtensions(arn))
			}
			if rapid.Bool().Draw(t, "more fields") {
				e = e.clone()
				e.set("ExternalSNI", "sni")
			}
			m.entries[name] = e.withMeta(meta)
		}
		for _, id := range []string{name, name + "-2"} {
			if rapid.IntRange(0, 3).Draw(t, "service "+id) > 0 {
				continue
			}
			i := Instance{ID: id, Service: name, Addressed: rapid.Bool().Draw(t, "addressed"), Meta: map[string]string{}}
			if rapid.Bool().Draw(t, "marked") {
				i.Tags = []string{lambda.Mark}
			}
			if arn := drawARN(t, name); arn != "" {
				i.Meta[instanceARN] = arn
			}
			m.instances[name] = append(m.instances[name], i)
		}
		if len(m.instances[name]) == 0 && rapid.IntRange(0, 4).Draw(t, "elsewhere") == 0 {
			m.others[name] = true
		}
	}
	return m
}

// modelLists are the lists that the model has.
var modelLists = []List{GatewayList("gw"), ExportList("peer:east")}

func drawARN(t *rapid.T, name string) string {
	return rapid.SampledFrom([]string{
		"", "nonsense",
		arnOf(ourAccount, name).String(), arnOf(theirAccount, name).String(),
		arnOf(ourAccount, "a").WithQualifier("x").String(), arnOf(ourAccount, "c").String(),
	}).Draw(t, "arn")
}

func drawFunctions(t *rapid.T) []Listed {
	var all []Listed
	for _, name := range []string{"a", "a-x", "b", "c"} {
		all = append(all, Listed{ARN: arnOf(ourAccount, name), Tags: drawTags(t, name), TimeoutUnknown: rapid.Bool().Draw(t, "timeout unknown")})
	}
	return all
}

func drawTags(t *rapid.T, name string) map[string]string {
	return rapid.SampledFrom([]map[string]string{
		nil,
		{"team": "a"},
		Enabled(), Enabled(), Enabled("aliases", "x"), Enabled("retries", "3"),
		Enabled("retries", "wrong"), Enabled("namespace", "n"), Enabled("datacenter", "dc2"),
		{lambda.Prefix + "enabled": "false"},
	}).Draw(t, "tags of "+name)
}

func TestPlanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		functions := drawFunctions(t)
		keep := rapid.Bool().Draw(t, "keep extensions")
		hidden := rapid.IntRange(0, 3).Draw(t, "hidden") == 0
		input := func(reregister bool) Input {
			return Input{
				Current: m.current(hidden), Desired: desire(functions, place{datacenter: "dc1"}), Reregister: reregister,
				Scope: Scope{{Account: ourAccount, Region: "us-east-1"}: true},
				Lists: modelLists, KeepExtensions: keep,
				Adopt: rapid.Bool().Draw(t, "adopt"), Federated: rapid.Bool().Draw(t, "federated"),
			}
		}
		in := input(true)
		before := fmt.Sprint(in)
		plan := MakePlan(in)
		if after := fmt.Sprint(in); after != before {
			t.Fatalf("the plan changed its input from\n%s to\n%s", before, after)
		}
		for _, change := range plan.Changes {
			checkChange(t, m, in, change)
		}
		m.carryOut(plan)
		in.Current, in.Reregister = m.current(hidden), false
		for _, change := range MakePlan(in).Changes {
			if change.Kind != KindConflict {
				t.Fatalf("after the plan\n%v\nthere is still %s %s: %s", plan.Changes, change.Kind, change.Service, change.Reason)
			}
		}
	})
}

// checkChange holds what must be true of every change whatever the input.
func checkChange(t *rapid.T, m model, in Input, change Change) {
	name := fold(change.Service)
	entry := m.entries[name]
	inScope := func(arn lambda.ARN) bool {
		_, held := in.Desired.Held[arn.Unqualified()]
		return !arn.IsZero() && in.Scope.Contains(arn) && !held
	}
	if w := change.entry; w != nil {
		if entry != nil && w.entry.ModifyIndex != 5 || entry == nil && w.entry.ModifyIndex != 0 {
			t.Fatalf("%s: CAS on index %d", change.Service, w.entry.ModifyIndex)
		}
		if w.delete && (!entry.marked() || !inScope(entry.arn()) || !entry.withoutExtension(entry.arn()).madeForUs()) {
			t.Fatalf("%s: an entry that is not ours is deleted", change.Service)
		}
		if entry != nil && !w.delete && (entry.Meta["team"] != w.entry.Meta["team"] || string(entry.fields["ExternalSNI"]) != string(w.entry.fields["ExternalSNI"])) {
			t.Fatalf("%s: what others put into the entry is lost", change.Service)
		}
	}
	for _, i := range m.instances[name] {
		w := change.instance
		if w == nil || fold(w.instance.ID) != fold(i.ID) || in.Current.CatalogHidden {
			continue
		}
		if w.delete && (!i.marked() || !inScope(ownerOf(entry, &i))) {
			t.Fatalf("%s: a service that is not ours is deregistered", change.Service)
		}
		if !w.delete && !i.marked() && change.Kind != KindAdopt && !entry.marked() {
			t.Fatalf("%s: a service that is not ours is replaced", change.Service)
		}
	}
	for _, edit := range change.lists {
		listed := entry.listed()
		if edit.remove && (change.Kind != KindDelete || !slices.Contains(listed, edit.list.String())) {
			t.Fatalf("%s: a line in %s that is not ours is taken out", change.Service, edit.list)
		}
		if !edit.remove && (change.entry == nil && !slices.Contains(listed, edit.list.String()) ||
			change.entry != nil && !slices.Contains(change.entry.entry.listed(), edit.list.String())) {
			t.Fatalf("%s: nothing says that the line in %s is ours", change.Service, edit.list)
		}
	}
	if change.Kind == KindDelete && !inScope(change.confirm) {
		t.Fatalf("%s: the deletion has nothing to be confirmed", change.Service)
	}
	if change.Kind == KindConflict && (change.entry != nil || change.instance != nil) {
		t.Fatalf("%s: a conflict writes", change.Service)
	}
	if change.Kind != KindConflict && change.entry == nil && change.instance == nil && len(change.lists) == 0 {
		t.Fatalf("%s: %s does nothing", change.Service, change.Kind)
	}
}
