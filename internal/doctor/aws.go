package doctor

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// AWS is what is checked of AWS: with the credentials that this process finds, as a
// registrator on this machine would.
type AWS struct {
	Regions     []string // none: the environment's
	Roles       []Role   // that the registrator is to assume
	Function    string   // a function to look at: name or ARN; empty: any
	QueueURL    string   // of the registrator's events; empty: it has none
	QueueRegion string   // that the URL says; empty: the first of Regions
	Parameters  []string // of Parameter Store that the registrator in AWS Lambda is to read
}

// attempts are how often a call is tried: a throttled one once more.
const attempts = 2

// Check asks AWS who we are, what the time is there, and what we may.
func (a AWS) Check(ctx context.Context, r *Report) {
	cfg, ok := a.load(ctx, r)
	if !ok || !checkCredentials(ctx, r, cfg) || !checkIdentity(ctx, r, cfg) {
		return
	}
	var checks []Check
	regions := a.Regions
	if len(regions) == 0 {
		regions = []string{cfg.Region}
	}
	for i, name := range regions {
		of := functions{cfg: cfg.Copy()}
		of.cfg.Region = name
		if len(regions) > 1 {
			of.where = " in " + name
		}
		if a.functionIn(name, i == 0) {
			of.named = a.Function
		}
		checks = append(checks, of.check)
	}
	for _, role := range a.Roles {
		checks = append(checks, assuming{cfg, role, regions}.check)
	}
	if a.QueueURL != "" {
		of := queue{cfg.Copy(), a.QueueURL}
		of.cfg.Region = cmp.Or(a.QueueRegion, cfg.Region)
		checks = append(checks, of.check)
	}
	for _, name := range a.Parameters {
		checks = append(checks, parameter{cfg, name}.check)
	}
	r.together(ctx, checks...)
}

// load reads the SDK's configuration.
func (a AWS) load(ctx context.Context, r *Report) (cfg aws.Config, ok bool) {
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		cfg, err = config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}), config.WithRetryMaxAttempts(attempts))
		return err
	})
	if err != nil {
		r.add("aws configuration", Fail, err.Error(), "mend the file or variable that is named")
		return cfg, false
	}
	if cfg.Region == "" && len(a.Regions) > 0 {
		cfg.Region = a.Regions[0]
	}
	if cfg.Region == "" {
		r.add("aws region", Fail, "no region is known", "give --regions, or set AWS_REGION")
		return cfg, false
	}
	return cfg, true
}

// checkIdentity asks AWS who we are, which needs no right, and compares the clocks.
func checkIdentity(ctx context.Context, r *Report, cfg aws.Config) (ok bool) {
	var who *sts.GetCallerIdentityOutput
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		who, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	})
	if err != nil {
		r.add("aws identity", Fail, reason(err), "the credentials are wrong, have run out, or AWS's STS cannot be reached from here")
	} else {
		r.add("aws identity", OK, aws.ToString(who.Arn), "")
	}
	if at, ok := serverTime(who, err); ok {
		awsClock.check(r, time.Since(at))
	}
	return err == nil
}

// serverTime is the Date of AWS's answer, of one that refuses too.
func serverTime(who *sts.GetCallerIdentityOutput, err error) (time.Time, bool) {
	if err == nil {
		return middleware.GetServerTime(who.ResultMetadata)
	}
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return time.Time{}, false
	}
	at, err := smithyhttp.ParseTime(response.Response.Header.Get("Date"))
	return at, err == nil
}

// functionIn reports whether the function that was named is of a region: that of its ARN;
// a mere name is of the first.
func (a AWS) functionIn(region string, first bool) bool {
	if parsed, err := arn.Parse(a.Function); err == nil {
		return parsed.Region == region
	}
	return first
}
