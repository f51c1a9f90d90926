package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// installation is what docs/install.md makes: a Consul with ACLs and TLS, and what stands
// beside it has the rights of the page's policies alone.
type installation struct {
	*walkthrough
	etc string // in place of /etc/lambdamesh

	first, second int // admin ports of the gateways' Envoys
}

// TestInstall does what docs/install.md says, with its commands: policies and tokens, a
// lambdamesh and a gateway beside an agent, others before the servers with TLS, and the
// registrator.
func TestInstall(t *testing.T) {
	t.Parallel()
	in := beginInstall(t)
	hello := in.function("hello", "hello", testmesh.EnabledTags())

	in.policies()
	if out := in.follow("The registrator"); !strings.Contains(out, "hello") {
		t.Errorf("a dry run says\n%s", out)
	}
	if services, _, err := in.Consul.API().Catalog().Service("hello", "", nil); err != nil || len(services) != 0 {
		t.Errorf("after a dry run Consul has %v, %v", services, err)
	}
	_, err := in.page.WriteFiles("A terminating gateway", "hcl", in.dir)
	in.must(err)
	in.with("CONSUL_HTTP_TOKEN="+in.Consul.ManagementToken(), func() { in.follow("A terminating gateway") })
	in.start("registrator", "As a process")

	beside := in.server("beside", "Beside each client agent")
	in.start("envoy-beside", "Its Envoy, beside a client agent")
	before := in.server("before", "Before the servers")
	in.registered()
	in.start("envoy-before", "Its Envoy, before the servers")

	in.allow("web", "hello")
	web, err := in.AddSidecar(in.ctx, "web", []string{"hello"}, testmesh.ProxyOptions{XDSAddr: in.Consul.GRPCAddr()})
	in.must(err)
	in.healthy(web.Envoy)
	// And by both gateways.
	in.answers(web, "hello", testmesh.Request{}, http.StatusOK)
	in.must(testmesh.Poll(in.ctx, func(ctx context.Context) error {
		if _, err := web.Call(ctx, "hello", testmesh.Request{}); err != nil {
			return err
		}
		return errors.Join(in.called(in.first), in.called(in.second))
	}))
	in.signed()

	for admin, gateway := range map[string]string{beside: "lambda-gateway", before: "lambda-gateway-1"} {
		in.with("LAMBDAMESH_ADMIN_ADDR="+admin, func() {
			out := in.follow("Is it well?")
			for _, want := range []string{hello, gateway + " ", "before:", "after:"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in what is said of the mesh:\n%s", want, out)
				}
			}
		})
	}
}

func beginInstall(t *testing.T) *installation {
	t.Helper()
	ports := testmesh.TestPorts(t)
	var https, grpc int
	if err := ports.Fill(&https, &grpc); err != nil {
		t.Fatal(err)
	}
	etc := t.TempDir()
	consul, err := testmesh.NewAuthority(etc, "consul-ca")
	if err != nil {
		t.Fatal(err)
	}
	// Consul's own command gives servers this name.
	cert, key, err := consul.Issue("server.dc1.consul")
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, testmesh.MeshConfig{NoLambdamesh: true, Consul: testmesh.ConsulConfig{Config: fmt.Sprintf(`
		ports { https = %d  grpc_tls = %d }
		tls { defaults { cert_file = %q  key_file = %q } }`, https, grpc, cert, key)}})
	ours, err := testmesh.NewAuthority(etc, "ca")
	s.must(err)
	s.must(ours.IssueTo("lambdamesh", filepath.Join(etc, "cert.pem"), filepath.Join(etc, "key.pem")))

	in := &installation{etc: etc}
	var plain, secured, gateway, other int
	s.must(s.Ports().Fill(&plain, &secured, &gateway, &other, &in.first, &in.second))
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	in.walkthrough = s.walkthrough("install.md",
		"/etc/lambdamesh", etc,
		"--consul-http-addr 127.0.0.1:8500", "--consul-http-addr "+s.Consul.HTTPAddr(), "127.0.0.1:8502", s.Consul.GRPCAddr(),
		"consul.example.com:8501", fmt.Sprintf("localhost:%d", https), "consul.example.com:8503", fmt.Sprintf("localhost:%d", grpc),
		"127.0.0.1:8512", at(plain), "10.0.0.5:8512", at(secured), "10.0.0.7:8443", at(gateway),
		`"10.0.0.7"`, `"127.0.0.1"`, "8443", fmt.Sprint(other),
		"envoy -gateway terminating -register", "envoy -ignore-envoy-compatibility -admin-bind "+at(in.first)+" -gateway terminating -register",
		"envoy -gateway terminating -proxy-id", "envoy -ignore-envoy-compatibility -admin-bind "+at(in.second)+" -gateway terminating -proxy-id")
	in.env = slices.DeleteFunc(in.env, func(v string) bool { return strings.HasPrefix(v, "CONSUL_HTTP_TOKEN=") })
	in.env = append(in.env, "LAMBDAMESH_XDS_ADDR="+at(plain), "LAMBDAMESH_CONSUL_GRPC_ADDR="+s.Consul.GRPCAddr(), "LAMBDAMESH_LAMBDA_ENDPOINT_URL="+s.AWS.Invoke.URL(), "LAMBDAMESH_LAMBDA_CA_FILE="+s.AWS.CAFile(),
		"LAMBDAMESH_DRAIN_TIMEOUT=1s", "LAMBDAMESH_SYNC_INTERVAL=1s")
	return in
}

