package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/lambdamesh/lambdamesh/internal/eventrules"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestSAMTemplate: deploy/sam/template.yaml, as it is, becomes a stack whose function is
// the zip file that is released. Its schedule and its two rules lead to the function,
// which registers what they are about; an event that cannot be handled ends in its
// dead-letter queue; and all of it goes with the stack.
func TestSAMTemplate(t *testing.T) {
	t.Parallel()
	ports := testmesh.TestPorts(t)
	var https int
	if err := ports.Fill(&https); err != nil {
		t.Fatal(err)
	}
	consul, err := testmesh.NewAuthority(t.TempDir(), "consul")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := consul.Issue("server")
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, testmesh.MeshConfig{NoLambdamesh: true, Consul: testmesh.ConsulConfig{Config: fmt.Sprintf(`
		ports { https = %d }
		tls { https { cert_file = %q  key_file = %q } }`, https, cert, key)}})
	ca, err := os.ReadFile(consul.CAFile)
	s.must(err)
	s.parameter("/consul/ca", string(ca))
	s.parameter("/consul/token", s.Token.SecretID)
	zip, err := testmesh.BuildLambdaZip(s.ctx)
	s.must(err)
	code, err := os.ReadFile(zip)
	s.must(err)
	_, err = s.aws("s3", http.MethodPut, "/artefacts", "", nil)
	s.must(err)
	_, err = s.aws("s3", http.MethodPut, "/artefacts/registrator.zip", "application/zip", code)
	s.must(err)

	stack := s.stack("registrator", map[string]string{
		"Name": "registrator", "CodeBucket": "artefacts", "CodeKey": "registrator.zip",
		"ConsulHttpAddr":      fmt.Sprintf("https://127.0.0.1:%d", https),
		"ConsulHttpTokenPath": "/consul/token", "ConsulCaCertPath": "/consul/ca",
	})
	function := stack["FunctionArn"]
	s.emulated(function, stack["DeadLetterQueueUrl"])
	invokers := s.policyOf(function)

	rules := map[string]string{} // patterns by name
	client := eventbridge.NewFromConfig(s.AWS.SDKConfig())
	for _, name := range []string{"registrator-sync", "registrator-calls", "registrator-tags"} {
		rule, err := client.DescribeRule(s.ctx, &eventbridge.DescribeRuleInput{Name: &name})
		s.must(err)
		rules[name] = aws.ToString(rule.EventPattern)
		if name == "registrator-sync" && aws.ToString(rule.ScheduleExpression) != "rate(5 minutes)" {
			t.Errorf("the schedule is %q", aws.ToString(rule.ScheduleExpression))
		}
		if !strings.Contains(invokers, aws.ToString(rule.Arn)) {
			t.Errorf("%s may not invoke the function: %s", name, invokers)
		}
		s.readdress(name, function)
	}

	s.run("rules match what the registrator follows", func(t *testing.T) {
		eventrules.Check(t, client, rules["registrator-calls"], rules["registrator-tags"])
	})
	s.run("the schedule is a full sync", func(*testing.T) {
		s.function("early", "hello", testmesh.EnabledTags())
		s.put("registrator-sync", `{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}`)
		s.present("early")
	})
	s.run("events are looks", func(*testing.T) {
		called := s.function("called", "hello", testmesh.EnabledTags())
		s.put("registrator-calls", calledOf("TagResource20170331v2", called))
		s.present("called")
		tagged := s.function("tagged", "hello", testmesh.EnabledTags())
		s.put("registrator-tags", tagsChanged(tagged))
		s.present("tagged")
	})
	s.run("what cannot be handled is kept", func(t *testing.T) {
		const poison = `{"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail", "detail": {"poison": true}}`
		// As EventBridge does; the emulator's would not have it retried.
		_, err := s.AWS.Lambda().Invoke(s.ctx, &awslambda.InvokeInput{
			FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: []byte(poison),
		})
		s.must(err)
		dead := &queue{client: sqs.NewFromConfig(s.AWS.SDKConfig()), url: stack["DeadLetterQueueUrl"], arn: "the dead-letter queue"}
		if got := dead.receive(s); !strings.Contains(got, "poison") {
			t.Errorf("the dead-letter queue has %q", got)
		}
	})
	s.run("every parameter", func(t *testing.T) {
		whole := map[string]string{
			"Name": "whole", "CodeBucket": "artefacts", "CodeKey": "registrator.zip", "Architecture": "x86_64",
			"ConsulHttpAddr": "https://consul.example.com:8501", "ConsulHttpTokenPath": "/consul/token", "ConsulCaCertPath": "/consul/ca",
			"ParametersKmsKeyArn": "arn:aws:kms:us-east-1:" + testmesh.AccountID + ":key/1", "ConsulDatacenter": "dc1", "NodeName": "functions",
			"Enterprise": "true", "Partitions": "one,two", "SyncFrequencyInMinutes": "1", "Timeout": "30", "ReservedConcurrentExecutions": "2",
			"LogLevel": "debug", "LogRetentionInDays": "7", "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1",
			"AlarmTopicArn": "arn:aws:sns:us-east-1:" + testmesh.AccountID + ":alarms",
		}
		function := s.stack("whole", whole)["FunctionArn"]
		has, err := s.AWS.Lambda().GetFunctionConfiguration(s.ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &function})
		s.must(err)
		for name, want := range map[string]string{"NODE_NAME": "functions", "DATACENTER": "dc1", "ENTERPRISE": "true", "PARTITIONS": "one,two", "LOG_LEVEL": "debug"} {
			if got := has.Environment.Variables[name]; got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		rule, err := client.DescribeRule(s.ctx, &eventbridge.DescribeRuleInput{Name: aws.String("whole-sync")})
		s.must(err)
		if got := aws.ToString(rule.ScheduleExpression); got != "rate(1 minute)" {
			t.Errorf("the schedule is %q", got)
		}
		for _, mistake := range []struct{ parameter, value, want string }{
			{"SecurityGroupIds", "", "SubnetIds needs SecurityGroupIds"},
			{"Enterprise", "false", "Partitions needs Enterprise"},
			{"ConsulHttpAddr", "consul:8501", "http"},
			{"ConsulHttpTokenPath", "token", "slash"},
			{"Timeout", "901", "900"},
		} {
			parameters := maps.Clone(whole)
			parameters[mistake.parameter] = mistake.value
			if err := s.createStack("mistaken-"+strings.ToLower(mistake.parameter), parameters); err == nil || !strings.Contains(err.Error(), mistake.want) {
				t.Errorf("%s=%q: %v", mistake.parameter, mistake.value, err)
			}
		}
	})
	s.run("and all goes with the stack", func(*testing.T) {
		_, err := s.aws("cloudformation", http.MethodPost, "/", formEncoded,
			[]byte(url.Values{"Action": {"DeleteStack"}, "Version": {"2010-05-15"}, "StackName": {"registrator"}}.Encode()))
		s.must(err)
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			if _, err := s.AWS.Lambda().GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &function}); err == nil {
				return fmt.Errorf("%s is still there", function)
			}
			return nil
		}))
	})
}

