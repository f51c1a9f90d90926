package patch

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	upstreamcodecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	filterHeaderMutation = "envoy.filters.http.header_mutation"
	filterLambda         = "envoy.filters.http.aws_lambda"
	filterCodec          = "envoy.filters.http.upstream_codec"
)

// filters are the cluster's own HTTP filters. Their order is the requests' order:
//
//  1. header_mutation takes the caller's x-amz headers away, before they get into
//     the event or are signed: x-amz-tenant-id, x-amz-client-context and their like
//     are orders to AWS that the caller may not give.
//  2. aws_lambda makes the request an invocation and signs it. Nothing after it
//     may change a header.
//  3. upstream_codec sends it; Envoy demands it last.
func filters(f lambda.Function, host string, v Version) ([]*hcmv3.HttpFilter, error) {
	var chain []*hcmv3.HttpFilter
	for _, filter := range []struct {
		name   string
		config proto.Message
	}{
		{filterHeaderMutation, withoutAWSHeaders(v)},
		{filterLambda, lambdaConfig(f, host)},
		{filterCodec, &upstreamcodecv3.UpstreamCodec{}},
	} {
		config, err := pack(filter.config)
		if err != nil {
			return nil, err
		}
		chain = append(chain, &hcmv3.HttpFilter{
			Name:       filter.name,
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config},
		})
	}
	return chain, nil
}

// lambdaConfig rewrites Host before it signs, so that the name signed is the
// endpoint's, whoever the caller addressed.
func lambdaConfig(f lambda.Function, host string) *awslambdav3.Config {
	mode := awslambdav3.Config_SYNCHRONOUS
	if f.Asynchronous {
		mode = awslambdav3.Config_ASYNCHRONOUS
	}
	return &awslambdav3.Config{
		Arn:                f.ARN.String(),
		PayloadPassthrough: f.PayloadPassthrough,
		InvocationMode:     mode,
		HostRewrite:        host,
		CredentialsProfile: f.CredentialsProfile,
	}
}

// awsHeaders are the request headers that AWS's Invoke API and its signatures know
// (API reference of Lambda, Invoke and InvokeWithResponseStream; Signature Version
// 4), for an Envoy that can remove headers by their whole name only.
var awsHeaders = []string{
	"x-amz-client-context",
	"x-amz-content-sha256",
	"x-amz-date",
	"x-amz-durable-execution-name",
	"x-amz-invocation-type",
	"x-amz-log-type",
	"x-amz-security-token",
	"x-amz-source-account",
	"x-amz-source-arn",
	"x-amz-target",
	"x-amz-tenant-id",
	"x-amz-user-agent",
	"x-amzn-trace-id",
}

// withoutAWSHeaders removes request headers that begin with x-amz. Envoy can do so
// by prefix since 1.36 (envoyproxy/envoy#41076) and rejects the order before.
func withoutAWSHeaders(v Version) *headermutationv3.HeaderMutation {
	var mutations []*mutationv3.HeaderMutation
	if v.atLeast(1, 36) {
		mutations = append(mutations, &mutationv3.HeaderMutation{
			Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
				KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-amz"}},
			}},
		})
	} else {
		for _, header := range awsHeaders {
			mutations = append(mutations, &mutationv3.HeaderMutation{
				Action: &mutationv3.HeaderMutation_Remove{Remove: header},
			})
		}
	}
	return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{RequestMutations: mutations}}
}
