//go:build extra

package kubernetes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// gateway is the Deployment of a terminating gateway in the shape that consul-k8s gives it
// (charts/consul/templates/terminating-gateways-deployment.yaml), as far as the page
// touches it.
const gateway = `{
	"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "consul-terminating-gateway", "namespace": "consul"},
	"spec": {"selector": {"matchLabels": {"component": "terminating-gateway"}}, "template": {
		"metadata": {"labels": {"component": "terminating-gateway"}},
		"spec": {
			"volumes": [{"name": "tmp", "emptyDir": {}}],
			"containers": [{
				"name": "terminating-gateway", "image": "hashicorp/consul-dataplane:1.9.0",
				"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
				"args": ["-addresses=consul-server.consul.svc", "-grpc-port=8502", "-ca-certs=/consul/tls/ca/tls.crt"]
			}]
		}
	}}
}`

// TestPage does what docs/install-kubernetes.md says, with its commands and its files, on
// Kubernetes' API server and a Consul with ACLs and TLS.
func TestPage(t *testing.T) {
	in := beginPage(t)
	in.follow("Install")
	objects := []string{"deployment", "service", "configmap", "serviceaccount", "poddisruptionbudget", "networkpolicy"}
	for _, kind := range objects {
		in.must(t, "", "kubectl", "-n", "consul", "get", kind, "lambdamesh")
	}
	lambdamesh := in.deployment(t, "lambdamesh")

	t.Run("manifests of other values", func(t *testing.T) {
		files, err := filepath.Glob("testdata/*.manifests.yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("there are %v, %v", files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// The one that is Prometheus' and not Kubernetes' own.
			taken := slices.DeleteFunc(strings.Split(string(text), "\n---\n"), func(m string) bool { return strings.Contains(m, "\nkind: ServiceMonitor\n") })
			in.must(t, strings.Join(taken, "\n---\n"), "kubectl", "-n", "consul", "create", "--validate=strict", "--dry-run=server", "-f", "-")
		}
	})
	t.Run("a pod is restricted", func(t *testing.T) {
		pod := func(spec string) error {
			_, err := in.run(testmesh.Context(t), `{"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "lambdamesh-"}, "spec": `+spec+`}`,
				"kubectl", "-n", "consul", "create", "--validate=strict", "--dry-run=server", "-f", "-")
			return err
		}
		spec := string(lambdamesh.Spec.Template.Spec.raw)
		if err := pod(spec); err != nil {
			t.Error(err)
		}
		if err := pod(strings.Replace(spec, `"runAsNonRoot":true`, `"runAsNonRoot":false`, 1)); err == nil || !strings.Contains(err.Error(), "restricted") {
			t.Errorf("one that may be root: %v", err)
		}
	})
	t.Run("a pod starts", func(t *testing.T) { in.starts(t, lambdamesh) })
	t.Run("the gateway", func(t *testing.T) {
		in.follow("Point the terminating gateway at it")
		patched := in.deployment(t, "consul-terminating-gateway")
		want := []string{"-addresses=lambdamesh.consul.svc", "-grpc-port=8512", "-server-watch-disabled=true", "-ca-certs=/lambdamesh/tls.crt"}
		if args := patched.Spec.Template.Spec.Containers[0].Args; !slices.Equal(args[len(args)-4:], want) {
			t.Errorf("its flags are %v", args)
		}
		if files := in.mounted(t, patched); !strings.Contains(files["/lambdamesh/tls.crt"], "CERTIFICATE") {
			t.Errorf("it has the files %v", files)
		}
	})
	t.Run("another value rolls the pods", func(t *testing.T) {
		before := in.must(t, "", "kubectl", "-n", "consul", "get", "deployment", "lambdamesh", "-o", "jsonpath={.metadata.generation}")
		in.must(t, "", "helm", "upgrade", "lambdamesh", in.chart, "-n", "consul", "--reuse-values", "--set", "registrator.regions={eu-west-1}")
		if after := in.must(t, "", "kubectl", "-n", "consul", "get", "deployment", "lambdamesh", "-o", "jsonpath={.metadata.generation}"); after == before {
			t.Errorf("the Deployment is still of generation %s", after)
		}
	})
	t.Run("nothing is left", func(t *testing.T) {
		in.must(t, "", "helm", "uninstall", "lambdamesh", "-n", "consul")
		left := in.must(t, "", "kubectl", "-n", "consul", "get", strings.Join(objects, ","), "-l", "app.kubernetes.io/instance=lambdamesh", "-o", "name")
		if left != "" {
			t.Errorf("there are still\n%s", left)
		}
	})
}

