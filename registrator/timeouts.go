package registrator

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// timeoutsEvery is how often the timeouts of all functions are read again. It is a
// call for each 50 functions of the region, tagged or not, and a timeout hardly
// ever changes.
const timeoutsEvery = time.Hour

// timeouts remembers the own timeouts of a region's tagged functions. The zero
// value knows none.
type timeouts struct {
	read  time.Time                    // when those of all functions were last read
	known map[lambda.ARN]time.Duration // by function; zero where Lambda's list lacks it
}

// fill writes the timeouts into the tagged functions. Lambda is asked if one of
// them is new here, until it is found, and for all of them once an hour. Of a
// function that Lambda does not list, being new or deleted already, and of all
// where the list is denied, the timeout is unknown. With any other error nothing
// is remembered.
func (t *timeouts) fill(ctx context.Context, now time.Time, region Region, functions []Listed) error {
	known, missing := map[lambda.ARN]time.Duration{}, map[lambda.ARN]bool{}
	all := now.Sub(t.read) >= timeoutsEvery
	for _, f := range functions {
		timeout, remembered := t.known[f.ARN]
		if !f.tagged() {
			continue
		}
		known[f.ARN] = timeout
		if !remembered || all {
			missing[f.ARN] = true
			known[f.ARN] = 0
		}
	}
	var failure error
	if len(missing) > 0 {
		failure = readTimeouts(ctx, region, known, missing)
		if failure != nil && !isDenied(failure) {
			return failure
		}
		if all {
			t.read = now
		}
	}
	t.known = known
	for i := range functions {
		f := &functions[i]
		f.Timeout = known[f.ARN]
		f.TimeoutUnknown = f.Timeout == 0
	}
	return failure
}

// readTimeouts reads Lambda's list until it has seen all that are missing.
func readTimeouts(ctx context.Context, region Region, known map[lambda.ARN]time.Duration, missing map[lambda.ARN]bool) error {
	return eachFunction(ctx, region, func(function types.FunctionConfiguration) error {
		arn, err := lambda.ParseARN(aws.ToString(function.FunctionArn))
		if err != nil {
			return err
		}
		if arn = arn.Unqualified(); missing[arn] {
			known[arn] = timeoutOf(function)
			delete(missing, arn)
		}
		if len(missing) == 0 {
			return errEnough
		}
		return nil
	})
}

func timeoutOf(function types.FunctionConfiguration) time.Duration {
	return time.Duration(aws.ToInt32(function.Timeout)) * time.Second
}
