package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/registrator"
)

const (
	schedule = `{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}`
	tagged   = `{"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail", "account": %q, "region": "us-east-1",
		"detail": {"eventName": "TagResource20170331v2", "requestParameters": {"resource": %q}}}`
)

// parameter writes a SecureString.
func parameter(t *testing.T, a *testmesh.AWS, name, value string) {
	t.Helper()
	_, err := ssm.NewFromConfig(a.SDKConfig()).PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: &name, Value: &value, Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestInvocations: against a real Consul with TLS and ACLs, whose authority and token
// are in Parameter Store, and change there.
func TestInvocations(t *testing.T) {
	ports := testmesh.TestPorts(t)
	var https int
	if err := ports.Fill(&https); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	trusted, err := testmesh.NewAuthority(dir, "trusted")
	if err != nil {
		t.Fatal(err)
	}
	other, err := testmesh.NewAuthority(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := trusted.Issue("consul")
	if err != nil {
		t.Fatal(err)
	}
	server := testmesh.TestConsul(t, testmesh.ConsulConfig{Ports: ports, Config: fmt.Sprintf(`
		ports { https = %d }
		tls { https { cert_file = %q  key_file = %q } }`, https, cert, key)})
	a := testmesh.TestAWS(t, testmesh.AWSConfig{})
	for _, variable := range a.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	t.Setenv("CONSUL_HTTP_ADDR", fmt.Sprintf("https://127.0.0.1:%d", https))
	token, err := server.Token(testmesh.Context(t), "registrator", testmesh.LambdameshRules)
	if err != nil {
		t.Fatal(err)
	}
	ca := func(authority *testmesh.Authority) string {
		t.Helper()
		pem, err := os.ReadFile(authority.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem)
	}
	parameter(t, a, "/consul/token", token.SecretID)
	parameter(t, a, "/consul/ca", ca(other))

	var log strings.Builder
	h, err := open(t.Context(), environ(map[string]string{"CONSUL_HTTP_TOKEN_PATH": "/consul/token", "CONSUL_CACERT_PATH": "/consul/ca"}))
	if err != nil {
		t.Fatal(err)
	}
	h.log = slog.New(slog.NewJSONHandler(&log, nil))
	create := func(name string) (arn string) {
		t.Helper()
		file, err := testmesh.FunctionFile("hello.py")
		if err == nil {
			arn, err = a.CreateFunction(t.Context(), testmesh.Function{Name: name, File: file, Tags: testmesh.EnabledTags()})
		}
		if err != nil {
			t.Fatal(err)
		}
		return arn
	}
	expect := func(event string, want answer, services ...string) {
		t.Helper()
		got, err := h.handle(testmesh.Context(t), json.RawMessage(event))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", event, got, err, want)
		}
		for _, service := range services {
			if found, _, err := server.API().Catalog().Service(service, "", nil); err != nil || len(found) != 1 {
				t.Errorf("%s stands in the catalog %d times, %v", service, len(found), err)
			}
		}
	}
	hello := create("hello")

	if _, err := h.handle(testmesh.Context(t), json.RawMessage(schedule)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that did not sign Consul's certificate: %v", err)
	}
	parameter(t, a, "/consul/ca", ca(trusted))
	expect(schedule, answer{Event: registrator.EventSync, Functions: 1, Changes: 1}, "hello")
	expect(schedule, answer{Event: registrator.EventSync, Functions: 1})

	late := create("late")
	create("not-looked-at")
	expect(fmt.Sprintf(tagged, testmesh.AccountID, late), answer{Event: registrator.EventLook, Functions: 1, Changes: 1}, "hello", "late")

	// The token goes, and another one comes.
	if err := server.DeleteToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := a.Untag(t.Context(), hello, testmesh.MetaPrefix+"enabled"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.handle(testmesh.Context(t), json.RawMessage(fmt.Sprintf(tagged, testmesh.AccountID, hello))); err == nil {
		t.Error("a token that is deleted still works")
	}
	next, err := server.Token(testmesh.Context(t), "registrator", testmesh.LambdameshRules)
	if err != nil {
		t.Fatal(err)
	}
	parameter(t, a, "/consul/token", next.SecretID)
	expect(fmt.Sprintf(tagged, testmesh.AccountID, hello), answer{Event: registrator.EventLook, Functions: 1, Changes: 1}, "late")
	if found, _, err := server.API().Catalog().Service("hello", "", nil); err != nil || len(found) > 0 {
		t.Errorf("hello is still there, %v", err)
	}

	got, err := h.handle(t.Context(), json.RawMessage(`{"source": "aws.ec2", "detail-type": "Other", "detail": {}}`))
	if err != nil || got.Event != registrator.EventNothing || got.Reason == "" {
		t.Errorf("an event of others: %+v, %v", got, err)
	}
	if _, err := h.handle(t.Context(), json.RawMessage(`{}`)); err == nil {
		t.Error("what is no event is no error")
	}
	for _, secret := range []string{token.SecretID, next.SecretID, "BEGIN CERTIFICATE", a.Credentials().SecretAccessKey} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("a secret stands in the log:\n%s", log.String())
		}
	}
}