// formEncoded is the content type of CloudFormation's API.
const formEncoded = "application/x-www-form-urlencoded"

// createStack asks for a stack of the template.
func (s *story) createStack(name string, parameters map[string]string) error {
	s.t.Helper()
	root, err := testmesh.SourceRoot()
	s.must(err)
	template, err := os.ReadFile(filepath.Join(root, "deploy", "sam", "template.yaml"))
	s.must(err)
	form := url.Values{
		"Action": {"CreateStack"}, "Version": {"2010-05-15"}, "StackName": {name}, "TemplateBody": {string(template)},
		"Capabilities.member.1": {"CAPABILITY_IAM"}, "Capabilities.member.2": {"CAPABILITY_AUTO_EXPAND"},
	}
	i := 0
	for key, value := range parameters {
		i++
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterKey", i), key)
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterValue", i), value)
	}
	_, err = s.aws("cloudformation", http.MethodPost, "/", formEncoded, []byte(form.Encode()))
	return err
}

// stack makes a stack of the template and returns its outputs when it stands.
func (s *story) stack(name string, parameters map[string]string) (outputs map[string]string) {
	s.t.Helper()
	s.must(s.createStack(name, parameters))
	describe := url.Values{"Action": {"DescribeStacks"}, "Version": {"2010-05-15"}, "StackName": {name}}.Encode()
	var said string
	s.must(testmesh.Poll(s.ctx, func(context.Context) (err error) {
		if said, err = s.aws("cloudformation", http.MethodPost, "/", formEncoded, []byte(describe)); err != nil {
			return err
		}
		switch {
		case strings.Contains(said, "<StackStatus>CREATE_COMPLETE<"):
			return nil
		case strings.Contains(said, "<StackStatus>CREATE_IN_PROGRESS<"):
			return fmt.Errorf("the stack is not there yet")
		}
		s.t.Fatalf("the stack failed: %s", said)
		return nil
	}))
	outputs = map[string]string{}
	for _, match := range regexp.MustCompile(`<OutputKey>([^<]+)</OutputKey>\s*<OutputValue>([^<]+)</OutputValue>`).FindAllStringSubmatch(said, -1) {
		outputs[match[1]] = match[2]
	}
	for _, key := range []string{"FunctionArn", "RoleArn", "DeadLetterQueueUrl", "LogGroupName"} {
		if outputs[key] == "" {
			s.t.Errorf("the stack has no output %s: %v", key, outputs)
		}
	}
	return outputs
}

