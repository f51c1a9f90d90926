package registrator_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

// A conflict is said when it comes and not while it stands, and again if it comes again.
func testConflictThatComesAgain(t *testing.T, m *mesh) {
	r := m.registrator(nil)
	theirs := &api.CatalogRegistration{Node: "web1", Address: "127.0.0.1", Service: &api.AgentService{Service: "f", Address: "127.0.0.1", Port: 1}}
	said := func(times int) {
		t.Helper()
		m.sync(r)
		m.sync(r)
		const line = `level=WARN msg="a conflict: nothing is done for a service, a person must decide" service=f reason=`
		if got := strings.Count(m.log.String(), line); got != times {
			t.Errorf("the conflict was said %d times, want %d:\n%s", got, times, m.log)
		}
	}
	for times := range 2 {
		m.aws.Put("f", Enabled())
		if _, err := m.consul.Catalog().Register(theirs, nil); err != nil {
			t.Fatal(err)
		}
		said(times + 1)
		if _, err := m.consul.Catalog().Deregister(&api.CatalogDeregistration{Node: "web1"}, nil); err != nil {
			t.Fatal(err)
		}
		m.aws.Delete("f")
		said(times + 1)
	}
}
