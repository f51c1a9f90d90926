package patch

import (
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Which Envoys put the filter where, and why some cannot.
func TestForm(t *testing.T) {
	for _, test := range []struct {
		mode    Mode
		version Version
		want    string
	}{
		{"", Version{1, 31, 0}, FormCluster},
		{ModeAuto, Version{1, 30, 11}, FormListener},
		{ModeAuto, Version{1, 29, 12}, ""},
		{ModeCluster, Version{1, 30, 11}, ""},
		{ModeListener, current, FormListener},
		{ModeListener, Version{1, 29, 12}, ""},
	} {
		if got := (Options{Mode: test.mode}).form(test.version); got != test.want {
			t.Errorf("mode %q, Envoy %v: form %q, want %q", test.mode, test.version, got, test.want)
		}
	}
}

// A caller's Authorization goes no further where the function is invoked without a
// signature, and is left alone before a gateway.
func TestScriptsOfListeners(t *testing.T) {
	for _, f := range []lambda.Function{{}, {RawErrors: true}} {
		code := invokedOnly(script(f, current))
		guard, removal := strings.Index(code, "functions/"), strings.Index(code, `remove("authorization")`)
		if guard < 0 || removal < guard {
			t.Errorf("the script is not guarded:\n%s", code)
		}
	}
}

// Where another Envoy invokes, the path may be rewritten: nothing is signed here.
func TestRewritesInListenerMode(t *testing.T) {
	p := timed(t, map[string]int{"hello": 3})
	p.options.Mode = ModeListener
	for datacenter, stays := range map[string]bool{"dc1": false, "dc2": true} {
		action := to("hello")
		action.PrefixRewrite = "/elsewhere"
		var got routev3.RouteConfiguration
		raw := amended(p, configOf(t, action), Proxy{Kind: kindSidecar, Datacenter: datacenter, Version: current})
		if err := proto.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		route := got.GetVirtualHosts()[0].GetRoutes()[0]
		if (route.GetRoute().GetPrefixRewrite() != "") != stays || route.GetTypedPerFilterConfig()[filterLambda] == nil {
			t.Errorf("in %s: %v", datacenter, route)
		}
	}
}
