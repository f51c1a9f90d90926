package registrator

import (
	"encoding/json"
	"testing"
)

func TestList(t *testing.T) {
	gateway, peer, partition := GatewayList("g"), ExportList("peer:east"), ExportList("p1")
	team := gateway.in(tenancy{partition: "p1", namespace: "team"})
	for _, test := range []struct {
		name   string
		list   List
		remove bool
		before string
		after  string // of service f
	}{
		{"first", gateway, false, `[]`, `[{"Name":"f"}]`},
		{"others stay as they are", gateway, false, `[{"Name":"a","CAFile":"/ca","New":{"x":1}}]`, `[{"Name":"a","CAFile":"/ca","New":{"x":1}},{"Name":"f"}]`},
		{"listed already", gateway, false, `[{"Name":"F","SNI":"s"}]`, `[{"Name":"F","SNI":"s"}]`},
		{"wildcard", gateway, false, `[{"Name":"*"}]`, `[{"Name":"*"}]`},
		{"out", gateway, true, `[{"Name":"a"},{"Name":"f","Namespace":"default"}]`, `[{"Name":"a"}]`},
		{"out, wildcard stays", gateway, true, `[{"Name":"*"},{"Name":"f"}]`, `[{"Name":"*"}]`},
		{"out, but somebody put more into it", gateway, true, `[{"Name":"f","SNI":"s"}]`, `[{"Name":"f","SNI":"s"}]`},
		{"exported first", peer, false, `[]`, `[{"Name":"f","Consumers":[{"Peer":"east"}]}]`},
		{"exported to others already", peer, false, `[{"Name":"f","Consumers":[{"Peer":"west"}]}]`, `[{"Name":"f","Consumers":[{"Peer":"west"},{"Peer":"east"}]}]`},
		{"all exported to others", peer, false, `[{"Name":"*","Consumers":[{"Peer":"west"}]}]`, `[{"Name":"*","Consumers":[{"Peer":"west"}]},{"Name":"f","Consumers":[{"Peer":"east"}]}]`},
		{"all exported to it", partition, false, `[{"Name":"*","Consumers":[{"Partition":"p1"}]}]`, `[{"Name":"*","Consumers":[{"Partition":"p1"}]}]`},
		{"exported to a group already", peer, false, `[{"Name":"f","Consumers":[{"SamenessGroup":"all"}]}]`, `[{"Name":"f","Consumers":[{"SamenessGroup":"all"},{"Peer":"east"}]}]`},
		{"of another namespace", team, false, `[{"Name":"f"},{"Name":"*","Namespace":"other"}]`, `[{"Name":"f"},{"Name":"*","Namespace":"other"},{"Name":"f","Namespace":"team"}]`},
		{"all of the namespace", team, false, `[{"Name":"*","Namespace":"team"}]`, `[{"Name":"*","Namespace":"team"}]`},
		{"all of all namespaces", team, false, `[{"Name":"*","Namespace":"*"}]`, `[{"Name":"*","Namespace":"*"}]`},
		{"out of the namespace", team, true, `[{"Name":"f"},{"Name":"f","Namespace":"team"}]`, `[{"Name":"f"}]`},
		{"export out, others stay", peer, true, `[{"Name":"f","Consumers":[{"Peer":"west"},{"Peer":"east"}]}]`, `[{"Name":"f","Consumers":[{"Peer":"west"}]}]`},
		{"last export out", peer, true, `[{"Name":"f","Consumers":[{"Peer":"east"}]}]`, `[]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			entry := newEntry(test.list.kind, test.list.name)
			entry.fields["Services"] = json.RawMessage(test.before)
			lines, err := entry.lines()
			if err != nil {
				t.Fatal(err)
			}
			edit := test.list.add
			if test.remove {
				edit = test.list.remove
			}
			if got, want := compact(t, entry.withLines(edit(lines, "f")).fields["Services"]), compact(t, []byte(test.after)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got, want := compact(t, entry.withLines(lines).fields["Services"]), compact(t, []byte(test.before)); got != want {
				t.Errorf("what was read changed to %s", got)
			}
		})
	}
}

// compact is JSON with its keys sorted.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}
