package registrator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	ourAccount   = "123456789012"
	theirAccount = "210987654321"
)

func arnOf(account, name string) lambda.ARN {
	return lambda.ARN{Partition: "aws", Region: "us-east-1", Account: account, Name: name}
}

// entryWith is an entry as Consul sends it, with these further fields.
func entryWith(t testing.TB, name string, fields map[string]any) *Entry {
	t.Helper()
	all := map[string]any{"Kind": "service-defaults", "Name": name, "ModifyIndex": 7, "Expose": map[string]any{}}
	for key, value := range fields {
		all[key] = value
	}
	encoded, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	entry := new(Entry)
	if err := json.Unmarshal(encoded, entry); err != nil {
		t.Fatal(err)
	}
	return entry
}

// ourEntry is the entry that we would make of a function.
func ourEntry(t testing.TB, name string, arn lambda.ARN, more ...string) *Entry {
	t.Helper()
	meta := lambda.Function{ARN: arn}.Meta()
	meta[lambda.Mark] = "true"
	for i := 0; i+1 < len(more); i += 2 {
		meta[more[i]] = more[i+1]
	}
	return entryWith(t, name, map[string]any{"Protocol": "http", "Meta": meta})
}

// lambdaExtensions are Consul's own extension for each of the functions.
func lambdaExtensions(arns ...lambda.ARN) []any {
	var all []any
	for _, arn := range arns {
		all = append(all, map[string]any{"Name": lambda.ExtensionName, "Arguments": map[string]any{"ARN": arn.String()}})
	}
	return all
}

// extended is an entry as Consul's own registrator makes it.
func extended(t testing.TB, name string, arns ...lambda.ARN) *Entry {
	t.Helper()
	return entryWith(t, name, map[string]any{"Protocol": "http", "EnvoyExtensions": lambdaExtensions(arns...)})
}

// ourInstance is the service that we would make of a function.
func ourInstance(name string, arn lambda.ARN) Instance {
	return newInstance(Want{Service: name, Function: lambda.Function{ARN: arn}})
}

// scenario builds an Input; everything is in scope of ourAccount in us-east-1.
type scenario struct {
	testing.TB
	Input
}

func newScenario(t testing.TB) *scenario {
	return &scenario{TB: t, Input: Input{
		Current: Current{Entries: map[string]*Entry{}, Instances: map[string][]Instance{}, OnOtherNodes: map[string]bool{}},
		Desired: desire(nil, place{datacenter: "dc1"}),
		Scope:   Scope{{Account: ourAccount, Region: "us-east-1"}: true},
	}}
}

func (s *scenario) entry(e *Entry) *scenario {
	s.Current.Entries[fold(e.Name)] = e
	return s
}

func (s *scenario) instance(i Instance) *scenario {
	s.Current.Instances[fold(i.Service)] = append(s.Current.Instances[fold(i.Service)], i)
	return s
}

// kept has both, as we make them.
func (s *scenario) kept(name string, arn lambda.ARN) *scenario {
	return s.entry(ourEntry(s, name, arn)).instance(ourInstance(name, arn))
}

func (s *scenario) tagged(functions ...Listed) *scenario {
	s.Desired = desire(functions, place{datacenter: "dc1"})
	return s
}

func function(name string, more ...string) Listed {
	return Listed{ARN: arnOf(ourAccount, name), Tags: Enabled(more...)}
}

