package registrator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// history is functions that change, the events of that which are under way, and the
// Consul of a registrator that knows of nothing but them.
type history struct {
	functions map[string]Listed // that exist, by name
	events    []string
	consul    model

	wanted map[string]map[lambda.ARN]bool // who ever wanted a service, by folded name
}

// TestEventHistories: whatever happens to functions, and however events of it come
// (twice, late, out of turn, of calls that failed, while AWS does not answer), in the
// end Consul has what a full sync makes of it. With events that are lost it has so after
// the next full sync. Two things depend on what was before, and are left out: which of
// several functions has a service that they wanted, and what a function has whose tags
// are mistaken at the end.
func TestEventHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{functions: map[string]Listed{}, consul: drawOthers(t), wanted: map[string]map[lambda.ARN]bool{}}
		for range rapid.IntRange(0, 3).Draw(t, "functions at first") {
			h.change(t)
		}
		h.events = nil
		h.fullSync(h.consul)
		before := h.consul.clone()
		lossy := rapid.Bool().Draw(t, "lossy")
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				event := h.change(t)
				copies := rapid.IntRange(1, 2).Draw(t, "copies")
				if lossy {
					copies = rapid.IntRange(0, 2).Draw(t, "copies, or none")
				}
				for range copies {
					h.events = append(h.events, event)
				}
			case 2:
				h.events = append(h.events, CloudTrail("DeleteFunction20150331", `{"functionName": "a"}`, `"errorCode": "AccessDenied"`))
			case 3:
				h.deliver(t)
			}
		}
		for len(h.events) > 0 {
			h.deliver(t)
		}
		if lossy {
			h.fullSync(h.consul)
		}
		h.fullSync(before)
		if diff := cmp.Diff(h.settled(before), h.settled(h.consul)); diff != "" {
			t.Fatalf("a full sync, and events (-sync +events):\n%s", diff)
		}
	})
}

// drawOthers draws a Consul in which others may have put things of a function's name.
func drawOthers(t *rapid.T) model {
	m := model{entries: map[string]*Entry{}, instances: map[string][]Instance{}, others: map[string]bool{}, lists: map[entryKey]listEntry{}}
	for _, list := range modelLists {
		m.lists[list.key()] = listEntry{entry: newEntry(list.kind, list.name)}
	}
	switch rapid.IntRange(0, 3).Draw(t, "others have") {
	case 1:
		m.entries["c"] = newEntry("service-defaults", "c").withProtocol("grpc")
	case 2:
		m.instances["c"] = []Instance{{ID: "c", Service: "c", Addressed: true}}
	case 3:
		m.others["c"] = true
	}
	return m
}

// change does something to a function, and is the event of it.
func (h *history) change(t *rapid.T) string {
	name := rapid.SampledFrom([]string{"a", "a-x", "b", "c"}).Draw(t, "function")
	byName, byARN := fmt.Sprintf(`{"functionName": %q}`, name), fmt.Sprintf(`{"resource": %q}`, arnOf(ourAccount, name))
	function, exists := h.functions[name]
	if !exists {
		h.functions[name] = Listed{ARN: arnOf(ourAccount, name), Tags: drawTags(t, name), Timeout: 3 * time.Second}
		h.note()
		return CloudTrail("CreateFunction20150331", byName)
	}
	switch rapid.IntRange(0, 3).Draw(t, "change") {
	case 0:
		delete(h.functions, name)
		return CloudTrail("DeleteFunction20150331", byName)
	case 1:
		function.Timeout += time.Second
		h.functions[name] = function
		return CloudTrail("UpdateFunctionConfiguration20150331v2", byName)
	}
	function.Tags = drawTags(t, name)
	h.functions[name] = function
	h.note()
	return CloudTrail("TagResource20170331v2", byARN)
}

func (h *history) note() {
	for _, function := range h.functions {
		for name, wants := range desire([]Listed{function}, place{datacenter: "dc1"}).Wants {
			if h.wanted[name] == nil {
				h.wanted[name] = map[lambda.ARN]bool{}
			}
			for _, want := range wants {
				h.wanted[name][want.Function.ARN] = true
			}
		}
	}
}

// deliver hands any of the events over. It stays if AWS does not answer.
func (h *history) deliver(t *rapid.T) {
	if len(h.events) == 0 {
		return
	}
	i := rapid.IntRange(0, len(h.events)-1).Draw(t, "event")
	event, err := ParseEvent([]byte(h.events[i]))
	if err != nil {
		t.Fatal(err)
	}
	if event.Kind == EventLook && rapid.IntRange(0, 4).Draw(t, "AWS does not answer, by 4") == 4 {
		h.consul.carryOut(h.plan(h.consul, Listing{Scope: Scope{}, Only: map[lambda.ARN]bool{}}))
		return
	}
	h.events = slices.Delete(h.events, i, i+1)
	listing := Listing{Scope: h.scope(), Only: map[lambda.ARN]bool{}}
	for _, arn := range event.Functions {
		listing.Only[arn] = true
		if function, exists := h.functions[arn.Name]; exists {
			listing.Functions = append(listing.Functions, function)
		}
	}
	h.consul.carryOut(h.plan(h.consul, listing))
}

func (h *history) fullSync(m model) {
	listing := Listing{Scope: h.scope()}
	for _, function := range h.functions {
		listing.Functions = append(listing.Functions, function)
	}
	listing.sort()
	m.carryOut(h.plan(m, listing))
}

func (h *history) scope() Scope { return Scope{{Account: ourAccount, Region: "us-east-1"}: true} }

func (h *history) plan(m model, listing Listing) Plan {
	return MakePlan(Input{
		Current: m.current(false), Desired: desire(listing.Functions, place{datacenter: "dc1"}),
		Scope: listing.Scope, Only: listing.Only, Lists: modelLists,
	})
}

func (m model) clone() model {
	return model{maps.Clone(m.entries), maps.Clone(m.instances), maps.Clone(m.others), maps.Clone(m.lists)}
}

// settled is what a Consul says of services that depend on what is now alone.
func (h *history) settled(m model) map[string]string {
	said := map[string]string{}
	for _, name := range []string{"a", "a-x", "b", "c", "a-x-x", "b-x", "c-x"} {
		held := false
		for arn := range h.wanted[name] {
			function, exists := h.functions[arn.Name]
			held = held || exists && len(desire([]Listed{function}, place{datacenter: "dc1"}).Held) > 0
		}
		if held || len(h.wanted[name]) > 1 {
			continue
		}
		said["entry of "+name] = text(m.entries[name])
		said["services of "+name] = text(m.instances[name])
		for _, list := range modelLists {
			said[list.String()+" lists "+name] = fmt.Sprint(list.has(m.lists[list.key()].lines, name))
		}
	}
	return said
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
