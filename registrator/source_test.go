package registrator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// names are what a listing lists, with timeouts.
func names(list Listing) []string {
	var all []string
	for _, f := range list.Functions {
		all = append(all, fmt.Sprintf("%s %s", f.ARN.Name, f.Timeout))
	}
	return all
}

func TestListReadsEveryPage(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.PageSize = 2
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		fake.Put(name, Enabled())
	}
	fake.Put("untagged", nil)
	fake.Put("not-for-the-mesh", map[string]string{"team": "a", lambda.Prefix + lambda.KeyTimeout: "3"})
	fake.Put("misprinted", map[string]string{strings.Replace(lambda.Prefix, "v1alpha1", "alpha", 1) + lambda.KeyEnabled: "true"})
	list, err := newSource(fake.Regions(t, nil), true).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a 30s", "b 30s", "c 30s", "d 30s", "e 30s", "misprinted 30s"}, names(list)); diff != "" {
		t.Error(diff)
	}
	want := []string{"GetResources 1", "GetResources 2", "GetResources 3", "GetResources 1", "ListFunctions 1", "ListFunctions 2", "ListFunctions 3"}
	if diff := cmp.Diff(want, fake.Requests()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Scope{{Account: fake.Account, Region: fake.Region}: true}, list.Scope); diff != "" {
		t.Error(diff)
	}
}

func TestListOfSmallPages(t *testing.T) {
	fake := StartFakeAWS(t)
	for _, name := range []string{"a", "b", "c"} {
		fake.Put(name, Enabled())
	}
	list, err := newSource(fake.Load(t, AWSOptions{Rate: 1000, PageSize: 2}), true).list(t.Context(), time.Now())
	if err != nil || len(list.Functions) != 3 {
		t.Fatalf("%v, %v", list.Functions, err)
	}
	want := []string{"GetResources 1", "GetResources 2", "GetResources 1", "ListFunctions 1", "ListFunctions 2"}
	if diff := cmp.Diff(want, fake.Requests()); diff != "" {
		t.Error(diff)
	}
	if _, err := LoadRegions(t.Context(), AWSOptions{PageSize: -1}); err == nil {
		t.Error("pages of less than nothing")
	}
}

func TestListFailsAsAWhole(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault Fault
		asked string // the request that failed
		want  string // in the error
	}{
		{"page two of the tagging API", Fault{Operation: "GetResources", Page: 2, Status: 500, Code: "InternalServiceException"}, "GetResources 2", "page 2 of the tagged resources"},
		{"page two of the timeouts", Fault{Operation: "ListFunctions", Page: 2, Status: 500, Code: "ServiceException"}, "ListFunctions 2", "page 2 of the functions"},
		{"expired token", Fault{Operation: "GetResources", Page: 2, Status: 400, Code: "PaginationTokenExpiredException"}, "GetResources 2", "PaginationTokenExpiredException"},
		{"credentials that expire", Fault{Operation: "GetResources", Page: 2, Status: 400, Code: "ExpiredTokenException"}, "GetResources 2", "ExpiredTokenException"},
		{"repeated token", Fault{Operation: "GetResources", Page: 2, Repeat: true}, "GetResources 2", "repeats the token"},
		{"answer cut short", Fault{Operation: "GetResources", Page: 2, Cut: true}, "GetResources 2", "page 2 of the tagged resources"},
		{"answer without a list", Fault{Operation: "GetResources", Page: 2, Empty: true}, "GetResources 2", "holds no list"},
		{"timeouts without a list", Fault{Operation: "ListFunctions", Page: 1, Empty: true}, "ListFunctions 1", "holds no list"},
		{"throttled for good", Fault{Operation: "GetResources", Page: 1, Status: 400, Code: "ThrottlingException"}, "GetResources 1", "ThrottlingException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := StartFakeAWS(t)
			fake.PageSize = 1
			fake.Put("a", Enabled())
			fake.Put("b", Enabled())
			fake.Put("c", Enabled())
			fake.Fail(test.fault)
			list, err := newSource(fake.Regions(t, nil), true).list(t.Context(), time.Now())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
			if len(list.Functions) > 0 || len(list.Scope) > 0 {
				t.Errorf("a failed listing holds %v of %v", list.Functions, list.Scope)
			}
			if requests := fake.Requests(); !slices.Contains(requests, test.asked) {
				t.Errorf("%s is not among the requests %v", test.asked, requests)
			}
		})
	}
}

