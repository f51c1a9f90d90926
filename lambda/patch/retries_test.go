package patch

import (
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestRetryPolicy(t *testing.T) {
	const none = -1 // no policy: the route's is in force
	tests := []struct {
		f       lambda.Function
		version Version
		want    int
	}{
		{lambda.Function{}, current, none},
		{lambda.Function{Retries: 3}, current, 3},
		{lambda.Function{Retries: 3}, Version{1, 37, 0}, 3},
		{lambda.Function{Retries: 3}, Version{1, 36, 9}, none},
		{lambda.Function{Asynchronous: true, Retries: 3}, current, 0},
		{lambda.Function{Asynchronous: true}, current, 0},
		{lambda.Function{Asynchronous: true}, Version{1, 36, 9}, none},
	}
	for _, test := range tests {
		test.f.ARN = arnIn("aws", "us-east-1")
		c, _ := invoke(t, test.f, Options{}, test.version)
		got, policy := none, protocol(t, c).GetRetryPolicy()
		if policy != nil {
			got = int(policy.GetNumRetries().GetValue())
		}
		if got != test.want || (policy.GetRetryOn() != "") != (got > 0) {
			t.Errorf("%+v on %v: %v, want %d", test.f, test.version, policy, test.want)
		}
	}
}
