package patch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	awslambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Listener mode puts the filters where Consul puts them, before the listener's router.
// There they do nothing of themselves: which function is invoked, and how, stands with
// each route that leads to it, or with each of its weighted clusters. So a listener
// serves any number of functions beside ordinary services, and changes with none; a
// function that comes, goes or has another ARN changes routes, and its cluster, which
// switches the filter on.

// noFunction is the ARN of the listener's own filter, which must have one. No account has
// this number.
const noFunction = "arn:aws:lambda:us-east-1:000000000000:function:nobody"

// leaveToListener takes an invocation's filters out of its cluster, and gives it the
// metadata for which aws_lambda in a listener waits.
func leaveToListener(c *clusterv3.Cluster) error {
	var options httpv3.HttpProtocolOptions
	if err := c.GetTypedExtensionProtocolOptions()[protocolOptions].UnmarshalTo(&options); err != nil {
		return fmt.Errorf("reading the protocol options: %w", err)
	}
	options.HttpFilters = nil
	packed, err := pack(&options)
	if err != nil {
		return err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{protocolOptions: packed}
	c.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		"com.amazonaws.lambda": {Fields: map[string]*structpb.Value{"egress_gateway": structpb.NewBoolValue(true)}},
	}}
	return c.ValidateAll()
}

// inListener says what of a function only a cluster's own filters can do.
func inListener(f lambda.Function) error {
	if f.URL || f.RoleARN != "" {
		return errors.New("a function's URL or a role needs the filter in the cluster: Envoy 1.31 or later, and not --patch-mode listener")
	}
	return nil
}

// withFilters is an encoded HttpConnectionManager with the filters before its router, in
// the order that they have in a cluster, see filters. The caller's Host is stripped of
// its port, which would else be signed, and then not sent.
func withFilters(raw []byte, v Version) []byte {
	var m hcmv3.HttpConnectionManager
	if proto.Unmarshal(raw, &m) != nil {
		return raw
	}
	// Consul's own extension may have put its filter there: ours replaces it.
	chain := slices.DeleteFunc(m.GetHttpFilters(), func(f *hcmv3.HttpFilter) bool { return f.GetName() == filterLambda })
	if len(chain) == 0 {
		return raw
	}
	inert := []struct {
		name   string
		config proto.Message
	}{
		{filterHeaderMutation, &headermutationv3.HeaderMutation{}},
		{filterLambda, &awslambdav3.Config{Arn: noFunction}},
		{filterLua, &luav3.Lua{}},
	}
	last := len(chain) - 1
	filters := slices.Clone(chain[:last])
	for _, f := range inert {
		if f.name == filterLua && !v.scripts() {
			continue
		}
		config, err := pack(f.config)
		if err != nil {
			return raw
		}
		filters = append(filters, &hcmv3.HttpFilter{Name: f.name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config}})
	}
	filters = append(filters, chain[last])
	m.HttpFilters = filters
	m.StripPortMode = &hcmv3.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true}
	changed, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
	if err != nil {
		return raw
	}
	return changed
}

// perRoute is what a route, or one of its weighted clusters, says to the listener's
// filters of the function that it leads to.
func perRoute(f lambda.Function, host string, v Version) (map[string]*anypb.Any, error) {
	mutations := headerMutation(f, v).GetMutations()
	mutations.ResponseMutations = nil // the router retries before a listener's filters see an answer
	configs := map[string]proto.Message{
		filterHeaderMutation: &headermutationv3.HeaderMutationPerRoute{Mutations: mutations},
		filterLambda:         &awslambdav3.PerRouteConfig{InvokeConfig: lambdaConfig(f, host)},
	}
	if code := invokedOnly(script(f, v)); code != "" {
		configs[filterLua] = &luav3.LuaPerRoute{Override: &luav3.LuaPerRoute_SourceCode{
			SourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: code}},
		}}
	}
	packed := map[string]*anypb.Any{}
	for name, config := range configs {
		var err error
		if packed[name], err = pack(config); err != nil {
			return nil, err
		}
	}
	return packed, nil
}

// invokedOnly is a script that leaves requests alone which aws_lambda has not made an
// invocation: those to a gateway that fronts the function. A route keeps its configuration
// then, because a cluster that invokes may linger behind it.
func invokedOnly(code string) string {
	const begin = "function envoy_on_request(request)\n"
	return strings.Replace(code, begin, begin+`  if string.find(request:headers():get(":path"), "^/2015%-03%-31/functions/") == nil then
    return
  end
`, 1)
}

// invoking is an encoded Route that tells the listener's filters about the functions that
// it leads to. Where this Envoy invokes it no longer rewrites Host or path: that happens
// behind the filter, and what was signed would not be what is sent.
func (p *Patcher) invoking(raw []byte, proxy Proxy) []byte {
	var r routev3.Route
	if proto.Unmarshal(raw, &r) != nil {
		return raw
	}
	action := r.GetRoute()
	found, here := false, false
	add := func(configs *map[string]*anypb.Any, cluster string) {
		at, ok := parseSNI(cluster)
		if !ok {
			return
		}
		service := p.table.Lookup(at.service)
		if service == nil || service.State != lambda.StateOK || inListener(service.Function) != nil {
			return
		}
		to, ok := p.targets[placeOf(service.Function)]
		if !ok {
			return
		}
		of, err := perRoute(service.Function, to.host, proxy.Version)
		if err != nil {
			return
		}
		found, here = true, here || p.Candidate(cluster, proxy)
		if *configs == nil {
			*configs = map[string]*anypb.Any{}
		}
		maps.Copy(*configs, of)
	}
	add(&r.TypedPerFilterConfig, action.GetCluster())
	for _, c := range action.GetWeightedClusters().GetClusters() {
		add(&c.TypedPerFilterConfig, c.GetName())
	}
	if !found {
		return raw
	}
	if here {
		action.HostRewriteSpecifier, action.PrefixRewrite, action.RegexRewrite = nil, "", nil
	}
	changed, err := proto.MarshalOptions{Deterministic: true}.Marshal(&r)
	if err != nil {
		return raw
	}
	return changed
}
