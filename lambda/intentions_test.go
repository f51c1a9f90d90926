package lambda

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func service(name string) ServiceName { return ParseServiceName(name) }

func TestIntentions(t *testing.T) {
	rule := func(source, destination string, allow bool) Intention {
		return Intention{service(source), service(destination), allow}
	}
	for name, test := range map[string]struct {
		byDefault bool
		all       []Intention
		want      bool // web calls hello
	}{
		"none, deny by default":       {want: false},
		"none, allow by default":      {byDefault: true, want: true},
		"exact":                       {all: []Intention{rule("web", "hello", true)}, want: true},
		"another source":              {all: []Intention{rule("api", "hello", true)}, want: false},
		"another destination":         {all: []Intention{rule("web", "other", true)}, want: false},
		"the destination's case":      {all: []Intention{rule("web", "HELLO", true)}, want: true},
		"the source's case":           {all: []Intention{rule("WEB", "hello", true)}, want: false},
		"denied although by default":  {byDefault: true, all: []Intention{rule("web", "hello", false)}, want: false},
		"all sources":                 {all: []Intention{rule("*", "hello", true)}, want: true},
		"all destinations":            {all: []Intention{rule("web", "*", true)}, want: true},
		"all of both":                 {all: []Intention{rule("*", "*", true)}, want: true},
		"exact before all sources":    {all: []Intention{rule("*", "hello", true), rule("web", "hello", false)}, want: false},
		"destination before source":   {all: []Intention{rule("web", "*", true), rule("*", "hello", false)}, want: false},
		"source before all of both":   {all: []Intention{rule("web", "*", false), rule("*", "*", true)}, want: false},
		"twice, one denies":           {all: []Intention{rule("web", "hello", false), rule("web", "hello", true)}, want: false},
		"another namespace":           {all: []Intention{rule("default/team/web", "hello", true)}, want: false},
		"every namespace":             {all: []Intention{rule("default/*/*", "default/*/*", true)}, want: true},
		"namespace before namespaces": {all: []Intention{rule("default/*/*", "hello", true), rule("*", "hello", false)}, want: false},
	} {
		if got := NewIntentions(test.byDefault, test.all...).Allow(service("web"), service("hello")); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	var unknown *Intentions
	if unknown.Allow(service("web"), service("hello")) {
		t.Error("unknown intentions allow a call")
	}
}

// Of a change of intentions only those services speak that it is about.
func TestTableSinceIntentions(t *testing.T) {
	table := NewTable(Service{Name: service("a")}, Service{Name: service("B")}, Service{Name: service("default/team/c")})
	rule := func(source, destination string) Intention {
		return Intention{service(source), service(destination), true}
	}
	none, a := NewIntentions(false), NewIntentions(false, rule("web", "a"))
	for name, test := range map[string]struct {
		before, after *Intentions
		want          []string
	}{
		"neither known":       {nil, nil, nil},
		"now known":           {nil, none, []string{"B", "a", "default/team/c"}},
		"the same, read anew": {a, NewIntentions(false, rule("web", "a")), nil},
		"one comes":           {none, a, []string{"a"}},
		"one goes":            {a, none, []string{"a"}},
		"another source":      {a, NewIntentions(false, rule("api", "a")), []string{"a"}},
		"in another case":     {none, NewIntentions(false, rule("web", "b")), []string{"B"}},
		"of a namespace":      {none, NewIntentions(false, rule("web", "default/team/*")), []string{"default/team/c"}},
		"of all namespaces":   {none, NewIntentions(false, rule("web", "default/*/*")), []string{"B", "a", "default/team/c"}},
		"the default":         {none, NewIntentions(true), []string{"B", "a", "default/team/c"}},
		"of nobody here":      {none, NewIntentions(false, rule("web", "d")), nil},
	} {
		var got []string
		before, after := table.WithIntentions(test.before), table.WithIntentions(test.after)
		for _, n := range after.Since(before) {
			got = append(got, n.String())
		}
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if after.Same(before) != (test.want == nil) {
			t.Errorf("%s: same = %t", name, after.Same(before))
		}
	}
	if with := table.WithIntentions(a).WithGateways("10.0.0.1:1"); with.Intentions() != a || !with.IsGateway("10.0.0.1:1") {
		t.Error("a Table with gateways has lost its intentions")
	}
}
