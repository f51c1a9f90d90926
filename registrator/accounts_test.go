package registrator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

// One account that cannot be read keeps its services, and does not stop the other.
func testAccountThatFails(t *testing.T, m *mesh) {
	r := m.registrator(func(c *Config) { c.Regions = m.aws.Accounts(t) })
	theirs := Theirs("eu-west-1", "theirs")
	m.aws.Put("ours", Enabled())
	m.aws.PutAt(theirs, FakeFunction{Tags: Enabled(), Timeout: 30})
	m.expect(m.sync(r).Plan, "create ours", "create theirs")
	m.whole("theirs", theirs)

	m.aws.Fail(Fault{Account: theirs.Account, Status: http.StatusForbidden, Code: "AccessDeniedException"})
	m.aws.DeleteAt(theirs)
	m.aws.Put("new", Enabled())
	m.aws.Put("theirs", Enabled()) // of our account, for a service of theirs
	m.aws.Delete("ours")
	result, err := r.Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "reading functions of eu-west-1 of account "+theirs.Account) {
		t.Errorf("error %v", err)
	}
	m.expect(result.Plan, "create new", "delete ours", "conflict theirs")
	m.gone("ours")
	m.whole("new", m.aws.ARN("new"))
	m.whole("theirs", theirs)
	if status := r.Status(); status.Error == "" || len(status.Changes) != 3 {
		t.Errorf("status %+v", status)
	}
	m.keeps(r) // theirs is asked for, by a function of ours: a conflict

	m.aws.Heal()
	m.expect(m.sync(r).Plan, "update theirs") // it is gone, as AWS now says
	m.whole("theirs", m.aws.ARN("theirs"))
}

// The service stays with the function that has it, whichever that is.
func testTwoFunctionsOneService(t *testing.T, m *mesh) {
	r := m.registrator(func(c *Config) { c.Regions = m.aws.Accounts(t) })
	theirs := Theirs("us-east-1", "f")
	m.aws.PutAt(theirs, FakeFunction{Tags: Enabled(), Timeout: 30})
	m.sync(r)
	m.aws.Put("f", Enabled())
	for range 2 {
		m.expect(m.sync(r).Plan, "conflict f")
		m.whole("f", theirs)
	}
	if n := strings.Count(m.log.String(), "service=f reason=\"several functions want this service"); n != 1 {
		t.Errorf("the conflict was said %d times:\n%s", n, m.log)
	}
	m.aws.DeleteAt(theirs)
	m.expect(m.sync(r).Plan, "update f")
	m.whole("f", m.aws.ARN("f"))
}

// Two registrators for two accounts on one Consul never touch each other's.
func testTwoRegistratorsTwoAccounts(t *testing.T, m *mesh) {
	all := m.aws.Accounts(t) // ours in two regions, then theirs
	one := m.registrator(func(c *Config) { c.Regions = all[:2] })
	two := m.registrator(func(c *Config) { c.Regions = all[2:] })
	theirs := Theirs("us-east-1", "theirs")
	m.aws.Put("ours", Enabled())
	m.aws.PutAt(theirs, FakeFunction{Tags: Enabled(), Timeout: 30})
	m.expect(m.sync(one).Plan, "create ours")
	m.expect(m.sync(two).Plan, "create theirs")
	before := m.indexes()
	for _, r := range []*Registrator{one, two, one} {
		m.expect(m.sync(r).Plan)
	}
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	m.aws.DeleteAt(theirs)
	m.expect(m.sync(one).Plan)
	m.expect(m.sync(two).Plan, "delete theirs")
	m.whole("ours", m.aws.ARN("ours"))
}
