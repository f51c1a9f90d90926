package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestReadTags: what AWS has, each mistake in it, and its refusal in one line. AWS is a
// stand-in: no emulator denies, and this one is asked as the SDK asks AWS.
func TestReadTags(t *testing.T) {
	clean(t)
	var asked string
	answer := func(w http.ResponseWriter) {
		fmt.Fprintf(w, `{"Tags": {"%senabled": "true", "%sretries": "many", "team": "x"}}`, lambda.Prefix, lambda.Prefix)
	}
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/lambda/") {
			t.Errorf("signed %s", r.Header.Get("Authorization"))
		}
		answer(w)
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:hello"

	got := readTags(t.Context(), arn+":blue")
	if got.Error != "" || got.Values[lambda.Prefix+"enabled"] != "true" || got.Others != 1 || len(got.Mistakes) != 1 || !strings.Contains(got.Mistakes[0], `retries = "many"`) {
		t.Errorf("%+v", got)
	}
	if !strings.HasSuffix(asked, "/tags/"+arn) {
		t.Errorf("asked for %s", asked)
	}
	answer = func(w http.ResponseWriter) {
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"Message": "not authorized to perform:\n lambda:ListTags"}`)
	}
	if got := readTags(t.Context(), arn); got.Error != "AccessDeniedException: not authorized to perform: lambda:ListTags" {
		t.Errorf("denied: %+v", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if got := readTags(t.Context(), arn); got.Error != errNoCredentials.Error() {
		t.Errorf("without credentials: %+v", got)
	}
	if got := readTags(t.Context(), ""); got != nil {
		t.Errorf("of no ARN: %+v", got)
	}
}
