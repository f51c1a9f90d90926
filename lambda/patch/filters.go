package patch

import (
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	upstreamcodecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	filterHeaderMutation = "envoy.filters.http.header_mutation"
	filterLambda         = "envoy.filters.http.aws_lambda"
	filterSigning        = "envoy.filters.http.aws_request_signing"
	filterLua            = "envoy.filters.http.lua"
	filterCodec          = "envoy.filters.http.upstream_codec"
)

// filters are the cluster's own HTTP filters. Their order is that of requests;
// answers pass them in the other direction:
//
//  1. header_mutation takes away the caller's headers that are orders to AWS, before
//     they get into the event or are signed.
//  2. aws_lambda makes the request an invocation and signs it. Nothing after it may
//     add or change a header.
//  3. aws_request_signing, for a role, signs anew: its signature replaces that of aws_lambda.
//  4. lua, if there is need of it (see script), sees what leaves and AWS's own answer.
//  5. upstream_codec sends it; Envoy demands it last.
//
// For a function's URL 2 and 4 are left out, and 3 signs in any case.
func filters(f lambda.Function, host string, v Version) ([]*hcmv3.HttpFilter, error) {
	type named struct {
		name   string
		config proto.Message
	}
	var wanted []named
	if f.URL {
		wanted = []named{{filterHeaderMutation, urlMutation(v)}, {filterSigning, urlSigner(f, host)}}
	} else {
		wanted = []named{{filterHeaderMutation, headerMutation(f, v)}, {filterLambda, lambdaConfig(f, host)}}
		if f.RoleARN != "" {
			wanted = append(wanted, named{filterSigning, roleSigner(f, host)})
		}
		if code := script(f, v); code != "" {
			wanted = append(wanted, named{filterLua, luaConfig(code)})
		}
	}
	wanted = append(wanted, named{filterCodec, &upstreamcodecv3.UpstreamCodec{}})
	var chain []*hcmv3.HttpFilter
	for _, filter := range wanted {
		config, err := pack(filter.config)
		if err != nil {
			return nil, err
		}
		chain = append(chain, &hcmv3.HttpFilter{
			Name:       filter.name,
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config},
		})
	}
	return chain, nil
}

// lambdaConfig rewrites Host before it signs, so that the name signed is the
// endpoint's, whoever the caller addressed.
func lambdaConfig(f lambda.Function, host string) *awslambdav3.Config {
	mode := awslambdav3.Config_SYNCHRONOUS
	if f.Asynchronous {
		mode = awslambdav3.Config_ASYNCHRONOUS
	}
	config := &awslambdav3.Config{
		Arn:                f.ARN.String(),
		PayloadPassthrough: f.PayloadPassthrough,
		InvocationMode:     mode,
		HostRewrite:        host,
		CredentialsProfile: f.CredentialsProfile,
	}
	if f.RoleARN != "" {
		config.Credentials = nobody()
	}
	return config
}