// silent is a fake: a tagging API that never answers.
type silent struct{}

func (silent) GetResources(ctx context.Context, _ *tagging.GetResourcesInput, _ ...func(*tagging.Options)) (*tagging.GetResourcesOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// What was traced has been sent when an invocation ends, and a receiver that does not
// answer holds none up beyond its deadline.
func TestTracesAreSentBeforeTheEnvironmentIsFrozen(t *testing.T) {
	var received atomic.Int32
	silent, release := atomic.Bool{}, make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if silent.Load() {
			<-release
		}
		received.Add(1)
	}))
	t.Cleanup(receiver.Close)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	h, err := open(t.Context(), environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.traces.Close(t.Context()) })
	t.Cleanup(func() { close(release) })
	h.regions[0].Tagging = refusing{}
	if _, err := h.handle(t.Context(), json.RawMessage(schedule)); err == nil {
		t.Error("it does not fail")
	}
	if received.Load() != 1 {
		t.Errorf("received %d times when the invocation ended", received.Load())
	}
	silent.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, _ = h.handle(ctx, json.RawMessage(schedule))
	if ctx.Err() != nil {
		t.Error("the receiver held the invocation up beyond its deadline")
	}
}

// refusing is a fake: a tagging API that refuses.
type refusing struct{}

func (refusing) GetResources(context.Context, *tagging.GetResourcesInput, ...func(*tagging.Options)) (*tagging.GetResourcesOutput, error) {
	return nil, errors.New("not you")
}

// A run that takes too long ends before AWS Lambda ends it.
func TestDeadline(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	h, err := open(t.Context(), environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	h.log = slog.New(slog.NewJSONHandler(&log, nil))
	h.regions[0].Tagging = silent{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = h.handle(ctx, json.RawMessage(schedule))
	if ctx.Err() != nil || !errors.Is(err, errDeadline) {
		t.Errorf("it ended with %v, and the context with %v", err, ctx.Err())
	}
	if !strings.Contains(log.String(), "the next run goes on") {
		t.Errorf("the log does not say so: %s", log.String())
	}
}

// A parameter that is missing or empty is an error that names it.
func TestParametersThatAreNotThere(t *testing.T) {
	s := settings{tokenPath: "/t"}
	for _, store := range []fakeStore{{err: errors.New("not there")}, {value: aws.String("")}, {}} {
		_, err := s.readSecrets(t.Context(), store)
		if err == nil || !strings.Contains(err.Error(), "CONSUL_HTTP_TOKEN_PATH: reading the parameter /t: ") {
			t.Errorf("%+v: %v", store, err)
		}
	}
}

// fakeStore is a fake: ministack refuses to keep a parameter that is empty.
type fakeStore struct {
	value *string
	err   error
}

func (f fakeStore) GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: f.value}}, f.err
}
