package redact_test

import (
	"strings"
	"testing"

	typedv3 "github.com/cncf/xds/go/xds/type/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	awscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/aws/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/redact"
)

// TestRecordedKeys: no key and no certificate of what a real Consul told any kind of proxy
// is shown, and all else is.
func TestRecordedKeys(t *testing.T) {
	keys := 0
	for _, kind := range []string{"api-gateway", "ingress-gateway", "mesh-gateway", "sidecar-with-gateway", "sidecar-without-gateway", "terminating-gateway"} {
		recording, err := golden.ReadRecording("../../lambda/patch/testdata/" + kind + "/input.json")
		if err != nil {
			t.Fatal(err)
		}
		read := func(raw []byte, m proto.Message) {
			if err := golden.ReadMessage(raw, m); err != nil {
				t.Fatal(err)
			}
			before := proto.Clone(m)
			got, err := redact.JSON(m)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(before, m) {
				t.Errorf("%s: the message itself was changed", kind)
			}
			plain, err := protojson.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			keys += strings.Count(string(plain), "PRIVATE KEY")
			if strings.Contains(string(got), "-----BEGIN") || strings.Contains(string(got), "not known here") {
				t.Errorf("%s: %s", kind, got)
			}
		}
		for _, raw := range recording.Clusters {
			read(raw, &clusterv3.Cluster{})
		}
		for _, raw := range recording.Listeners {
			read(raw, &listenerv3.Listener{})
		}
	}
	if keys == 0 {
		t.Error("nothing recorded holds a key")
	}
}

const (
	secret = "correct-horse-battery-staple"
	armor  = "-----BEGIN " // what follows it would make this file look like a key
)

// TestSecrets: wherever a secret stands, it is not shown; what is none is.
func TestSecrets(t *testing.T) {
	pack := func(m proto.Message) *anypb.Any {
		packed, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	inline := &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: secret}}
	bytes := &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte(secret)}}
	fields, err := structpb.NewStruct(map[string]any{"note": "here", "key": armor + "EC PRIVATE KEY-----\n" + secret, "list": []any{armor + "PRIVATE KEY-----" + secret}})
	if err != nil {
		t.Fatal(err)
	}
	tls := func(common *tlsv3.CommonTlsContext) *clusterv3.Cluster {
		return &clusterv3.Cluster{Name: "here", TransportSocket: &corev3.TransportSocket{
			Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(&tlsv3.UpstreamTlsContext{Sni: "here", CommonTlsContext: common})},
		}}
	}
	with := func(m proto.Message) *clusterv3.Cluster {
		return &clusterv3.Cluster{Name: "here", TypedExtensionProtocolOptions: map[string]*anypb.Any{"x": pack(m)}}
	}
	unknown := &clusterv3.Cluster{Name: "here"}
	unknown.ProtoReflect().SetUnknown([]byte("\x82\xf1\x1d" + string(rune(len(secret))) + secret))
	for what, m := range map[string]proto.Message{
		"a private key": tls(&tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{PrivateKey: inline}}}),
		"its password":  tls(&tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{Password: bytes}}}),
		"PKCS 12":       tls(&tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{Pkcs12: bytes}}}),
		"session keys":  with(&tlsv3.DownstreamTlsContext{SessionTicketKeysType: &tlsv3.DownstreamTlsContext_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{Keys: []*corev3.DataSource{bytes}}}}),
		"AWS credentials": with(&awslambdav3.Config{Arn: "arn", Credentials: &awslambdav3.Credentials{
			AccessKeyId: "here", SecretAccessKey: secret, SessionToken: secret,
		}}),
		"AWS credentials of a signer": with(&awscommonv3.AwsCredentialProvider{InlineCredential: &awscommonv3.InlineCredentialProvider{SecretAccessKey: secret, SessionToken: secret}}),
		"a key in metadata":           &clusterv3.Cluster{Name: "here", Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": fields}}},
		"an unknown field":            unknown,
		"a TypedStruct":               with(&typedv3.TypedStruct{TypeUrl: "here", Value: fields}),
		"an unknown type": &clusterv3.Cluster{Name: "here", TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"x": {TypeUrl: "type.googleapis.com/no.such.Type", Value: []byte(secret)},
		}},
		"no message": &clusterv3.Cluster{Name: "here", TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"x": {TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Value: []byte(secret)},
		}},
	} {
		got, err := redact.JSON(m)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if strings.Contains(string(got), secret) || strings.Contains(string(got), "Y29ycmVjdC1ob3JzZS") || !strings.Contains(string(got), "here") {
			t.Errorf("%s: %s", what, got)
		}
	}
}
