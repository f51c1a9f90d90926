package patch

import (
	"errors"
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	signingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httppoolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/http/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// verify reads a finished cluster as Envoy will and says what of it would make
// Envoy reject it, send a request unsigned, or trust a server that it must not.
// Envoy's own validation is weak: it takes "x" for an ARN.
func verify(c *clusterv3.Cluster, name string, f lambda.Function, to target) error {
	if err := c.ValidateAll(); err != nil {
		return fmt.Errorf("validating the cluster: %w", err)
	}
	if c.GetName() != name {
		return errors.New("the cluster's name changed")
	}
	var options httpv3.HttpProtocolOptions
	if err := c.GetTypedExtensionProtocolOptions()[protocolOptions].UnmarshalTo(&options); err != nil {
		return fmt.Errorf("reading the protocol options: %w", err)
	}
	signed, err := signedHost(options.GetHttpFilters(), f)
	if err != nil {
		return err
	}
	if !c.GetUpstreamConfig().GetTypedConfig().MessageIs(&httppoolv3.HttpConnectionPoolProto{}) {
		return errors.New("the cluster would take TCP, unsigned")
	}
	localities := c.GetLoadAssignment().GetEndpoints()
	if len(localities) != 1 || len(localities[0].GetLbEndpoints()) != 1 {
		return errors.New("there is not one endpoint")
	}
	at := localities[0].GetLbEndpoints()[0].GetEndpoint()
	address, _ := to.address()
	if signed == "" || signed != to.host || signed != at.GetHostname() || address != at.GetAddress().GetSocketAddress().GetAddress() {
		return errors.New("the name that is signed is not the endpoint's")
	}
	if to.tls {
		return verifyTLS(c, to.endpoint)
	}
	return nil
}

// signedHost is the host that the filters sign requests to the function for.
func signedHost(chain []*hcmv3.HttpFilter, f lambda.Function) (string, error) {
	if f.URL {
		return signedURL(chain, f)
	}
	signer, err := signerOf(chain, f.RoleARN != "")
	if err != nil {
		return "", err
	}
	var invoked awslambdav3.Config
	if err := signer.GetTypedConfig().UnmarshalTo(&invoked); err != nil {
		return "", fmt.Errorf("reading the filter: %w", err)
	}
	if arn, err := lambda.ParseARN(invoked.GetArn()); err != nil || arn != f.ARN {
		return "", errors.New("the filter does not name the function's ARN")
	}
	return invoked.GetHostRewrite(), nil
}

// signedURL is that of the filters for a function's URL, which end in aws_request_signing
// and the codec.
func signedURL(chain []*hcmv3.HttpFilter, f lambda.Function) (string, error) {
	last := len(chain) - 1
	if last < 1 || chain[last-1].GetName() != filterSigning || chain[last].GetName() != filterCodec {
		return "", errors.New("the filters do not end in aws_request_signing and upstream_codec")
	}
	var signer signingv3.AwsRequestSigning
	if err := chain[last-1].GetTypedConfig().UnmarshalTo(&signer); err != nil {
		return "", fmt.Errorf("reading the filter: %w", err)
	}
	if signer.GetServiceName() != "lambda" || signer.GetRegion() != f.ARN.Region || signer.GetUseUnsignedPayload() {
		return "", errors.New("the filter does not sign for the function's region, or not the body")
	}
	return signer.GetHostRewrite(), nil
}

// signerOf finds aws_lambda, behind which nothing may stand but the signer of a role,
// where there is one, what leaves signed headers alone, and the codec.
func signerOf(chain []*hcmv3.HttpFilter, role bool) (*hcmv3.HttpFilter, error) {
	at := slices.IndexFunc(chain, func(f *hcmv3.HttpFilter) bool { return f.GetName() == filterLambda })
	if at < 0 {
		return nil, errors.New("the filters lack aws_lambda")
	}
	rest := chain[at+1:]
	if role {
		if len(rest) == 0 || rest[0].GetName() != filterSigning {
			return nil, errors.New("nothing signs with the role's credentials")
		}
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0].GetName() == filterLua {
		rest = rest[1:]
	}
	if len(rest) != 1 || rest[0].GetName() != filterCodec {
		return nil, errors.New("the filters do not end in aws_lambda and upstream_codec")
	}
	return chain[at], nil
}

func verifyTLS(c *clusterv3.Cluster, to endpoint) error {
	var context tlsv3.UpstreamTlsContext
	if err := c.GetTransportSocket().GetTypedConfig().UnmarshalTo(&context); err != nil {
		return fmt.Errorf("reading the TLS context: %w", err)
	}
	validation := context.GetCommonTlsContext().GetValidationContext()
	names := validation.GetMatchTypedSubjectAltNames()
	if validation.GetTrustedCa().GetInlineString() == "" || len(names) != 1 || names[0].GetMatcher().GetExact() != to.host {
		return errors.New("the server's certificate would not be verified")
	}
	return nil
}
