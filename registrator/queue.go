package registrator

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	// longPoll is how long SQS waits for a message, in seconds: the most that it does.
	longPoll = 20

	// batch is the most that SQS gives at once, and takes.
	batch = 10

	// deleteWait bounds the deletion of messages whose work is done when the process is
	// to end; what is not deleted comes again, and does no harm.
	deleteWait = 5 * time.Second

	// mostBackoff is the longest wait after events could not be received.
	mostBackoff = time.Minute
)

// QueueAPI is what is used of SQS.
type QueueAPI interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// Queue is an SQS queue of which each message is an event, as EventBridge puts it there.
//
// A message is deleted once its work is done. One that cannot be read, or whose work
// fails, is left alone: SQS delivers it again after the queue's visibility timeout, and
// moves it to the dead-letter queue if the queue has one.
type Queue struct {
	URL string
	SQS QueueAPI
}

// queueHost is the host of a queue's URL, which names its region.
var queueHost = regexp.MustCompile(`^sqs(?:-fips)?\.([a-z]+(?:-[a-z]+)+-[0-9]+)\.`)

// LoadQueue makes the client of a queue, as LoadRegions makes those of regions. The
// region is that of the URL, if it says one.
func LoadQueue(ctx context.Context, queue string, options AWSOptions) (*Queue, error) {
	region, err := QueueRegion(queue)
	if err != nil {
		return nil, err
	}
	base, err := loadConfig(ctx, &options)
	if err != nil {
		return nil, err
	}
	if region != "" {
		base.Region = region
	}
	if base.Region == "" && len(options.Regions) > 0 {
		base.Region = options.Regions[0]
	}
	if base.Region == "" {
		return nil, errors.New("--sqs-queue-url: it names no region, and AWS_REGION is not set")
	}
	return &Queue{URL: queue, SQS: sqs.NewFromConfig(base)}, nil
}

// QueueRegion is the region that a queue's URL says, empty if none. The error is that of
// what is no queue's URL.
func QueueRegion(queue string) (string, error) {
	parsed, err := url.Parse(queue)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") || len(parsed.Path) < 2 {
		return "", fmt.Errorf("--sqs-queue-url: %q is not the URL of a queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)", queue)
	}
	if found := queueHost.FindStringSubmatch(parsed.Host); found != nil {
		return found[1], nil
	}
	return "", nil
}

// consume handles the queue's events until ctx is done. Of several replicas the one
// that makes the full syncs does so, if Consul's token may hold a lock: looks at one
// function must not overlap.
func (r *Registrator) consume(ctx context.Context) {
	trouble := schedule{what: "receiving events", interval: mostBackoff, logger: r.config.Logger}
	for ctx.Err() == nil {
		err := r.consumeElected(ctx)
		if ctx.Err() != nil {
			return
		}
		trouble.note(err)
		if err == nil {
			continue
		}
		timer := time.NewTimer(trouble.wait(err, 0))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (r *Registrator) consumeElected(ctx context.Context) error {
	elected, cancel, err := r.lock.hold(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	out, err := r.config.Queue.SQS.ReceiveMessage(elected, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(r.config.Queue.URL), MaxNumberOfMessages: batch, WaitTimeSeconds: longPoll,
	})
	if err != nil {
		if elected.Err() != nil {
			err = context.Cause(elected)
		}
		return err
	}
	done := r.handleMessages(elected, out.Messages)
	return r.deleteMessages(ctx, done)
}

// handleMessages does what the messages ask for and returns those that are done.
// Several looks at one function are one, and so are several full syncs.
func (r *Registrator) handleMessages(ctx context.Context, messages []types.Message) (done []types.Message) {
	if len(messages) == 0 {
		return nil
	}
	ctx, span := r.work(ctx, "events", attribute.Int("messaging.batch.message_count", len(messages)))
	defer span.End()
	events := make([]Event, len(messages))
	failures := make([]error, len(messages))
	var functions []lambda.ARN
	for i, message := range messages {
		events[i], failures[i] = ParseEvent([]byte(aws.ToString(message.Body)))
		functions = append(functions, events[i].Functions...)
	}
	failed := r.lookAtAll(ctx, functions)
	sync := sync.OnceValue(func() error {
		_, err := r.Sync(ctx)
		return err
	})
	for i, event := range events {
		switch event.Kind {
		case EventSync:
			failures[i] = sync()
		case EventLook:
			for _, arn := range event.Functions {
				failures[i] = errors.Join(failures[i], failed[arn])
			}
		case EventNothing:
			r.config.Logger.DebugContext(ctx, "an event that is nothing to us", "message_id", aws.ToString(messages[i].MessageId), "reason", event.Reason)
		}
		if failures[i] != nil && ctx.Err() != nil { // it was not tried to the end
			continue
		}
		r.metrics.handled(event, failures[i], time.Now())
		if failures[i] == nil {
			done = append(done, messages[i])
			continue
		}
		span.SetStatus(codes.Error, "of some events, see the log")
		r.config.Logger.WarnContext(ctx, "an event could not be handled; SQS delivers it again, or hands it to its dead-letter queue",
			"message_id", aws.ToString(messages[i].MessageId), "error", failures[i])
	}
	return done
}

// lookAtAll looks at functions and says which of them failed, and why: all at once,
// which reads Consul once; where that fails, each by itself.
func (r *Registrator) lookAtAll(ctx context.Context, functions []lambda.ARN) map[lambda.ARN]error {
	if len(functions) == 0 {
		return nil
	}
	_, err := r.Look(ctx, functions...)
	if err == nil {
		return nil
	}
	failed := map[lambda.ARN]error{}
	for _, arn := range functions {
		if _, known := failed[arn]; known {
			continue
		}
		if len(functions) > 1 {
			_, err = r.Look(ctx, arn)
		}
		failed[arn] = err
	}
	return failed
}

// deleteMessages does so even if ctx is done by now.
func (r *Registrator) deleteMessages(ctx context.Context, done []types.Message) error {
	if len(done) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWait)
	defer cancel()
	in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(r.config.Queue.URL)}
	for i, message := range done {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle})
	}
	out, err := r.config.Queue.SQS.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = errors.New(aws.ToString(out.Failed[0].Message))
	}
	if err != nil {
		return fmt.Errorf("deleting events that are done: %w", err)
	}
	return nil
}
