package registrator

import (
	"context"
	"errors"
	"fmt"
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

// eachFunction walks all functions of a region.
func eachFunction(ctx context.Context, region Region, do func(types.FunctionConfiguration) error) error {
	page := 0
	return pages(func(token string) (string, error) {
		page++
		if err := region.wait(ctx); err != nil {
			return "", err
		}
		out, err := region.Lambda.ListFunctions(ctx, &awslambda.ListFunctionsInput{
			MaxItems: aws.Int32(functionPage),
			Marker:   nonEmpty(token),
		})
		if err != nil {
			return "", fmt.Errorf("page %d of the functions: %w", page, err)
		}
		for _, function := range out.Functions {
			if err := do(function); err != nil {
				return "", fmt.Errorf("page %d of the functions: %w", page, err)
			}
		}
		return aws.ToString(out.NextMarker), nil
	})
}

// listOneByOne lists functions where the tagging API is denied: a call for each
// function's tags. A function deleted between the two calls is left out.
func listOneByOne(ctx context.Context, region Region) ([]Listed, error) {
	var arns []lambda.ARN
	err := eachFunction(ctx, region, func(function types.FunctionConfiguration) error {
		arn, err := lambda.ParseARN(aws.ToString(function.FunctionArn))
		arns = append(arns, arn.Unqualified())
		return err
	})
	if err != nil {
		return nil, err
	}
	tags := make([]map[string]string, len(arns))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelTags)
	for i, arn := range arns {
		group.Go(func() (err error) {
			tags[i], err = tagsOf(ctx, region, arn)
			if errors.Is(err, errAbsent) {
				err = nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var functions []Listed
	for i, arn := range arns {
		if tags[i] != nil {
			functions = append(functions, Listed{ARN: arn, Tags: tags[i]})
		}
	}
	return functions, nil
}

// errAbsent says that AWS proved a function's absence.
var errAbsent = errors.New("the function does not exist")

// tagsOf reads the tags of one function by its full ARN; they are never nil.
// Only AWS's ResourceNotFoundException is errAbsent.
func tagsOf(ctx context.Context, region Region, arn lambda.ARN) (map[string]string, error) {
	if err := region.wait(ctx); err != nil {
		return nil, err
	}
	out, err := region.Lambda.ListTags(ctx, &awslambda.ListTagsInput{Resource: aws.String(arn.Unqualified().String())})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("reading the tags of %s: %w", arn.Unqualified(), err)
	case out.Tags == nil:
		return map[string]string{}, nil
	}
	return out.Tags, nil
}

// addTimeouts fills in the functions' own timeouts. Of a function that is not in
// Lambda's list, being new or deleted already, and of all where the list cannot
// be read, the timeout is unknown.
func addTimeouts(ctx context.Context, region Region, functions []Listed) error {
	timeouts := map[string]time.Duration{}
	err := eachFunction(ctx, region, func(function types.FunctionConfiguration) error {
		timeouts[aws.ToString(function.FunctionName)] = time.Duration(aws.ToInt32(function.Timeout)) * time.Second
		return nil
	})
	for i := range functions {
		if err == nil {
			functions[i].Timeout = timeouts[functions[i].ARN.Name]
		}
		functions[i].TimeoutUnknown = functions[i].Timeout == 0
	}
	return err
}
