package patch

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	signingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	urlHost     = "abc123.lambda-url.us-east-1.on.aws"
	functionURL = "https://" + urlHost
)

func byURL() lambda.Function {
	return lambda.Function{ARN: arnIn("aws", "us-east-1"), URL: true, FunctionURL: functionURL}
}

// TestURLEndpoint: the URL's host is what is signed and verified, wherever it is looked for.
func TestURLEndpoint(t *testing.T) {
	for _, test := range []struct {
		opts    Options
		want    endpoint
		address string
		ip      bool
	}{
		{Options{}, endpoint{host: urlHost, port: 443, tls: true}, urlHost, false},
		{Options{DualStack: true}, endpoint{host: urlHost, port: 443, tls: true}, urlHost, false}, // it has both families
		{Options{EndpointURL: "https://localhost:4566"}, endpoint{host: urlHost, at: "localhost", port: 4566, tls: true}, "localhost", false},
		{Options{EndpointURL: "http://127.0.0.1:4566"}, endpoint{host: urlHost, at: "127.0.0.1", port: 4566}, "127.0.0.1", true},
		{Options{EndpointURL: "http://[::1]"}, endpoint{host: urlHost, at: "::1", port: 80}, "::1", true},
	} {
		got, err := test.opts.endpointOf(byURL())
		if err != nil || got != test.want {
			t.Errorf("%+v: %+v, %v", test.opts, got, err)
		}
		if address, ip := got.address(); address != test.address || ip != test.ip {
			t.Errorf("%+v: at %s, an address: %t", test.opts, address, ip)
		}
	}
}

// TestURLCheck: what a URL is refused for.
func TestURLCheck(t *testing.T) {
	unknown, elsewhere := byURL(), byURL()
	unknown.FunctionURL = ""
	elsewhere.ARN = arnIn("aws-cn", "us-east-1")
	allowed := Bounds{"arn:aws:lambda:*:123456789012:function:*"}
	for _, test := range []struct {
		f    lambda.Function
		opts Options
		key  string // of the one mistake; empty for none
	}{
		{byURL(), Options{}, ""},
		{byURL(), Options{AllowARNs: append(allowed, functionURL)}, ""},
		{byURL(), Options{AllowARNs: append(allowed, "https://*.lambda-url.us-east-1.on.aws")}, ""},
		{byURL(), Options{AllowARNs: Bounds{"*"}}, ""},
		{byURL(), Options{AllowARNs: allowed}, lambda.KeyURL},
		{byURL(), Options{AllowARNs: append(allowed, "https://*.lambda-url.eu-west-1.on.aws")}, lambda.KeyURL},
		{byURL(), Options{AllowARNs: Bounds{functionURL}}, lambda.KeyARN},
		{byURL(), Options{FIPS: true}, lambda.KeyARN},
		{unknown, Options{}, lambda.KeyARN},
		{elsewhere, Options{}, lambda.KeyARN},
	} {
		if err := test.opts.Validate(); err != nil {
			t.Errorf("%+v: %v", test.opts, err)
		}
		mistakes := lambda.Mistakes(test.opts.Check(test.f))
		if (test.key == "") != (len(mistakes) == 0) || len(mistakes) > 1 || len(mistakes) == 1 && mistakes[0].Key != lambda.Prefix+test.key {
			t.Errorf("Check(%+v) with %+v = %v", test.f, test.opts, mistakes)
		}
	}
}

