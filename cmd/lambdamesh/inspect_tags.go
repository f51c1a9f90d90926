package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// tagsTimeout bounds the question for tags. Where there are no credentials, the SDK looks
// for those of an instance, for seconds.
const tagsTimeout = 4 * time.Second

// readTags asks AWS for the tags of a function, in the region of its ARN and with the
// credentials that this process finds; nil if no ARN is known. An alias has those of its
// function.
func readTags(ctx context.Context, text string) *admin.Tags {
	arn, err := lambda.ParseARN(text)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tagsTimeout)
	defer cancel()
	tags := &admin.Tags{Values: map[string]string{}, Mistakes: []string{}}
	all, err := listTags(ctx, arn.Unqualified())
	if err != nil {
		tags.Error = awsReason(err)
		return tags
	}
	for key, value := range all {
		if lambda.IsTag(key) {
			tags.Values[key] = value
		}
	}
	tags.Others = len(all) - len(tags.Values)
	_, _, err = lambda.FromTags(arn.Unqualified(), all)
	for _, mistake := range lambda.Mistakes(err) {
		tags.Mistakes = append(tags.Mistakes, mistake.Error())
	}
	return tags
}

func listTags(ctx context.Context, arn lambda.ARN) (map[string]string, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(arn.Region), config.WithLogger(logging.Nop{}), config.WithRetryMaxAttempts(2))
	if err != nil {
		return nil, err
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, errNoCredentials
	}
	answer, err := awslambda.NewFromConfig(cfg).ListTags(ctx, &awslambda.ListTagsInput{Resource: aws.String(arn.String())})
	if err != nil {
		return nil, err
	}
	return answer.Tags, nil
}

var errNoCredentials = errors.New("no AWS credentials are found here; they need lambda:ListTags")

// awsReason is what AWS says, in one line and without the SDK's words around it.
func awsReason(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode() + ": " + strings.Join(strings.Fields(said.ErrorMessage()), " ")
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
