package registrator

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// taggedPage is the most that GetResources gives on a page.
const taggedPage = 100

// listTagged lists functions with their tags by the Resource Groups Tagging API:
// 100 a call, outside of Lambda's own limit. It is eventually consistent: it may
// list what is deleted already, and it omits what was never tagged.
func listTagged(ctx context.Context, region Region) ([]Listed, error) {
	var functions []Listed
	page := 0
	err := pages(func(token string) (string, error) {
		page++
		out, err := region.Tagging.GetResources(ctx, &tagging.GetResourcesInput{
			ResourceTypeFilters: []string{"lambda:function"},
			ResourcesPerPage:    aws.Int32(taggedPage),
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
			tags := make(map[string]string, len(resource.Tags))
			for _, tag := range resource.Tags {
				tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
			functions = append(functions, Listed{ARN: arn.Unqualified(), Tags: tags})
		}
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