// TestURLCluster: one name is signed, asked for in TLS and verified, with the credentials
// that the function says.
func TestURLCluster(t *testing.T) {
	profiled, assumed := byURL(), byURL()
	profiled.CredentialsProfile = "payments"
	assumed.RoleARN, assumed.ExternalID = "arn:aws:iam::123456789012:role/r", "an-id"
	for _, f := range []lambda.Function{byURL(), profiled, assumed} {
		c, _ := invoke(t, f, Options{EndpointURL: "https://127.0.0.1:4566", AllowRoles: Bounds{"*"}}, current)
		chain := protocol(t, c).GetHttpFilters()
		var names []string
		for _, filter := range chain {
			names = append(names, strings.TrimPrefix(filter.GetName(), "envoy.filters.http."))
		}
		if got := strings.Join(names, " "); got != "header_mutation aws_request_signing upstream_codec" {
			t.Fatalf("filters: %s", got)
		}
		var headers headermutationv3.HeaderMutation
		var signer signingv3.AwsRequestSigning
		if err := chain[0].GetTypedConfig().UnmarshalTo(&headers); err != nil {
			t.Fatal(err)
		}
		if err := chain[1].GetTypedConfig().UnmarshalTo(&signer); err != nil {
			t.Fatal(err)
		}
		if n := len(headers.GetMutations().GetResponseMutations()); n > 0 {
			t.Errorf("%d changes to the answer", n)
		}
		if signer.GetHostRewrite() != urlHost || signer.GetRegion() != "us-east-1" || signer.GetServiceName() != "lambda" || signer.GetUseUnsignedPayload() {
			t.Errorf("it signs %s", signer.String())
		}
		provider := signer.GetCredentialProvider()
		if (provider == nil) != (f == byURL()) || provider.GetCredentialsFileProvider().GetProfile() != f.CredentialsProfile ||
			provider.GetAssumeRoleCredentialProvider().GetRoleArn() != f.RoleARN || provider.GetAssumeRoleCredentialProvider().GetExternalId() != f.ExternalID {
			t.Errorf("credentials: %v", provider)
		}
		at := c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint()
		if at.GetHostname() != urlHost || at.GetAddress().GetSocketAddress().GetAddress() != "127.0.0.1" {
			t.Errorf("the endpoint is %v", at)
		}
		if tls := tlsOf(t, c); tls.GetSni() != urlHost || tls.GetCommonTlsContext().GetValidationContext().GetMatchTypedSubjectAltNames()[0].GetMatcher().GetExact() != urlHost {
			t.Errorf("TLS is to %v", tls)
		}
		other := f
		other.ARN.Region = "eu-west-1"
		if _, err := signedURL(chain, other); err == nil {
			t.Error("a signature for another region passes")
		}
		if _, err := signedURL(chain[:1], f); err == nil {
			t.Error("filters that sign nothing pass")
		}
	}
}

// TestURLNeedsTheCluster: an older Envoy, and the filters in the listener, are refused with
// the reason.
func TestURLNeedsTheCluster(t *testing.T) {
	if _, err := invocation("n", nil, byURL(), target{}, Version{1, 35, 9}); err == nil || err.Error() != needsURL {
		t.Errorf("for Envoy 1.35: %v", err)
	}
	if err := inListener(byURL()); err == nil {
		t.Error("a URL in a listener is accepted")
	}
}

// What becomes of a cluster of testdata/CASE's input.json whose function is called by its
// URL: testdata/CASE/url.json.
func TestGoldenURL(t *testing.T) {
	var files []string
	for name, called := range map[string]string{"terminating-gateway": "hello", "sidecar-without-gateway": "solo"} {
		r := recordingOf(t, name)
		var services []lambda.Service
		for s := range r.table.All() {
			s := *s
			if s.Name.Name == called {
				s.Function.URL, s.Function.FunctionURL = true, "https://abc123.lambda-url."+s.Function.ARN.Region+".on.aws"
			}
			services = append(services, s)
		}
		r.table = lambda.NewTable(services...).WithIntentions(lambda.NewIntentions(true))
		verdict := r.verdicts(r.patcher(t, options(t)))[called+domain]
		if verdict.Patch == nil {
			t.Fatalf("%s of %s is not patched", called, name)
		}
		made := verdict.Patch.Make()
		b, err := golden.Message(made.Cluster)
		if err != nil || made.Form != FormCluster {
			t.Fatalf("%s: %v", made.Reason, err)
		}
		if b, err = golden.JSON(json.RawMessage(b)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name, "url.json")
		files = append(files, file)
		golden.Equal(t, file, b)
	}
	golden.Only(t, filepath.Join("testdata", "*", "url*"), files...)
}
