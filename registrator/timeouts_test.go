package registrator

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Lambda's list is read for a function whose tags are new, as far as needed, and
// whole once an hour.
func TestTimeoutsAreRemembered(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.PageSize = 2
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		fake.Put(name, Enabled())
	}
	s := newSource(fake.Regions(t, nil), true)
	now := time.Unix(1e9, 0)
	for _, step := range []struct {
		what  string
		do    func()
		asked []string // of Lambda's list
		names []string
	}{
		{"at first", func() {}, []string{"ListFunctions 1", "ListFunctions 2", "ListFunctions 3"}, []string{"a 30s", "b 30s", "c 30s", "d 30s", "e 30s"}},
		{"nothing new", func() { now = now.Add(time.Minute) }, nil, []string{"a 30s", "b 30s", "c 30s", "d 30s", "e 30s"}},
		{
			"one changed, one new on page two", func() {
				fake.PutAt(fake.ARN("a"), FakeFunction{Tags: Enabled(), Timeout: 60})
				fake.Put("cc", Enabled())
			},
			[]string{"ListFunctions 1", "ListFunctions 2"},
			[]string{"a 30s", "b 30s", "c 30s", "cc 30s", "d 30s", "e 30s"},
		},
		{"an hour later", func() { now = now.Add(time.Hour) }, []string{"ListFunctions 1", "ListFunctions 2", "ListFunctions 3"}, []string{"a 1m0s", "b 30s", "c 30s", "cc 30s", "d 30s", "e 30s"}},
		{"untagged", func() { fake.PutAt(fake.ARN("a"), FakeFunction{Tags: map[string]string{"team": "x"}}) }, nil, []string{"b 30s", "c 30s", "cc 30s", "d 30s", "e 30s"}},
		{
			"tagged again", func() { fake.PutAt(fake.ARN("a"), FakeFunction{Tags: Enabled(), Timeout: 90}) },
			[]string{"ListFunctions 1"},
			[]string{"a 1m30s", "b 30s", "c 30s", "cc 30s", "d 30s", "e 30s"},
		},
	} {
		step.do()
		fake.Requests()
		list, err := s.list(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		asked := slices.DeleteFunc(fake.Requests(), func(r string) bool { return !strings.HasPrefix(r, "ListFunctions") })
		if diff := cmp.Diff(step.asked, asked, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, ",") })); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(step.names, names(list)); diff != "" {
			t.Errorf("%s: timeouts (-want +got):\n%s", step.what, diff)
		}
	}
}

// A read that failed is not remembered; one that is denied is, for an hour.
func TestTimeoutsThatCannotBeRead(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Put("a", Enabled())
	s := newSource(fake.Regions(t, nil), true)
	now := time.Unix(1e9, 0)
	fake.Fail(Fault{Operation: "ListFunctions", Status: http.StatusInternalServerError, Code: "ServiceException", Times: 2})
	if _, err := s.list(t.Context(), now); err == nil {
		t.Error("timeouts that could not be read are no error")
	}
	fake.Fail(Fault{Operation: "ListFunctions", Status: http.StatusForbidden, Code: "AccessDeniedException", Times: 1})
	for _, want := range []string{"a 0s", "a 0s"} {
		list, err := s.list(t.Context(), now)
		if err != nil || !list.Functions[0].TimeoutUnknown || names(list)[0] != want {
			t.Errorf("listed %v, error %v", list.Functions, err)
		}
	}
	list, err := s.list(t.Context(), now.Add(timeoutsEvery))
	if err != nil || names(list)[0] != "a 30s" {
		t.Errorf("listed %v, error %v", list.Functions, err)
	}
}
