package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// AWS is what is checked of AWS: with the credentials that this process finds, as a
// registrator on this machine would.
type AWS struct {
	Region   string // empty: the environment's
	Function string // a function to look at: name or ARN; empty: any
}

// skewAllowed is how far clocks may differ before AWS refuses signatures: 5 minutes, by
// its documentation. Half of it is worth a word.
const skewAllowed = 5 * time.Minute

// Check asks AWS who we are, what the time is there, and what we may.
func (a AWS) Check(ctx context.Context, r *Report) {
	ctx, cancel := asking(ctx)
	defer cancel()
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{}), config.WithRetryMaxAttempts(2)}
	if a.Region != "" {
		options = append(options, config.WithRegion(a.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		r.add("aws configuration", Fail, err.Error(), "mend the file or variable that is named")
		return
	}
	if cfg.Region == "" {
		r.add("aws region", Fail, "no region is known", "give --regions, or set AWS_REGION")
		return
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		r.add("aws credentials", Fail, "none were found: "+reason(err), "give this process a role (instance profile, ECS task role, IRSA or EKS Pod Identity), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		return
	}
	r.add("aws credentials", OK, "by "+credentials.Source+", region "+cfg.Region, "")
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		r.add("aws identity", Fail, reason(err), "the credentials are wrong, have run out, or AWS's STS cannot be reached from here")
		return
	}
	r.add("aws identity", OK, aws.ToString(who.Arn), "")
	if at, ok := middleware.GetServerTime(who.ResultMetadata); ok {
		checkClock(r, time.Since(at))
	}
	a.checkReads(ctx, r, cfg)
}

func checkClock(r *Report, skew time.Duration) {
	text := fmt.Sprintf("this machine's differs from AWS's by %s", skew.Round(time.Second))
	switch {
	case skew.Abs() >= skewAllowed:
		r.add("clock", Fail, text, "set it by NTP: AWS refuses signatures that are 5 minutes off, Envoy's too")
	case skew.Abs() >= skewAllowed/2:
		r.add("clock", Warn, text, "set it by NTP: AWS refuses signatures that are 5 minutes off")
	default:
		r.add("clock", OK, text, "")
	}
}

// checkReads makes each of the registrator's calls once.
func (a AWS) checkReads(ctx context.Context, r *Report, cfg aws.Config) {
	client := awslambda.NewFromConfig(cfg)
	_, err := tagging.NewFromConfig(cfg).GetResources(ctx, &tagging.GetResourcesInput{
		ResourceTypeFilters: []string{"lambda:function"}, ResourcesPerPage: aws.Int32(1),
	})
	action(r, "tag:GetResources", err, Warn, "the registrator then reads each function's tags by a call of its own, which is slow")
	listed, err := client.ListFunctions(ctx, &awslambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
	action(r, "lambda:ListFunctions", err, Warn, "functions' own timeouts are then not known")
	name := a.Function
	if name == "" && err == nil && len(listed.Functions) > 0 {
		name = aws.ToString(listed.Functions[0].FunctionName)
	}
	if name == "" {
		for _, check := range []string{"lambda:GetFunctionConfiguration", "lambda:ListTags", "lambda:InvokeFunction"} {
			r.add("aws right "+check, Skip, "there is no function to try it on", "give one: --function NAME")
		}
		return
	}
	found, err := client.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &name})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		r.add("aws function", Fail, fmt.Sprintf("there is no function %s in %s", name, cfg.Region), "is it in another region or account?")
		return
	}
	action(r, "lambda:GetFunctionConfiguration", err, Warn, "an event then leaves a function's timeout unknown")
	if err == nil {
		_, err = client.ListTags(ctx, &awslambda.ListTagsInput{Resource: found.FunctionArn})
		action(r, "lambda:ListTags", err, Fail, "without it no service is ever removed: each removal is confirmed by it")
	}
	if a.Function == "" {
		r.add("aws right lambda:InvokeFunction", Skip, "no function was named", "Envoys invoke, not lambdamesh; to try it with the credentials found here: --function NAME")
		return
	}
	_, err = client.Invoke(ctx, &awslambda.InvokeInput{FunctionName: &name, InvocationType: types.InvocationTypeDryRun})
	action(r, "lambda:InvokeFunction", err, Warn, "Envoys need it (for aliases also on "+name+":*); these credentials need not be theirs")
}

// action notes whether IAM allows a call.
func action(r *Report, name string, err error, without Verdict, cost string) {
	check := "aws right " + name
	if err == nil {
		r.add(check, OK, "allowed", "")
		return
	}
	r.add(check, without, reason(err), cost+"; allow it in the IAM policy")
}

// reason is what AWS says, without the SDK's words around it.
func reason(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode() + ": " + said.ErrorMessage()
	}
	return err.Error()
}
