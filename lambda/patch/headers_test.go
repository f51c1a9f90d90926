package patch

import (
	"slices"
	"testing"

	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func headersOf(t *testing.T, f lambda.Function, v Version) *headermutationv3.Mutations {
	t.Helper()
	c, _ := invoke(t, f, Options{}, v)
	var got headermutationv3.HeaderMutation
	if err := protocol(t, c).GetHttpFilters()[0].GetTypedConfig().UnmarshalTo(&got); err != nil {
		t.Fatal(err)
	}
	return got.GetMutations()
}

// An Envoy that cannot remove headers by prefix would reject the cluster.
func TestHeaderRemoval(t *testing.T) {
	for _, v := range []Version{{1, 31, 0}, {1, 35, 0}, {1, 36, 0}, current} {
		for _, passthrough := range []bool{false, true} {
			f := lambda.Function{ARN: arnIn("aws", "us-east-1"), PayloadPassthrough: passthrough}
			byPrefix, removed := false, []string(nil)
			for _, m := range headersOf(t, f, v).GetRequestMutations() {
				byPrefix = byPrefix || m.GetRemoveOnMatch().GetKeyMatcher().GetPrefix() == "x-amz"
				removed = append(removed, m.GetRemove())
			}
			if byPrefix != v.atLeast(1, 36) {
				t.Errorf("%v: by prefix = %t", v, byPrefix)
			}
			if !byPrefix && !slices.Contains(removed, "x-amz-tenant-id") {
				t.Errorf("%v: removed are %v", v, removed)
			}
			if slices.Contains(removed, "authorization") != passthrough {
				t.Errorf("%v, passthrough %t: removed are %v", v, passthrough, removed)
			}
		}
	}
}

// An Envoy that a retry of an answer would end gets no answer that is retried.
func TestNeverRetried(t *testing.T) {
	for v, want := range map[Version]bool{{1, 31, 0}: true, {1, 36, 4}: true, {1, 37, 0}: false, current: false} {
		answers := headersOf(t, lambda.Function{ARN: arnIn("aws", "us-east-1")}, v).GetResponseMutations()
		got := len(answers) == 1 && answers[0].GetAppend().GetHeader().GetKey() == "x-envoy-ratelimited"
		if got != want || !want && answers != nil {
			t.Errorf("%v: answers get %v", v, answers)
		}
	}
}
