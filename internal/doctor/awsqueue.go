package doctor

import (
	"context"
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queue is that of the registrator's events. No message is taken out of it.
type queue struct {
	cfg aws.Config
	url string
}

func (q queue) check(ctx context.Context, r *Report) {
	client := sqs.NewFromConfig(q.cfg)
	attributes := action{"sqs:GetQueueAttributes", "", "", Warn, "the doctor alone asks it, for what waits in the queue"}
	receive := action{"sqs:ReceiveMessage", "", "", Fail, "no events; full syncs go on"}
	remove := action{"sqs:DeleteMessage", "", "", Fail, "each event comes again, until the queue gives it to its dead-letter queue"}

	found, missing := map[string]string{}, false
	known := attributes.try(ctx, r, func(ctx context.Context) error {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if missing = errors.As(err, new(*types.QueueDoesNotExist)); missing {
			return nil // which it tells only to who may know
		}
		if err == nil {
			found = out.Attributes
		}
		return err
	})
	if missing {
		r.add("aws queue", Fail, "there is no queue "+q.url, "is --sqs-queue-url right, and in this region?")
		return
	}
	if arn := found[string(types.QueueAttributeNameQueueArn)]; arn != "" {
		receive.resource, remove.resource = arn, arn
	}
	waiting, _ := strconv.Atoi(found[string(types.QueueAttributeNameApproximateNumberOfMessages)])
	switch {
	// A message that is received is hidden from others, and one that is received once too
	// often goes to the dead-letter queue.
	case !known:
		receive.skip(r, "whether messages wait is not known, and to receive one would hide it", "allow sqs:GetQueueAttributes, or see the registrator's log")
	case waiting > 0:
		receive.skip(r, strconv.Itoa(waiting)+" messages wait, and to receive one would hide it", "does a registrator run? Its log says whether it may receive")
	default:
		receive.try(ctx, r, func(ctx context.Context) error {
			// One that has just come is to be had again after a second, the least that the SDK
			// can say.
			_, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 1, VisibilityTimeout: 1})
			return err
		})
	}
	remove.try(ctx, r, func(ctx context.Context) error {
		_, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: aws.String("of no message")})
		if errors.As(err, new(*types.ReceiptHandleIsInvalid)) { // it was looked at, so we may
			return nil
		}
		return err
	})
}
