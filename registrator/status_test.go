package registrator_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

// keeps: of its services the registrator keeps these although nobody asks for them,
// "SERVICE KEEPER" each.
func (m *mesh) keeps(r *Registrator, want ...string) {
	m.Helper()
	var got []string
	for _, kept := range r.Status().Kept {
		got = append(got, fmt.Sprintf("%s %s", kept.Service, kept.By))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.Errorf("kept (-want +got):\n%s", diff)
	}
}

// The last runs are told, the newest first, and no more of them than are kept.
func testRunsAreTold(t *testing.T, m *mesh) {
	r := m.registrator(nil)
	m.aws.Put("f", Enabled())
	m.sync(r)
	m.aws.Put("g", Enabled())
	m.look(r, "g")
	runs := r.Status().Runs
	if len(runs) != 2 || runs[0].Kind != RunLook || runs[1].Kind != RunSync {
		t.Fatalf("runs %+v", runs)
	}
	for i, service := range []string{"g", "f"} {
		run := runs[i]
		if run.Made != 1 || run.Functions != 1 || len(run.Changes) != 1 || run.Changes[0].Service != service || run.Ended.IsZero() || run.Took <= 0 || run.Error != "" {
			t.Errorf("run %+v", run)
		}
	}
	if status := r.Status(); len(status.Changes) != 1 || status.Changes[0].Service != "f" || !status.Running.IsZero() || status.Standby {
		t.Errorf("status %+v", status)
	}
	for range RunsKept {
		m.look(r, "g")
	}
	status := r.Status()
	if n := len(status.Runs); n != RunsKept {
		t.Errorf("%d runs are kept", n)
	}
	latest := func(want ...string) {
		t.Helper()
		var got []string
		for _, made := range r.Status().Latest {
			got = append(got, fmt.Sprintf("%s %s", made.Kind, made.Service))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the last changes (-want +got):\n%s", diff)
		}
	}
	latest("create g", "create f") // though runs without changes came after them
	var all []string
	for i := range LatestKept - 1 {
		name := fmt.Sprintf("h%02d", i)
		m.aws.Put(name, Enabled())
		all = append(all, "create "+name)
	}
	m.sync(r)
	latest(append(all, "create g")...)
}