// A token that runs out in the middle has the listing read from its start.
func TestListBeginsAgainWhereATokenExpires(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.PageSize = 1
	fake.Put("a", Enabled())
	fake.Put("b", Enabled())
	fake.Fail(Fault{Operation: "GetResources", Page: 2, Status: 400, Code: "PaginationTokenExpiredException", Times: listings - 1})
	list, err := newSource(fake.Regions(t, nil), false).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a 0s", "b 0s"}, names(list)); diff != "" {
		t.Error(diff)
	}
	want := []string{"GetResources 1", "GetResources 2", "GetResources 1", "GetResources 2", "GetResources 1", "GetResources 2", "GetResources 1"}
	if diff := cmp.Diff(want, fake.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestListGetsOverThrottling(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Put("a", Enabled())
	fake.Fail(Fault{Operation: "GetResources", Status: 400, Code: "ThrottlingException", Times: 1})
	registry := prometheus.NewRegistry()
	list, err := newSource(fake.Regions(t, registry), false).list(t.Context(), time.Now())
	if err != nil || len(list.Functions) != 1 {
		t.Fatalf("listed %v, error %v", list.Functions, err)
	}
	want := map[string]float64{"lambdamesh_aws_requests_total GetResources 200": 2, "lambdamesh_aws_requests_total GetResources 400": 1}
	if diff := cmp.Diff(want, Counted(t, registry)); diff != "" {
		t.Error(diff)
	}
}

// Counted are all metrics of a registry, by name and the values of its labels,
// the operation first; those at zero are left out.
func Counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range slices.Backward(metric.GetLabel()) {
				name += " " + label.GetValue()
			}
			if value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue(); value != 0 {
				all[name] = value
			}
		}
	}
	return all
}

