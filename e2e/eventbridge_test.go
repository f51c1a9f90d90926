package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestRegistratorInAWSLambda: the registrator runs as a function, from the zip file that
// is released, invoked by EventBridge. It reaches Consul by TLS and with a token, both
// from Parameter Store. Nothing else registers: what is called was registered by it.
func TestRegistratorInAWSLambda(t *testing.T) {
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
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, Consul: testmesh.ConsulConfig{Config: fmt.Sprintf(`
		ports { https = %d }
		tls { https { cert_file = %q  key_file = %q } }`, https, cert, key)}})
	zip, err := testmesh.BuildLambdaZip(s.ctx)
	s.must(err)
	ca, err := os.ReadFile(consul.CAFile)
	s.must(err)
	s.parameter("/consul/ca", string(ca))
	s.parameter("/consul/token", s.Token.SecretID)
	registrator, err := s.AWS.CreateFunction(s.ctx, testmesh.Function{
		Name: "registrator", File: zip, Timeout: 30,
		Env: map[string]string{
			"CONSUL_HTTP_ADDR": fmt.Sprintf("https://127.0.0.1:%d", https), "CONSUL_CACERT_PATH": "/consul/ca", "CONSUL_HTTP_TOKEN_PATH": "/consul/token",
			"AWS_ENDPOINT_URL": s.AWS.Front.URL(), "LOG_LEVEL": "DEBUG",
		},
	})
	s.must(err)
	s.rule(registrator)
	s.allow("web", "early", "late")
	s.gateway("gateway", "*")
	web := s.sidecar("web", "early", "late")

	early := s.function("early", "hello", testmesh.EnabledTags())
	s.emit(`{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}`)
	s.until(web, "early", early)

	late := s.function("late", "hello", nil)
	before := len(s.AWS.Front.Requests())
	s.must(s.AWS.Tag(s.ctx, late, testmesh.EnabledTags()))
	s.emit(calledOf("TagResource20170331v2", late))
	s.until(web, "late", late)
	for _, request := range s.AWS.Front.Requests()[before:] {
		if request.Operation == "GetResources" || request.Operation == "ListFunctions" {
			t.Errorf("for one function all were listed: %s", request.Operation)
		}
	}

	s.must(s.AWS.Untag(s.ctx, late, testmesh.MetaPrefix+"enabled"))
	s.emit(calledOf("TagResource20170331v2", late)) // late, and of the opposite
	s.emit(calledOf("UntagResource20170331v2", late))
	s.absent("late")
	s.unreachable(web, "late")
	s.until(web, "early", early)
	s.must(s.AWS.DeleteFunction(s.ctx, "early"))
	s.emit(`{"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail", "account": "` + testmesh.AccountID + `", "region": "us-east-1",
		"detail": {"eventName": "DeleteFunction20150331", "requestParameters": {"functionName": "early"}}}`)
	s.absent("early")
	s.signed()
}

// parameter puts a secret into Parameter Store, encrypted.
func (s *story) parameter(name, value string) {
	s.t.Helper()
	_, err := ssm.NewFromConfig(s.AWS.SDKConfig()).PutParameter(s.ctx, &ssm.PutParameterInput{
		Name: &name, Value: &value, Type: ssmtypes.ParameterTypeSecureString,
	})
	s.must(err)
}

// relayed is the source of the events that rule hands on.
const relayed = "lambdamesh.test"

// rule has EventBridge hand what emit puts there to a target. Nobody may put events of
// AWS's own sources, and ministack emits none: they travel inside of others, which the
// rule takes off.
func (s *story) rule(target string) {
	s.t.Helper()
	client := eventbridge.NewFromConfig(s.AWS.SDKConfig())
	_, err := client.PutRule(s.ctx, &eventbridge.PutRuleInput{
		Name: aws.String("events"), EventPattern: aws.String(`{"source": ["` + relayed + `"]}`),
	})
	s.must(err)
	_, err = client.PutTargets(s.ctx, &eventbridge.PutTargetsInput{
		Rule: aws.String("events"), Targets: []ebtypes.Target{{Id: aws.String("1"), Arn: &target, InputPath: aws.String("$.detail")}},
	})
	s.must(err)
}

// emit puts an event for the rule.
func (s *story) emit(text string) {
	s.t.Helper()
	if !json.Valid([]byte(text)) {
		s.t.Fatalf("no JSON: %s", text)
	}
	out, err := eventbridge.NewFromConfig(s.AWS.SDKConfig()).PutEvents(s.ctx, &eventbridge.PutEventsInput{
		Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String(relayed), DetailType: aws.String("event"), Detail: &text}},
	})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("putting an event: %s", aws.ToString(out.Entries[0].ErrorMessage))
	}
	s.must(err)
}

// calledOf is CloudTrail's event of a call for a function's tags.
func calledOf(call, arn string) string {
	return fmt.Sprintf(`{"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail",
		"detail": {"eventName": %q, "requestParameters": {"resource": %q}}}`, call, arn)
}

// absent waits until the catalog does not have a service any more.
func (s *story) absent(service string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		services, _, err := s.Consul.API().Catalog().Service(service, "", nil)
		if err == nil && len(services) > 0 {
			err = errors.New(service + " is still in the catalog")
		}
		return err
	}))
}
