package lambda

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServiceName(t *testing.T) {
	plain := NewServiceName("hello", "", "")
	if plain != NewServiceName("hello", "default", "default") {
		t.Errorf("empty and default differ: %+v", plain)
	}
	if got := plain.String(); got != "hello" {
		t.Errorf("String = %q", got)
	}
	if got := NewServiceName("hello", "team", "").String(); got != "default/team/hello" {
		t.Errorf("String = %q", got)
	}
	for _, name := range []string{"hello", "a/b", "default/default/hello", "a/b/c/d", "/", ""} {
		for _, space := range []string{"", "team"} {
			want := NewServiceName(name, space, "")
			if got := ParseServiceName(want.String()); got != want {
				t.Errorf("%+v came back as %+v", want, got)
			}
		}
	}
	names := []ServiceName{
		NewServiceName("a", "z", "p"), NewServiceName("b", "", ""), NewServiceName("a", "", ""), NewServiceName("a", "a", ""),
	}
	slices.SortFunc(names, ServiceName.Compare)
	var got []string
	for _, n := range names {
		got = append(got, n.String())
	}
	if diff := cmp.Diff([]string{"default/a/a", "a", "b", "p/z/a"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	hello, team := NewServiceName("hello", "", ""), NewServiceName("hello", "team", "")
	table := NewTable(
		Service{Name: team, State: StateDisabled},
		Service{Name: hello, State: StateError},
		Service{Name: hello, State: StateOK, Fronted: true},
	)
	if got := table.Len(); got != 2 {
		t.Errorf("Len = %d, want 2", got)
	}
	if got := table.Lookup(hello); got == nil || got.State != StateOK || !got.Fronted {
		t.Errorf("Lookup(hello) = %+v, want the last one given", got)
	}
	if got := table.Lookup(NewServiceName("HELLO", "Team", "")); got == nil || got.State != StateDisabled {
		t.Errorf("Lookup(HELLO in Team) = %+v: Consul takes it for hello in team", got)
	}
	if got := table.Lookup(NewServiceName("other", "", "")); got != nil {
		t.Errorf("Lookup(other) = %+v", got)
	}
	var names []ServiceName
	for _, s := range table.Services() {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]ServiceName{hello, team}, names); diff != "" {
		t.Errorf("Services (-want +got):\n%s", diff)
	}
}

func TestNilTable(t *testing.T) {
	var table *Table
	if table.Len() != 0 || table.Services() != nil || table.Lookup(NewServiceName("hello", "", "")) != nil {
		t.Error("a nil Table is not empty")
	}
}

func TestTableSince(t *testing.T) {
	name := func(n string) ServiceName { return NewServiceName(n, "", "") }
	before := NewTable(
		Service{Name: name("same"), State: StateOK},
		Service{Name: name("other-arn"), State: StateOK, Function: Function{ARN: ARN{Name: "a"}}},
		Service{Name: name("fronted"), State: StateOK},
		Service{Name: name("mistaken"), State: StateError, Errors: []string{"one"}},
		Service{Name: name("gone"), State: StateOK},
		Service{Name: name("delisted"), State: StateOK, Delisted: true},
	).WithGateways("10.0.0.1:8443")
	changed := []Service{
		{Name: name("same"), State: StateOK},
		{Name: name("other-arn"), State: StateOK, Function: Function{ARN: ARN{Name: "b"}}},
		{Name: name("fronted"), State: StateOK, Fronted: true},
		{Name: name("mistaken"), State: StateError, Errors: []string{"another"}},
		{Name: name("new"), State: StateOK},
		{Name: name("delisted"), State: StateOK, Delisted: true},
	}
	names := func(all []ServiceName) []string {
		var names []string
		for _, n := range all {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		return names
	}
	if got := before.Since(before); got != nil || !before.Same(before) {
		t.Errorf("nothing changed, Since = %v", got)
	}
	if before.Same(nil) || before.Same(before.WithGateways()) {
		t.Error("others are the same")
	}
	after := NewTable(changed...).WithGateways("10.0.0.1:8443")
	if diff := cmp.Diff([]string{"fronted", "gone", "mistaken", "new", "other-arn"}, names(after.Since(before))); diff != "" {
		t.Errorf("Since (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"delisted"}, names(after.WithGateways("10.0.0.2:8443").Since(after))); diff != "" {
		t.Errorf("Since gateways moved (-want +got):\n%s", diff)
	}
	if got := names(after.Since(nil)); len(got) != len(changed) {
		t.Errorf("Since no Table = %v", got)
	}
}
