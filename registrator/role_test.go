package registrator

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestParseRole(t *testing.T) {
	for text, want := range map[string]Role{
		"arn:aws:iam::210987654321:role/reader":          {ARN: "arn:aws:iam::210987654321:role/reader"},
		"arn:aws-cn:iam::210987654321:role/a/b,ext:id/1": {ARN: "arn:aws-cn:iam::210987654321:role/a/b", ExternalID: "ext:id/1"},
	} {
		if got, err := ParseRole(text); err != nil || got != want {
			t.Errorf("%s: %+v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "reader", "arn:aws:iam::1:role/reader", "arn:aws:iam::210987654321:user/reader", "arn:aws:lambda:::role/x"} {
		if _, err := ParseRole(text); err == nil || !strings.Contains(err.Error(), "not the ARN of an IAM role") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// accounts are the regions of our account and of another one, in two regions.
func accounts(t *testing.T, fake *FakeAWS) []Region {
	t.Helper()
	return fake.Load(t, AWSOptions{
		Regions: []string{"us-east-1", "eu-west-1"}, Rate: 1000,
		Roles: []Role{{ARN: "arn:aws:iam::" + theirAccount + ":role/reader", ExternalID: "ours"}},
	})
}

// everywhere puts a function of each area into the fake and returns the areas.
func everywhere(fake *FakeAWS, tags map[string]string) []Area {
	var areas []Area
	for _, account := range []string{ourAccount, theirAccount} {
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			at := Area{Account: account, Region: region}
			areas = append(areas, at)
			fake.PutAt(at.arn("f-"+account[:1]+"-"+region), FakeFunction{Tags: tags, Timeout: 30})
		}
	}
	return areas
}

func TestListReadsSeveralAccounts(t *testing.T) {
	fake := StartFakeAWS(t)
	areas := everywhere(fake, Enabled())
	list, err := newSource(accounts(t, fake), true).list(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f-1-eu-west-1 30s", "f-2-eu-west-1 30s", "f-1-us-east-1 30s", "f-2-us-east-1 30s"}, names(list)); diff != "" {
		t.Error(diff)
	}
	want := Scope{}
	for _, area := range areas {
		want[area] = true
	}
	if diff := cmp.Diff(want, list.Scope); diff != "" {
		t.Error(diff)
	}
	fake.mu.Lock()
	defer fake.mu.Unlock()
	for _, one := range fake.assumed { // two regions may both ask, at once
		if one != "arn:aws:iam::"+theirAccount+":role/reader ours" {
			t.Errorf("assumed %s", one)
		}
	}
	if len(fake.assumed) == 0 {
		t.Error("no role was assumed")
	}
}

// What cannot be read of one account or region is missing in the Scope; the rest
// is there.
func TestListWithoutAnAccount(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault Fault
		want  string // in the error
		lost  func(Area) bool
	}{
		{
			"role denied",
			Fault{Operation: "AssumeRole", Status: http.StatusForbidden, Code: "AccessDenied"},
			"us-east-1 of account " + theirAccount, func(a Area) bool { return a.Account == theirAccount },
		},
		{
			"everything denied",
			Fault{Account: theirAccount, Status: http.StatusForbidden, Code: "AccessDeniedException"},
			"AccessDeniedException", func(a Area) bool { return a.Account == theirAccount },
		},
		{
			"a region is down",
			Fault{Region: "eu-west-1", Account: ourAccount, Status: http.StatusInternalServerError, Code: "InternalFailure"},
			"reading functions of eu-west-1: ", func(a Area) bool { return a == Area{Account: ourAccount, Region: "eu-west-1"} },
		},
		{
			"credentials expired",
			Fault{Account: theirAccount, Region: "us-east-1", Status: http.StatusForbidden, Code: "ExpiredTokenException"},
			"ExpiredTokenException", func(a Area) bool { return a == Area{Account: theirAccount, Region: "us-east-1"} },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := StartFakeAWS(t)
			areas := everywhere(fake, Enabled())
			fake.Fail(test.fault)
			list, err := newSource(accounts(t, fake), false).list(t.Context(), time.Now())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			for _, area := range areas {
				listed := false
				for _, f := range list.Functions {
					listed = listed || f.ARN.Account == area.Account && f.ARN.Region == area.Region
				}
				if lost := test.lost(area); list.Scope[area] == lost || listed == lost {
					t.Errorf("%v: in scope %t, listed %t", area, list.Scope[area], listed)
				}
			}
		})
	}
}

func TestListOfAnotherAccountIsRefused(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Put("a", Enabled())
	regions := fake.Regions(t, nil)
	regions[0].Account = theirAccount
	list, err := newSource(regions, false).list(t.Context(), time.Now())
	if err == nil || !strings.Contains(err.Error(), "the listing is of account "+ourAccount) || len(list.Scope) > 0 {
		t.Errorf("scope %v, error %v", list.Scope, err)
	}
}

// Accounts are the regions of two accounts, for tests that have a Consul.
func (f *FakeAWS) Accounts(t *testing.T) []Region { return accounts(t, f) }

// Theirs is a function of the other account.
func Theirs(region, name string) lambda.ARN {
	return Area{Account: theirAccount, Region: region}.arn(name)
}
