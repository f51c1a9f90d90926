package patch

import (
	"slices"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const testName = "hello" + domain

// invoke makes the cluster that invokes a function.
func invoke(t *testing.T, f lambda.Function, opts Options, v Version) (*clusterv3.Cluster, target) {
	t.Helper()
	if len(opts.CAs) == 0 {
		opts.CAs = options(t).CAs
	}
	cas, err := bundle(opts.CAs)
	if err != nil {
		t.Fatal(err)
	}
	at, err := opts.endpointOf(f)
	if err != nil {
		t.Fatal(err)
	}
	to := newTarget(at, cas)
	c, err := invocation(testName, nil, f, to, v)
	if err != nil {
		t.Fatal(err)
	}
	return c, to
}

func protocol(t *testing.T, c *clusterv3.Cluster) *httpv3.HttpProtocolOptions {
	t.Helper()
	var options httpv3.HttpProtocolOptions
	if err := c.GetTypedExtensionProtocolOptions()[protocolOptions].UnmarshalTo(&options); err != nil {
		t.Fatal(err)
	}
	return &options
}

func tlsOf(t *testing.T, c *clusterv3.Cluster) *tlsv3.UpstreamTlsContext {
	t.Helper()
	var context tlsv3.UpstreamTlsContext
	if err := c.GetTransportSocket().GetTypedConfig().UnmarshalTo(&context); err != nil {
		t.Fatal(err)
	}
	return &context
}

func TestAddressForm(t *testing.T) {
	f := lambda.Function{ARN: arnIn("aws", "us-east-1")}
	tests := []struct {
		url     string
		version Version
		kind    clusterv3.Cluster_DiscoveryType
		dns     bool // by the cluster extension
	}{
		{"", Version{1, 31, 0}, clusterv3.Cluster_LOGICAL_DNS, false},
		{"", Version{1, 35, 9}, clusterv3.Cluster_LOGICAL_DNS, false},
		{"", Version{1, 36, 0}, 0, true},
		{"", Version{2, 0, 0}, 0, true},
		{"http://emulator:4566", current, 0, true},
		{"http://127.0.0.1:4566", current, clusterv3.Cluster_STATIC, false},
		{"https://[::1]:4566", Version{1, 31, 0}, clusterv3.Cluster_STATIC, false},
	}
	for _, test := range tests {
		c, _ := invoke(t, f, Options{EndpointURL: test.url}, test.version)
		if got := c.GetClusterType().GetName(); (got == "envoy.clusters.dns") != test.dns {
			t.Errorf("%q %v: cluster type %q", test.url, test.version, got)
		}
		if c.GetType() != test.kind {
			t.Errorf("%q %v: type %v, want %v", test.url, test.version, c.GetType(), test.kind)
		}
	}
}

// One name everywhere: what is connected to, what is signed, what is verified.
func TestOneName(t *testing.T) {
	f := lambda.Function{ARN: arnIn("aws", "us-east-1")}
	tests := []struct {
		url, host, sni string
		port           uint32
		san            tlsv3.SubjectAltNameMatcher_SanType
	}{
		{"", "lambda.us-east-1.amazonaws.com", "lambda.us-east-1.amazonaws.com", 443, tlsv3.SubjectAltNameMatcher_DNS},
		{"https://localhost:4566", "localhost", "localhost", 4566, tlsv3.SubjectAltNameMatcher_DNS},
		{"https://127.0.0.1:4566", "127.0.0.1", "", 4566, tlsv3.SubjectAltNameMatcher_IP_ADDRESS},
		{"http://localhost", "localhost", "", 80, 0},
	}
	for _, test := range tests {
		c, to := invoke(t, f, Options{EndpointURL: test.url}, current)
		at := c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint()
		address := at.GetAddress().GetSocketAddress()
		var filter awslambdav3.Config
		if err := protocol(t, c).GetHttpFilters()[1].GetTypedConfig().UnmarshalTo(&filter); err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]string{
			"hostname": at.GetHostname(), "address": address.GetAddress(), "host_rewrite": filter.GetHostRewrite(),
		} {
			if got != test.host {
				t.Errorf("%q: %s is %q, want %q", test.url, what, got, test.host)
			}
		}
		if address.GetPortValue() != test.port {
			t.Errorf("%q: port %d, want %d", test.url, address.GetPortValue(), test.port)
		}
		if !to.tls {
			if c.GetTransportSocket() != nil || protocol(t, c).GetExplicitHttpConfig().GetHttpProtocolOptions() == nil {
				t.Errorf("%q: not plain HTTP/1.1", test.url)
			}
			continue
		}
		context := tlsOf(t, c)
		names := context.GetCommonTlsContext().GetValidationContext().GetMatchTypedSubjectAltNames()
		if context.GetSni() != test.sni || len(names) != 1 || names[0].GetSanType() != test.san || names[0].GetMatcher().GetExact() != test.host {
			t.Errorf("%q: SNI %q, names %v", test.url, context.GetSni(), names)
		}
		if auto := protocol(t, c).GetAutoConfig(); auto.GetHttpProtocolOptions() == nil || auto.GetHttp2ProtocolOptions() == nil || auto.GetHttp3ProtocolOptions() != nil {
			t.Errorf("%q: protocol %v", test.url, protocol(t, c))
		}
	}
}

