package registrator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/prometheus/client_golang/prometheus"
)

// TaggingAPI is what is used of the Resource Groups Tagging API.
type TaggingAPI interface {
	GetResources(context.Context, *tagging.GetResourcesInput, ...func(*tagging.Options)) (*tagging.GetResourcesOutput, error)
}

// LambdaAPI is what is used of Lambda's control plane.
type LambdaAPI interface {
	ListFunctions(context.Context, *awslambda.ListFunctionsInput, ...func(*awslambda.Options)) (*awslambda.ListFunctionsOutput, error)
	ListTags(context.Context, *awslambda.ListTagsInput, ...func(*awslambda.Options)) (*awslambda.ListTagsOutput, error)
	GetFunctionConfiguration(context.Context, *awslambda.GetFunctionConfigurationInput, ...func(*awslambda.Options)) (*awslambda.GetFunctionConfigurationOutput, error)
	GetFunctionUrlConfig(context.Context, *awslambda.GetFunctionUrlConfigInput, ...func(*awslambda.Options)) (*awslambda.GetFunctionUrlConfigOutput, error)
}

// IdentityAPI tells whose functions a listing without any function lists.
type IdentityAPI interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// Region is one region of an account with the clients to read it. A run reads it
// whole or leaves everything of it as it is.
type Region struct {
	Name     string
	Account  string // empty: that of our own credentials
	Tagging  TaggingAPI
	Lambda   LambdaAPI
	Identity IdentityAPI

	rate     float64 // most calls of Lambda a second; 0: not known
	pageSize int     // most that is asked for on a page; 0: as many as AWS gives
}

// page is how many are asked for on a page, of which AWS gives so many at most.
func (r Region) page(most int32) *int32 {
	if r.pageSize > 0 {
		most = int32(min(int(most), r.pageSize))
	}
	return &most
}

// String names it for people.
func (r Region) String() string {
	if r.Account == "" {
		return r.Name
	}
	return r.Name + " of account " + r.Account
}

// AWSOptions are the options of LoadRegions.
type AWSOptions struct {
	Regions    []string              // empty: the region of the environment (AWS_REGION, profile)
	Roles      []Role                // of further accounts, each read in all these regions
	Rate       float64               // Lambda control-plane calls per second and region, bursts of five times that; zero means DefaultAWSRate
	PageSize   int                   // most that is asked for on a page of a listing; zero means as many as AWS gives
	Registerer prometheus.Registerer // gets lambdamesh_aws_requests_total; nil means none

	// Of tests; nil: real ones.
	client  aws.HTTPClient
	retryer func() aws.Retryer
}

// requestTimeout bounds a single request to AWS or to Consul, which would else
// wait for ever for an answer that does not come. None of them blocks by design.
const requestTimeout = 30 * time.Second

// regionForm is what can be part of an endpoint's host name; of most others the SDK says so
// at each call alone.
var regionForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// LoadRegions makes the clients of each region from the SDK's own configuration:
// credentials, endpoints (AWS_ENDPOINT_URL and its kin) and CA bundle come from
// the AWS_* environment and the shared files. It asks AWS nothing.
func LoadRegions(ctx context.Context, options AWSOptions) ([]Region, error) {
	if !(options.Rate >= 0) || math.IsInf(options.Rate, 0) { // NaN is nothing
		return nil, fmt.Errorf("--aws-rate: %g is not a number of requests per second", options.Rate)
	}
	if options.PageSize < 0 {
		return nil, fmt.Errorf("PAGE_SIZE: %d is not a number of functions", options.PageSize)
	}
	if options.Rate == 0 {
		options.Rate = DefaultAWSRate
	}
	base, err := loadConfig(ctx, &options)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(options.Regions)
	if len(names) == 0 && base.Region != "" {
		names = []string{base.Region}
	}
	if len(names) == 0 {
		return nil, errors.New("--regions: no region given, and AWS_REGION is not set")
	}
	for _, name := range names {
		if !regionForm.MatchString(name) {
			return nil, fmt.Errorf("--regions: %q is not the name of a region, as us-east-1 is", name)
		}
	}
	if base.Region == "" {
		base.Region = names[0] // of STS
	}
	regions := newRegions(base, "", names, options)
	for _, role := range options.Roles {
		assumed := base.Copy()
		assumed.Credentials = role.credentials(base)
		regions = append(regions, newRegions(assumed, role.account(), names, options)...)
	}
	return regions, nil
}

// loadConfig reads the SDK's configuration, and fills in what tests leave open.
func loadConfig(ctx context.Context, options *AWSOptions) (aws.Config, error) {
	requests, err := newRequestCounter(options.Registerer)
	if err != nil {
		return aws.Config{}, err
	}
	if options.client == nil {
		options.client = awshttp.NewBuildableClient().WithTimeout(requestTimeout)
	}
	if options.retryer == nil {
		options.retryer = newRetryer
	}
	base, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(options.client),
		config.WithLogger(logging.Nop{}), // it writes lines of its own to stderr, of nothing that a person can mend
		config.WithAPIOptions(append(requests.apiOptions(), traceCalls)))
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return base, nil
}

func newRegions(base aws.Config, account string, names []string, options AWSOptions) []Region {
	regions := make([]Region, 0, len(names))
	for _, name := range names {
		region := newRegion(base, name, options)
		region.Account = account
		regions = append(regions, region)
	}
	return regions
}

// newRegion makes the clients of a region.
func newRegion(base aws.Config, name string, options AWSOptions) Region {
	regional := base.Copy()
	regional.Region = name
	retryer := options.retryer()
	regional.Retryer = func() aws.Retryer { return retryer }
	return Region{
		Name:     name,
		Tagging:  tagging.NewFromConfig(regional),
		Lambda:   awslambda.NewFromConfig(regional, paced(options.Rate)),
		Identity: sts.NewFromConfig(regional),
		rate:     options.Rate,
		pageSize: options.PageSize,
	}
}
