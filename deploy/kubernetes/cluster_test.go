//go:build extra

package kubernetes

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// cluster is Kubernetes' API server on an etcd. It has no nodes and no controllers: what
// is written is judged and kept, and nothing comes of it.
type cluster struct {
	env []string // by which kubectl and helm find it, as its administrator
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	program, err := exec.LookPath("apiserver")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var port, etcd int
	if err := testmesh.TestPorts(t).Fill(&port, &etcd); err != nil {
		t.Fatal(err)
	}
	ca, err := testmesh.NewAuthority(dir, "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue("apiserver")
	if err != nil {
		t.Fatal(err)
	}
	const token = "administrator"
	for name, text := range map[string]string{
		"tokens.csv":          token + `,admin,admin,"system:masters"`,
		"service-account.key": serviceAccountKey(t),
		"kubeconfig": fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "test",
			"clusters": [{"name": "test", "cluster": {"server": "https://127.0.0.1:%d", "certificate-authority": %q}}],
			"users": [{"name": "test", "user": {"token": %q}}],
			"contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}`, port, ca.CAFile, token),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &cluster{env: testmesh.Environ(dir, "KUBECONFIG="+filepath.Join(dir, "kubeconfig"))}
	process, err := testmesh.StartProcess(testmesh.Command{
		Name: "apiserver", Path: program, Env: testmesh.Environ(dir), Dir: dir, Args: []string{
			"--etcd-dir", "etcd", "--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", etcd),
			"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-private-key-file", key,
			"--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
			"--service-account-issuer", "https://kubernetes.default.svc",
			"--service-account-key-file", "service-account.key", "--service-account-signing-key-file", "service-account.key",
			"--shutdown-delay-duration", "0s",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last lines of the API server:\n%s", process.Tail(20))
		}
		process.Kill() // its shutdown waits for its watchers
	})
	if err := process.Ready(testmesh.Context(t), func(ctx context.Context) error {
		_, err := c.run(ctx, "", "kubectl", "get", "--raw", "/readyz")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// serviceAccountKey signs the tokens of service accounts, of which none is used.
func serviceAccountKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// run runs kubectl or helm with an input, and returns what it prints.
func (c *cluster) run(ctx context.Context, in, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdin = c.env, strings.NewReader(in)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(errs.String()))
	}
	return string(out), err
}

// must is run for what has to succeed.
func (c *cluster) must(t *testing.T, in, program string, args ...string) string {
	t.Helper()
	out, err := c.run(testmesh.Context(t), in, program, args...)
	if err != nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return out
}

// read gets an object of the namespace consul.
func (c *cluster) read(t *testing.T, kind, name string, into any) {
	t.Helper()
	out := c.must(t, "", "kubectl", "-n", "consul", "get", kind, name, "-o", "json")
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatal(err)
	}
}
