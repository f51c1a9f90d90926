package registrator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// urlOf is a function's URL in FakeAWS.
func urlOf(id string) string { return "https://" + id + ".lambda-url.us-east-1.on.aws" }

// byURL are the tags of a function that is called by its URL.
func byURL(more ...string) map[string]string {
	return Enabled(append(more, lambda.KeyInvokeMode, "url")...)
}

// A function that is called by its URL gets it from AWS, where its tags do not say it; one
// whose URL is not known stays as it is.
func testURLs(t *testing.T, m *mesh) {
	r := m.registrator(nil)
	urls := func(want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for name := range want {
			if entry := m.entry(name); entry != nil {
				got[name] = entry.Meta[lambda.Prefix+lambda.KeyURL]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("URLs (-want +got):\n%s", diff)
		}
	}
	asked := func() int {
		return len(slices.DeleteFunc(m.aws.Requests(), func(r string) bool { return !strings.HasPrefix(r, "GetFunctionUrlConfig") }))
	}
	put := func(name string, tags map[string]string, urls map[string]string) {
		m.aws.PutAt(m.aws.ARN(name), FakeFunction{Tags: tags, Timeout: 30, URLs: urls})
	}
	put("f", byURL("aliases", "live"), map[string]string{"": urlOf("f"), "live": urlOf("live")})
	put("said", byURL(lambda.KeyURL, urlOf("said")), nil)
	put("api", Enabled(), map[string]string{"": urlOf("api")})
	m.aws.Requests()
	m.expect(m.sync(r).Plan, "create api", "create f", "create f-live", "create said")
	urls(map[string]string{"f": urlOf("f"), "f-live": urlOf("live"), "said": urlOf("said"), "api": ""})
	m.whole("f-live", m.aws.ARN("f").WithQualifier("live"))
	if n := asked(); n != 2 {
		t.Errorf("AWS was asked for %d URLs, want 2", n)
	}
	m.writesNothing(r)
	if n := asked(); n != 0 {
		t.Errorf("AWS was asked again for %d URLs", n)
	}

	// An event of a new URL.
	put("f", byURL("aliases", "live"), map[string]string{"": urlOf("f2"), "live": urlOf("live")})
	m.expect(m.look(r, "f").Plan, "update f")
	m.expect(m.sync(r).Plan)
	urls(map[string]string{"f": urlOf("f2"), "f-live": urlOf("live")})

	// No URL: nothing of the function changes, be it new or not.
	put("f", byURL("aliases", "live"), map[string]string{"": urlOf("f2")})
	put("none", byURL(), nil)
	for _, plan := range []Plan{m.look(r, "f", "none").Plan, m.sync(r).Plan} {
		m.expect(plan)
		if len(plan.Skipped) != 2 || !strings.Contains(plan.Skipped[0].Reason, "function:f:live has no URL") || !strings.Contains(plan.Skipped[1].Reason, "function:none has no URL") {
			t.Errorf("skipped: %v", plan.Skipped)
		}
	}
	urls(map[string]string{"f-live": urlOf("live")})

	// The alias's tag taken away settles it, and the deletion is confirmed without a URL.
	put("f", byURL(), map[string]string{"": urlOf("f2")})
	m.expect(m.sync(r).Plan, "delete f-live")
	m.gone("f-live")

	// Denied, and failing: both leave what is there.
	m.aws.Delete("none")
	m.aws.Fail(Fault{Operation: "GetFunctionUrlConfig", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	put("later", byURL(), map[string]string{"": urlOf("later")})
	plan := m.sync(r).Plan
	m.expect(plan)
	if len(plan.Skipped) != 1 || !strings.Contains(plan.Skipped[0].Reason, "lambda:GetFunctionUrlConfig is denied") {
		t.Errorf("skipped: %v", plan.Skipped)
	}
	m.aws.Heal()
	m.aws.Fail(Fault{Operation: "GetFunctionUrlConfig", Status: http.StatusInternalServerError, Code: "ServiceException"})
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "reading the URL of "+m.aws.ARN("later").String()) {
		t.Errorf("error %v", err)
	}
	m.aws.Heal()
	m.expect(m.sync(r).Plan, "create later")
	m.aws.PutAt(m.aws.ARN("later"), FakeFunction{Tags: byURL(), Timeout: 30, URLs: map[string]string{"": "https://elsewhere.example"}})
	if plan := m.look(r, "later").Plan; len(plan.Changes) > 0 || len(plan.Skipped) != 1 || !strings.Contains(plan.Skipped[0].Reason, "not a function's URL") {
		t.Errorf("plan %v", plan)
	}
}