func TestPlan(t *testing.T) {
	ours := arnOf(ourAccount, "f")
	theirs := arnOf(theirAccount, "f")
	elsewhere := ours
	elsewhere.Region = "eu-west-1"
	hand := map[string]any{"Protocol": "http", "Meta": map[string]string{lambda.Prefix + "arn": ours.String(), lambda.Prefix + "enabled": "true"}}
	timeout := lambda.Prefix + lambda.KeyTimeout
	for _, test := range []struct {
		name string
		in   func(*scenario)
		want string // "KIND SERVICE: REASON" and "skip FUNCTION: REASON", a line each; … is anything
	}{
		{"nothing", func(s *scenario) {}, ""},
		{"new", func(s *scenario) { s.tagged(function("f")) }, "create f: " + ours.String() + " is tagged"},
		{"as it should be", func(s *scenario) { s.kept("f", ours).tagged(function("f")) }, ""},
		{"entry missing", func(s *scenario) { s.instance(ourInstance("f", ours)).tagged(function("f")) }, "update f: it has no service-defaults entry"},
		{"service missing", func(s *scenario) { s.entry(ourEntry(t, "f", ours)).tagged(function("f")) }, "update f: the service is not registered"},
		{"setting changed", func(s *scenario) { s.kept("f", ours).tagged(function("f", "retries", "2")) }, "update f: Meta differs: retries"},
		{"setting taken away", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours, lambda.Prefix+"retries", "2")).instance(ourInstance("f", ours)).tagged(function("f"))
		}, "update f: Meta differs: retries"},
		{"timeout read", func(s *scenario) {
			f := function("f")
			f.Timeout = 30 * time.Second
			s.kept("f", ours).tagged(f)
		}, "update f: Meta differs: timeout"},
		{"timeout not known stays", func(s *scenario) {
			f := function("f")
			f.TimeoutUnknown = true
			s.entry(ourEntry(t, "f", ours, timeout, "30")).instance(ourInstance("f", ours)).tagged(f)
		}, ""},
		{"timeout tag goes first", func(s *scenario) {
			f := function("f", "timeout", "5")
			f.Timeout = 30 * time.Second
			s.entry(ourEntry(t, "f", ours, timeout, "5")).instance(ourInstance("f", ours)).tagged(f)
		}, ""},
		{"other people's Meta", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours, "team", "a")).instance(ourInstance("f", ours)).tagged(function("f"))
		}, ""},
		{"untagged", func(s *scenario) { s.kept("f", ours) }, "delete f: " + ours.String() + " is not tagged for it any more"},
		{"untagged with more in its entry", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours, "team", "a")).instance(ourInstance("f", ours))
		}, "delete f: " + ours.String() + " is not tagged for it any more; what others put into its service-defaults entry stays"},
		{"untagged, entry gone", func(s *scenario) { s.instance(ourInstance("f", ours)) }, "delete f: …"},
		{"untagged, service gone", func(s *scenario) { s.entry(ourEntry(t, "f", ours)) }, "delete f: …"},
		{"of another account", func(s *scenario) { s.kept("f", theirs) }, ""},
		{"of another region", func(s *scenario) { s.kept("f", elsewhere) }, ""},
		{"service of another account without its entry", func(s *scenario) { s.instance(ourInstance("f", theirs)) }, ""},
		{"led astray to another account", func(s *scenario) { s.kept("f", ours).entry(ourEntry(t, "f", theirs)).tagged(function("f")) }, "update f: Meta differs: arn"},
		{"led astray, and not tagged any more", func(s *scenario) { s.kept("f", ours).entry(ourEntry(t, "f", theirs)) }, ""},
		{"taken by another account", func(s *scenario) { s.kept("f", theirs).tagged(function("f")) }, "conflict f: it belongs to " + theirs.String() + ", which lies in an account or region that this run did not read"},
		{"entry without a readable ARN", func(s *scenario) { s.entry(ourEntry(t, "f", ours, lambda.Prefix+"arn", "arn:what")) }, "skip f: …"},
		{"service without a readable ARN", func(s *scenario) {
			s.instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}})
		}, "skip f: …"},
		{"mistaken tags", func(s *scenario) { s.kept("f", ours).tagged(function("f", "enabled", "yes")) }, "skip " + ours.String() + ": …"},
		{"mistaken tags of an alias", func(s *scenario) {
			s.kept("f-a", ours.WithQualifier("a")).tagged(function("f", "aliases", "a b"))
		}, "skip " + ours.String() + ": …"},
		{"alias", func(s *scenario) { s.kept("f", ours).tagged(function("f", "aliases", "a")) }, "create f-a: " + ours.String() + ":a is tagged"},
		{"alias gone", func(s *scenario) { s.kept("f", ours).kept("f-a", ours.WithQualifier("a")).tagged(function("f")) }, "delete f-a: …"},
		{"Enterprise", func(s *scenario) { s.kept("f", ours).tagged(function("f", "partition", "p")) }, "skip " + ours.String() + ": …"},
		{"default namespace", func(s *scenario) { s.kept("f", ours).tagged(function("f", "namespace", "default")) }, ""},
		{"our datacenter", func(s *scenario) { s.kept("f", ours).tagged(function("f", "datacenter", "dc1")) }, ""},
		{"another datacenter", func(s *scenario) { s.kept("f", ours).tagged(function("f", "datacenter", "dc2")) }, "delete f: …\nskip " + ours.String() + ": it is tagged for datacenter dc2, this is dc1"},
		{"another datacenter of ours", func(s *scenario) {
			s.kept("f", ours).tagged(function("f", "datacenter", "dc2"))
			s.Federated = true
		}, "delete f: " + ours.String() + " is tagged for another datacenter; the service-defaults entry stays\nskip …"},
		{"another datacenter has its entry", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours)).tagged(function("f", "datacenter", "dc2"))
			s.Federated = true
		}, "skip …"},
		{"datacenter not known", func(s *scenario) {
			s.kept("f", ours)
			s.Desired = desire([]Listed{function("f", "datacenter", "dc2")}, place{})
		}, "skip …"},
		{"foreign entry", func(s *scenario) { s.entry(entryWith(t, "f", nil)).tagged(function("f")) }, "conflict f: its service-defaults entry was made by somebody else"},
		{"foreign entry, unwanted", func(s *scenario) { s.entry(entryWith(t, "f", hand)) }, ""},
		{"by hand", func(s *scenario) { s.entry(entryWith(t, "f", hand)).tagged(function("f")) }, "conflict f: its service-defaults entry was written by hand for this function; --adopt takes it over"},
		{"by hand, adopted", func(s *scenario) {
			s.entry(entryWith(t, "f", hand)).instance(Instance{ID: "f", Service: "f"}).tagged(function("f"))
			s.Adopt = true
		}, "adopt f: …"},
		{"by hand with an address", func(s *scenario) {
			s.entry(entryWith(t, "f", hand)).instance(Instance{ID: "f", Service: "f", Addressed: true}).tagged(function("f"))
			s.Adopt = true
		}, "conflict f: a service of this name that is not ours is registered"},
		{"by hand for another function", func(s *scenario) {
			s.entry(entryWith(t, "g", hand)).tagged(function("g"))
			s.Adopt = true
		}, "conflict g: its service-defaults entry was made by somebody else for " + ours.String()},
		{"Consul's extension", func(s *scenario) {
			s.entry(entryWith(t, "f", map[string]any{"EnvoyExtensions": []any{map[string]any{"Name": "builtin/aws/lambda"}}})).tagged(function("f"))
			s.Adopt = true
		}, "conflict f: …builtin/aws/lambda…"},
		{"Consul's registrator", func(s *scenario) {
			s.entry(extended(t, "f", ours)).instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}}).tagged(function("f"))
		}, "adopt f: …; Consul's own Lambda extension is taken out; …"},
		{"Consul's registrator, extension kept", func(s *scenario) {
			s.entry(extended(t, "f", ours)).instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}}).tagged(function("f"))
			s.KeepExtensions = true
		}, "adopt f: Meta differs: arn, enabled, managed-by-lambda-registrator, region; the service's tags, Meta or address differ"},
		{"Consul's registrator, catalog hidden", func(s *scenario) {
			s.entry(extended(t, "f", ours)).tagged(function("f"))
			s.Current.CatalogHidden = true
		}, "adopt f: …"},
		{"Consul's registrator for another function", func(s *scenario) {
			s.entry(extended(t, "f", theirs)).instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}}).tagged(function("f"))
		}, "conflict f: …not for this function alone"},
		{"Consul's registrator with another extension", func(s *scenario) {
			s.entry(extended(t, "f", ours, ours)).instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}}).tagged(function("f"))
		}, "conflict f: …not for this function alone"},
		{"Consul's registrator, untagged", func(s *scenario) {
			s.entry(extended(t, "f", ours)).instance(Instance{ID: "f", Service: "f", Tags: []string{lambda.Mark}})
		}, "skip f: …"},
		{"Consul's extension by hand", func(s *scenario) {
			s.entry(extended(t, "f", ours)).instance(Instance{ID: "f", Service: "f"}).tagged(function("f"))
		}, "conflict f: …--adopt takes it over"},
		{"Consul's extension by hand, adopted", func(s *scenario) {
			s.entry(extended(t, "f", ours)).instance(Instance{ID: "f", Service: "f"}).tagged(function("f"))
			s.Adopt = true
		}, "adopt f: …"},
		{"extension in our entry", func(s *scenario) {
			s.entry(entryWith(t, "f", map[string]any{"Protocol": "http", "Meta": ourEntry(t, "f", ours).Meta, "EnvoyExtensions": lambdaExtensions(ours)}))
			s.instance(ourInstance("f", ours)).tagged(function("f"))
		}, "update f: Consul's own Lambda extension is taken out"},
		{"a name of Consul's own", func(s *scenario) { s.tagged(function("Consul")) }, "skip " + arnOf(ourAccount, "Consul").String() + ": …Consul's own servers"},
		{"a name too long", func(s *scenario) {
			s.tagged(function(strings.Repeat("f", 64), "aliases", strings.Repeat("a", 128)))
		}, "create …\nskip …: service …cannot be called: its name in TLS would have 258 characters, of at most 255"},
		{"the longest name", func(s *scenario) {
			s.tagged(function(strings.Repeat("f", 61), "aliases", strings.Repeat("a", 128)))
		}, "create …\ncreate …"},
		{"foreign service on our node", func(s *scenario) {
			s.instance(Instance{ID: "f", Service: "f"}).tagged(function("f"))
		}, "conflict f: a service of this name that is not ours is registered"},
		{"foreign service of another id", func(s *scenario) {
			s.kept("f", ours).instance(Instance{ID: "f-2", Service: "f", Addressed: true}).tagged(function("f"))
		}, "conflict f: a service of this name that is not ours is registered"},
		{"foreign service on another node", func(s *scenario) {
			s.tagged(function("f"))
			s.Current.OnOtherNodes["f"] = true
		}, "conflict f: a service of this name that is not ours is registered"},
		{"entry that differs in case", func(s *scenario) { s.entry(ourEntry(t, "F", ours)).tagged(function("f")) }, "conflict f: …case"},
		{
			"two functions, one service", func(s *scenario) { s.tagged(function("f-a"), function("f", "aliases", "a")) },
			"create f: …\nconflict f-a: several functions want this service: …; none gets it\nskip …\nskip …",
		},
		{"two functions, one has it", func(s *scenario) {
			s.kept("f-a", arnOf(ourAccount, "f-a")).kept("f", ours).tagged(function("f-a"), function("f", "aliases", "a"))
		}, "conflict f-a: several functions want this service: …; " + arnOf(ourAccount, "f-a").String() + " has it and keeps it\nskip " + ours.String() + ":a: another function has, or wants, service f-a"},
		{"names that differ in case", func(s *scenario) { s.tagged(function("F"), function("f")) }, "conflict F: …\nskip …\nskip …"},
		{"protocol gone", func(s *scenario) {
			s.entry(entryWith(t, "f", map[string]any{"Meta": ourEntry(t, "f", ours).Meta})).instance(ourInstance("f", ours)).tagged(function("f"))
		}, "update f: its protocol is not http"},
		{"protocol from proxy-defaults", func(s *scenario) {
			s.entry(entryWith(t, "f", map[string]any{"Meta": ourEntry(t, "f", ours).Meta})).instance(ourInstance("f", ours)).tagged(function("f"))
			s.Current.HTTPDefault = true
		}, ""},
		{"an operator's protocol", func(s *scenario) {
			s.entry(entryWith(t, "f", map[string]any{"Protocol": "tcp", "Meta": ourEntry(t, "f", ours).Meta})).instance(ourInstance("f", ours)).tagged(function("f"))
		}, ""},
		{"catalog hidden", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours)).tagged(function("f"))
			s.Current.CatalogHidden = true
		}, ""},
		{"catalog hidden, at start", func(s *scenario) {
			s.entry(ourEntry(t, "f", ours)).tagged(function("f"))
			s.Current.CatalogHidden, s.Reregister = true, true
		}, "update f: the catalog cannot be read back, so the service is registered in any case"},
		{"catalog hidden, untagged", func(s *scenario) { s.entry(ourEntry(t, "f", ours)); s.Current.CatalogHidden = true }, "delete f: …"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScenario(t)
			test.in(s)
			matchLines(t, test.want, MakePlan(s.Input))
		})
	}
}

