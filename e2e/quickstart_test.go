package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestQuickStart does what docs/quickstart.md says, with its commands. The test has its
// own Consul and AWS, its own ports, and no sync interval of minutes.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoLambdamesh: true, Consul: testmesh.ConsulConfig{NoACL: true}})
	hello := s.function("hello", "hello", nil)
	var xds, admin, gateway, sidecar, upstream, gatewayAdmin, sidecarAdmin int
	s.must(s.Ports().Fill(&xds, &admin, &gateway, &sidecar, &upstream, &gatewayAdmin, &sidecarAdmin))
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	w := s.walkthrough("quickstart.md",
		// One worker each: of several each has a connection to the gateway, on which one more
		// call is answered after its intention is gone (Envoy 1.40.0).
		"-- --drain-strategy immediate", "-- --drain-strategy immediate --concurrency 1", "-ignore-envoy-compatibility\n", "-ignore-envoy-compatibility -- --concurrency 1\n",
		"127.0.0.1:8512", at(xds), "127.0.0.1:8443", at(gateway), "127.0.0.1:19000", at(gatewayAdmin), "127.0.0.1:19001", at(sidecarAdmin),
		"= 21000", fmt.Sprint("= ", sidecar), "= 9191", fmt.Sprint("= ", upstream))
	w.env = append(w.env, "LAMBDAMESH_XDS_ADDR="+at(xds), "LAMBDAMESH_ADMIN_ADDR="+at(admin), "LAMBDAMESH_CONSUL_GRPC_ADDR="+s.Consul.GRPCAddr(),
		"LAMBDAMESH_LAMBDA_ENDPOINT_URL="+s.AWS.Invoke.URL(), "LAMBDAMESH_LAMBDA_CA_FILE="+s.AWS.CAFile(), "LAMBDAMESH_DRAIN_TIMEOUT=1s")

	call, page := "http://"+at(upstream)+"/orders/7", "http://"+at(admin)

	server := w.start("lambdamesh", "2. lambdamesh")
	w.shows(page+"/readyz", http.StatusOK, "ok")
	w.follow("3. A gateway")
	w.start("envoy-gateway", "4. Its Envoy")
	w.follow("5. A caller")
	w.start("envoy-web", "6. Its sidecar")
	s.must(s.AWS.Tag(s.ctx, hello, testmesh.EnabledTags()))
	w.follow("7. Tag the function")
	w.shows(call, http.StatusOK, "/orders/7")
	if out := w.follow("9. See it"); !strings.Contains(out, hello) || !strings.Contains(out, "lambda-gateway") {
		t.Errorf("inspect says\n%s", out)
	}
	w.shows(page+"/functions/hello", http.StatusOK, "lambda-gateway")

	w.follow("10. Break it")
	w.shows(call, http.StatusForbidden, "RBAC")
	s.must(server.Stop())
	w.shows(call, http.StatusForbidden, "RBAC")
	w.follow("11. Mend it")
	if status, body, err := fetched(s.ctx, call); status != http.StatusForbidden {
		t.Errorf("without lambdamesh an intention changed what a gateway does: %d %s %v", status, body, err)
	}
	w.start("lambdamesh-again", "2. lambdamesh")
	w.shows(call, http.StatusOK, "/orders/7")
	s.signed()
}
