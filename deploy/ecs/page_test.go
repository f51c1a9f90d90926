//go:build extra

package ecs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestPage does what docs/install-ecs.md says, with its commands and the AWS CLI, on an
// emulator of AWS.
func TestPage(t *testing.T) {
	root, err := testmesh.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	aws := testmesh.TestAWS(t, testmesh.AWSConfig{})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "deploy"), filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	page, err := testmesh.ReadPage("install-ecs.md")
	if err != nil {
		t.Fatal(err)
	}
	env := testmesh.Environ(dir, append(aws.Environ(), "AWS_DEFAULT_REGION="+aws.Region())...)
	cli := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(testmesh.Context(t), "aws", args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("aws %v: %v\n%s", args, err, out)
		}
		return out
	}
	cli("ecs", "create-cluster", "--cluster-name", "mesh")
	if _, err := page.Follow(testmesh.Context(t), "ECS", dir, env); err != nil {
		t.Fatal(err)
	}
	var described struct {
		Services []struct {
			Status, LaunchType string
			DesiredCount       int
			LoadBalancers      []struct{ ContainerName string }
		}
	}
	if err := json.Unmarshal(cli("ecs", "describe-services", "--cluster", "mesh", "--services", "lambdamesh"), &described); err != nil {
		t.Fatal(err)
	}
	if len(described.Services) != 1 || described.Services[0].DesiredCount != 3 || described.Services[0].LoadBalancers[0].ContainerName != "lambdamesh" {
		t.Errorf("the services are %+v", described)
	}
}
