package patch

import (
	awscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/aws/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	signingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// needsRole says from which Envoy on a role can be assumed: before 1.39 one whose own
// credentials come from a service (EC2, ECS, EKS) would wait for ever.
const needsRole = "role-arn needs Envoy 1.39 or later"

// assumesRoles says that the Envoy can sign with the credentials of a role.
func (v Version) assumesRoles() bool { return v.atLeast(1, 39) }

// nobody is what aws_lambda signs with where a role is to sign: it has no way to leave
// that out, and would sign with Envoy's own credentials. The role's signature replaces
// this one. Where the role cannot be assumed, 1.40.0 takes this one away and adds none;
// AWS refuses the call either way, and never takes it for one of Envoy's own.
func nobody() *awslambdav3.Credentials {
	return &awslambdav3.Credentials{AccessKeyId: "ROLE-NOT-ASSUMED", SecretAccessKey: "ROLE-NOT-ASSUMED"}
}

// roleSigner signs with the credentials of the function's role.
func roleSigner(f lambda.Function, host string) *signingv3.AwsRequestSigning {
	return &signingv3.AwsRequestSigning{
		ServiceName: "lambda",
		Region:      f.ARN.Region,
		HostRewrite: host,

		CredentialProvider: roleProvider(f),
	}
}

// roleProvider is a role's credentials, which Envoy assumes with its own. Only in a chain
// that is a custom one does it heed a role (1.40.0).
func roleProvider(f lambda.Function) *awscommonv3.AwsCredentialProvider {
	return &awscommonv3.AwsCredentialProvider{
		CustomCredentialProviderChain: true,
		AssumeRoleCredentialProvider: &awscommonv3.AssumeRoleCredentialProvider{
			RoleArn: f.RoleARN, ExternalId: f.ExternalID, RoleSessionName: "lambdamesh",
		},
	}
}
