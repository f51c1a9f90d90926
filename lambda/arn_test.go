package lambda

import (
	"strings"
	"testing"
)

func TestParseARN(t *testing.T) {
	tests := []struct {
		name, in string
		want     ARN
		wrong    string // in the error; empty for none
	}{
		{name: "function", in: "arn:aws:lambda:us-east-1:123456789012:function:hello", want: ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello"}},
		{name: "alias", in: "arn:aws:lambda:us-east-1:123456789012:function:hello:prod", want: ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello", Qualifier: "prod"}},
		{name: "version", in: "arn:aws:lambda:us-east-1:123456789012:function:hello:42", want: ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello", Qualifier: "42"}},
		{name: "latest", in: "arn:aws:lambda:us-east-1:123456789012:function:hello:$LATEST", want: ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello", Qualifier: "$LATEST"}},
		{name: "China", in: "arn:aws-cn:lambda:cn-northwest-1:123456789012:function:a_b-C", want: ARN{Partition: "aws-cn", Region: "cn-northwest-1", Account: "123456789012", Name: "a_b-C"}},
		{name: "GovCloud", in: "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f", want: ARN{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "123456789012", Name: "f"}},
		{name: "sovereign", in: "arn:aws-eusc:lambda:eusc-de-east-1:123456789012:function:f", want: ARN{Partition: "aws-eusc", Region: "eusc-de-east-1", Account: "123456789012", Name: "f"}},
		{name: "isolated", in: "arn:aws-iso-b:lambda:us-isob-east-1:123456789012:function:f", want: ARN{Partition: "aws-iso-b", Region: "us-isob-east-1", Account: "123456789012", Name: "f"}},

		{name: "empty", in: "", wrong: "is not the ARN"},
		{name: "name alone", in: "hello", wrong: `"hello" is not the ARN`},
		{name: "partial ARN", in: "123456789012:function:hello", wrong: "is not the ARN"},
		{name: "too long", in: "arn:aws:lambda:us-east-1:123456789012:function:hello:prod:more", wrong: "is not the ARN"},
		{name: "another service", in: "arn:aws:s3:us-east-1:123456789012:function:hello", wrong: "is not the ARN"},
		{name: "a layer", in: "arn:aws:lambda:us-east-1:123456789012:layer:hello", wrong: "is not the ARN"},
		{name: "placeholder", in: "<INSERT ARN HERE>", wrong: "is not the ARN"},
		{name: "partition", in: "arn:azure:lambda:us-east-1:123456789012:function:hello", wrong: `"azure" is no partition`},
		{name: "no region", in: "arn:aws:lambda::123456789012:function:hello", wrong: `"" is no region`},
		{name: "region with a dot", in: "arn:aws:lambda:us-east-1.evil.com:123456789012:function:hello", wrong: "is no region"},
		{name: "account", in: "arn:aws:lambda:us-east-1:12345:function:hello", wrong: `"12345" is no account`},
		{name: "no name", in: "arn:aws:lambda:us-east-1:123456789012:function:", wrong: `"" is no function name`},
		{name: "name with a slash", in: "arn:aws:lambda:us-east-1:123456789012:function:a/../b", wrong: "is no function name"},
		{name: "name of 65", in: "arn:aws:lambda:us-east-1:123456789012:function:" + strings.Repeat("a", 65), wrong: "is no function name"},
		{name: "wildcard", in: "arn:aws:lambda:us-east-1:123456789012:function:*", wrong: "is no function name"},
		{name: "empty qualifier", in: "arn:aws:lambda:us-east-1:123456789012:function:hello:", wrong: `"" is no alias or version`},
		{name: "line break", in: "arn:aws:lambda:us-east-1:123456789012:function:hello\n", wrong: "is no function name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseARN(test.in)
			if got != test.want {
				t.Errorf("ParseARN = %+v, want %+v", got, test.want)
			}
			switch {
			case test.wrong == "" && err != nil:
				t.Errorf("error: %v", err)
			case test.wrong == "":
				if got.String() != test.in {
					t.Errorf("String = %q", got)
				}
			case err == nil || !strings.Contains(err.Error(), test.wrong):
				t.Errorf("error %v does not say %q", err, test.wrong)
			}
		})
	}
}

func TestARNQualifier(t *testing.T) {
	arn := ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello"}
	if got, want := arn.WithQualifier("prod").String(), "arn:aws:lambda:us-east-1:123456789012:function:hello:prod"; got != want {
		t.Errorf("WithQualifier = %s, want %s", got, want)
	}
	if got := arn.WithQualifier("prod").Unqualified(); got != arn {
		t.Errorf("Unqualified = %v, want %v", got, arn)
	}
	if !(ARN{}).IsZero() || (ARN{}).String() != "" || arn.IsZero() {
		t.Error("the zero value does not name nothing")
	}
}

// Whatever ParseARN takes, Envoy gets back as it was, with seven or eight parts,
// and no part of it can lead out of its place in a host name or a path.
func FuzzParseARN(f *testing.F) {
	for _, s := range []string{
		"arn:aws:lambda:us-east-1:123456789012:function:hello",
		"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:hello:$LATEST",
		"arn:aws:lambda:us-east-1:123456789012:function:hello:",
		"arn:aws:lambda::123456789012:function:hello", "", ":::::::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		arn, err := ParseARN(s)
		if err != nil {
			if !arn.IsZero() {
				t.Errorf("an error, and yet %+v", arn)
			}
			return
		}
		if arn.String() != s {
			t.Errorf("%q became %q", s, arn)
		}
		if strings.ContainsAny(arn.Region, "./@?#") || strings.ContainsAny(arn.Name+arn.Qualifier, "/?#%") {
			t.Errorf("%+v is not safe in a URL", arn)
		}
	})
}
