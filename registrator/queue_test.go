package registrator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// following runs a registrator with a queue until the test ends, or the function that is
// returned is called.
func (m *mesh) following(queue *FakeQueue, change func(*Config)) (stop func()) {
	m.Helper()
	r := m.registrator(func(c *Config) {
		c.Queue = &Queue{URL: "https://sqs.us-east-1.amazonaws.com/123456789012/events", SQS: queue}
		if change != nil {
			change(c)
		}
	})
	ctx, cancel := context.WithCancel(m.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				m.Error(err)
			}
		case <-time.After(testmesh.StartTimeout):
			m.Error("it does not end")
		}
	}
	m.Cleanup(stop)
	return stop
}

// until waits for a state of the queue.
func (m *mesh) until(queue *FakeQueue, what string, state func() bool) {
	m.Helper()
	ctx := testmesh.Context(m)
	for !state() {
		select {
		case <-queue.Changed:
		case <-ctx.Done():
			m.Fatalf("never: %s; left are %v\n%s", what, queue.Left(), m.log)
		}
	}
}

func tagEvent(arn lambda.ARN) string {
	return CloudTrail("TagResource20170331v2", fmt.Sprintf(`{"resource": %q}`, arn))
}

// A message is deleted after its work is done, and not before; what cannot be read, or
// done, stays. Several of one function are one look.
func testQueue(t *testing.T, m *mesh) {
	registry := prometheus.NewRegistry()
	queue := NewFakeQueue()
	m.aws.Put("first", Enabled())
	stop := m.following(queue, func(c *Config) { c.Registerer = registry })
	eventually(t, func() error { return m.logged("changed a service in Consul") }) // by the first full sync

	m.aws.Put("f", Enabled())
	m.aws.Put("g", Enabled())
	m.aws.Put("h", Enabled())
	m.aws.Fail(Fault{Operation: "ListTags", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	m.aws.Requests()
	f, g := tagEvent(m.aws.ARN("f")), tagEvent(m.aws.ARN("g"))
	queue.Put(f, "poison", g, f, f, CloudTrail("PublishVersion20150331", `{"functionName": "f"}`))
	m.until(queue, "one is none of ours, the others are taken", func() bool { return len(queue.Left()) == 5 && queue.Taken() == 5 })
	eventually(t, func() error { return m.logged("AccessDeniedException") })
	m.gone("f")

	m.aws.Heal()
	m.aws.Requests()
	queue.Expire()
	m.until(queue, "all but what cannot be read are done", func() bool { return slices.Equal(queue.Left(), []string{"poison"}) })
	m.whole("f", m.aws.ARN("f"))
	m.whole("g", m.aws.ARN("g"))
	m.gone("h")
	looks := 0
	for _, request := range m.aws.Requests() {
		if request == "ListTags 1" {
			looks++
		}
	}
	if looks != 2 {
		t.Errorf("two functions were looked at %d times", looks)
	}
	eventually(t, func() error { return m.logged("no event of EventBridge") })

	queue.Put(`{"source": "aws.events", "detail-type": "Scheduled Event"}`)
	m.until(queue, "the schedule is done", func() bool { return slices.Equal(queue.Left(), []string{"poison"}) })
	m.whole("h", m.aws.ARN("h"))

	stop()
	queue.Expire() // nobody takes it any more
	if taken := queue.Taken(); taken != 0 {
		t.Errorf("%d messages are taken although it has ended", taken)
	}
	counted := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "lambdamesh_registrator_")
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			counted[name] = metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"events_total look": 8, "events_total unreadable": 2, "events_total nothing": 1, "events_total sync": 1,
		"events_failed_total": 6, "event_age_seconds": 4,
	} {
		if counted[name] != want {
			t.Errorf("%s is %v, want %v", name, counted[name], want)
		}
	}
}

// logged is an error until the log says it.
func (m *mesh) logged(text string) error {
	if !strings.Contains(m.log.String(), text) {
		return fmt.Errorf("the log does not say %q", text)
	}
	return nil
}

// A queue that cannot be read, and one in which nothing can be deleted, hold nothing up
// for good.
func testQueueInTrouble(t *testing.T, m *mesh) {
	queue := NewFakeQueue()
	queue.Refuse(errors.New("no such queue"))
	m.following(queue, nil)
	eventually(t, func() error { return m.logged(`receiving events failed; it is tried again" error="no such queue`) })
	queue.Refuse(nil)
	m.aws.Put("f", Enabled())
	queue.Put(tagEvent(m.aws.ARN("f")))
	m.until(queue, "the event is done", func() bool { return len(queue.Left()) == 0 })
	m.whole("f", m.aws.ARN("f"))
	eventually(t, func() error { return m.logged("receiving events works again") })
}

// Of two replicas one looks; where it ends, the other goes on.
func testQueueOfTwoReplicas(t *testing.T, m *mesh) {
	queue := NewFakeQueue()
	stop := m.following(queue, nil)
	eventually(t, func() error {
		if pair, _, err := m.consul.KV().Keys("lambdamesh/", "", nil); err != nil || len(pair) == 0 {
			return errors.New("nobody holds the lock")
		}
		return nil
	})
	idle := NewFakeQueue()
	m.following(idle, nil)
	eventually(t, func() error { return m.logged("another replica holds the lock") })
	idle.Put("poison")
	m.aws.Put("f", Enabled())
	queue.Put(tagEvent(m.aws.ARN("f")))
	m.until(queue, "the event is done", func() bool { return len(queue.Left()) == 0 })
	if idle.Taken() != 0 {
		t.Error("a replica without the lock takes events")
	}
	stop()
	m.until(idle, "the other one goes on", func() bool { return idle.Taken() == 1 })
}

func TestLoadQueue(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_REGION", "")
	for _, queue := range []string{"", "events", "sqs.us-east-1.amazonaws.com/1/q", "https://sqs.us-east-1.amazonaws.com", "ftp://a/b", "https://queue.example/1/q"} {
		if _, err := LoadQueue(t.Context(), queue, AWSOptions{}); err == nil || !strings.HasPrefix(err.Error(), "--sqs-queue-url: ") {
			t.Errorf("%q: %v", queue, err)
		}
	}
	registry := prometheus.NewRegistry()
	options := AWSOptions{Regions: []string{"eu-west-1"}, Registerer: registry}
	if _, err := LoadRegions(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	for _, queue := range []string{"https://sqs.us-east-1.amazonaws.com/1/q", "https://queue.example/1/q"} {
		if _, err := LoadQueue(t.Context(), queue, options); err != nil {
			t.Errorf("%q: %v", queue, err)
		}
	}
}
