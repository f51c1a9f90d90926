//go:build extra

package nomad

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// callsByGateway: Nomad starts the page's gateway, whose Envoy has its configuration from
// lambdamesh, and a sidecar elsewhere in the mesh calls a function by it.
func (in *installation) callsByGateway(t *testing.T) {
	_, err := in.page.WriteFiles("A gateway", "hcl", in.dir)
	in.check(err)
	in.follow("A gateway")
	whole, group := in.parsed("gateway.nomad.hcl")
	task := group["Services"].([]any)[0].(object)["Connect"].(object)["SidecarTask"].(object)
	env := in.credentials()
	for name, value := range task["Env"].(object) {
		env[name] = value
	}
	if env["CONSUL_GRPC_ADDR"] != "127.0.0.1:8512" {
		t.Errorf("the gateway is sent to %v", env["CONSUL_GRPC_ADDR"])
	}
	env["CONSUL_GRPC_ADDR"] = fmt.Sprintf("127.0.0.1:%d", in.xds)
	task["Driver"], task["Env"] = "raw_exec", env
	task["Config"] = object{
		"command": testmesh.Bin(t, (*parts.Cache).Envoy).Path,
		"args":    []string{"-c", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "--disable-hot-restart", "--concurrency", "1"},
	}
	in.runJob(whole)

	ctx := testmesh.Context(t)
	in.check(in.Consul.Allow(ctx, "web", "hello"))
	web, err := in.AddSidecar(ctx, "web", []string{"hello"}, testmesh.ProxyOptions{XDSAddr: in.Consul.GRPCAddr()})
	in.check(err)
	if _, err = web.WaitStatus(ctx, "hello", testmesh.Request{}, http.StatusOK); err != nil {
		t.Error(err)
		t.Log(in.run(t.Context(), "nomad", "alloc", "logs", "-stderr", "-tail", "-n", "20", "-job", "lambda-gateway"))
	}
	in.must("nomad", "job", "stop", "-detach", "lambda-gateway")
}
