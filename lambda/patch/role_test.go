package patch

import (
	"strings"
	"testing"

	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	signingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestRoleSigns: with a role, Envoy's own credentials sign nothing.
func TestRoleSigns(t *testing.T) {
	f := lambda.Function{ARN: arnIn("aws", "us-east-1"), RoleARN: "arn:aws:iam::123456789012:role/r", ExternalID: "an-id"}
	c, to := invoke(t, f, Options{AllowRoles: Bounds{"*"}}, Version{1, 40, 0})
	var names []string
	var invoked awslambdav3.Config
	var signing signingv3.AwsRequestSigning
	for _, filter := range protocol(t, c).GetHttpFilters() {
		names = append(names, strings.TrimPrefix(filter.GetName(), "envoy.filters.http."))
		for name, into := range map[string]interface{ Reset() }{filterLambda: &invoked, filterSigning: &signing} {
			if filter.GetName() != name {
				continue
			}
			switch into := into.(type) {
			case *awslambdav3.Config:
				if err := filter.GetTypedConfig().UnmarshalTo(into); err != nil {
					t.Fatal(err)
				}
			case *signingv3.AwsRequestSigning:
				if err := filter.GetTypedConfig().UnmarshalTo(into); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if got := strings.Join(names, " "); got != "header_mutation aws_lambda aws_request_signing lua upstream_codec" {
		t.Errorf("filters: %s", got)
	}
	if invoked.GetCredentials().GetAccessKeyId() != nobody().GetAccessKeyId() {
		t.Error("Envoy's own credentials sign")
	}
	role := signing.GetCredentialProvider().GetAssumeRoleCredentialProvider()
	if role.GetRoleArn() != f.RoleARN || role.GetExternalId() != f.ExternalID || !signing.GetCredentialProvider().GetCustomCredentialProviderChain() {
		t.Errorf("the role is %v", role)
	}
	if signing.GetHostRewrite() != to.host || signing.GetServiceName() != "lambda" || signing.GetRegion() != "us-east-1" {
		t.Errorf("it signs %s", signing.String())
	}
}

// TestRoleNeedsANewEnvoy: an older one gets no endpoints, with the reason.
func TestRoleNeedsANewEnvoy(t *testing.T) {
	f := lambda.Function{ARN: arnIn("aws", "us-east-1"), RoleARN: "arn:aws:iam::123456789012:role/r"}
	if _, err := invocation("n", nil, f, target{}, Version{1, 38, 3}); err == nil || err.Error() != needsRole {
		t.Errorf("for Envoy 1.38: %v", err)
	}
}