// installation is a cluster with a namespace as consul-k8s leaves it, and a folder with
// the files that the page speaks of.
type installation struct {
	*cluster
	t          *testing.T
	page       *testmesh.Page
	dir, chart string
	env        []string

	consul     *testmesh.Consul
	https, tls int // its ports with TLS, for HTTP and gRPC
	ca         *testmesh.Authority
}

func beginPage(t *testing.T) *installation {
	t.Helper()
	in := &installation{cluster: startCluster(t), t: t, dir: t.TempDir()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := testmesh.SourceRoot()
	check(err)
	in.chart = filepath.Join(root, "deploy", "kubernetes", "lambdamesh")
	check(os.Symlink(filepath.Join(root, "deploy"), filepath.Join(in.dir, "deploy")))

	in.ca, err = testmesh.NewAuthority(in.dir, "consul-ca")
	check(err)
	cert, key, err := in.ca.Issue("server.dc1.consul")
	check(err)
	check(testmesh.TestPorts(t).Fill(&in.https, &in.tls))
	in.consul = testmesh.TestConsul(t, testmesh.ConsulConfig{Config: fmt.Sprintf(`
		ports { https = %d  grpc_tls = %d }
		tls { defaults { cert_file = %q  key_file = %q } }`, in.https, in.tls, cert, key)})
	ours, err := testmesh.NewAuthority(in.dir, "lambdamesh-ca")
	check(err)
	check(ours.IssueTo("lambdamesh.consul.svc", filepath.Join(in.dir, "lambdamesh.pem"), filepath.Join(in.dir, "lambdamesh-key.pem")))

	bin := t.TempDir()
	gojq, err := exec.LookPath("gojq")
	check(err)
	check(os.Symlink(gojq, filepath.Join(bin, "jq")))
	check(os.Symlink(testmesh.Bin(t, (*parts.Cache).Consul).Path, filepath.Join(bin, "consul")))
	in.env = append(slices.Clone(in.cluster.env), "PATH="+bin+":"+os.Getenv("PATH"),
		"CONSUL_HTTP_ADDR="+in.consul.HTTPAddr(), "CONSUL_HTTP_TOKEN="+in.consul.ManagementToken())

	in.page, err = testmesh.ReadPage("install-kubernetes.md")
	check(err)
	policy, err := testmesh.ReadPage("registrator.md")
	check(err)
	_, err = policy.WriteFiles("Consul's ACL policy", "hcl", in.dir)
	check(err)
	for _, section := range []string{"Install", "Point the terminating gateway at it"} {
		_, err = in.page.WriteFiles(section, "yaml", in.dir)
		check(err)
	}
	in.must(t, "", "kubectl", "create", "namespace", "consul")
	in.must(t, "", "kubectl", "label", "namespace", "consul", "pod-security.kubernetes.io/enforce=restricted")
	in.must(t, "", "kubectl", "-n", "consul", "create", "secret", "generic", "consul-ca-cert", "--from-file=tls.crt="+in.ca.CAFile)
	in.must(t, gateway, "kubectl", "create", "-f", "-")
	return in
}

func (in *installation) follow(section string) {
	in.t.Helper()
	if _, err := in.page.Follow(testmesh.Context(in.t), section, in.dir, in.env); err != nil {
		in.t.Fatal(err)
	}
}

// deployment is one as far as the tests ask.
type deployment struct {
	Spec struct {
		Template struct {
			Spec podSpec
		}
	}
}

func (in *installation) deployment(t *testing.T, name string) (d deployment) {
	t.Helper()
	in.read(t, "deployment", name, &d)
	return d
}

// mounted is what a pod of a Deployment finds in files, by their paths.
func (in *installation) mounted(t *testing.T, d deployment) map[string]string {
	t.Helper()
	files := map[string]string{}
	spec := d.Spec.Template.Spec
	for _, mount := range spec.Containers[0].VolumeMounts {
		i := slices.IndexFunc(spec.Volumes, func(v volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("there is no volume %s", mount.Name)
		}
		v := spec.Volumes[i]
		var held struct{ Data map[string]string }
		switch {
		case v.ConfigMap.Name != "":
			in.read(t, "configmap", v.ConfigMap.Name, &held)
		case v.Secret.SecretName != "":
			in.read(t, "secret", v.Secret.SecretName, &held)
			for key, value := range held.Data {
				text, err := base64.StdEncoding.DecodeString(value)
				if err != nil {
					t.Fatal(err)
				}
				held.Data[key] = string(text)
			}
		}
		if len(v.Secret.Items) == 0 {
			for key, text := range held.Data {
				files[mount.MountPath+"/"+key] = text
			}
		}
		for _, item := range v.Secret.Items {
			text, ok := held.Data[item.Key]
			if !ok {
				t.Errorf("the Secret %s has no key %s", v.Secret.SecretName, item.Key)
			}
			files[mount.MountPath+"/"+item.Path] = text
		}
	}
	return files
}

// starts starts lambdamesh as a kubelet would, with the pod's flags, variables and files,
// but for what a folder and a machine of its own would be: where the files are, and the
// addresses.
func (in *installation) starts(t *testing.T, d deployment) {
	dir := t.TempDir()
	at := func(text string) string { return strings.ReplaceAll(text, "/etc/lambdamesh", dir) }
	for path, text := range in.mounted(t, d) {
		if err := os.MkdirAll(filepath.Dir(at(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".yaml") {
			text = at(text)
		}
		if err := os.WriteFile(at(path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var xds, probe, admin int
	if err := testmesh.TestPorts(t).Fill(&xds, &probe, &admin); err != nil {
		t.Fatal(err)
	}
	lambdamesh, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	container := d.Spec.Template.Spec.Containers[0]
	aws := testmesh.TestAWS(t, testmesh.AWSConfig{})
	hello, err := testmesh.FunctionFile("hello.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := aws.CreateFunction(testmesh.Context(t), testmesh.Function{Name: "hello", File: hello, Tags: testmesh.EnabledTags()}); err != nil {
		t.Fatal(err)
	}
	env := testmesh.Environ(dir, aws.Environ()...)
	for _, variable := range container.Env {
		env = append(env, variable.Name+"="+at(variable.Value))
	}
	var args []string
	for _, arg := range container.Args {
		args = append(args, at(arg))
	}
	process, err := testmesh.StartProcess(testmesh.Command{
		Name: "lambdamesh", Path: lambdamesh, Dir: dir, Env: env, Args: append(args,
			"--consul-http-addr", fmt.Sprintf("https://127.0.0.1:%d", in.https), "--consul-grpc-addr", fmt.Sprintf("grpcs://127.0.0.1:%d", in.tls),
			"--xds-addr", fmt.Sprintf("127.0.0.1:%d", xds), "--probe-addr", fmt.Sprintf("127.0.0.1:%d", probe), "--admin-addr", fmt.Sprintf("127.0.0.1:%d", admin),
			"--drain-timeout", "1s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ready := process.Ready(testmesh.Context(t), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", probe), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it is not ready: %s", resp.Status)
		}
		return nil
	})
	// With the rights of the page's policy it registers.
	if ready == nil {
		ready = testmesh.Poll(testmesh.Context(t), func(context.Context) error {
			services, _, err := in.consul.API().Catalog().Service("hello", "", nil)
			if err == nil && len(services) == 0 {
				err = errors.New("the function is no service")
			}
			return err
		})
	}
	if ready != nil {
		t.Errorf("%v\n%s", ready, process.Tail(40))
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}
