package registrator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestKept: what nobody asks for and stays is known, with what keeps it.
func TestKept(t *testing.T) {
	ours, theirs := arnOf(ourAccount, "f"), arnOf(theirAccount, "g")
	s := newScenario(t)
	s.kept("f", ours).kept("g", theirs).instance(ourInstance("h", arnOf(theirAccount, "h"))).kept("gone", arnOf(ourAccount, "gone"))
	s.tagged(function("f", "enabled", "maybe"))
	by := func(p Plan) map[string]Keeper {
		all := map[string]Keeper{}
		for _, kept := range p.kept {
			all[kept.Service+" "+kept.Function.Account] = kept.By
			if kept.Reason == "" {
				t.Errorf("%s is kept for no reason", kept.Service)
			}
		}
		return all
	}
	want := map[string]Keeper{"f " + ourAccount: KeptByTags, "g " + theirAccount: KeptByScope, "h " + theirAccount: KeptByScope}
	if diff := cmp.Diff(want, by(MakePlan(s.Input))); diff != "" {
		t.Error(diff)
	}
	want["gone "+ourAccount] = KeptByPolicy
	if diff := cmp.Diff(want, by(PolicyUpsertOnly.apply(MakePlan(s.Input)))); diff != "" {
		t.Error(diff)
	}
	want["gone "+ourAccount] = KeptByConsul
	refused := MakePlan(s.Input).undone(KeptByConsul, func(int) string { return "no leader" })
	if diff := cmp.Diff(want, by(refused)); diff != "" {
		t.Error(diff)
	}
	if len(refused.Changes) != 1 || refused.Changes[0].Undone != "no leader" {
		t.Errorf("changes %+v", refused.Changes)
	}
	var table strings.Builder
	if err := refused.WriteTable(&table); err != nil || !strings.Contains(table.String(), "not done: no leader") {
		t.Errorf("%v, and the table does not say that it was not done:\n%s", err, table.String())
	}

	// A look says nothing of what it did not read.
	s.Only = map[lambda.ARN]bool{ours: true}
	if diff := cmp.Diff(map[string]Keeper{"f " + ourAccount: KeptByTags}, by(MakePlan(s.Input))); diff != "" {
		t.Error(diff)
	}
}
