package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

const (
	secretValue = "a-token-in-parameter-store"
	roleARN     = "arn:aws:iam::000000000000:role/lambdamesh"
)

// account is an emulated AWS with a function, a queue and a parameter, in the environment.
func account(t *testing.T) (*testmesh.AWS, AWS) {
	t.Helper()
	ctx := testmesh.Context(t)
	a := testmesh.TestAWS(t, testmesh.AWSConfig{PlainInvoke: true})
	alone(t, a.Environ()...)
	file, err := testmesh.FunctionFile("hello.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateFunction(ctx, testmesh.Function{Name: "hello", File: file}); err != nil {
		t.Fatal(err)
	}
	made, err := sqs.NewFromConfig(a.SDKConfig()).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ssm.NewFromConfig(a.SDKConfig()).PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String("/lambdamesh/token"), Value: aws.String(secretValue), Type: ssmtypes.ParameterTypeSecureString,
	}); err != nil {
		t.Fatal(err)
	}
	return a, AWS{Function: "hello", QueueURL: *made.QueueUrl, Parameters: []string{"/lambdamesh/token"}, Roles: []Role{{ARN: roleARN, ExternalID: "outside"}}}
}

// alone sets these variables, and leaves no other way to credentials.
func alone(t *testing.T, environ ...string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

func checkAWS(t *testing.T, a AWS) *Report {
	t.Helper()
	r := Run(t.Context(), patient, a.Check)
	for _, secret := range []string{os.Getenv("AWS_SECRET_ACCESS_KEY"), secretValue} {
		if secret != "" && strings.Contains(said(t, r), secret) {
			t.Errorf("it says a secret:\n%s", said(t, r))
		}
	}
	return r
}

func TestAWS(t *testing.T) {
	mesh, all := account(t)
	t.Run("sound", func(t *testing.T) {
		r := checkAWS(t, all)
		sound(t, r)
		expect(t, r, "aws credentials", OK, `environment \(AWS_ACCESS_KEY_ID\), region us-east-1`)
		expect(t, r, "aws identity", OK, "arn:aws:")
		expect(t, r, "clock, AWS's", OK)
		for _, right := range []string{
			"tag:GetResources", "lambda:ListFunctions", "lambda:GetFunctionConfiguration", "lambda:ListTags", "lambda:GetFunctionUrlConfig", "lambda:InvokeFunction",
			"sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage", "ssm:GetParameter /lambdamesh/token", "sts:AssumeRole " + roleARN,
			"lambda:ListTags as " + roleARN + " in us-east-1",
		} {
			expect(t, r, "aws right "+right, OK)
		}
	})
	t.Run("denied", func(t *testing.T) { testDenied(t, mesh, all) })
	t.Run("messages stay", func(t *testing.T) { testMessagesStay(t, mesh, all) })
	t.Run("what there is not", func(t *testing.T) {
		r := checkAWS(t, AWS{Function: "nobody", QueueURL: all.QueueURL + "-gone", Parameters: []string{"/gone"}})
		expect(t, r, "aws function", Fail, "no function nobody in us-east-1", "--regions")
		expect(t, r, "aws queue", Fail, "events-gone", "--sqs-queue-url")
		expect(t, r, "aws parameter /gone", Fail, "none of that name")
	})
	t.Run("regions", func(t *testing.T) {
		r := checkAWS(t, AWS{Regions: []string{"us-east-1", "eu-west-1"}, Function: "hello"})
		expect(t, r, "aws right lambda:InvokeFunction in us-east-1", OK)
		expect(t, r, "aws right lambda:ListFunctions in eu-west-1", OK)
		expect(t, r, "aws right lambda:ListTags in eu-west-1", Skip, "no function to try it on", "--function")
	})
	t.Run("another function than ours", func(t *testing.T) {
		r := checkAWS(t, AWS{})
		expect(t, r, "aws right lambda:ListTags", OK)
		expect(t, r, "aws right lambda:InvokeFunction", Skip, "--function NAME")
	})
	t.Run("the function runs not", func(t *testing.T) {
		checkAWS(t, all)
		for _, request := range mesh.Front.Requests() {
			if request.Operation == "Invoke" && request.Status == http.StatusOK {
				t.Error("it was invoked, not tried")
			}
		}
	})
}

// testDenied has each call denied by a fake of IAM, which the emulator has not.
func testDenied(t *testing.T, mesh *testmesh.AWS, all AWS) {
	for operation, want := range map[string]struct {
		action   string
		verdict  Verdict
		resource string
	}{
		"GetResources":             {"tag:GetResources", Warn, "*"},
		"ListFunctions":            {"lambda:ListFunctions", Warn, "*"},
		"GetFunctionConfiguration": {"lambda:GetFunctionConfiguration", Warn, "*"},
		"ListTags":                 {"lambda:ListTags", Fail, "*"},
		"GetFunctionUrlConfig":     {"lambda:GetFunctionUrlConfig", Warn, "*"},
		"Invoke":                   {"lambda:InvokeFunction", Warn, "arn:aws:lambda:us-east-1:000000000000:function:hello"},
		"GetQueueAttributes":       {"sqs:GetQueueAttributes", Warn, "*"},
		"ReceiveMessage":           {"sqs:ReceiveMessage", Fail, "arn:aws:sqs:us-east-1:000000000000:events"},
		"DeleteMessage":            {"sqs:DeleteMessage", Fail, "arn:aws:sqs:us-east-1:000000000000:events"},
		"GetParameter":             {"ssm:GetParameter /lambdamesh/token", Fail, "*"},
		"AssumeRole":               {"sts:AssumeRole " + roleARN, Fail, roleARN},
	} {
		t.Run(operation, func(t *testing.T) {
			remove := mesh.Front.Fail(testmesh.Fault{Operation: operation, Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "not authorized to perform it"})
			defer remove()
			r := checkAWS(t, all)
			expect(t, r, "aws right "+want.action, want.verdict, "AccessDeniedException: not authorized to perform it", "allow it in the IAM policy")
			var rule struct{ Effect, Action, Resource string }
			f := find(t, r, "aws right "+want.action)
			name, _, _ := strings.Cut(want.action, " ")
			if err := json.Unmarshal([]byte(f.Rule), &rule); err != nil || rule.Action != name || rule.Resource != want.resource {
				t.Errorf("the rule is %s (%v)", f.Rule, err)
			}
			// All of them are statements between the brackets of a policy.
			var policy []json.RawMessage
			if err := json.Unmarshal([]byte("["+strings.Join(r.rules(iamPolicy), iamPolicy.separator())+"]"), &policy); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("not by IAM", func(t *testing.T) {
		remove := mesh.Front.Fail(testmesh.Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "InternalFailure"})
		defer remove()
		r := checkAWS(t, AWS{})
		expect(t, r, "aws right tag:GetResources", Warn, "no matter of rights")
		if len(r.rules(iamPolicy)) > 0 {
			t.Error("it wants a rule:", r.rules(iamPolicy))
		}
	})
}

// testMessagesStay: a message that waits is neither received nor deleted.
func testMessagesStay(t *testing.T, mesh *testmesh.AWS, all AWS) {
	ctx := testmesh.Context(t)
	client := sqs.NewFromConfig(mesh.SDKConfig())
	if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &all.QueueURL, MessageBody: aws.String("an event")}); err != nil {
		t.Fatal(err)
	}
	r := checkAWS(t, all)
	expect(t, r, "aws right sqs:ReceiveMessage", Skip, "1 messages wait")
	expect(t, r, "aws right sqs:DeleteMessage", OK)
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &all.QueueURL, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil || len(got.Messages) != 1 || got.Messages[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("the message is not as it was: %+v, %v", got, err)
	}
}

// A function with a URL has one, and one without is no missing right.
func TestFunctionURL(t *testing.T) {
	mesh, _ := account(t)
	if _, err := mesh.Lambda().CreateFunctionUrlConfig(testmesh.Context(t), &awslambda.CreateFunctionUrlConfigInput{
		FunctionName: aws.String("hello"), AuthType: types.FunctionUrlAuthTypeAwsIam,
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, checkAWS(t, AWS{Function: "hello"}), "aws right lambda:GetFunctionUrlConfig", OK)
}

// Where AWS does not answer, each question is bounded, and all are put at once.
func TestAWSHangs(t *testing.T) {
	alone(t, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDFAKE", "AWS_SECRET_ACCESS_KEY=fake", "AWS_ENDPOINT_URL=http://"+hanging(t))
	r := Run(t.Context(), 100*time.Millisecond, AWS{}.Check)
	expect(t, r, "aws identity", Fail, `no answer within 100ms \(--timeout\)`)
}

// fakeSTS answers at a time of its own, or refuses for it, as AWS does.
func fakeSTS(t *testing.T, ahead time.Duration, refuse bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "text/xml")
		if refuse {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>Signature expired: it is now earlier than it should be</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:root</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestClockOfAWS(t *testing.T) {
	for _, test := range []struct {
		ahead   time.Duration
		refuse  bool
		verdict Verdict
		words   string
	}{
		{0, false, OK, "by -?[01]s"},
		{3 * time.Minute, false, Warn, "NTP"},
		{time.Hour, false, Fail, "differs from AWS's by -(1h0m0s|59m5).*Signature expired.*Envoy"},
		{time.Hour, true, Fail, "differs from AWS's by -(1h0m0s|59m5)"},
	} {
		alone(t, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDFAKE", "AWS_SECRET_ACCESS_KEY=fake", "AWS_ENDPOINT_URL="+fakeSTS(t, test.ahead, test.refuse))
		r := checkAWS(t, AWS{})
		expect(t, r, "clock, AWS's", test.verdict, test.words)
		if test.refuse {
			expect(t, r, "aws identity", Fail, "Signature expired")
		} else {
			expect(t, r, "aws identity", OK)
		}
	}
}

func TestProviders(t *testing.T) {
	// fakeMetadata gives credentials as the services of ECS, EKS and EC2 do, and as STS does
	// for a web identity.
	fakeMetadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const credentials = `"AccessKeyId": "AKIDFAKE", "SecretAccessKey": "hidden", "Token": "hidden", "Expiration": "2099-01-01T00:00:00Z"`
		switch {
		case r.URL.Path == "/refuses":
			http.Error(w, `{"code": "Nope", "message": "no role here"}`, http.StatusBadRequest)
		case r.URL.Path == "/container":
			fmt.Fprint(w, "{"+credentials+"}")
		case r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
			fmt.Fprint(w, "hidden")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			fmt.Fprint(w, "a-role")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/a-role"):
			fmt.Fprint(w, `{"Code": "Success", `+credentials+"}")
		case r.PostFormValue("Action") == "AssumeRoleWithWebIdentity":
			fmt.Fprint(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIDFAKE</AccessKeyId><SecretAccessKey>hidden</SecretAccessKey><SessionToken>hidden</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
		default:
			fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:root</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		}
	}))
	t.Cleanup(fakeMetadata.Close)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	shared := write("credentials", "[mine]\naws_access_key_id = AKIDFAKE\naws_secret_access_key = hidden\n")
	token := write("token", "hidden")
	for _, test := range []struct {
		what    string
		env     []string
		verdict Verdict
		words   string
	}{
		{"environment", []string{"AWS_ACCESS_KEY_ID=AKIDFAKE", "AWS_SECRET_ACCESS_KEY=hidden"}, OK, "by environment"},
		{"profile", []string{"AWS_PROFILE=mine", "AWS_SHARED_CREDENTIALS_FILE=" + shared}, OK, "by profile: .*credentials,"},
		{"web identity", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + token, "AWS_ROLE_ARN=" + roleARN}, OK, "by web identity.*until 2099-01-01"},
		{"container", []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + fakeMetadata.URL + "/container"}, OK, "by container's role .EKS Pod Identity"},
		{"instance", []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + fakeMetadata.URL}, OK, "by instance's role .IMDS"},
		{"container refuses", []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + fakeMetadata.URL + "/refuses"}, Fail, "asked: container's role.*no role here"},
		{"web identity without its file", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/nowhere", "AWS_ROLE_ARN=" + roleARN}, Fail, "asked: web identity.*/nowhere"},
		{"nobody", []string{"AWS_EC2_METADATA_DISABLED=true"}, Fail, "asked: the default profile alone"},
	} {
		t.Run(test.what, func(t *testing.T) {
			// For a web identity the SDK heeds the variable of the service alone.
			alone(t, append(test.env, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL="+fakeMetadata.URL, "AWS_ENDPOINT_URL_STS="+fakeMetadata.URL)...)
			r := Run(t.Context(), patient, AWS{}.Check)
			expect(t, r, "aws credentials", test.verdict, test.words)
			if strings.Contains(said(t, r), "hidden") {
				t.Errorf("it says a secret:\n%s", said(t, r))
			}
		})
	}
	t.Run("no region", func(t *testing.T) {
		alone(t, "AWS_ACCESS_KEY_ID=AKIDFAKE", "AWS_SECRET_ACCESS_KEY=hidden")
		expect(t, checkAWS(t, AWS{}), "aws region", Fail, "AWS_REGION")
	})
	t.Run("no such profile", func(t *testing.T) {
		alone(t, "AWS_PROFILE=theirs", "AWS_SHARED_CREDENTIALS_FILE="+shared)
		expect(t, checkAWS(t, AWS{}), "aws configuration", Fail, "theirs")
	})
}
