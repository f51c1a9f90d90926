package patch

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// endpoint is where requests for a function go.
type endpoint struct {
	host string // a DNS name, or an address if ip
	ip   bool
	port uint32
	tls  bool
}

// endpointOf is where requests for a function go: the override, or AWS's endpoint
// in the region of its ARN. The AWS SDK knows partitions and hosts; it takes any
// region for one of AWS's main partition that none of the other patterns match.
func (o Options) endpointOf(arn lambda.ARN) (endpoint, error) {
	// Only the older of the SDK's resolvers tells the partition.
	known, err := awslambda.NewDefaultEndpointResolver().ResolveEndpoint(arn.Region, awslambda.EndpointResolverOptions{})
	if err != nil {
		return endpoint{}, fmt.Errorf("finding the endpoint in %s: %w", arn.Region, err)
	}
	if known.PartitionID != arn.Partition {
		return endpoint{}, fmt.Errorf("region %s is in partition %s, not in %s", arn.Region, known.PartitionID, arn.Partition)
	}
	if o.EndpointURL != "" {
		return parseEndpoint(o.EndpointURL)
	}
	resolved, err := awslambda.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), awslambda.EndpointParameters{
		Region:       aws.String(arn.Region),
		UseFIPS:      aws.Bool(o.FIPS),
		UseDualStack: aws.Bool(o.DualStack),
	})
	if err != nil {
		return endpoint{}, fmt.Errorf("finding the endpoint in %s: %w", arn.Region, err)
	}
	return parseEndpoint(resolved.URI.String())
}

// Check says what of a function cannot be carried out with these options: a
// setting that is not there yet, a region outside the ARN's partition, an ARN or a role
// outside the bounds. Who builds
// a Table calls it, so that such a service is shown with its mistake, not invoked
// otherwise than it was asked for. The error joins a *lambda.Mistake for each, of
// the function's name.
//
// Accepted though an Envoy may be too old for it: error-mapping and retries, without
// which a call is still the right one (see script and retryPolicy).
func (o Options) Check(f lambda.Function) error {
	var errs []error
	mistake := func(key, value, reason string) {
		errs = append(errs, &lambda.Mistake{Subject: f.ARN.Name, Key: lambda.Prefix + key, Value: value, Reason: reason})
	}
	if f.ARN.IsZero() {
		mistake(lambda.KeyARN, "", "missing: the function's ARN")
	} else if _, err := o.endpointOf(f.ARN); err != nil {
		mistake(lambda.KeyARN, f.ARN.String(), err.Error())
	}
	if arn := f.ARN.String(); len(o.AllowARNs) > 0 && !o.AllowARNs.cover(arn) {
		mistake(lambda.KeyARN, arn, "outside of what this lambdamesh may have invoked (--allow-arns)")
	}
	if f.RoleARN != "" && !o.AllowRoles.cover(f.RoleARN) {
		mistake(lambda.KeyRoleARN, f.RoleARN, "outside of what this lambdamesh may have assumed (--allow-roles; none without it)")
	}
	if f.RoleARN != "" && f.CredentialsProfile != "" {
		mistake(lambda.KeyCredentialsProfile, f.CredentialsProfile, "cannot go together with "+lambda.KeyRoleARN)
	}
	if f.URL {
		mistake(lambda.KeyInvokeMode, "url", "not supported yet")
	}
	return errors.Join(errs...)
}
