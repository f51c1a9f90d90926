//go:build extra

package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// checkPage does what docs/install-terraform.md says, with its files: the provider is
// installed from a mirror on this machine, and applying is a test with made up answers.
func checkPage(t *testing.T, w *workbench, version string) {
	page, err := testmesh.ReadPage("install-terraform.md", "github.com/lambdamesh/lambdamesh//deploy/terraform/modules/", "../modules/")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "page-"+version)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"In AWS Lambda", "A queue for a registrator elsewhere"} {
		if _, err := page.WriteFiles(section, "hcl", dir); err != nil {
			t.Fatal(err)
		}
	}
	const test = `
mock_provider "aws" {
  source = "../mocks"
}

run "it_can_be_made" {
  assert {
    condition     = startswith(output.command, "lambdamesh registrator --sqs-queue-url ")
    error_message = "The command is ${output.command}."
  }
}
`
	for name, text := range map[string]string{"lambda-registrator-arm64.zip": "of a release", "page.tftest.hcl": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tf := w.in(t, version, "modules/event-rules")
	tf.dir = dir
	tf.env = append(tf.env, "TF_CLI_CONFIG_FILE="+w.mirrored(t), "TF_DATA_DIR="+t.TempDir(), "PATH="+filepath.Dir(tf.program)+":"+os.Getenv("PATH"))
	if _, err := page.Follow(t.Context(), "In AWS Lambda", dir, append(os.Environ(), tf.env...)); err != nil {
		t.Fatal(err)
	}
	made := tf.test()
	if s := made.summary; s.Passed != 1 || s.Failed+s.Errored+s.Skipped > 0 {
		t.Errorf("%+v", s)
	}
	functions := made.state(t, "it_can_be_made").values("aws_lambda_function")
	if len(functions) != 1 || functions[0]["function_name"] != "consul-lambda-registrator" {
		t.Errorf("the functions are %v", functions)
	}
}

// mirrored is a configuration of Terraform's with which it installs the provider from a
// folder, as "init" does from the registry, and asks nobody else.
func (w *workbench) mirrored(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	// A version of the schema's major, by which the modules bound theirs.
	of := filepath.Join(dir, "registry.terraform.io", "hashicorp", "aws", "6.69.1", runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(of, 0o755); err != nil {
		t.Fatal(err)
	}
	provider := filepath.Join(filepath.Dir(w.config), "terraform-provider-aws")
	if err := os.Link(provider, filepath.Join(of, "terraform-provider-aws_v6.69.1_x5")); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return config
}
