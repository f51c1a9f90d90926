package patch

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

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

// headerMutation keeps the caller's headers that are orders to AWS from request and
// event: x-amz-tenant-id, x-amz-client-context and their like. His Authorization is
// for the function: it stays in the envelope, where functions look for it, and goes
// where there is none; aws_lambda would only overwrite it, and leaves it if it finds
// no credentials (1.36.2, 1.40.0).
func headerMutation(f lambda.Function, v Version) *headermutationv3.HeaderMutation {
	mutations := &headermutationv3.Mutations{RequestMutations: withoutAWSHeaders(v)}
	if f.PayloadPassthrough {
		mutations.RequestMutations = append(mutations.RequestMutations, remove("authorization"))
	}
	if !v.retriesHeldAnswers() {
		mutations.ResponseMutations = []*mutationv3.HeaderMutation{neverRetried()}
	}
	return &headermutationv3.HeaderMutation{Mutations: mutations}
}

// withoutAWSHeaders removes request headers that begin with x-amz. Envoy can do so
// by prefix since 1.36 (envoyproxy/envoy#41076) and rejects the order before.
func withoutAWSHeaders(v Version) []*mutationv3.HeaderMutation {
	if v.atLeast(1, 36) {
		return []*mutationv3.HeaderMutation{{
			Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
				KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-amz"}},
			}},
		}}
	}
	var mutations []*mutationv3.HeaderMutation
	for _, header := range awsHeaders {
		mutations = append(mutations, remove(header))
	}
	return mutations
}

func remove(header string) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: header}}
}

// neverRetried marks an answer with the header for which Envoy's router gives up
// retries, whatever the route's policy and the answer's status (but for retry_on
// envoy-ratelimited, which asks for just those).
func neverRetried() *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: "x-envoy-ratelimited", Value: "true"},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}}
}