// emulated adds to a function's environment where the emulator is, which AWS needs not;
// and its dead-letter queue, which ministack 1.5.33 leaves out when it makes the stack.
func (s *story) emulated(function, deadLetters string) {
	s.t.Helper()
	client := s.AWS.Lambda()
	was, err := client.GetFunctionConfiguration(s.ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &function})
	s.must(err)
	was.Environment.Variables["AWS_ENDPOINT_URL"] = s.AWS.Front.URL()
	_, err = client.UpdateFunctionConfiguration(s.ctx, &awslambda.UpdateFunctionConfigurationInput{
		FunctionName: &function, Environment: &types.Environment{Variables: was.Environment.Variables},
		DeadLetterConfig: &types.DeadLetterConfig{TargetArn: aws.String(
			fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.AWS.Region(), testmesh.AccountID, path.Base(deadLetters)),
		)},
	})
	s.must(err)
}

// policyOf says who may invoke a function.
func (s *story) policyOf(function string) string {
	s.t.Helper()
	out, err := s.AWS.Lambda().GetPolicy(s.ctx, &awslambda.GetPolicyInput{FunctionName: &function})
	s.must(err)
	return aws.ToString(out.Policy)
}

// readdress has a rule hand on what put puts for it, instead of what it matches: nobody
// may put events of AWS's own sources, and the schedule's first is due in minutes. Its
// one target, which must be the function, stays.
func (s *story) readdress(rule, function string) {
	s.t.Helper()
	client := eventbridge.NewFromConfig(s.AWS.SDKConfig())
	targets, err := client.ListTargetsByRule(s.ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule})
	s.must(err)
	if len(targets.Targets) != 1 || aws.ToString(targets.Targets[0].Arn) != function {
		s.t.Fatalf("%s leads to %v", rule, targets.Targets)
	}
	target := targets.Targets[0]
	if target.DeadLetterConfig == nil {
		s.t.Errorf("what %s cannot deliver is lost", rule)
	}
	target.InputPath = aws.String("$.detail")
	_, err = client.PutRule(s.ctx, &eventbridge.PutRuleInput{
		Name: &rule, EventPattern: aws.String(fmt.Sprintf(`{"source": [%q], "detail-type": [%q]}`, relayed, rule)),
	})
	s.must(err)
	_, err = client.PutTargets(s.ctx, &eventbridge.PutTargetsInput{Rule: &rule, Targets: []ebtypes.Target{target}})
	s.must(err)
}

// put puts an event for a rule that was readdressed.
func (s *story) put(rule, event string) {
	s.t.Helper()
	out, err := eventbridge.NewFromConfig(s.AWS.SDKConfig()).PutEvents(s.ctx, &eventbridge.PutEventsInput{
		Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String(relayed), DetailType: &rule, Detail: &event}},
	})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("putting an event: %s", aws.ToString(out.Entries[0].ErrorMessage))
	}
	s.must(err)
}

// tagsChanged is the tagging service's event of a function.
func tagsChanged(arn string) string {
	return fmt.Sprintf(`{"source": "aws.tag", "detail-type": "Tag Change on Resource", "resources": [%q],
		"detail": {"service": "lambda", "resource-type": "function", "changed-tag-keys": [%q]}}`, arn, testmesh.MetaPrefix+"enabled")
}

// aws makes a signed call of an API for which there is no client here, and returns the
// answer's body. By the signature the emulator tells which API it is.
func (s *story) aws(service, method, at, contentType string, body []byte) (string, error) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.ctx, method, s.AWS.Front.URL()+at, bytes.NewReader(body))
	s.must(err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	sum := sha256.Sum256(body)
	config := s.AWS.SDKConfig()
	credentials, err := config.Credentials.Retrieve(s.ctx)
	s.must(err)
	s.must(v4.NewSigner().SignHTTP(s.ctx, credentials, req, hex.EncodeToString(sum[:]), service, s.AWS.Region(), time.Now()))
	resp, err := config.HTTPClient.Do(req)
	s.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	s.must(err)
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("%s %s of %s: %s: %s", method, at, service, resp.Status, text)
	}
	return string(text), nil
}
