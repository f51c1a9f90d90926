package patch

import (
	"errors"
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	awscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/aws/v3"
	signingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// A function's URL is called with the request as it is: path, query, method, headers and
// body are the function's, and so is the answer, which nothing here holds back, so that a
// function may stream it.

// needsURL says from which Envoy on a function's URL can be called: 1.36.2, 1.38.3 and
// 1.40.0 take all that is set here, and retry a URL's answer, which no filter holds (see
// retriesHeldAnswers). An older one has no way to take away all of a caller's orders to AWS,
// nor a route's limit for bodies, and none has been tried.
const needsURL = "invoke-mode url needs Envoy 1.36 or later"

func (v Version) callsURLs() bool { return v.atLeast(1, 36) }

// urlEndpoint is a function's URL. An override is only where that host is looked for, as
// emulators have it: they tell functions' URLs apart by Host.
func (o Options) urlEndpoint(url string) (endpoint, error) {
	host, ok := strings.CutPrefix(url, "https://")
	if !ok {
		return endpoint{}, errors.New("the function's URL is not known")
	}
	if o.FIPS {
		return endpoint{}, errors.New("a function's URL has no FIPS endpoint")
	}
	e := endpoint{host: host, port: 443, tls: true}
	if o.EndpointURL != "" {
		override, err := parseEndpoint(o.EndpointURL)
		if err != nil {
			return endpoint{}, err
		}
		e.at, e.port, e.tls = override.host, override.port, override.tls
	}
	return e, nil
}

// forwardedAuthorization is where the function finds the caller's Authorization: the
// signature needs that header itself.
const forwardedAuthorization = "x-forwarded-authorization"

// urlMutation keeps the caller's orders to AWS from the request, as for the Invoke API, and
// moves his Authorization: what he sends in its new place goes, since a filter before may
// have looked at the other one alone. So nothing of his is left in its place if Envoy finds no
// credentials, and signs nothing.
func urlMutation(v Version) *headermutationv3.HeaderMutation {
	return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
		RequestMutations: append(withoutAWSHeaders(v),
			remove(forwardedAuthorization),
			&mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: forwardedAuthorization, Value: "%REQ(authorization)%"},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}}},
			remove("authorization"),
		),
	}}
}

// urlSigner signs requests to a function's URL. It holds a request until it has its whole
// body, of which it signs the hash: AWS Lambda takes no unsigned payload (Amazon CloudFront's
// documentation, "Restrict access to an AWS Lambda function URL origin").
//
// What AWS's front end writes anew (x-forwarded-for, -proto, -port) is not signed; whatever
// has that prefix is left out, the caller's certificate among it. TLS protects it.
func urlSigner(f lambda.Function, host string) *signingv3.AwsRequestSigning {
	signer := &signingv3.AwsRequestSigning{
		ServiceName: "lambda",
		Region:      f.ARN.Region,
		HostRewrite: host,
		MatchExcludedHeaders: []*matcherv3.StringMatcher{
			{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-forwarded-"}},
		},
	}
	switch {
	case f.RoleARN != "":
		signer.CredentialProvider = roleProvider(f)
	case f.CredentialsProfile != "":
		signer.CredentialProvider = &awscommonv3.AwsCredentialProvider{
			CustomCredentialProviderChain: true,
			CredentialsFileProvider:       &awscommonv3.CredentialsFileCredentialProvider{Profile: f.CredentialsProfile},
		}
	}
	return signer
}
