package registrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// taggedPage is the most that GetResources gives on a page.
const taggedPage = 100

// listings is how often a listing is begun before it is given up because the
// token of its next page has expired, which by AWS's reference takes 15 minutes.
const listings = 3

// listTagged lists the functions that have one of the tags that switch them on,
// with the tags that we read, by the Resource Groups Tagging API: 100 a call, outside of
// Lambda's own limit. It is eventually consistent: it may list what is deleted
// already, and miss what was tagged just now.
//
// A request's filters are joined by and, so each tag is asked for by a listing of
// its own. A function with both is listed twice.
func listTagged(ctx context.Context, region Region) ([]Listed, error) {
	var functions []Listed
	for _, tag := range lambda.EnabledTags() {
		some, err := listTaggedWith(ctx, region, tag)
		var expired *types.PaginationTokenExpiredException
		for begun := 1; errors.As(err, &expired) && begun < listings; begun++ {
			some, err = listTaggedWith(ctx, region, tag)
		}
		if err != nil {
			return nil, err
		}
		functions = append(functions, some...)
	}
	return functions, nil
}

// listTaggedWith lists the functions that have the tag, whatever its value.
func listTaggedWith(ctx context.Context, region Region, tag string) ([]Listed, error) {
	var functions []Listed
	page := 0
	err := pages(func(token string) (string, error) {
		page++
		out, err := region.Tagging.GetResources(ctx, &tagging.GetResourcesInput{
			ResourceTypeFilters: []string{"lambda:function"},
			TagFilters:          []types.TagFilter{{Key: aws.String(tag)}},
			ResourcesPerPage:    region.page(taggedPage),
			PaginationToken:     nonEmpty(token),
		})
		if err != nil {
			return "", fmt.Errorf("page %d of the tagged resources: %w", page, err)
		}
		if out.ResourceTagMappingList == nil {
			return "", fmt.Errorf("page %d of the tagged resources: %w", page, errNoList)
		}
		for _, resource := range out.ResourceTagMappingList {
			arn, err := lambda.ParseARN(aws.ToString(resource.ResourceARN))
			if err != nil {
				return "", fmt.Errorf("page %d of the tagged resources: %w", page, err)
			}
			tags := map[string]string{}
			for _, tag := range resource.Tags {
				// A function may have 50 tags, of 19 kB together.
				if key := aws.ToString(tag.Key); lambda.IsTag(key) {
					tags[key] = aws.ToString(tag.Value)
				}
			}
			functions = append(functions, Listed{ARN: arn.Unqualified(), Tags: tags})
		}
		advance(ctx, StageReading, len(out.ResourceTagMappingList), 0)
		return aws.ToString(out.PaginationToken), nil
	})
	return functions, err
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
