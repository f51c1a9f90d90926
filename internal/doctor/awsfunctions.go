package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
)

// functions are those of one account in one region, and the registrator's calls there.
type functions struct {
	cfg   aws.Config
	where string // for the names of checks; empty if there is one account and region
	named string // a function to look at, name or ARN; empty: any
}

func (f functions) check(ctx context.Context, r *Report) {
	r.together(ctx, f.checkTags, f.checkList)
}

func (f functions) checkTags(ctx context.Context, r *Report) {
	a := action{"tag:GetResources", f.where, "", Warn, "the registrator then reads each function's tags by a call of its own, which is slow"}
	a.try(ctx, r, func(ctx context.Context) error {
		_, err := tagging.NewFromConfig(f.cfg).GetResources(ctx, &tagging.GetResourcesInput{
			ResourceTypeFilters: []string{"lambda:function"}, ResourcesPerPage: aws.Int32(1),
		})
		return err
	})
}

func (f functions) checkList(ctx context.Context, r *Report) {
	client, name := awslambda.NewFromConfig(f.cfg), f.named
	a := action{"lambda:ListFunctions", f.where, "", Warn, "functions' own timeouts are then not known"}
	a.try(ctx, r, func(ctx context.Context) error {
		listed, err := client.ListFunctions(ctx, &awslambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
		if err == nil && name == "" && len(listed.Functions) > 0 {
			name = aws.ToString(listed.Functions[0].FunctionArn)
		}
		return err
	})
	f.checkOne(ctx, r, client, name)
}

// checkOne makes the calls that are about one function, empty if there is none to try them
// on.
func (f functions) checkOne(ctx context.Context, r *Report, client *awslambda.Client, name string) {
	configuration := action{"lambda:GetFunctionConfiguration", f.where, "", Warn, "an event then leaves a function's timeout unknown"}
	tags := action{"lambda:ListTags", f.where, "", Fail, "without it no service is ever removed: each removal is confirmed by it"}
	url := action{"lambda:GetFunctionUrlConfig", f.where, "", Warn, "functions with invoke-mode url are then skipped, unless the tag url says theirs"}
	invoke := action{"lambda:InvokeFunction", f.where, "", Warn, "Envoys need it (for aliases also on the ARN with :*); these credentials need not be theirs"}
	if name == "" {
		for _, one := range []action{configuration, tags, url, invoke} {
			one.skip(r, "there is no function to try it on", "give one: --function NAME")
		}
		return
	}
	resource := name // an ARN if it was listed or named so; ListTags takes nothing else
	missing := false
	configuration.try(ctx, r, func(ctx context.Context) error {
		found, err := client.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &name})
		if err == nil {
			resource = aws.ToString(found.FunctionArn)
		}
		if missing = errors.As(err, new(*types.ResourceNotFoundException)); missing {
			return nil // which it tells only to who may know
		}
		return err
	})
	if missing {
		r.add("aws function"+f.where, Fail, fmt.Sprintf("there is no function %s in %s", name, f.cfg.Region), "is it in another region (--regions) or account?")
		return
	}
	r.together(ctx,
		func(ctx context.Context, r *Report) {
			if !arn.IsARN(resource) {
				tags.skip(r, "the ARN of "+name+" is not known", "give it: --function ARN")
				return
			}
			tags.try(ctx, r, func(ctx context.Context) error {
				_, err := client.ListTags(ctx, &awslambda.ListTagsInput{Resource: &resource})
				return err
			})
		},
		func(ctx context.Context, r *Report) {
			url.try(ctx, r, func(ctx context.Context) error {
				_, err := client.GetFunctionUrlConfig(ctx, &awslambda.GetFunctionUrlConfigInput{FunctionName: &name})
				if errors.As(err, new(*types.ResourceNotFoundException)) { // it has no URL
					return nil
				}
				return err
			})
		},
		func(ctx context.Context, r *Report) {
			if f.named == "" {
				invoke.skip(r, "no function was named", "Envoys invoke, not lambdamesh; to try it with the credentials found here: --function NAME")
				return
			}
			invoke.resource = resource
			invoke.try(ctx, r, func(ctx context.Context) error {
				_, err := client.Invoke(ctx, &awslambda.InvokeInput{FunctionName: &name, InvocationType: types.InvocationTypeDryRun})
				return err
			})
		},
	)
}