func TestFilters(t *testing.T) {
	arn := arnIn("aws", "us-east-1").WithQualifier("prod")
	c, _ := invoke(t, lambda.Function{ARN: arn, Asynchronous: true, PayloadPassthrough: true, CredentialsProfile: "payments"}, Options{}, current)
	chain := protocol(t, c).GetHttpFilters()
	var names []string
	for _, f := range chain {
		names = append(names, f.GetName())
	}
	if want := []string{filterHeaderMutation, filterLambda, filterCodec}; !slices.Equal(names, want) {
		t.Fatalf("filters %v, want %v", names, want)
	}
	var got awslambdav3.Config
	if err := chain[1].GetTypedConfig().UnmarshalTo(&got); err != nil {
		t.Fatal(err)
	}
	want := &awslambdav3.Config{
		Arn: arn.String(), PayloadPassthrough: true, InvocationMode: awslambdav3.Config_ASYNCHRONOUS,
		HostRewrite: "lambda.us-east-1.amazonaws.com", CredentialsProfile: "payments",
	}
	if !proto.Equal(want, &got) {
		t.Errorf("filter %v, want %v", &got, want)
	}
}

// What verify is for: each of these would be a request unsigned, sent elsewhere, or
// a server that is not verified.
func TestVerify(t *testing.T) {
	f := lambda.Function{ARN: arnIn("aws", "us-east-1")}
	options := func(c *clusterv3.Cluster, change func(*httpv3.HttpProtocolOptions)) {
		o := protocol(t, c)
		change(o)
		packed, err := pack(o)
		if err != nil {
			t.Fatal(err)
		}
		c.TypedExtensionProtocolOptions[protocolOptions] = packed
	}
	lambdaFilter := func(c *clusterv3.Cluster, change func(*awslambdav3.Config)) {
		options(c, func(o *httpv3.HttpProtocolOptions) {
			var config awslambdav3.Config
			if err := o.GetHttpFilters()[1].GetTypedConfig().UnmarshalTo(&config); err != nil {
				t.Fatal(err)
			}
			change(&config)
			if err := o.GetHttpFilters()[1].GetTypedConfig().MarshalFrom(&config); err != nil {
				t.Fatal(err)
			}
		})
	}
	tls := func(c *clusterv3.Cluster, change func(*tlsv3.CertificateValidationContext)) {
		context := tlsOf(t, c)
		change(context.GetCommonTlsContext().GetValidationContext())
		if err := c.GetTransportSocket().GetTypedConfig().MarshalFrom(context); err != nil {
			t.Fatal(err)
		}
	}
	for what, spoil := range map[string]func(*clusterv3.Cluster){
		"name":       func(c *clusterv3.Cluster) { c.Name = "other" },
		"invalid":    func(c *clusterv3.Cluster) { c.Name = "" },
		"no options": func(c *clusterv3.Cluster) { c.TypedExtensionProtocolOptions = nil },
		"no filters": func(c *clusterv3.Cluster) { options(c, func(o *httpv3.HttpProtocolOptions) { o.HttpFilters = nil }) },
		"filter order": func(c *clusterv3.Cluster) {
			options(c, func(o *httpv3.HttpProtocolOptions) { slices.Reverse(o.HttpFilters) })
		},
		"no signer": func(c *clusterv3.Cluster) {
			options(c, func(o *httpv3.HttpProtocolOptions) { o.HttpFilters = slices.Delete(o.HttpFilters, 1, 2) })
		},
		"a filter behind the signer": func(c *clusterv3.Cluster) {
			options(c, func(o *httpv3.HttpProtocolOptions) { o.HttpFilters = slices.Insert(o.HttpFilters, 2, o.HttpFilters[0]) })
		},
		"ARN":           func(c *clusterv3.Cluster) { lambdaFilter(c, func(f *awslambdav3.Config) { f.Arn = "x" }) },
		"another ARN":   func(c *clusterv3.Cluster) { lambdaFilter(c, func(f *awslambdav3.Config) { f.Arn += "2" }) },
		"unsigned host": func(c *clusterv3.Cluster) { lambdaFilter(c, func(f *awslambdav3.Config) { f.HostRewrite = "" }) },
		"hostname": func(c *clusterv3.Cluster) {
			c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Hostname = "elsewhere"
		},
		"no TLS": func(c *clusterv3.Cluster) { c.TransportSocket = nil },
		"no CA":  func(c *clusterv3.Cluster) { tls(c, func(v *tlsv3.CertificateValidationContext) { v.TrustedCa = nil }) },
		"no SAN": func(c *clusterv3.Cluster) {
			tls(c, func(v *tlsv3.CertificateValidationContext) { v.MatchTypedSubjectAltNames = nil })
		},
		"two SANs": func(c *clusterv3.Cluster) {
			tls(c, func(v *tlsv3.CertificateValidationContext) {
				v.MatchTypedSubjectAltNames = append(v.MatchTypedSubjectAltNames, v.MatchTypedSubjectAltNames...)
			})
		},
		"no endpoint": func(c *clusterv3.Cluster) { c.LoadAssignment.Endpoints = nil },
	} {
		c, to := invoke(t, f, Options{}, current)
		if err := verify(c, testName, f, to); err != nil {
			t.Fatal(err)
		}
		spoil(c)
		if err := verify(c, testName, f, to); err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}
