package patch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// endpoint is where requests for a function go.
type endpoint struct {
	host string // what is signed and verified: a DNS name, or an address if ip
	ip   bool
	at   string // where that host is looked for, a name or an address; empty: at its own name
	port uint32
	tls  bool
}

// address is what a connection is opened to; ip tells an address from a name.
func (e endpoint) address() (address string, ip bool) {
	if e.at == "" {
		return e.host, e.ip
	}
	_, err := netip.ParseAddr(e.at)
	return e.at, err == nil
}

// endpointOf is where requests for a function go: its URL, if it is called by that; the
// override; or AWS's endpoint in the region of its ARN. The AWS SDK knows partitions and
// hosts.
func (o Options) endpointOf(f lambda.Function) (endpoint, error) {
	arn := f.ARN
	partition, _, err := inTable(arn.Region)
	if err != nil {
		return endpoint{}, err
	}
	if partition != arn.Partition {
		return endpoint{}, fmt.Errorf("region %s is in partition %s, not in %s", arn.Region, partition, arn.Partition)
	}
	if f.URL {
		return o.urlEndpoint(f.FunctionURL)
	}
	if o.EndpointURL != "" {
		return parseEndpoint(o.EndpointURL)
	}
	if arn.Partition == "aws" && !mainRegionForm.MatchString(arn.Region) {
		return endpoint{}, fmt.Errorf("AWS has no region %s", arn.Region)
	}
	if o.FIPS {
		if err := hasFIPS(arn.Region); err != nil {
			return endpoint{}, err
		}
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

// mainRegionForm is that of regions of AWS's main partition, to which the SDK counts
// whatever is of no other one: its own pattern (aws-sdk-go-v2 1.47.7, partitions.go),
// which it does not export.
var mainRegionForm = regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$`)

// inTable asks the older of the SDK's two resolvers, which alone tells the partition.
func inTable(region string) (partition, signedFor string, err error) {
	known, err := awslambda.NewDefaultEndpointResolver().ResolveEndpoint(region, awslambda.EndpointResolverOptions{})
	if err != nil {
		return "", "", fmt.Errorf("finding the endpoint in %s: %w", region, err)
	}
	return known.PartitionID, known.SigningRegion, nil
}

// hasFIPS says whether Lambda has a FIPS endpoint in a region. The SDK makes up a host
// where there is none, as in China; its table has a name of an older time, fips-REGION,
// for each that there is, with the region to sign for.
func hasFIPS(region string) error {
	_, signedFor, err := inTable("fips-" + region)
	if err != nil {
		return err
	}
	if signedFor != region {
		return fmt.Errorf("AWS Lambda has no FIPS endpoint in region %s", region)
	}
	return nil
}

// Check says what of a function cannot be carried out with these options: settings that
// contradict each other, a region outside the ARN's partition, an ARN, a URL or a role
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
	} else if _, err := o.endpointOf(f); err != nil {
		mistake(lambda.KeyARN, f.ARN.String(), err.Error())
	}
	if arn := f.ARN.String(); len(o.AllowARNs) > 0 && !o.AllowARNs.cover(arn) {
		mistake(lambda.KeyARN, arn, "outside of what this lambdamesh may have invoked (--allow-arns)")
	}
	if f.URL && len(o.AllowARNs) > 0 && !o.AllowARNs.cover(f.FunctionURL) {
		mistake(lambda.KeyURL, f.FunctionURL, "outside of what this lambdamesh may have invoked (--allow-arns; a URL does not tell whose function it is, and needs a glob of its own)")
	}
	if f.RoleARN != "" && !o.AllowRoles.cover(f.RoleARN) {
		mistake(lambda.KeyRoleARN, f.RoleARN, "outside of what this lambdamesh may have assumed (--allow-roles; none without it)")
	}
	if f.RoleARN != "" && f.CredentialsProfile != "" {
		mistake(lambda.KeyCredentialsProfile, f.CredentialsProfile, "cannot go together with "+lambda.KeyRoleARN)
	}
	return errors.Join(errs...)
}
