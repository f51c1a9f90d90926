package patch

import (
	"slices"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func arnIn(partition, region string) lambda.ARN {
	return lambda.ARN{Partition: partition, Region: region, Account: "123456789012", Name: "hello"}
}

func TestEndpointOf(t *testing.T) {
	tests := []struct {
		partition, region string
		opts              Options
		want              endpoint
	}{
		{"aws", "us-east-1", Options{}, endpoint{host: "lambda.us-east-1.amazonaws.com", port: 443, tls: true}},
		{"aws", "us-east-1", Options{FIPS: true}, endpoint{host: "lambda-fips.us-east-1.amazonaws.com", port: 443, tls: true}},
		{"aws", "us-east-1", Options{DualStack: true}, endpoint{host: "lambda.us-east-1.api.aws", port: 443, tls: true}},
		{"aws", "us-east-1", Options{FIPS: true, DualStack: true}, endpoint{host: "lambda-fips.us-east-1.api.aws", port: 443, tls: true}},
		{"aws-cn", "cn-north-1", Options{}, endpoint{host: "lambda.cn-north-1.amazonaws.com.cn", port: 443, tls: true}},
		{"aws-cn", "cn-north-1", Options{DualStack: true}, endpoint{host: "lambda.cn-north-1.api.amazonwebservices.com.cn", port: 443, tls: true}},
		{"aws-us-gov", "us-gov-west-1", Options{}, endpoint{host: "lambda.us-gov-west-1.amazonaws.com", port: 443, tls: true}},
		{"aws-us-gov", "us-gov-west-1", Options{FIPS: true}, endpoint{host: "lambda-fips.us-gov-west-1.amazonaws.com", port: 443, tls: true}},
		{"aws-us-gov", "us-gov-east-1", Options{FIPS: true, DualStack: true}, endpoint{host: "lambda-fips.us-gov-east-1.api.aws", port: 443, tls: true}},
		{"aws-iso", "us-iso-east-1", Options{}, endpoint{host: "lambda.us-iso-east-1.c2s.ic.gov", port: 443, tls: true}},
		{"aws-iso-b", "us-isob-east-1", Options{}, endpoint{host: "lambda.us-isob-east-1.sc2s.sgov.gov", port: 443, tls: true}},
		{"aws-iso-e", "eu-isoe-west-1", Options{}, endpoint{host: "lambda.eu-isoe-west-1.cloud.adc-e.uk", port: 443, tls: true}},
		{"aws-iso-f", "us-isof-south-1", Options{}, endpoint{host: "lambda.us-isof-south-1.csp.hci.ic.gov", port: 443, tls: true}},
		{"aws-eusc", "eusc-de-east-1", Options{}, endpoint{host: "lambda.eusc-de-east-1.amazonaws.eu", port: 443, tls: true}},
		{"aws-eusc", "eusc-de-east-1", Options{DualStack: true}, endpoint{host: "lambda.eusc-de-east-1.api.amazonwebservices.eu", port: 443, tls: true}},
		{"aws", "us-east-1", Options{EndpointURL: "http://127.0.0.1:4566"}, endpoint{host: "127.0.0.1", ip: true, port: 4566}},
		{"aws", "us-east-1", Options{EndpointURL: "https://[0:0::1]:4566"}, endpoint{host: "::1", ip: true, port: 4566, tls: true}},
		{"aws", "us-east-1", Options{EndpointURL: "http://[2001:DB8::17]"}, endpoint{host: "2001:db8::17", ip: true, port: 80}},
		{"aws", "xx-emulated-1", Options{EndpointURL: "http://127.0.0.1:4566"}, endpoint{host: "127.0.0.1", ip: true, port: 4566}},
		{"aws", "us-east-1", Options{EndpointURL: "https://Lambda.Internal"}, endpoint{host: "lambda.internal", port: 443, tls: true}},
		{"aws", "us-east-1", Options{EndpointURL: "http://emulator"}, endpoint{host: "emulator", port: 80}},
	}
	for _, test := range tests {
		got, err := test.opts.endpointOf(lambda.Function{ARN: arnIn(test.partition, test.region)})
		if err != nil || got != test.want {
			t.Errorf("%s %s: endpoint %+v, %v, want %+v", test.partition, test.region, got, err, test.want)
		}
	}
}

// TestNoEndpoint: where the SDK would make up a host, there is a mistake.
func TestNoEndpoint(t *testing.T) {
	for _, test := range []struct {
		partition, region string
		opts              Options
		says              string
	}{
		{"aws", "xx-nowhere-1", Options{}, "no region xx-nowhere-1"},
		{"aws", "aws-global-1", Options{}, "no region aws-global-1"},
		{"aws-cn", "cn-north-1", Options{FIPS: true}, "no FIPS endpoint in region cn-north-1"},
		{"aws-cn", "cn-northwest-1", Options{FIPS: true, DualStack: true}, "no FIPS endpoint"},
		{"aws", "eu-west-1", Options{FIPS: true}, "no FIPS endpoint in region eu-west-1"},
		{"aws-iso", "us-iso-east-1", Options{FIPS: true}, "no FIPS endpoint"},
		{"aws-cn", "us-east-1", Options{}, "in partition aws, not in aws-cn"},
		{"aws", "eusc-de-east-1", Options{}, "in partition aws-eusc, not in aws"},
	} {
		e, err := test.opts.endpointOf(lambda.Function{ARN: arnIn(test.partition, test.region)})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %s: %+v, %v, want %q", test.partition, test.region, e, err, test.says)
		}
		if mistakes := lambda.Mistakes(test.opts.Check(lambda.Function{ARN: arnIn(test.partition, test.region)})); len(mistakes) != 1 {
			t.Errorf("%s %s: Check = %v", test.partition, test.region, mistakes)
		}
	}
}

