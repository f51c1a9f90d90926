package patch

import (
	"net/http"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	retryBase   = 100 * time.Millisecond // before the first retry; twice as long before each other, with jitter,
	retryAtMost = 5 * time.Second        // up to this
)

// retriesHeldAnswers says that the router may retry an answer that a cluster's filter
// held back, as aws_lambda does to unpack the envelope, and lua to read an error.
// Before 1.37 Envoy then crashes: 1.36.2 and 1.36.4 end with SIGSEGV when a function
// answers a status that the route retries; 1.37.0, 1.38.3 and 1.40.0 retry it.
func (v Version) retriesHeldAnswers() bool { return v.atLeast(1, 37) }

// retryPolicy is the cluster's own, which replaces that of any route that leads to it,
// or nil. Envoy has known it there since 1.37 (1.36.2 rejects the field).
//
// Only a call that AWS throttled is retried, as the function has not run then. An
// asynchronous one never is, whatever its route says: AWS may have queued it already,
// and each of them is an invocation.
func retryPolicy(f lambda.Function, v Version) *routev3.RetryPolicy {
	switch {
	case !v.atLeast(1, 37):
		return nil
	case f.Asynchronous:
		return &routev3.RetryPolicy{NumRetries: wrapperspb.UInt32(0)}
	case f.Retries == 0:
		return nil
	}
	return &routev3.RetryPolicy{
		RetryOn:              "retriable-status-codes",
		RetriableStatusCodes: []uint32{http.StatusTooManyRequests},
		NumRetries:           wrapperspb.UInt32(uint32(f.Retries)),
		RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(retryBase), MaxInterval: durationpb.New(retryAtMost),
		},
	}
}