func TestListWithoutTheTaggingAPI(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.PageSize = 2
	fake.Put("a", Enabled())
	fake.Put("b", nil)
	fake.Put("c", Enabled())
	fake.Fail(Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "AccessDeniedException"})
	list, err := newSource(fake.Regions(t, nil), true).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a 30s", "b 30s", "c 30s"}, names(list)); diff != "" {
		t.Error(diff)
	}
	if len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "tag:GetResources is denied") || !strings.Contains(list.Notes[0], " 0 minutes for 10,000 functions, at --aws-rate 1000") || list.OneByOne != 1 {
		t.Errorf("notes: %q", list.Notes)
	}

	fake.Fail(Fault{Operation: "ListTags", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	if _, err := newSource(fake.Regions(t, nil), false).list(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "reading the tags of arn:aws:lambda:us-east-1:123456789012:function:") {
		t.Errorf("tags that could not be read gave error %v", err)
	}
}

func TestListWithoutTimeouts(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Put("a", Enabled())
	fake.Fail(Fault{Operation: "ListFunctions", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	list, err := newSource(fake.Regions(t, nil), true).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if f := list.Functions[0]; f.Timeout != 0 || !f.TimeoutUnknown {
		t.Errorf("the timeout is %s, unknown %t", f.Timeout, f.TimeoutUnknown)
	}
	if len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "lambda:ListFunctions is denied") {
		t.Errorf("notes: %q", list.Notes)
	}
}

func TestListOfNothingKnowsItsAccount(t *testing.T) {
	fake := StartFakeAWS(t)
	list, err := newSource(fake.Regions(t, nil), true).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !list.Scope.Contains(fake.ARN("gone")) {
		t.Errorf("scope %v does not hold the account", list.Scope)
	}
	fake.Fail(Fault{Operation: "GetCallerIdentity", Status: http.StatusForbidden, Code: "ExpiredToken"})
	if _, err := newSource(fake.Regions(t, nil), false).list(t.Context(), time.Now()); err == nil {
		t.Error("a listing of nobody knows which account is a success")
	}
}

func TestListOfAnotherRegionIsRefused(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Put("a", Enabled())
	regions := fake.Regions(t, nil)
	regions[0].Name = "eu-west-1"
	if _, err := newSource(regions, false).list(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "holds arn:aws:lambda:us-east-1") {
		t.Errorf("error %v", err)
	}
}

func TestConfirm(t *testing.T) {
	remove := func(arn lambda.ARN, service string) Plan {
		return Plan{Changes: []Change{{Kind: KindDelete, Service: service, confirm: arn}}}
	}
	for _, test := range []struct {
		name    string
		tags    map[string]string
		deleted bool
		fault   *Fault
		alias   string
		service string
		stays   string // in the reason why it stays; empty if it goes
	}{
		{name: "deleted", deleted: true, service: "f"},
		{name: "untagged", service: "f"},
		{name: "disabled", tags: map[string]string{lambda.Prefix + "enabled": "False"}, service: "f"},
		{name: "still tagged", tags: Enabled(), service: "f", stays: "the function is there and tagged"},
		{name: "mistaken tags", tags: Enabled("retries", "many"), service: "f", stays: "retries"},
		{name: "alias gone from the tags", tags: Enabled("aliases", "live"), alias: "old", service: "f-old"},
		{name: "alias still in the tags", tags: Enabled("aliases", "old"), alias: "old", service: "f-old", stays: "the function is there and tagged"},
		{name: "denied", fault: &Fault{Operation: "ListTags", Status: 403, Code: "AccessDeniedException"}, service: "f", stays: "AccessDenied"},
		{name: "404 of another kind", fault: &Fault{Operation: "ListTags", Status: 404, Code: "NotFound"}, service: "f", stays: "NotFound"},
		{name: "server error", fault: &Fault{Operation: "ListTags", Status: 500, Code: "ServiceException"}, service: "f", stays: "ServiceException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := StartFakeAWS(t)
			if !test.deleted {
				fake.Put("f", test.tags)
			}
			if test.fault != nil {
				fake.Fail(*test.fault)
			}
			s := newSource(fake.Regions(t, nil), false)
			s.areas = map[Area]Region{{Account: fake.Account, Region: fake.Region}: s.regions[0]}
			plan, err := s.confirm(t.Context(), remove(fake.ARN("f").WithQualifier(test.alias), test.service), place{datacenter: "dc1"})
			if (err != nil) != (test.fault != nil) {
				t.Errorf("error %v", err)
			}
			if test.stays == "" {
				if len(plan.Changes) != 1 {
					t.Errorf("it stays: %v", plan.Skipped)
				}
				return
			}
			if len(plan.Changes) != 0 || len(plan.Skipped) != 1 || !strings.Contains(plan.Skipped[0].Reason, test.stays) {
				t.Errorf("changes %v, skipped %v", plan.Changes, plan.Skipped)
			}
		})
	}
}

func TestPagesStopsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	calls := 0
	err := pages(func(string) (string, error) { calls++; return "more", boom })
	if !errors.Is(err, boom) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

func TestLoadRegionsNeedsARegion(t *testing.T) {
	StartFakeAWS(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := LoadRegions(t.Context(), AWSOptions{}); err == nil || !strings.Contains(err.Error(), "--regions") {
		t.Errorf("error %v", err)
	}
	regions, err := LoadRegions(t.Context(), AWSOptions{Regions: []string{"eu-west-1", "us-east-2"}})
	if err != nil || len(regions) != 2 || regions[1].Name != "us-east-2" {
		t.Fatalf("regions %v, error %v", regions, err)
	}
}

// AWS is asked again for a URL after an hour, and for one that nobody had.
func TestURLsAreRemembered(t *testing.T) {
	fake := StartFakeAWS(t)
	url := func(id string) map[string]string {
		return map[string]string{"": "https://" + id + ".lambda-url.us-east-1.on.aws"}
	}
	tags := Enabled(lambda.KeyInvokeMode, "url")
	fake.PutAt(fake.ARN("a"), FakeFunction{Tags: tags, URLs: url("a1")})
	fake.PutAt(fake.ARN("b"), FakeFunction{Tags: tags})
	fake.PutAt(fake.ARN("off"), FakeFunction{Tags: map[string]string{lambda.Prefix + lambda.KeyEnabled: "false", lambda.Prefix + lambda.KeyInvokeMode: "url"}, URLs: url("off")})
	s := newSource(fake.Regions(t, nil), false)
	now := time.Unix(1e9, 0)
	for _, step := range []struct {
		what  string
		do    func()
		asked int
		a, b  string
	}{
		{"at first", func() {}, 2, "a1", ""},
		{"a minute later", func() { now = now.Add(time.Minute) }, 1, "a1", ""},
		{"both have others", func() {
			fake.PutAt(fake.ARN("a"), FakeFunction{Tags: tags, URLs: url("a2")})
			fake.PutAt(fake.ARN("b"), FakeFunction{Tags: tags, URLs: url("b1")})
		}, 1, "a1", "b1"},
		{"looked at", func() { s.learn(map[lambda.ARN]Listed{fake.ARN("a"): {}}) }, 1, "a2", "b1"},
		{"an hour later", func() { now = now.Add(time.Hour) }, 2, "a2", "b1"},
	} {
		step.do()
		fake.Requests()
		list, err := s.list(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		asked := slices.DeleteFunc(fake.Requests(), func(r string) bool { return !strings.HasPrefix(r, "GetFunctionUrlConfig") })
		if len(asked) != step.asked {
			t.Errorf("%s: asked %v, want %d", step.what, asked, step.asked)
		}
		for _, f := range list.Functions {
			want := map[string]string{"a": step.a, "b": step.b}[f.ARN.Name]
			if want != "" {
				want = url(want)[""]
			}
			if got := f.URLs[f.ARN]; got != want || (f.NoURL == "") != (want != "" || f.ARN.Name == "off") {
				t.Errorf("%s: the URL of %s is %q, %s", step.what, f.ARN.Name, got, f.NoURL)
			}
		}
	}
}
