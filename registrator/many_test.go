package registrator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// 20,000 functions are read in whole pages and planned; those that are there
// already cost no change.
func TestTwentyThousandFunctions(t *testing.T) {
	const many = 20_000
	fake := StartFakeAWS(t)
	for i := range many {
		fake.Put(fmt.Sprintf("f%05d", i), Enabled())
	}
	s := newSource(fake.Load(t, AWSOptions{Rate: 1e6, client: inMemory{fake}}), false)
	list, err := s.list(t.Context(), time.Now())
	if err != nil || len(list.Functions) != many {
		t.Fatalf("%d functions, error %v", len(list.Functions), err)
	}
	if n := len(fake.Requests()); n != many/100+1 {
		t.Errorf("%d requests", n)
	}
	in := newScenario(t).Input
	in.Desired = desire(list.Functions, place{datacenter: "dc1"})
	plan := MakePlan(in)
	if n := plan.count(KindCreate); n != many || len(plan.Changes) != many {
		t.Fatalf("%d of %d changes create", n, len(plan.Changes))
	}
	for _, change := range plan.Changes {
		name := fold(change.Service)
		in.Current.Entries[name] = change.entry.entry
		in.Current.Instances[name] = []Instance{change.instance.instance}
	}
	if plan := MakePlan(in); !plan.Empty() {
		t.Errorf("%d changes where nothing is to be done", len(plan.Changes))
	}
	in.Desired = desire(list.Functions[:many/4], place{datacenter: "dc1"})
	if err := guard(MakePlan(in), DefaultMaxDeleteRatio); err == nil || !strings.Contains(err.Error(), "15000 of 20000 services of functions in us-east-1 of account 123456789012") {
		t.Errorf("error %v", err)
	}
}
