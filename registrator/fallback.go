package registrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// functionPage is the most that ListFunctions gives on a page.
const functionPage = 50

// parallelTags is how many ListTags are under way at once; the limiter sets the
// pace, this only hides the time that an answer takes.
const parallelTags = 8

// errEnough ends eachFunction early, and well.
var errEnough = errors.New("nothing more is asked for")

// eachFunction walks the functions of a region until do returns errEnough.
func eachFunction(ctx context.Context, region Region, do func(types.FunctionConfiguration) error) error {
	page := 0
	return pages(func(token string) (string, error) {
		page++
		out, err := region.Lambda.ListFunctions(ctx, &awslambda.ListFunctionsInput{
			MaxItems: region.page(functionPage),
			Marker:   nonEmpty(token),
		})
		if err != nil {
			return "", fmt.Errorf("page %d of the functions: %w", page, err)
		}
		if out.Functions == nil {
			return "", fmt.Errorf("page %d of the functions: %w", page, errNoList)
		}
		for _, function := range out.Functions {
			err := do(function)
			if errors.Is(err, errEnough) {
				return "", nil
			}
			if err != nil {
				return "", fmt.Errorf("page %d of the functions: %w", page, err)
			}
		}
		return aws.ToString(out.NextMarker), nil
	})
}

// oneByOneTakes is how long listOneByOne takes for so many functions: calls of
// ListFunctions, and one of ListTags for each, at a rate a second.
func oneByOneTakes(functions int, rate float64) time.Duration {
	calls := (functions+functionPage-1)/functionPage + functions
	return time.Duration(float64(calls) / rate * float64(time.Second))
}

// listOneByOne lists functions, with their timeouts, where the tagging API is
// denied: a call for each function's tags. A function deleted between the two
// calls is left out.
func listOneByOne(ctx context.Context, region Region) ([]Listed, error) {
	var listed []Listed
	err := eachFunction(ctx, region, func(function types.FunctionConfiguration) error {
		arn, err := lambda.ParseARN(aws.ToString(function.FunctionArn))
		listed = append(listed, Listed{ARN: arn.Unqualified(), Timeout: timeoutOf(function)})
		return err
	})
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelTags)
	for i := range listed {
		group.Go(func() error {
			seen := look(ctx, region, listed[i].ARN)
			listed[i].Tags = seen.tags
			return seen.err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(listed, func(f Listed) bool { return f.Tags == nil }), nil
}
