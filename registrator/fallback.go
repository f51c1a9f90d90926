package registrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// functionPage is the most that ListFunctions gives on a page.
const functionPage = 50

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
		advance(ctx, StageReading, len(out.Functions), 0)
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
