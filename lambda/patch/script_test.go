package patch

import (
	"slices"
	"testing"

	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestScript(t *testing.T) {
	tests := []struct {
		f       lambda.Function
		version Version
		want    string
	}{
		{lambda.Function{}, current, requestScript + responseScript},
		{lambda.Function{}, Version{1, 36, 0}, requestScript + responseScript},
		{lambda.Function{}, Version{1, 35, 9}, ""},
		{lambda.Function{RawErrors: true}, current, requestScript},
		{lambda.Function{Asynchronous: true}, current, requestScript},
		{lambda.Function{PayloadPassthrough: true}, current, responseScript},
		{lambda.Function{PayloadPassthrough: true, RawErrors: true}, current, ""},
		{lambda.Function{PayloadPassthrough: true, Asynchronous: true}, current, ""},
	}
	for _, test := range tests {
		test.f.ARN = arnIn("aws", "us-east-1")
		c, _ := invoke(t, test.f, Options{}, test.version)
		chain := protocol(t, c).GetHttpFilters()
		got := ""
		if i := slices.IndexFunc(chain, func(f *hcmv3.HttpFilter) bool { return f.GetName() == filterLua }); i >= 0 {
			var config luav3.Lua
			if err := chain[i].GetTypedConfig().UnmarshalTo(&config); err != nil {
				t.Fatal(err)
			}
			got = config.GetDefaultSourceCode().GetInlineString()
			if chain[i-1].GetName() != filterLambda {
				t.Errorf("%+v: the script does not see AWS's own answer", test.f)
			}
		}
		if got != test.want {
			t.Errorf("%+v on %v: the script is\n%s", test.f, test.version, got)
		}
	}
}
