//go:build extra

// Package terraform tests the Terraform modules offline: Terraform and its linters are
// real, and of the provider there is the schema alone (tools/terraform).
package terraform

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// workbench is a copy of this folder, to which Terraform may write, and a provider.
type workbench struct {
	dir    string
	config string // Terraform's own, by which it finds the provider
	cache  *parts.Cache
}

func newWorkbench(t *testing.T) *workbench {
	t.Helper()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &workbench{dir: filepath.Join(dir, "terraform"), config: filepath.Join(dir, "terraformrc"), cache: cache}
	w.copy(t)
	execute(t, "../../tools/terraform", nil, "go", "build", "-o", filepath.Join(dir, "terraform-provider-aws"), "./provider")
	settings := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"hashicorp/aws\" = %q\n  }\n}\n", dir)
	if err := os.WriteFile(w.config, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// copy takes what belongs to the modules, and not what using them here left behind, such
// as variables and locks.
func (w *workbench) copy(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !belongs.MatchString(path) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(w.dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

var belongs = regexp.MustCompile(`^[^.].*\.(tf|tftest\.hcl|tfmock\.hcl)$`)

// modules are the folders of the modules and the examples.
func modules(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/*/main.tf")
	if err != nil || len(found) == 0 {
		t.Fatalf("there are no modules, error %v", err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// terraform is Terraform of a version in one module of the workbench.
type terraform struct {
	t       *testing.T
	dir     string
	program string
	env     []string
}

// in makes Terraform ready in a module.
func (w *workbench) in(t *testing.T, version, module string) *terraform {
	t.Helper()
	part, err := w.cache.Terraform(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	tf := &terraform{t: t, dir: filepath.Join(w.dir, module), program: part.Path, env: []string{
		"TF_CLI_CONFIG_FILE=" + w.config, "TF_DATA_DIR=" + t.TempDir(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
	}}
	tf.run("get", "-no-color") // the whole of "init" would ask for the provider
	return tf
}

// run runs a command that must succeed, and returns what it printed.
func (tf *terraform) run(args ...string) string {
	tf.t.Helper()
	return execute(tf.t, tf.dir, tf.env, tf.program, args...)
}

func execute(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	out, err := try(t, dir, env, program, args...)
	if err != nil {
		t.Fatalf("%s %s in %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), dir, err, out)
	}
	return out
}

// try runs a command and returns its output, with its errors after it if it failed.
func try(t *testing.T, dir string, env []string, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		_, _ = io.Copy(&stdout, &stderr)
	}
	return stdout.String(), err
}
