//go:build extra

// Package kubernetes holds the Helm chart, and its tests.
package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// helm runs it and returns what it prints. Built without a version of Kubernetes it takes
// itself to be older than the chart allows.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if args[0] == "template" {
		args = append(args, "--kube-version", "1.33.0", "--namespace", "consul")
	}
	cmd := exec.CommandContext(t.Context(), "helm", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(errs.String()+string(out)))
	}
	return string(out), err
}

// TestHelm: with each values file in testdata the chart gives the manifests beside it,
// which Kubernetes' own types take, and with which lambdamesh would start.
func TestHelm(t *testing.T) {
	lambdamesh, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("the values files are %v, %v", files, err)
	}
	var claimed []string
	for _, values := range files {
		t.Run(strings.TrimSuffix(filepath.Base(values), ".values.yaml"), func(t *testing.T) {
			if _, err := helm(t, "lint", "--strict", "lambdamesh", "--values", values); err != nil {
				t.Error(err)
			}
			manifests, err := helm(t, "template", "mesh", "lambdamesh", "--values", values)
			if err != nil {
				t.Fatal(err)
			}
			file := strings.TrimSuffix(values, ".values.yaml") + ".manifests.yaml"
			claimed = append(claimed, file)
			golden.Equal(t, file, []byte(manifests))
			check := exec.CommandContext(t.Context(), "kubecheck")
			check.Stdin = strings.NewReader(manifests)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("kubecheck: %v\n%s", err, out)
			}
			starts(t, lambdamesh, manifests)
		})
	}
	golden.Only(t, "testdata/*.manifests.yaml", claimed...)
	t.Run("as documented", func(t *testing.T) {
		manifests, err := helm(t, "template", "lambdamesh", "lambdamesh", "--values", documented(t))
		if err != nil {
			t.Fatal(err)
		}
		starts(t, lambdamesh, manifests)
		// The names by which the page goes on.
		for kind, name := range map[string]string{"Service": "lambdamesh", "ServiceAccount": "lambdamesh"} {
			if got := find(t, manifests, kind)["metadata"].(map[string]any)["name"]; got != name {
				t.Errorf("the %s is %v", kind, got)
			}
		}
	})
}

// documented is a file with the values of docs/install-kubernetes.md.
func documented(t *testing.T) (file string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/install-kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, values, found := strings.Cut(string(page), "```yaml\n")
	if !found {
		t.Fatal("the page has no values")
	}
	values, _, _ = strings.Cut(values, "```")
	file = filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// starts checks what no schema knows: lambdamesh takes its configuration, each file that
// this names is mounted, and a drain ends before Kubernetes ends the pod.
func starts(t *testing.T, lambdamesh, manifests string) {
	t.Helper()
	config := find(t, manifests, "ConfigMap")["data"].(map[string]any)["lambdamesh.yaml"].(string)
	file := filepath.Join(t.TempDir(), "lambdamesh.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, lambdamesh, "config", "check", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("config check: %v\n%s", err, out)
	}
	pod := find(t, manifests, "Deployment")["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	mounts := map[string]bool{}
	for _, mount := range pod["containers"].([]any)[0].(map[string]any)["volumeMounts"].([]any) {
		mounts[mount.(map[string]any)["mountPath"].(string)] = true
	}
	var flags map[string]any
	if err := yaml.Unmarshal([]byte(config), &flags); err != nil {
		t.Fatal(err)
	}
	for name, value := range flags {
		path, ok := value.(string)
		if ok && strings.HasSuffix(name, "-file") && !mounts[filepath.Dir(path)] {
			t.Errorf("--%s: nothing is mounted at %s", name, path)
		}
	}
	drain, err := time.ParseDuration(flags["drain-timeout"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if grace := time.Duration(pod["terminationGracePeriodSeconds"].(int)) * time.Second; grace <= drain {
		t.Errorf("a drain takes %s, and the pod is ended after %s", drain, grace)
	}
}

// find is the manifest of a kind.
func find(t *testing.T, manifests, kind string) map[string]any {
	t.Helper()
	documents := yaml.NewDecoder(bytes.NewReader([]byte(manifests)))
	for {
		var document map[string]any
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			t.Fatalf("there is no %s", kind)
		}
		if err != nil {
			t.Fatal(err)
		}
		if document["kind"] == kind {
			return document
		}
	}
}

// TestHelmRefuses: mistakes in values are said before anything is installed.
func TestHelmRefuses(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{"xds.insecure=false", "/xds"}, // neither TLS nor the word that does without
		{"xds.tlsSecret=tls", "/xds"},  // both
		{"replica=3", "replica"},
		{"xds.drainSeconds=-1", "drainSeconds"},
		{"consul.httpAddr=consul:8501", "httpAddr"},
		{"serviceAccount.roleArn=role", "roleArn"},
		{"metrics.enabled=true", "/metrics"}, // without certificate and token
		{"metrics.serviceMonitor.enabled=true", "/metrics"},
	} {
		_, err := helm(t, "template", "mesh", "lambdamesh", "--values", "testdata/plain.values.yaml", "--set", test.set)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want a word about %s", test.set, err, test.want)
		}
	}
}