// matchLines compares a plan with lines in which … stands for anything.
func matchLines(t *testing.T, want string, plan Plan) {
	t.Helper()
	var got []string
	for _, c := range plan.Changes {
		got = append(got, fmt.Sprintf("%s %s: %s", c.Kind, c.Service, c.Reason))
	}
	for _, s := range plan.Skipped {
		got = append(got, fmt.Sprintf("skip %s: %s", s.Function, s.Reason))
	}
	var lines []string
	if want != "" {
		lines = strings.Split(want, "\n")
	}
	for i := range lines {
		if i < len(got) && matches(lines[i], got[i]) {
			got[i] = lines[i]
		}
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "…")
	if !strings.HasPrefix(s, parts[0]) || !strings.HasSuffix(s, parts[len(parts)-1]) {
		return false
	}
	for _, part := range parts {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// examplePlan has every kind of change.
func examplePlan(t testing.TB) Plan {
	s := newScenario(t)
	s.kept("gone", arnOf(ourAccount, "gone"))
	s.kept("changed", arnOf(ourAccount, "changed"))
	s.entry(entryWith(t, "by-hand", map[string]any{"Protocol": "http", "Meta": lambda.Function{ARN: arnOf(ourAccount, "by-hand")}.Meta()}))
	s.entry(entryWith(t, "somebodys", nil))
	s.Adopt = true
	s.tagged(function("new", "aliases", "live"), function("changed", "retries", "1"), function("by-hand"), function("somebodys"), function("mistaken", "enabled", "maybe"))
	return MakePlan(s.Input)
}

func TestPlanOutput(t *testing.T) {
	for name, write := range map[string]func(Plan, *bytes.Buffer) error{
		"plan.json":       func(p Plan, b *bytes.Buffer) error { return p.WriteJSON(b) },
		"plan.txt":        func(p Plan, b *bytes.Buffer) error { return p.WriteTable(b) },
		"plan-empty.json": func(_ Plan, b *bytes.Buffer) error { return Plan{}.WriteJSON(b) },
		"plan-empty.txt":  func(_ Plan, b *bytes.Buffer) error { return Plan{}.WriteTable(b) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(examplePlan(t), &got); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, filepath.Join("testdata", name), got.Bytes())
		})
	}
}

func TestGuard(t *testing.T) {
	for _, test := range []struct {
		deletes, owned int
		ratio          float64
		stops          bool
	}{
		{10, 10, 0.5, false}, // a small installation may go as a whole
		{11, 22, 0.5, false},
		{11, 21, 0.5, true},
		{11, 11, 1, false},
		{500, 1000, 0.5, false},
		{501, 1000, 0.5, true},
	} {
		at := areaOf(arnOf(ourAccount, "f"))
		elsewhere := areaOf(arnOf(theirAccount, "f"))
		plan := Plan{owned: map[Area]int{at: test.owned, elsewhere: 10_000}}
		for range test.deletes {
			plan.Changes = append(plan.Changes, Change{Kind: KindDelete, confirm: arnOf(ourAccount, "f")})
		}
		if err := guard(plan, test.ratio); (err != nil) != test.stops {
			t.Errorf("%d of %d at %g: %v", test.deletes, test.owned, test.ratio, err)
		}
	}
}
