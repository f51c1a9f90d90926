package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestEventsBySQS: a registrator whose next full sync is an hour away follows what
// happens to functions, by a queue into which EventBridge puts events.
func TestEventsBySQS(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{SyncInterval: "1h", NoLambdamesh: true})
	dead := s.queue("dead", nil)
	events := s.queue("events", map[string]string{
		"VisibilityTimeout": "1",
		"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": "3"}`, dead.arn),
	})
	s.rule(events.arn)
	s.function("first", "hello", testmesh.EnabledTags())
	s.must(s.StartLambdamesh(s.ctx, "--sqs-queue-url", events.url))
	s.present("first") // the first full sync is over

	s.run("a tag, and it taken away", func(t *testing.T) {
		hello := s.function("hello", "hello", nil)
		s.must(s.AWS.Tag(s.ctx, hello, testmesh.EnabledTags("aliases", "blue")))
		put := time.Now()
		s.emit(calledOf("TagResource20170331v2", hello))
		s.present("hello")
		t.Logf("event put, to Consul having the service: %s", time.Since(put).Round(time.Millisecond))
		s.present("hello-blue")
		s.must(s.AWS.Tag(s.ctx, hello, testmesh.EnabledTags("aliases", "green")))
		s.emit(calledOf("TagResource20170331v2", hello))
		s.present("hello-green")
		s.absent("hello-blue")
		s.must(s.AWS.Untag(s.ctx, hello, testmesh.MetaPrefix+"enabled"))
		s.emit(calledOf("UntagResource20170331v2", hello))
		s.absent("hello")
		s.absent("hello-green")
		events.empty(s)
	})
	s.run("many at once, AWS throttling meanwhile", func(t *testing.T) {
		s.AWS.Front.Fail(testmesh.Fault{Operation: "ListTags", Times: 3})
		var arns []string
		for i := range 12 {
			arns = append(arns, s.function(fmt.Sprintf("many-%d", i), "hello", testmesh.EnabledTags()))
		}
		s.must(s.AWS.Untag(s.ctx, arns[0], testmesh.MetaPrefix+"enabled"))
		s.must(s.AWS.DeleteFunction(s.ctx, "many-1"))
		for range 2 { // each twice, and out of turn
			for _, arn := range arns {
				s.emit(calledOf("UntagResource20170331v2", arn))
				s.emit(calledOf("TagResource20170331v2", arn))
			}
		}
		for i := 2; i < len(arns); i++ {
			s.present(fmt.Sprintf("many-%d", i))
		}
		events.empty(s)
		s.absent("many-0")
		s.absent("many-1")
	})
	s.run("poison goes to the dead-letter queue", func(t *testing.T) {
		events.send(s, "poison")
		late := s.function("late", "hello", testmesh.EnabledTags())
		s.emit(calledOf("CreateFunction20150331", late))
		s.present("late")
		if got := dead.receive(s); got != "poison" {
			t.Errorf("the dead-letter queue has %q", got)
		}
		events.empty(s)
		metrics, err := s.Lambdamesh.Metrics(s.ctx)
		s.must(err)
		if n := metrics[`lambdamesh_registrator_events_total{kind="unreadable"}`]; n != 3 {
			t.Errorf("what cannot be read was received %v times", n)
		}
		if failed, looks := metrics["lambdamesh_registrator_events_failed_total"], metrics[`lambdamesh_registrator_events_total{kind="look"}`]; failed < 3 || looks < 50 {
			t.Errorf("%v failed, %v looks", failed, looks)
		}
	})
	s.run("killed, and the event is done by the next one", func(t *testing.T) {
		s.Lambdamesh.Kill()
		s.must(s.AWS.DeleteFunction(s.ctx, "late"))
		s.emit(`{"source": "aws.tag", "detail-type": "Tag Change on Resource", "resources": ["arn:aws:lambda:us-east-1:` + testmesh.AccountID + `:function:late"],
			"detail": {"service": "lambda", "resource-type": "function", "changed-tag-keys": []}}`)
		s.must(s.Lambdamesh.Start(s.ctx))
		s.absent("late")
		events.empty(s)
	})
}

// present waits until the catalog has a service.
func (s *story) present(service string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		services, _, err := s.Consul.API().Catalog().Service(service, "", nil)
		if err == nil && len(services) != 1 {
			err = fmt.Errorf("%s stands in the catalog %d times", service, len(services))
		}
		return err
	}))
}

// queue is an SQS queue.
type queue struct {
	client   *sqs.Client
	url, arn string
}

func (s *story) queue(name string, attributes map[string]string) *queue {
	s.t.Helper()
	q := &queue{client: sqs.NewFromConfig(s.AWS.SDKConfig()), arn: fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.AWS.Region(), testmesh.AccountID, name)}
	out, err := q.client.CreateQueue(s.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	s.must(err)
	q.url = aws.ToString(out.QueueUrl)
	return q
}

func (q *queue) send(s *story, body string) {
	s.t.Helper()
	_, err := q.client.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body})
	s.must(err)
}

// receive waits for a message.
func (q *queue) receive(s *story) (body string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 1})
		if err == nil && len(out.Messages) == 0 {
			err = fmt.Errorf("no message is in %s", q.arn)
		}
		if err == nil {
			body = aws.ToString(out.Messages[0].Body)
		}
		return err
	}))
	return body
}

// empty waits until all messages are deleted or moved away.
func (q *queue) empty(s *story) {
	s.t.Helper()
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
		if err != nil {
			return err
		}
		for _, name := range names {
			if n := out.Attributes[string(name)]; n != "0" {
				return fmt.Errorf("%s: %s is %s", q.arn, name, n)
			}
		}
		return nil
	}))
}
