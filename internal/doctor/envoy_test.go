package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// fakeEnvoy answers as Envoy's admin does in states in which a real one is not to be had
// at will.
func fakeEnvoy(t *testing.T, version, state, stats string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/server_info", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"version": "abc/%s/Clean/RELEASE/BoringSSL", "state": %q}`, version, state)
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"stats": [%s, {"histograms": {}}]}`, stats)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func checkEnvoy(t *testing.T, admin string) *Report {
	t.Helper()
	return Run(t.Context(), patient, Envoy{admin}.Check)
}

func TestEnvoyStates(t *testing.T) {
	stat := func(name, value string) string { return `{"name": "` + name + `", "value": ` + value + `}` }
	connected := stat("control_plane.connected_state", "1")
	const (
		refreshes = "aws.metadata_credentials_provider.ec2_instance_metadata_server_internal.credential_refreshes_"
		hello     = "cluster.hello.default.dc1.internal.td.consul"
	)
	function := connected + "," + stat(hello+".aws_lambda.server_error", "0")
	for _, test := range []struct {
		version, state, stats string
		check                 string
		verdict               Verdict
		words                 string
	}{
		{"1.40.0", "LIVE", connected, "envoy", OK, "live"},
		{"1.40.0", "LIVE", connected, "envoy version", OK, `^1\.40\.0 `},
		{"1.40.0", "PRE_INITIALIZING", connected, "envoy", Warn, "PRE_INITIALIZING"},
		{"1.38.3", "LIVE", connected, "envoy version", Warn, "role-arn"},
		{"1.29.1", "LIVE", connected, "envoy version", Fail, "cannot invoke"},
		{"1.41.0-dev", "LIVE", connected, "envoy version", OK, "1.41.0-dev"},
		{"main", "LIVE", connected, "envoy version", Warn, "main"},
		{"1.40.0", "LIVE", stat("control_plane.connected_state", "0"), "envoy xds", Fail, "not connected"},
		{"1.40.0", "LIVE", connected, "envoy refusals", OK, "no update"},
		{"1.40.0", "LIVE", connected + "," + stat("http.in.rds.hello.update_rejected", "2"), "envoy refusals", Warn, `rds\.hello\.update_rejected is 2`},
		{"1.40.0", "LIVE", connected + "," + stat(refreshes+"failed", "3"), "envoy credentials", Fail, "3 attempts failed"},
		{"1.40.0", "LIVE", connected + "," + stat(refreshes+"failed", "3") + "," + stat(refreshes+"succeeded", "1"), "envoy credentials", OK, "loaded 1 times"},
		{"1.40.0", "LIVE", connected, "envoy functions", Skip, "inspect"},
		{"1.40.0", "LIVE", function, "envoy functions", OK, "it has 1,"},
		{"1.40.0", "LIVE", function + "," + stat(hello+".upstream_rq_403", "7"), "envoy functions", Warn, "7 calls.*403"},
	} {
		expect(t, checkEnvoy(t, fakeEnvoy(t, test.version, test.state, test.stats)), test.check, test.verdict, test.words)
	}
	expect(t, checkEnvoy(t, "http://127.0.0.1:1"), "envoy", Fail, "--envoy-admin")
	expect(t, checkEnvoy(t, "http://"+secured.HTTPAddr()), "envoy", Fail, "404")
}

func TestParseAdmin(t *testing.T) {
	for _, wrong := range []string{"127.0.0.1:19000", "ftp://x", "http://", ":"} {
		if _, err := ParseAdmin(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// realEnvoy has one function, asks provider for its credentials, and refuses the one
// cluster that it is given besides; nothing answers its xDS.
func realEnvoy(t *testing.T, provider string) *testmesh.Envoy {
	t.Helper()
	var admin int
	if err := testmesh.TestPorts(t).Fill(&admin); err != nil {
		t.Fatal(err)
	}
	clusters := filepath.Join(t.TempDir(), "clusters.json")
	if err := os.WriteFile(clusters, []byte(refusedCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	return testmesh.TestEnvoy(t, testmesh.EnvoyConfig{
		Bootstrap: []byte(fmt.Sprintf(envoyBootstrap, admin, clusters)), AdminPort: admin, AcceptUnknownFields: true,
		Env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + provider, "AWS_CONTAINER_AUTHORIZATION_TOKEN=t0ken"},
	})
}

// refusedCluster is as Consul sends it for a service without an address.
const refusedCluster = `{"version_info": "1", "resources": [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  "name": "later", "connect_timeout": "1s", "type": "LOGICAL_DNS",
  "load_assignment": {"cluster_name": "later", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "", "port_value": 0}}}}]}]}}]}`

const envoyBootstrap = `{
  "node": {"id": "doctor", "cluster": "doctor"},
  "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}},
  "dynamic_resources": {
    "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]},
    "cds_config": {"path_config_source": {"path": %q}, "resource_api_version": "V3"},
    "lds_config": {"ads": {}, "resource_api_version": "V3"}
  },
  "static_resources": {"clusters": [
    {"name": "xds", "connect_timeout": "1s", "type": "STATIC",
     "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
       "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}},
     "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}},
    {"name": "hello", "connect_timeout": "1s", "type": "STATIC",
     "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
       "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http_protocol_options": {}},
       "http_filters": [
         {"name": "envoy.filters.http.aws_lambda", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.aws_lambda.v3.Config", "arn": "arn:aws:lambda:us-east-1:000000000000:function:hello"}},
         {"name": "envoy.filters.http.upstream_codec", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}}]}},
     "load_assignment": {"cluster_name": "hello", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}}
  ]}
}`

// A real Envoy shows what the fake ones say.
func TestEnvoy(t *testing.T) {
	for _, test := range []struct {
		status  int
		counter string // that Envoy has tried
		verdict Verdict
		words   string
	}{
		{http.StatusOK, "credential_refreshes_succeeded", OK, "loaded"},
		{http.StatusInternalServerError, "credential_refreshes_failed", Fail, "none are loaded"},
	} {
		t.Run(test.counter, func(t *testing.T) {
			// fakeProvider stands for EKS's or ECS's service of credentials.
			fakeProvider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"AccessKeyId": "AKIDFAKE", "SecretAccessKey": "fake", "Token": "fake", "Expiration": "2099-01-01T00:00:00Z"}`))
			}))
			t.Cleanup(fakeProvider.Close)
			e := realEnvoy(t, fakeProvider.URL+"/v1/credentials")
			ctx := testmesh.Context(t)
			if err := e.Ready(ctx, func(ctx context.Context) error {
				stats, err := e.Stats(ctx, test.counter)
				for _, n := range stats {
					if n > 0 {
						return nil
					}
				}
				return fmt.Errorf("no %s yet (%w)", test.counter, err)
			}); err != nil {
				all, _ := e.Stats(ctx, "aws")
				t.Fatal(err, all)
			}
			r := checkEnvoy(t, "http://"+e.AdminAddr())
			expect(t, r, "envoy version", OK)
			expect(t, r, "envoy xds", Fail, "not connected")
			expect(t, r, "envoy refusals", Warn, `cluster_manager\.cds\.update_rejected is [1-9]`)
			expect(t, r, "envoy credentials", test.verdict, test.words)
			expect(t, r, "envoy functions", OK, "it has 1,")
		})
	}
}
