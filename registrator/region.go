package registrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// TaggingAPI is what is used of the Resource Groups Tagging API.
type TaggingAPI interface {
	GetResources(context.Context, *tagging.GetResourcesInput, ...func(*tagging.Options)) (*tagging.GetResourcesOutput, error)
}

// LambdaAPI is what is used of Lambda's control plane.
type LambdaAPI interface {
	ListFunctions(context.Context, *awslambda.ListFunctionsInput, ...func(*awslambda.Options)) (*awslambda.ListFunctionsOutput, error)
	ListTags(context.Context, *awslambda.ListTagsInput, ...func(*awslambda.Options)) (*awslambda.ListTagsOutput, error)
}

// IdentityAPI tells whose functions a listing without any function lists.
type IdentityAPI interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// Region is one region of an account with the clients to read it.
type Region struct {
	Name     string
	Tagging  TaggingAPI
	Lambda   LambdaAPI
	Identity IdentityAPI

	// Limiter paces the calls to Lambda's control plane, which shares AWS's limit
	// with every deployment there. Nil means no limit.
	Limiter *rate.Limiter
}

// AWSOptions are the options of LoadRegions.
type AWSOptions struct {
	Regions    []string              // empty: the region of the environment (AWS_REGION, profile)
	Rate       float64               // Lambda control-plane calls per second and region, bursts of five times that; zero means DefaultAWSRate
	Registerer prometheus.Registerer // gets lambdamesh_aws_requests_total; nil means none
}

// requestTimeout bounds a single request to AWS or to Consul, which would else
// wait for ever for an answer that does not come. None of them blocks by design.
const requestTimeout = 30 * time.Second

// burstSeconds is how many seconds' worth of calls may go out at once.
const burstSeconds = 5

// LoadRegions makes the clients of each region from the SDK's own configuration:
// credentials, endpoints (AWS_ENDPOINT_URL and its kin) and CA bundle come from
// the AWS_* environment and the shared files. It asks AWS nothing. Throttled and
// failed calls are tried again by the SDK, in its adaptive mode.
func LoadRegions(ctx context.Context, options AWSOptions) ([]Region, error) {
	if options.Rate < 0 {
		return nil, fmt.Errorf("--aws-rate: %g is not a number of requests per second", options.Rate)
	}
	if options.Rate == 0 {
		options.Rate = DefaultAWSRate
	}
	requests, err := newRequestCounter(options.Registerer)
	if err != nil {
		return nil, err
	}
	base, err := config.LoadDefaultConfig(ctx,
		config.WithRetryMode(aws.RetryModeAdaptive),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(requestTimeout)),
		config.WithAPIOptions(requests.apiOptions()))
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	names := slices.Clone(options.Regions)
	if len(names) == 0 && base.Region != "" {
		names = []string{base.Region}
	}
	if len(names) == 0 {
		return nil, errors.New("--regions: no region given, and AWS_REGION is not set")
	}
	regions := make([]Region, 0, len(names))
	for _, name := range names {
		regional := base.Copy()
		regional.Region = name
		regions = append(regions, Region{
			Name:     name,
			Tagging:  tagging.NewFromConfig(regional),
			Lambda:   awslambda.NewFromConfig(regional),
			Identity: sts.NewFromConfig(regional),
			Limiter:  rate.NewLimiter(rate.Limit(options.Rate), max(1, int(options.Rate*burstSeconds))),
		})
	}
	return regions, nil
}
