package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestDoctor: in a sound mesh the doctor finds all well; what is broken it names, and
// exits with 1, or with 2 for what was typed.
func TestDoctor(t *testing.T) {
	t.Parallel()
	const secret = "a-token-in-parameter-store"
	s := begin(t, testmesh.MeshConfig{Rules: testmesh.LambdameshRules + `
key_prefix "lambdamesh/" { policy = "write" }
session_prefix ""        { policy = "write" }
mesh = "write"
`})
	s.secrets = append(s.secrets, secret)
	s.function("hello", "hello", testmesh.EnabledTags())
	s.present("hello")
	s.allow("web", "hello")
	gateway := s.gateway("gateway", "hello")
	web := s.sidecar("web", "hello")
	s.answers(web, "hello", testmesh.Request{}, 200)
	queue := s.queue("events", nil)
	_, err := ssm.NewFromConfig(s.AWS.SDKConfig()).PutParameter(s.ctx, &ssm.PutParameterInput{
		Name: aws.String("/lambdamesh/token"), Value: aws.String(secret), Type: ssmtypes.ParameterTypeSecureString,
	})
	s.must(err)
	sound := []string{
		"doctor", "--consul-grpc-addr", s.Consul.GRPCAddr(), "--function", "hello", "--envoy-admin", "http://" + gateway.Envoy.AdminAddr(),
		"--sqs-queue-url", queue.url, "--parameter", "/lambdamesh/token", "--assume-role", "arn:aws:iam::000000000000:role/reader,outside",
	}

	s.run("all is well", func(t *testing.T) {
		said, err := s.Lambdamesh.Run(s.ctx, append(sound, "-o", "json")...)
		s.must(err)
		var report struct {
			Findings []struct{ Check, Verdict, Text, Next string }
		}
		s.must(json.Unmarshal([]byte(said), &report))
		checked := map[string]bool{}
		for _, f := range report.Findings {
			checked[f.Check] = true
			want := "ok"
			switch {
			case f.Check == "envoy credentials": // this one's come from variables
				want = "skip"
			case strings.HasPrefix(f.Check, "aws right lambda:InvokeFunction as "): // another account's functions are not named
				want = "skip"
			}
			if f.Verdict != want {
				t.Errorf("%s is %s, want %s: %s -> %s", f.Check, f.Verdict, want, f.Text, f.Next)
			}
		}
		for _, check := range []string{
			"consul http", "clock, Consul's", "consul acl", "consul right service:read", "consul right intention:read", "consul right mesh:write",
			"consul grpc " + s.Consul.GRPCAddr(), "consul xds", "aws credentials", "aws identity", "clock, AWS's",
			"aws right tag:GetResources", "aws right lambda:ListFunctions", "aws right lambda:GetFunctionConfiguration", "aws right lambda:ListTags",
			"aws right lambda:GetFunctionUrlConfig", "aws right lambda:InvokeFunction", "aws right sqs:ReceiveMessage", "aws right sqs:DeleteMessage",
			"aws right ssm:GetParameter /lambdamesh/token", "aws right sts:AssumeRole arn:aws:iam::000000000000:role/reader",
			"envoy", "envoy version", "envoy xds", "envoy refusals", "envoy functions",
		} {
			if !checked[check] {
				t.Errorf("%s is not checked:\n%s", check, said)
			}
		}
	})
	s.run("a server of Consul's is away", func(t *testing.T) {
		said, err := s.Lambdamesh.Run(s.ctx, "doctor", "--consul-grpc-addr", "127.0.0.1:1")
		if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "a check failed") {
			t.Errorf("it ends with %v", err)
		}
		if !strings.Contains(said, "fail  consul grpc 127.0.0.1:1") || !strings.Contains(said, "ok    consul http") {
			t.Error(said)
		}
	})
	s.run("a right is missing", func(t *testing.T) {
		s.must(s.Consul.SetRules(s.ctx, s.Token, testmesh.LambdameshRules))
		said, err := s.Lambdamesh.Run(s.ctx, sound...)
		s.must(err) // a lock and lists are not what everybody needs
		want := "To add to the policy of lambdamesh's Consul token:\n\nkey_prefix \"lambdamesh/\" { policy = \"write\" }\nsession_prefix \"\" { policy = \"write\" }\nmesh = \"write\"\n"
		if !strings.HasSuffix(said, want) {
			t.Errorf("the rules do not stand at the end:\n%s", said)
		}
	})
	s.run("a mistake in what was typed", func(t *testing.T) {
		if _, err := s.Lambdamesh.Run(s.ctx, "doctor", "--envoy-admin", "nowhere"); err == nil || !strings.Contains(err.Error(), "exit status 2") {
			t.Errorf("it ends with %v", err)
		}
	})
}
