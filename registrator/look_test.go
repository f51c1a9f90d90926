package registrator_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// look looks at functions; it must go well.
func (m *mesh) look(r *Registrator, names ...string) Result {
	m.Helper()
	var arns []lambda.ARN
	for _, name := range names {
		arns = append(arns, m.aws.ARN(name))
	}
	result, err := r.Look(m.Context(), arns...)
	if err != nil {
		m.Fatal(err)
	}
	return result
}

// A look costs two calls of AWS and two writes, and touches nothing but its function.
func testLook(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("first", Enabled())
	m.sync(r) // makes the node, and learns the account
	m.aws.Put("f", Enabled("aliases", "blue+green"))
	m.aws.Put("other", Enabled())
	m.aws.Put("f-b", Enabled("aliases", "c"))
	m.aws.Delete("first")
	costs := func(calls []string, writes ...string) {
		t.Helper()
		if diff := cmp.Diff(calls, m.aws.Requests()); diff != "" {
			t.Errorf("calls of AWS (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(writes, slices.Sorted(slices.Values(w.written()))); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	}
	m.look(r, "f-b") // asks for the account, which the listing had no need for
	m.expect(m.look(r, "f-b").Plan)
	m.aws.Requests()
	w.written()

	m.aws.Put("once", Enabled())
	m.expect(m.look(r, "once").Plan, "create once")
	costs([]string{"ListTags 1", "GetFunctionConfiguration 1"}, "PUT /v1/config", "PUT /v1/txn")
	m.whole("once", m.aws.ARN("once"))
	if got := m.entry("once").Meta[lambda.Prefix+lambda.KeyTimeout]; got != "30" {
		t.Errorf("its timeout is %q", got)
	}
	m.expect(m.look(r, "once", "once").Plan)
	costs([]string{"ListTags 1", "GetFunctionConfiguration 1"})

	m.expect(m.look(r, "f").Plan, "create f", "create f-blue", "create f-green")
	m.aws.Put("f", Enabled("aliases", "green", lambda.KeyTimeout, "7"))
	m.aws.Requests()
	w.written()
	m.expect(m.look(r, "f").Plan, "update f", "delete f-blue", "update f-green")
	m.gone("f-blue")
	if got := m.entry("f-green").Meta[lambda.Prefix+lambda.KeyTimeout]; got != "7" {
		t.Errorf("the alias's timeout is %q", got)
	}
	if calls := m.aws.Requests(); !slices.Equal(calls, []string{"ListTags 1"}) {
		t.Errorf("with a timeout in its tags: %v", calls)
	}
	m.whole("f-b", m.aws.ARN("f-b"))

	m.aws.Put("f", map[string]string{"team": "a"})
	w.written()
	m.aws.Delete("once")
	m.expect(m.look(r, "f", "once").Plan, "delete f", "delete f-green", "delete once")
	costs([]string{"ListTags 1", "ListTags 1"},
		"DELETE /v1/config/service-defaults/f", "DELETE /v1/config/service-defaults/f-green", "DELETE /v1/config/service-defaults/once", "PUT /v1/txn")
	m.gone("f")

	m.expect(m.sync(r).Plan, "delete first", "create other")
}

// A function that is deleted and made again, and one whose tag is flipped twice, end as
// AWS has them in the end, however many looks come, and whenever.
func testLookAfterTheFact(t *testing.T, m *mesh) {
	r := m.registrator(nil)
	m.aws.Put("f", Enabled())
	m.look(r, "f")
	m.aws.Delete("f")
	m.aws.Put("f", Enabled("aliases", "blue"))
	for range 3 { // of the deletion, of the creation, and one of them again
		m.look(r, "f")
	}
	m.whole("f", m.aws.ARN("f"))
	m.whole("f-blue", m.aws.ARN("f").WithQualifier("blue"))

	m.aws.Put("g", Enabled())
	m.aws.Put("g", map[string]string{})
	m.expect(m.look(r, "g").Plan)
	m.aws.Put("g", Enabled())
	m.look(r, "g")
	m.whole("g", m.aws.ARN("g"))
	m.expect(m.sync(r).Plan)
}

// What AWS does not say is not done.
func testLookThatFails(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("f", Enabled())
	m.aws.Put("g", Enabled())
	m.sync(r)
	m.aws.Delete("f")
	m.aws.Delete("g")
	w.written()
	for _, fault := range []Fault{
		{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException"},
		{Status: http.StatusForbidden, Code: "AccessDeniedException"},
		{Status: http.StatusInternalServerError, Code: "ServiceException"},
	} {
		fault.Operation = "ListTags"
		m.aws.Fail(fault)
		if result, err := r.Look(t.Context(), m.aws.ARN("f")); err == nil || !strings.Contains(err.Error(), "reading the tags of "+m.aws.ARN("f").String()) || result.Applied != 0 {
			t.Errorf("%s: %+v, %v", fault.Code, result, err)
		}
		m.aws.Heal()
	}
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("it wrote %v", writes)
	}
	// Of several functions, those that can be read are done.
	m.aws.Fail(Fault{Operation: "ListTags", Status: http.StatusForbidden, Code: "AccessDeniedException", Times: 1})
	result, err := r.Look(t.Context(), m.aws.ARN("f"), m.aws.ARN("g"))
	if err == nil {
		t.Error("one could not be read, and no error")
	}
	m.expect(result.Plan, "delete g")
	m.gone("g")
	m.whole("f", m.aws.ARN("f"))

	// Without the right to read a timeout it stays as it is.
	m.aws.PutAt(m.aws.ARN("f"), FakeFunction{Tags: Enabled("retries", "1"), Timeout: 60})
	m.aws.Fail(Fault{Operation: "GetFunctionConfiguration", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	m.look(r, "f")
	if meta := m.entry("f").Meta; meta[lambda.Prefix+lambda.KeyTimeout] != "30" || meta[lambda.Prefix+lambda.KeyRetries] != "1" {
		t.Errorf("Meta is %v", meta)
	}
	if !strings.Contains(m.log.String(), "lambda:GetFunctionConfiguration is denied") {
		t.Error("the log does not say which right is missing")
	}
}

// An event of a function that another registrator reads is none of ours: that AWS does
// not have it for our credentials proves nothing.
func testLookElsewhere(t *testing.T, m *mesh) {
	theirs := lambda.ARN{Partition: "aws", Region: "us-east-1", Account: "999999999999", Name: "f"}
	far := lambda.ARN{Partition: "aws", Region: "eu-west-1", Account: m.aws.Account, Name: "f"}
	m.aws.PutAt(theirs, FakeFunction{Tags: Enabled(), Timeout: 30})
	other := m.registrator(func(c *Config) {
		c.Regions = m.aws.Load(t, AWSOptions{Rate: 1000, Roles: []Role{{ARN: "arn:aws:iam::999999999999:role/r"}}})
	})
	m.look(other) // nothing
	if _, err := other.Look(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	m.whole("f", theirs)

	r := m.registrator(nil)
	m.aws.Requests()
	result, err := r.Look(t.Context(), theirs, far)
	if err != nil || len(result.Plan.Changes) > 0 || len(result.Plan.Skipped) != 2 || !strings.Contains(result.Plan.Skipped[0].Reason, "is not read here") {
		t.Errorf("%+v, %v", result, err)
	}
	if diff := cmp.Diff([]string{"GetCallerIdentity 1"}, m.aws.Requests()); diff != "" {
		t.Error(diff)
	}
	m.whole("f", theirs)
}

// whileListing is a tagging API during whose listing something happens.
type whileListing struct {
	TaggingAPI
	once *sync.Once
	do   func()
}

func (w whileListing) GetResources(ctx context.Context, in *tagging.GetResourcesInput, options ...func(*tagging.Options)) (*tagging.GetResourcesOutput, error) {
	out, err := w.TaggingAPI.GetResources(ctx, in, options...)
	w.once.Do(w.do)
	return out, err
}

// A look does not wait for a listing that is under way, and what it saw goes before
// what the listing says.
func testLookDuringListing(t *testing.T, m *mesh) {
	var r *Registrator
	regions := m.aws.Regions(t, nil)
	regions[0].Tagging = whileListing{regions[0].Tagging, &sync.Once{}, func() {
		m.aws.Put("on", map[string]string{})
		m.aws.Put("off", Enabled())
		m.aws.PutAt(m.aws.ARN("slow"), FakeFunction{Tags: Enabled(), Timeout: 60})
		if _, err := r.Look(t.Context(), m.aws.ARN("on"), m.aws.ARN("off"), m.aws.ARN("slow")); err != nil {
			t.Error(err)
		}
	}}
	r = m.registrator(func(c *Config) { c.Regions = regions })
	m.aws.Put("on", Enabled())
	m.aws.Put("off", map[string]string{})
	m.aws.Put("slow", Enabled())
	m.expect(m.sync(r).Plan)
	m.gone("on")
	m.whole("off", m.aws.ARN("off"))

	// Nor does a sync bring a timeout back that it remembers.
	m.aws.PutAt(m.aws.ARN("slow"), FakeFunction{Tags: Enabled(), Timeout: 90})
	m.expect(m.look(r, "slow").Plan, "update slow")
	m.expect(m.sync(r).Plan)
	if got := m.entry("slow").Meta[lambda.Prefix+lambda.KeyTimeout]; got != "90" {
		t.Errorf("its timeout is %q", got)
	}
}

// A look that somebody else overtakes looks again.
func testLookThatIsOvertaken(t *testing.T, m *mesh) {
	other := m.registrator(nil)
	m.aws.Put("f", Enabled())
	r, w := m.wired(nil)
	m.look(r, "f")
	m.aws.Put("f", Enabled("retries", "2"))
	var once sync.Once
	w.breakWith(func(request *http.Request) error {
		if request.Method == http.MethodPut && strings.HasPrefix(request.URL.Path, "/v1/config") {
			once.Do(func() {
				m.aws.Put("f", Enabled("retries", "3"))
				m.look(other, "f")
			})
		}
		return nil
	})
	m.expect(m.look(r, "f").Plan)
	if got := m.entry("f").Meta[lambda.Prefix+lambda.KeyRetries]; got != "3" {
		t.Errorf("retries are %q", got)
	}
}
