package patch

import "testing"

func TestBounds(t *testing.T) {
	const (
		function = "arn:aws:lambda:us-east-1:123456789012:function:shop-checkout"
		role     = "arn:aws:iam::123456789012:role/teams/shop/invoker"
	)
	for _, test := range []struct {
		glob, arn string
		want      bool
	}{
		{"*", function, true},
		{function, function, true},
		{function, function + ":blue", true},
		{function + ":blue", function + ":blue", true},
		{function + ":blue", function, false},
		{function + ":*", function + ":green", true},
		{function, function + "2", false},
		{"arn:aws:lambda:*:123456789012:function:*", function, true},
		{"arn:aws:lambda:us-east-?:123456789012:function:shop-*", function, true},
		{"arn:aws:lambda:us-east-1:123456789012:function:*", "arn:aws:lambda:us-east-1:210987654321:function:shop-checkout", false},
		// A star does not reach over a colon.
		{"arn:aws:lambda:us-east-1:*:shop-checkout", function, false},
		{"arn:aws:lambda:us-east-1:123456789012:*", function, false},
		{"arn:aws:iam::123456789012:role/teams/shop/*", role, true},
		{"arn:aws:iam::123456789012:role/*", role, true},
		{"arn:aws:iam::123456789012:role/teams/mail/*", role, false},
		{"arn:aws:iam::*:role/*", "arn:aws:iam::210987654321:role/any", true},
	} {
		if err := (Bounds{test.glob}).Validate(); err != nil {
			t.Errorf("%s: %v", test.glob, err)
		}
		if got := (Bounds{test.glob}).cover(test.arn); got != test.want {
			t.Errorf("%s covers %s: %t", test.glob, test.arn, got)
		}
	}
	if (Bounds{}).cover(function) {
		t.Error("no glob covers something")
	}
	for _, wrong := range []string{"", "shop-*", "arn:aws:lambda:*", "arn:*", "arn:aws:lambda:us-east-1:1:function:[a-z]", `arn:aws:lambda:us-east-1:1:function:\*`, "arn:a:b:c:d:e:f:g:h"} {
		if (Bounds{wrong}).Validate() == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
