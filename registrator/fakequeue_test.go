package registrator

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// FakeQueue is a fake: an SQS queue whose visibility timeout ends on demand, and whose
// calls fail on demand, which no real part does. Each change is told on Changed.
type FakeQueue struct {
	Changed chan struct{} // of the capacity of one

	mu        sync.Mutex
	messages  []types.Message // that are there, taken or not
	taken     map[string]bool // by id
	delivered map[string]int  // how often, by id
	refuse    error           // of every call
	put       chan struct{}   // closed at the next change
	next      int
}

// NewFakeQueue makes an empty queue.
func NewFakeQueue() *FakeQueue {
	return &FakeQueue{
		Changed: make(chan struct{}, 1), taken: map[string]bool{}, delivered: map[string]int{}, put: make(chan struct{}),
	}
}

// Put puts messages there, at once.
func (f *FakeQueue) Put(bodies ...string) {
	f.change(func() {
		for _, body := range bodies {
			f.next++
			f.messages = append(f.messages, types.Message{
				MessageId: aws.String(strconv.Itoa(f.next)), ReceiptHandle: aws.String(strconv.Itoa(f.next)), Body: &body,
			})
		}
	})
}

// Expire ends the visibility timeout of all messages that were delivered.
func (f *FakeQueue) Expire() { f.change(func() { clear(f.taken) }) }

// Refuse has every call fail; nil: none any more.
func (f *FakeQueue) Refuse(err error) { f.change(func() { f.refuse = err }) }

// Left are the bodies of the messages that are there.
func (f *FakeQueue) Left() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var bodies []string
	for _, m := range f.messages {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

// Taken is how many of those were delivered and are not visible.
func (f *FakeQueue) Taken() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

func (f *FakeQueue) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changeLocked(do)
}

func (f *FakeQueue) changeLocked(do func()) {
	do()
	close(f.put)
	f.put = make(chan struct{})
	select {
	case f.Changed <- struct{}{}:
	default:
	}
}

// ReceiveMessage is part of QueueAPI. It waits for a message.
func (f *FakeQueue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	for {
		out, put, err := f.receive(int(in.MaxNumberOfMessages))
		if err != nil || len(out.Messages) > 0 {
			return out, err
		}
		select {
		case <-put:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *FakeQueue) receive(most int) (*sqs.ReceiveMessageOutput, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	put := f.put
	if f.refuse != nil {
		return out, put, f.refuse
	}
	for _, m := range f.messages {
		if !f.taken[*m.MessageId] && len(out.Messages) < most {
			out.Messages = append(out.Messages, m)
		}
	}
	if len(out.Messages) > 0 {
		f.changeLocked(func() {
			for _, m := range out.Messages {
				f.taken[*m.MessageId] = true
				f.delivered[*m.MessageId]++
			}
		})
	}
	return out, put, nil
}

// DeleteMessageBatch is part of QueueAPI.
func (f *FakeQueue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	if len(in.Entries) == 0 || len(in.Entries) > 10 {
		return nil, errors.New("SQS takes 1 to 10")
	}
	f.changeLocked(func() {
		for _, entry := range in.Entries {
			f.messages = slices.DeleteFunc(f.messages, func(m types.Message) bool { return *m.ReceiptHandle == *entry.ReceiptHandle })
			delete(f.taken, *entry.ReceiptHandle)
		}
	})
	return &sqs.DeleteMessageBatchOutput{}, nil
}