// with has the commands that do runs find a variable in their environment.
func (in *installation) with(variable string, do func()) {
	kept := in.env
	defer func() { in.env = kept }()
	in.env = append(slices.Clone(kept), variable)
	do()
}

// policies makes those that the pages show, and their tokens.
func (in *installation) policies() {
	in.t.Helper()
	for name, section := range map[string]string{"install.md": "ACL policies", "registrator.md": "Consul's ACL policy"} {
		page, err := testmesh.ReadPage(name)
		in.must(err)
		_, err = page.WriteFiles(section, "hcl", in.dir)
		in.must(err)
	}
	in.with("CONSUL_HTTP_TOKEN="+in.Consul.ManagementToken(), func() { in.follow("ACL policies") })
	tokens, err := filepath.Glob(filepath.Join(in.etc, "*.token"))
	in.must(err)
	for _, file := range tokens {
		info, err := os.Stat(file)
		in.must(err)
		token, err := os.ReadFile(file)
		in.must(err)
		if info.Mode().Perm() != 0o600 {
			in.t.Errorf("%s is %v", file, info.Mode())
		}
		in.secrets = append(in.secrets, strings.TrimSpace(string(token)))
	}
	if len(tokens) != 3 {
		in.t.Fatalf("the tokens are %v", tokens)
	}
}

// server starts a lambdamesh by the commands of a section, and returns the address
// of its pages when it is ready.
func (in *installation) server(name, section string) (admin string) {
	in.t.Helper()
	var port int
	in.must(in.Ports().Fill(&port))
	admin = fmt.Sprintf("127.0.0.1:%d", port)
	in.with("LAMBDAMESH_ADMIN_ADDR="+admin, func() { in.start(name, section) })
	in.shows("http://"+admin+"/readyz", http.StatusOK, "ok")
	return admin
}

// called says whether the Envoy with its admin at this port had an answer of the function.
func (in *installation) called(admin int) error {
	_, stats, err := fetched(in.ctx, fmt.Sprintf("http://127.0.0.1:%d/stats?filter=cluster.hello.*upstream_rq_2xx", admin))
	if err == nil && (stats == "" || strings.HasSuffix(stats, ": 0\n")) {
		err = fmt.Errorf("the Envoy with its admin at %d had no call", admin)
	}
	return err
}

// registered has the second gateway in the catalog, by the page's entry.
func (in *installation) registered() {
	in.t.Helper()
	blocks := in.page.Blocks("Its Envoy, before the servers", "json")
	if len(blocks) != 1 {
		in.t.Fatalf("the page shows %d entries of the catalog", len(blocks))
	}
	var entry api.CatalogRegistration
	in.must(json.Unmarshal([]byte(blocks[0]), &entry))
	_, err := in.Consul.API().Catalog().Register(&entry, (&api.WriteOptions{}).WithContext(in.ctx))
	in.must(err)
}
