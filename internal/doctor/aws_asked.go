package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// What is checked only where it is asked for: roles, a queue, parameters.

// checkRoles takes each role on, and makes the registrator's first call with it.
func (a AWS) checkRoles(ctx context.Context, r *Report, cfg aws.Config) {
	for _, role := range a.Roles {
		check := "aws role " + role.ARN
		assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role.ARN, func(o *stscreds.AssumeRoleOptions) {
			if o.RoleSessionName = "lambdamesh-doctor"; role.ExternalID != "" {
				o.ExternalID = &role.ExternalID
			}
		})
		as := cfg.Copy()
		as.Credentials = aws.NewCredentialsCache(assume)
		if _, err := as.Credentials.Retrieve(ctx); err != nil {
			r.add(check, Fail, reason(err), "allow these credentials sts:AssumeRole on it, and have its trust policy name them, with the external id that is given")
			continue
		}
		_, err := tagging.NewFromConfig(as).GetResources(ctx, &tagging.GetResourcesInput{
			ResourceTypeFilters: []string{"lambda:function"}, ResourcesPerPage: aws.Int32(1),
		})
		if err != nil {
			r.add(check, Warn, "taken on, and may not tag:GetResources: "+reason(err), "give the role the IAM policy of docs/registrator.md")
			continue
		}
		r.add(check, OK, "taken on, and may read", "")
	}
}

// The checks of a queue take no message and delete none: SQS counts each time that a
// message is taken, and moves it to the dead letters after a few.
const (
	noReceipt = "lambdamesh-doctor"
	tooMany   = 11 // SQS gives 10 at most, and refuses whoever asks for more
)

// checkQueue asks for what the queue cannot give: where that is the answer, it is
// allowed.
func (a AWS) checkQueue(ctx context.Context, r *Report, _ aws.Config) {
	queue := a.Queue
	if queue.URL == "" {
		return
	}
	_, err := queue.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue.URL, MaxNumberOfMessages: tooMany, VisibilityTimeout: 1})
	var missing *sqstypes.QueueDoesNotExist
	if errors.As(err, &missing) {
		r.add("aws queue", Fail, "there is no queue "+queue.URL, "is the URL right, and of this account?")
		return
	}
	if code(err) == "InvalidParameterValue" || code(err) == "ReadCountOutOfRange" {
		err = nil
	}
	action(r, "sqs:ReceiveMessage", err, Fail, "without it events are not heard of, and changes wait for the next sync")
	_, err = queue.SQS.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: &queue.URL,
		Entries:  []sqstypes.DeleteMessageBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: aws.String(noReceipt)}},
	})
	action(r, "sqs:DeleteMessage", err, Fail, "without it each event comes again, and ends among the dead letters")
}

// checkParameters reads each parameter. What is in it is not shown.
func (a AWS) checkParameters(ctx context.Context, r *Report, cfg aws.Config) {
	for _, name := range a.Parameters {
		_, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		var missing *ssmtypes.ParameterNotFound
		if errors.As(err, &missing) {
			r.add("aws parameter "+name, Fail, fmt.Sprintf("there is no parameter %s in %s", name, cfg.Region), "make it, of type SecureString")
			continue
		}
		action(r, "ssm:GetParameter "+name, err, Fail, "the registrator in AWS Lambda then does not start; a key of your own also wants kms:Decrypt")
	}
}

// code is what AWS calls an error; empty for another's.
func code(err error) string {
	if said, ok := errors.AsType[smithy.APIError](err); ok {
		return said.ErrorCode()
	}
	return ""
}
