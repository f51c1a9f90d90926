package patch

import (
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
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
	chain := options.GetHttpFilters()
	if n := len(chain); n < 2 || chain[n-1].GetName() != filterCodec || chain[n-2].GetName() != filterLambda {
		return errors.New("the filters do not end in aws_lambda and upstream_codec")
	}
	var invoked awslambdav3.Config
	if err := chain[len(chain)-2].GetTypedConfig().UnmarshalTo(&invoked); err != nil {
		return fmt.Errorf("reading the filter: %w", err)
	}
	if arn, err := lambda.ParseARN(invoked.GetArn()); err != nil || arn != f.ARN {
		return errors.New("the filter does not name the function's ARN")
	}
	if !c.GetUpstreamConfig().GetTypedConfig().MessageIs(&httppoolv3.HttpConnectionPoolProto{}) {
		return errors.New("the cluster would take TCP, unsigned")
	}
	localities := c.GetLoadAssignment().GetEndpoints()
	if len(localities) != 1 || len(localities[0].GetLbEndpoints()) != 1 {
		return errors.New("there is not one endpoint")
	}
	at := localities[0].GetLbEndpoints()[0].GetEndpoint()
	if host := invoked.GetHostRewrite(); host == "" || host != at.GetHostname() || host != at.GetAddress().GetSocketAddress().GetAddress() {
		return errors.New("the name that is signed is not the endpoint's")
	}
	if to.tls {
		return verifyTLS(c, to.endpoint)
	}
	return nil
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
