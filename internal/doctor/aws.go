package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// AWS is what is checked of AWS: with the credentials that this process finds, as a
// registrator on this machine would.
type AWS struct {
	Region     string   // empty: the environment's
	Function   string   // a function to look at: name or ARN; empty: any
	Roles      []Role   // of further accounts that the registrator reads
	Queue      Queue    // that the registrator reads
	Parameters []string // of Parameter Store that the registrator reads as a function
}

// Queue is one of SQS; the zero value is none.
type Queue struct {
	URL string
	SQS interface {
		ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
		DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	}
}

// Role is one of another account, with what its trust policy asks for; empty: nothing.
type Role struct{ ARN, ExternalID string }

// skewAllowed is how far clocks may differ before AWS refuses signatures: 5 minutes, by
// its documentation. Half of it is worth a word.
const skewAllowed = 5 * time.Minute

// Check asks AWS who we are, what the time is there, and what we may.
func (a AWS) Check(ctx context.Context, r *Report) {
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
	asked, cancel := asking(ctx)
	defer cancel()
	credentials, err := cfg.Credentials.Retrieve(asked)
	if err != nil {
		r.add("aws credentials", Fail, "none were found: "+reason(err), "give this process a role (instance profile, ECS task role, IRSA or EKS Pod Identity), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		return
	}
	r.add("aws credentials", OK, "by "+credentials.Source+", region "+cfg.Region, "")
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(asked, &sts.GetCallerIdentityInput{})
	if err != nil {
		r.add("aws identity", Fail, reason(err), "the credentials are wrong, have run out, or AWS's STS cannot be reached from here")
		if at, ok := saidAt(err); ok {
			checkClock(r, time.Since(at))
		}
		return
	}
	r.add("aws identity", OK, aws.ToString(who.Arn), "")
	if at, ok := middleware.GetServerTime(who.ResultMetadata); ok {
		checkClock(r, time.Since(at))
	}
	for _, check := range []func(context.Context, *Report, aws.Config){a.checkReads, a.checkRoles, a.checkQueue, a.checkParameters} {
		asked, cancel := asking(ctx)
		check(asked, r, cfg)
		cancel()
	}
}

// saidAt is when AWS refused, by its clock: it refuses signatures of another time.
func saidAt(err error) (time.Time, bool) {
	refused, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok {
		return time.Time{}, false
	}
	at, err := http.ParseTime(refused.Response.Header.Get("Date"))
	return at, err == nil
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
		for _, check := range []string{"lambda:GetFunctionConfiguration", "lambda:ListTags", "lambda:GetFunctionUrlConfig", "lambda:InvokeFunction"} {
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
	_, err = client.GetFunctionUrlConfig(ctx, &awslambda.GetFunctionUrlConfigInput{FunctionName: &name})
	if errors.As(err, &missing) {
		err = nil // it has none, and we may know
	}
	action(r, "lambda:GetFunctionUrlConfig", err, Warn, "functions tagged with invoke-mode url then need the tag url too")
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
