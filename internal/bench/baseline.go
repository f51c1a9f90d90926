package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// baseline is what registrators are compared with: it lists the functions, asks for
// each of them in turn with GetFunction, which says its tags, and writes what Consul
// lacks one after the other. That is how Consul's own registrator works, without its
// deletions.
type baseline struct {
	lambda *awslambda.Client
	consul *api.Client
}

// baselineNode carries the services that the baseline registers.
const baselineNode = "baseline"

func (b *sides) baseline() baseline {
	return baseline{consul: b.consul, lambda: awslambda.New(awslambda.Options{
		Region:       os.Getenv("AWS_REGION"),
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")),
		Credentials:  awscredentials.NewStaticCredentialsProvider("bench", "bench", ""),
	})}
}

// sync makes a full sync.
func (b baseline) sync(ctx context.Context) error {
	arns, err := b.read(ctx)
	if err != nil {
		return err
	}
	there, _, err := b.consul.Catalog().Services((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reading Consul's services: %w", err)
	}
	for _, arn := range arns {
		if slices.Contains(there[arn.Name], lambda.Mark) {
			continue
		}
		if err := b.write(ctx, arn); err != nil {
			return fmt.Errorf("writing %s: %w", arn.Name, err)
		}
	}
	return nil
}

// read are the functions that are in the mesh.
func (b baseline) read(ctx context.Context) ([]lambda.ARN, error) {
	var arns []lambda.ARN
	pages := awslambda.NewListFunctionsPaginator(b.lambda, &awslambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing functions: %w", err)
		}
		for _, f := range page.Functions {
			out, err := b.lambda.GetFunction(ctx, &awslambda.GetFunctionInput{FunctionName: f.FunctionName})
			if err != nil {
				return nil, fmt.Errorf("reading a function: %w", err)
			}
			arn, err := lambda.ParseARN(aws.ToString(out.Configuration.FunctionArn))
			if err != nil {
				return nil, err
			}
			if out.Tags[lambda.Prefix+lambda.KeyEnabled] == "true" {
				arns = append(arns, arn)
			}
		}
	}
	return arns, nil
}

func (b baseline) write(ctx context.Context, arn lambda.ARN) error {
	options := (&api.WriteOptions{}).WithContext(ctx)
	_, _, err := b.consul.ConfigEntries().Set(&api.ServiceConfigEntry{
		Kind: api.ServiceDefaults, Name: arn.Name, Protocol: "http",
		Meta: lambda.Function{ARN: arn}.Meta(),
	}, options)
	if err != nil {
		return err
	}
	_, err = b.consul.Catalog().Register(&api.CatalogRegistration{
		Node: baselineNode, SkipNodeUpdate: true, NodeMeta: map[string]string{"external-node": "true"},
		Service: &api.AgentService{ID: arn.Name, Service: arn.Name, Tags: []string{lambda.Mark}},
	}, options)
	return err
}
