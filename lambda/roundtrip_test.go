package lambda

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// functions draws any function that the vocabulary can say.
func functions() *rapid.Generator[Function] {
	return rapid.Custom(func(t *rapid.T) Function {
		f := Function{
			ARN: ARN{
				Partition: rapid.SampledFrom([]string{"aws", "aws-cn", "aws-us-gov", "aws-iso-b"}).Draw(t, "partition"),
				Region:    rapid.StringMatching(`[a-z]{2}-[a-z]{4,10}-[1-9]`).Draw(t, "region"),
				Account:   rapid.StringMatching(`[0-9]{12}`).Draw(t, "account"),
				Name:      rapid.StringMatching(`[a-zA-Z0-9_-]{1,64}`).Draw(t, "name"),
				Qualifier: rapid.StringMatching(`([a-zA-Z0-9_-]{1,128}|\$LATEST)?`).Draw(t, "qualifier"),
			},
			PayloadPassthrough: rapid.Bool().Draw(t, "passthrough"),
			Asynchronous:       rapid.Bool().Draw(t, "asynchronous"),
			Timeout:            time.Duration(rapid.IntRange(0, 900).Draw(t, "timeout")) * time.Second,
			RawErrors:          rapid.Bool().Draw(t, "raw errors"),
			Retries:            rapid.IntRange(0, maxRetries).Draw(t, "retries"),
		}
		if rapid.Bool().Draw(t, "url") {
			f.URL, f.PayloadPassthrough, f.Asynchronous, f.RawErrors = true, false, false, false
			f.FunctionURL = "https://" + rapid.StringMatching(`[a-z0-9]{1,63}`).Draw(t, "url id") + ".lambda-url." + f.ARN.Region + ".on.aws"
		}
		// Values are trimmed when read: none begins or ends in a space.
		if rapid.Bool().Draw(t, "with role") {
			f.RoleARN = rapid.StringMatching(`arn:aws:iam::[0-9]{12}:role/[a-zA-Z0-9+=,.@_/-]{1,100}`).Draw(t, "role")
			f.ExternalID = rapid.StringMatching(`([a-zA-Z0-9_+=,.@:/-]{2,200})?`).Draw(t, "external id")
		} else {
			f.CredentialsProfile = rapid.StringMatching(`([!-~]([ -~]{0,200}[!-~])?)?`).Draw(t, "profile")
		}
		return f
	})
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := functions().Draw(t, "function")
		meta := want.Meta()
		for key := range meta {
			if !IsMetaKey(key) {
				t.Errorf("%s is written, but is no key of Meta", key)
			}
		}
		got, found, err := FromMeta("svc", meta)
		if err != nil || !found || !got.Enabled || len(got.Warnings) > 0 {
			t.Fatalf("FromMeta = %+v, %t, %v", got, found, err)
		}
		if got.Function != want {
			t.Fatalf("%+v came back as %+v", want, got.Function)
		}
	})
}

// Each setting can be told from its default, and its document's texts are there.
func TestSettings(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Settings() {
		if seen[s.Key] {
			t.Errorf("%s is there twice", s.Key)
		}
		seen[s.Key] = true
		if s.Values == "" || s.Default == "" || s.Doc == "" {
			t.Errorf("%s is not documented", s.Key)
		}
		if got := s.get(Function{}); got != "" {
			t.Errorf("%s writes its default %q", s.Key, got)
		}
	}
}