func TestCheck(t *testing.T) {
	arn := arnIn("aws", "us-east-1")
	accepted := []lambda.Function{
		{ARN: arn},
		{ARN: arn.WithQualifier("prod"), PayloadPassthrough: true, Asynchronous: true, Timeout: lambda.MaxTimeout, CredentialsProfile: "p"},
		{ARN: arn, RawErrors: true, Retries: 10},
	}
	for _, f := range accepted {
		if err := (Options{}).Check(f); err != nil {
			t.Errorf("Check(%+v) = %v", f, err)
		}
	}
	refused := []struct {
		f   lambda.Function
		key string
		of  string // value
	}{
		{lambda.Function{}, lambda.KeyARN, ""},
		{lambda.Function{ARN: arnIn("aws-cn", "us-east-1")}, lambda.KeyARN, "arn:aws-cn:lambda:us-east-1:123456789012:function:hello"},
		{lambda.Function{ARN: arnIn("aws", "us-gov-west-1")}, lambda.KeyARN, "arn:aws:lambda:us-gov-west-1:123456789012:function:hello"},
		{lambda.Function{ARN: arn, RoleARN: "arn:aws:iam::123456789012:role/r"}, lambda.KeyRoleARN, "arn:aws:iam::123456789012:role/r"},
	}
	for _, test := range refused {
		for _, opts := range []Options{{}, {EndpointURL: "http://127.0.0.1:4566"}} {
			mistakes := lambda.Mistakes(opts.Check(test.f))
			if len(mistakes) != 1 || mistakes[0].Key != lambda.Prefix+test.key || mistakes[0].Value != test.of || mistakes[0].Reason == "" {
				t.Errorf("Check(%+v) = %v", test.f, mistakes)
			}
		}
	}
}

// TestCheckHoldsBounds: outside of them a function is a mistake.
func TestCheckHoldsBounds(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/shop/invoker"
	opts := Options{
		AllowARNs:  Bounds{"arn:aws:lambda:us-east-1:123456789012:function:he*"},
		AllowRoles: Bounds{"arn:aws:iam::123456789012:role/shop/*"},
	}
	inside := arnIn("aws", "us-east-1")
	outside := inside
	outside.Name = "other"
	for _, test := range []struct {
		f    lambda.Function
		keys []string
	}{
		{lambda.Function{ARN: inside}, nil},
		{lambda.Function{ARN: inside.WithQualifier("blue"), RoleARN: role, ExternalID: "id"}, nil},
		{lambda.Function{ARN: outside}, []string{lambda.KeyARN}},
		{lambda.Function{ARN: outside, RoleARN: "arn:aws:iam::123456789012:role/admin"}, []string{lambda.KeyARN, lambda.KeyRoleARN}},
		{lambda.Function{ARN: inside, RoleARN: role, CredentialsProfile: "p"}, []string{lambda.KeyCredentialsProfile}},
	} {
		var keys []string
		for _, m := range lambda.Mistakes(opts.Check(test.f)) {
			keys = append(keys, strings.TrimPrefix(m.Key, lambda.Prefix))
		}
		if !slices.Equal(keys, test.keys) {
			t.Errorf("%+v: mistakes in %v, want %v", test.f, keys, test.keys)
		}
	}
}

func TestCheckTellsPartition(t *testing.T) {
	err := (Options{}).Check(lambda.Function{ARN: arnIn("aws", "cn-north-1")})
	if err == nil || !strings.Contains(err.Error(), "region cn-north-1 is in partition aws-cn, not in aws") {
		t.Errorf("Check = %v", err)
	}
}
