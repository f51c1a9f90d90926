package registrator

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// burstSeconds is how many seconds' worth of calls may go out at once.
const burstSeconds = 5

// attempts is how often a call that is throttled or fails is tried in all, unless
// AWS_MAX_ATTEMPTS says otherwise. A listing of hundreds of pages is thrown away
// if one of them cannot be read, so they are more than the SDK's three.
const attempts = 6

// newRetryer makes the retryer that the clients of a region share: what one call
// learns of AWS's throttling, the others heed.
func newRetryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) { o.MaxAttempts = attempts })
	})
}

// paced bounds the requests to Lambda's control plane, which shares AWS's limit
// with every deployment in the region. Attempts are counted and not calls.
func paced(perSecond float64) func(*awslambda.Options) {
	limiter := rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burstSeconds)))
	pace := middleware.FinalizeMiddlewareFunc("LambdameshPace",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := limiter.Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleFinalize(ctx, in)
		})
	return func(o *awslambda.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(pace, "Retry", middleware.After)
		})
	}
}
