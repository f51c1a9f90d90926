package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// diagnosis are a doctor's findings by check.
type diagnosis map[string]struct{ Check, Verdict, Text, Next string }

// diagnose runs the doctor. A failed check, and nothing else, exits with 1.
func (s *story) diagnose(args ...string) diagnosis {
	s.t.Helper()
	out, err := s.Lambdamesh.Run(s.ctx, append([]string{"doctor", "--consul-grpc-addr", s.Consul.GRPCAddr(), "-o", "json"}, args...)...)
	var report struct {
		Findings []struct{ Check, Verdict, Text, Next string }
	}
	if parsed := json.Unmarshal([]byte(out), &report); parsed != nil {
		s.t.Fatalf("%v in %q (%v)", parsed, out, err)
	}
	found, failed := diagnosis{}, false
	for _, one := range report.Findings {
		found[one.Check] = one
		failed = failed || one.Verdict == "fail"
	}
	if failed != (err != nil) || err != nil && !strings.Contains(err.Error(), "exit status 1") {
		s.t.Errorf("fail: %v, error: %v", failed, err)
	}
	return found
}

// finds asserts a verdict, and words of what is said or of what to do.
func (d diagnosis) finds(t *testing.T, check, verdict, words string) {
	t.Helper()
	one, found := d[check]
	if !found || one.Verdict != verdict || !strings.Contains(one.Text+" "+one.Next, words) {
		t.Errorf("%s is %+v, want %s with %q (of %d findings)", check, one, verdict, words, len(d))
	}
}

// TestDoctor: what is well, and each right that is missing, in Consul and in AWS.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	s.function("hello", "hello", nil)
	events := s.queue("events", nil)
	s.parameter("/consul/token", "not to be seen")
	const role = "arn:aws:iam::000000000000:role/other"
	token, err := s.Consul.Token(s.ctx, "doctor", `
		service_prefix "" { policy = "write" }
		node_prefix "" { policy = "read" }
		node "lambdas" { policy = "write" }
		key_prefix "lambdamesh/" { policy = "write" }
		session_prefix "" { policy = "write" }
		mesh = "write"`)
	s.must(err)
	s.secrets = append(s.secrets, token.SecretID, "not to be seen")
	file := filepath.Join(t.TempDir(), "token")
	s.must(os.WriteFile(file, []byte(token.SecretID), 0o600))
	all := []string{"--consul-token-file", file, "--function", "hello", "--sqs-queue-url", events.url, "--parameter", "/consul/token", "--assume-role", role + ",who"}

	s.run("well", func(t *testing.T) {
		events.send(s, "an event")
		for range 3 { // it takes no message, however often it looks
			for check, one := range s.diagnose(all...) {
				if one.Verdict != "ok" || strings.Contains(one.Text+one.Next, "not to be seen") {
					t.Errorf("%s: %+v", check, one)
				}
			}
		}
		if got := events.receive(s); got != "an event" {
			t.Errorf("the queue has %q", got)
		}
	})
	s.run("rights of AWS", func(t *testing.T) {
		const denied = "AccessDenied"
		for _, test := range []struct{ operation, check, verdict string }{
			{"GetResources", "aws right tag:GetResources", "warn"},
			{"ListFunctions", "aws right lambda:ListFunctions", "warn"},
			{"GetFunctionConfiguration", "aws right lambda:GetFunctionConfiguration", "warn"},
			{"ListTags", "aws right lambda:ListTags", "fail"},
			{"GetFunctionUrlConfig", "aws right lambda:GetFunctionUrlConfig", "warn"},
			{"Invoke", "aws right lambda:InvokeFunction", "warn"},
			{"ReceiveMessage", "aws right sqs:ReceiveMessage", "fail"},
			{"DeleteMessageBatch", "aws right sqs:DeleteMessage", "fail"},
			{"GetParameter", "aws right ssm:GetParameter /consul/token", "fail"},
			{"AssumeRole", "aws role " + role, "fail"},
			{"GetCallerIdentity", "aws identity", "fail"},
		} {
			allow := s.AWS.Front.Fail(testmesh.Fault{Operation: test.operation, Code: denied})
			found := s.diagnose(all...)
			allow()
			found.finds(t, test.check, test.verdict, denied)
			if found[test.check].Next == "" {
				t.Errorf("%s: it does not say what to do", test.check)
			}
		}
	})
	s.run("what is not there", func(t *testing.T) {
		found := s.diagnose("--function", "none", "--sqs-queue-url", events.url+"-none", "--parameter", "/none")
		found.finds(t, "aws function", "fail", "none")
		found.finds(t, "aws queue", "fail", "-none")
		found.finds(t, "aws parameter /none", "fail", "SecureString")
	})
	s.run("rights of Consul", func(t *testing.T) {
		s.must(s.Consul.SetRules(s.ctx, token, `service_prefix "" { policy = "read" }`))
		found := s.diagnose("--consul-token-file", file)
		found.finds(t, "consul right service:read", "ok", "")
		for check, rule := range map[string]string{
			"node:read": "node_prefix", "service:write": `service_prefix "" { policy = "write" }`, "node:write": `node "lambdas"`,
			"key:write": "key_prefix", "session:write": "session_prefix", "mesh:write": `mesh = "write"`,
		} {
			found.finds(t, "consul right "+check, "warn", rule)
		}
		s.must(s.Consul.SetRules(s.ctx, token, `key_prefix "" { policy = "read" }`))
		s.diagnose("--consul-token-file", file).finds(t, "consul right service:read", "fail", `service_prefix "" { policy = "read" }`)
		s.must(s.Consul.DeleteToken(s.ctx, token))
		s.diagnose("--consul-token-file", file).finds(t, "consul acl", "fail", "token")
	})
}
