//go:build extra

package sam

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestPage does what docs/install-sam.md says, with its commands and the AWS CLI, on an
// emulator of AWS.
func TestPage(t *testing.T) {
	root, err := testmesh.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	aws := testmesh.TestAWS(t, testmesh.AWSConfig{})
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "a token", "consul-ca.pem": "an authority"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "deploy"), filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	zips := exec.CommandContext(t.Context(), "go", "run", "./internal/lambdazip", "-o", filepath.Join(dir, "build"))
	zips.Dir = root
	if out, err := zips.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The folder is not a checkout: what make would have made is there.
	page, err := testmesh.ReadPage("install-sam.md", "make lambda-zip", "test -f build/lambda-registrator-arm64.zip", "BUCKET", "artefacts")
	if err != nil {
		t.Fatal(err)
	}
	env := testmesh.Environ(dir, append(aws.Environ(), "AWS_DEFAULT_REGION="+aws.Region())...)
	if _, err := page.Follow(testmesh.Context(t), "CloudFormation and SAM", dir, env); err != nil {
		t.Fatal(err)
	}
	deployed(t, aws, "lambda-registrator")

	// "sam deploy takes the same".
	script, err := page.Script("CloudFormation and SAM")
	if err != nil {
		t.Fatal(err)
	}
	_, arguments, _ := strings.Cut(script, "aws cloudformation deploy --stack-name lambda-registrator ")
	sam := exec.CommandContext(testmesh.Context(t), "bash", "-c", "sam deploy --stack-name of-sam "+strings.TrimSpace(arguments)+" Name=of-sam")
	sam.Dir, sam.Env = dir, append(slices.Clone(env), "SAM_CLI_TELEMETRY=0")
	if out, err := sam.CombinedOutput(); err != nil {
		t.Fatalf("sam deploy: %v\n%s", err, out)
	}
	deployed(t, aws, "of-sam")
}

// deployed checks that a function is there, as the template has it.
func deployed(t *testing.T, aws *testmesh.AWS, name string) {
	t.Helper()
	function, err := aws.Lambda().GetFunctionConfiguration(testmesh.Context(t), &awslambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if got := function.Environment.Variables["CONSUL_HTTP_TOKEN_PATH"]; function.Runtime != types.RuntimeProvidedal2023 || got != "/consul/token" {
		t.Errorf("%s has the runtime %s, and its token at %q", name, function.Runtime, got)
	}
}
