package patch

import (
	_ "embed" // the scripts
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// The scripts are in each cluster, so their comments are here.
var (
	// Without credentials aws_lambda signs nothing, and leaves the caller's
	// Authorization. x-amz-date can only be the signature's: the caller's own was removed.
	//
	//go:embed request.lua
	requestScript string

	// AWS answers a function's error with 200. It becomes 502, and 504 if the function
	// ran into its timeout, which only the body tells. AWS's own message is short; a
	// longer body, or one of unknown length, is not looked into, so that none is held in
	// memory. The headers are asked for again after body(): those from before are gone.
	//
	//go:embed response.lua
	responseScript string
)

// script is what no other upstream filter can do (custom_response is none, and
// header_mutation may not set :status), or empty:
//
//	request    behind the envelope: the caller's Authorization never leaves, signed or not
//	response   a function's error is no 200, unless error-mapping is off or nobody waits
//
// That lua runs in a cluster is known of Envoy 1.36 and later; an older one gets no
// script, since it could reject the cluster. Each cluster's script costs Envoy about
// 90 kB for each worker and one more (1.40.0, 1,000 clusters, 1 and 3 workers); a
// cluster without costs 100 kB altogether.
func script(f lambda.Function, v Version) string {
	if !v.scripts() {
		return ""
	}
	var code strings.Builder
	if !f.PayloadPassthrough {
		code.WriteString(requestScript)
	}
	if !f.RawErrors && !f.Asynchronous {
		code.WriteString(responseScript)
	}
	return code.String()
}

func (v Version) scripts() bool { return v.atLeast(1, 36) }

func luaConfig(code string) *luav3.Lua {
	return &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: code}}}
}
