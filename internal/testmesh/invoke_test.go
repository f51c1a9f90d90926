package testmesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
)

// staticEnvoy is the bootstrap of an Envoy without an xDS server: one listener, and
// one cluster whose upstream filter is aws_lambda. It is written by hand, so that what
// the harness proves does not depend on lambdamesh.
func staticEnvoy(t *testing.T, adminPort, port int, arn string, a *AWS) []byte {
	t.Helper()
	_, invokePort, _ := strings.Cut(strings.TrimPrefix(a.Invoke.URL(), "https://"), ":")
	ca, err := json.Marshal(string(a.Invoke.CAPEM()))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{
  "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}},
  "static_resources": {
    "listeners": [{
      "name": "in", "address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}},
      "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
          {"match": {"prefix": "/"}, "route": {"cluster": "function", "auto_host_rewrite": true}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
    "clusters": [{
      "name": "function", "type": "LOGICAL_DNS", "dns_lookup_family": "V4_ONLY",
      "load_assignment": {"cluster_name": "function", "endpoints": [{"lb_endpoints": [{"endpoint": {
        "hostname": "localhost", "address": {"socket_address": {"address": "localhost", "port_value": %s}}}}]}]},
      "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "localhost",
        "common_tls_context": {"alpn_protocols": ["h2", "http/1.1"], "validation_context": {"trusted_ca": {"inline_string": %s},
          "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}]}}}},
      "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
        "http_filters": [
          {"name": "envoy.filters.http.aws_lambda", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.aws_lambda.v3.Config",
            "arn": %q, "host_rewrite": "localhost"}},
          {"name": "envoy.filters.http.upstream_codec", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}}]}}}]}}`,
		adminPort, port, invokePort, ca, arn)
}

// hello is what testdata/functions/hello.py answers.
type hello struct {
	Function, ARN, Method, Path, Message, Body string
}

func post(t *testing.T, port int, path, body string) Response {
	t.Helper()
	req, err := http.NewRequestWithContext(Context(t), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("User-Agent", "a caller  with  spaces")
	req.Header["X-Twice"] = []string{"one", "two"}
	resp, err := (&http.Client{Transport: newTransport()}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: answer}
}

// TestFunctionCalledWithoutUs has a real Envoy call a function that really runs, with a
// signature that is checked, and lambdamesh nowhere.
func TestFunctionCalledWithoutUs(t *testing.T) {
	ctx := Context(t)
	ports := TestPorts(t)
	a := TestAWS(t, AWSConfig{Ports: ports})
	file, err := FunctionFile("hello.py")
	if err != nil {
		t.Fatal(err)
	}
	arn, err := a.CreateFunction(ctx, Function{Name: "hello", File: file, Aliases: []string{"prod"}})
	if err != nil {
		t.Fatal(err)
	}
	right := a.Credentials()
	wrong := Credentials{AccessKeyID: right.AccessKeyID, SecretAccessKey: "another"}

	for _, test := range []struct {
		name        string
		arn         string
		credentials *Credentials
		status      int
		refused     string
	}{
		{name: "right", arn: arn, credentials: &right, status: 200},
		{name: "alias", arn: arn + ":prod", credentials: &right, status: 200},
		{name: "wrong-secret", arn: arn, credentials: &wrong, status: 403, refused: sigv4proxy.CodeInvalidSignature},
		{name: "unsigned", arn: arn, status: 403, refused: sigv4proxy.CodeMissingToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			var admin, port int
			if err := ports.Fill(&admin, &port); err != nil {
				t.Fatal(err)
			}
			e := TestEnvoy(t, EnvoyConfig{
				Name: "envoy", Bootstrap: staticEnvoy(t, admin, port, test.arn, a), AdminPort: admin, Credentials: test.credentials,
			})
			if err := e.WaitReady(ctx); err != nil {
				t.Fatal(err)
			}
			before := len(a.Invoke.Calls())
			answer := post(t, port, "/a%20path?name=tester&b=2", "what was sent")
			if answer.Status != test.status {
				t.Errorf("status %d, want %d: %s", answer.Status, test.status, answer.Body)
			}
			calls, err := a.Invoke.Wait(ctx, before+1)
			if err != nil {
				t.Fatal(err)
			}
			call := calls[before]
			if call.Refused != test.refused {
				t.Errorf("the proxy said %q (%s), want %q", call.Refused, call.Reason, test.refused)
			}
			if call.SNI != "localhost" || call.Proto != "HTTP/2.0" || !call.FirstOnConn {
				t.Errorf("the call came with SNI %q, %s, first on its connection %t", call.SNI, call.Proto, call.FirstOnConn)
			}
			if test.status != 200 {
				return
			}
			var got hello
			if err := json.NewDecoder(bytes.NewReader(answer.Body)).Decode(&got); err != nil {
				t.Fatalf("%v: %s", err, answer.Body)
			}
			want := hello{Function: "hello", ARN: test.arn, Method: "POST", Path: "/a%20path?name=tester&b=2", Message: "Hello, tester!", Body: "what was sent"}
			if got != want {
				t.Errorf("the function answered %+v, want %+v", got, want)
			}
			if answer.Header.Get("X-Function") != "hello" {
				t.Errorf("the function's header is missing: %v", answer.Header)
			}
		})
	}
}
